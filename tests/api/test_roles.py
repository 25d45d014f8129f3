from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from streams.casework.roles import Role

if TYPE_CHECKING:
    from tests.api.house import Client

CASE = "/cases/00000000-0000-5000-8000-000000000000"
NEEDS = {
    ("GET", "/me"): Role.VIEWER,
    ("GET", "/cases"): Role.VIEWER,
    ("GET", CASE): Role.VIEWER,
    ("GET", f"{CASE}/history"): Role.VIEWER,
    ("POST", f"{CASE}/actions"): Role.COLLECTOR,
    ("GET", "/alerts"): Role.VIEWER,
    ("GET", "/approvals"): Role.VIEWER,
    ("GET", "/stats/precision"): Role.VIEWER,
    ("GET", "/stats/board"): Role.VIEWER,
    ("GET", "/notifier"): Role.VIEWER,
    ("POST", "/notifier/pause"): Role.SUPERVISOR,
    ("POST", "/notifier/resume"): Role.SUPERVISOR,
    ("GET", "/audit/verify"): Role.ADMIN,
    ("GET", "/borrowers/b-1"): Role.VIEWER,
    ("GET", "/borrowers/b-1/contact"): Role.SUPERVISOR,
    ("PUT", "/borrowers/b-1/contact"): Role.SUPERVISOR,
    ("DELETE", "/borrowers/b-1/contact"): Role.ADMIN,
    ("POST", "/contacts/check"): Role.COLLECTOR,
    ("POST", "/operations/alerts"): Role.MONITOR,
    ("GET", "/operations/cases"): Role.VIEWER,
}
"""The least role of every route but the stream of events, which has a test of its own."""
BODIES = {"POST": {"kind": "take"}, "PUT": {}}
"""What gets past the check of the content type; whether it is right is seen after the role."""


def test_the_table_names_every_route(ask: Client) -> None:
    """A route that is added must be judged here."""
    documented = {
        (method.upper(), path.removeprefix("/v1"))
        for path, methods in ask.app.openapi()["paths"].items()
        for method in methods
    }
    named = {(method, path.replace(CASE, "/cases/{case_id}").replace("b-1", "{token}")) for method, path in NEEDS}

    assert documented - {("GET", "/events")} == named


@pytest.mark.parametrize(("route", "role"), list(product(NEEDS, Role)))
def test_a_route_lets_in_its_role_and_those_above(ask: Client, route: tuple[str, str], role: Role) -> None:
    """Below the role it is 403, from it on anything else."""
    response = ask(*route, role=role, json=BODIES.get(route[0]))

    assert role.reaches(NEEDS[route]) == (response.status_code != 403), response.text
    assert response.status_code != 401


@pytest.mark.parametrize("route", [*NEEDS, ("GET", "/events")])
@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer ews_unknown"}, {"Authorization": "Basic YTpi"}, {"Cookie": "session=x"}]
)
def test_without_a_valid_key_there_is_nothing(ask: Client, route: tuple[str, str], headers: dict[str, str]) -> None:
    """No route but 401, with the scheme that is asked for."""
    response = ask(*route, role=None, headers=headers, json=BODIES.get(route[0]))

    assert 401 == response.status_code
    assert "Bearer" == response.headers["www-authenticate"]


def test_a_revoked_key_is_answered_like_an_unknown_one(ask: Client) -> None:
    """Nobody learns that a key was once good."""
    ask.app.state.gate.accounts.revoke("viewer", at=ask.app.state.rooms.now())

    revoked = ask("GET", "/me", role=Role.VIEWER).json()
    unknown = ask("GET", "/me", role=None, headers={"Authorization": "Bearer ews_x"}).json()

    assert {**unknown, "instance": ""} == {**revoked, "instance": ""}


def test_an_account_of_a_role_is_told_which_one_is_needed(ask: Client) -> None:
    """A 403 says what to ask for."""
    problem = ask("GET", "/audit/verify", role=Role.COLLECTOR).json()

    assert "This needs the role admin; the account has the role collector." == problem["detail"]
