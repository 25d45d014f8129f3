from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from streams.casework.roles import Role
from tests.api.house import NOW

if TYPE_CHECKING:
    import httpx

    from streams.stores.database import Database
    from tests.api.house import Client

BEGAN, BEGAN_AGAIN = "2026-01-05T08:00:00.123456789Z", "2026-01-05T09:00:00Z"


def reported(fingerprint: str = "c0ffee", status: str = "firing", began: str = BEGAN, **labels: str) -> dict[str, Any]:
    """An alert as Alertmanager 0.25 posts it."""
    return {
        "status": status,
        "labels": {"alertname": "EwsWorkerLagGrows", "severity": "critical", "job": "ews-worker"} | labels,
        "annotations": {"summary": "A backlog grows.", "runbook_url": "docs/runbooks.md#lag"},
        "startsAt": began,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": fingerprint,
    }


def post(ask: Client, *alerts: dict[str, Any], role: Role = Role.MONITOR, **more: Any) -> httpx.Response:
    """A webhook's call, version 4."""
    body = {
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "operations-cases",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager:9093",
        "alerts": list(alerts),
    }  # fmt: skip
    return ask("POST", "/operations/alerts", role=role, json=body | more)


def listed(ask: Client, *, closed: bool = False) -> list[dict[str, Any]]:
    """The operations cases as a viewer sees them."""
    answer = ask("GET", "/operations/cases", role=Role.VIEWER, params={"closed": str(closed).lower()})
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_firing_alert_opens_a_case_that_says_what_is_wrong(ask: Client) -> None:
    """Name, severity, summary, runbook and labels stand in it."""
    assert {"opened": 1, "closed": 0, "known": 0} == post(ask, reported()).json()
    (case,) = listed(ask)
    assert ("EwsWorkerLagGrows", "critical", "A backlog grows.", "docs/runbooks.md#lag") == (
        case["name"], case["severity"], case["summary"], case["runbook"],
    )  # fmt: skip
    assert "ews-worker" == case["labels"]["job"]
    assert (NOW.isoformat().replace("+00:00", "Z"), None) == (case["opened_at"], case["closed_at"])


def test_an_alert_that_is_told_again_opens_no_second_case(ask: Client) -> None:
    """One case is open per fingerprint, whoever tells of it and however often; another fingerprint has its own."""
    post(ask, reported())
    assert {"opened": 1, "closed": 0, "known": 2} == post(ask, reported(), reported(), reported("decaf")).json()
    assert 2 == len(listed(ask))


def test_a_resolved_alert_closes_its_case(ask: Client) -> None:
    """It is over: the case moves to those that are closed."""
    post(ask, reported())
    assert {"opened": 0, "closed": 1, "known": 0} == post(ask, reported(status="resolved")).json()
    assert ([], 1) == (listed(ask), len(listed(ask, closed=True)))


def test_reports_that_come_late_change_nothing(ask: Client) -> None:
    """A firing report after its own end, an end told twice, the end of an earlier time and of nothing at all."""
    post(ask, reported())
    post(ask, reported(status="resolved"))
    late = post(ask, reported(), reported(status="resolved"), reported("decaf", "resolved"))
    assert {"opened": 0, "closed": 0, "known": 3} == late.json()
    post(ask, reported(began=BEGAN_AGAIN))
    assert {"opened": 0, "closed": 0, "known": 1} == post(ask, reported(status="resolved")).json()
    assert (1, 1) == (len(listed(ask)), len(listed(ask, closed=True)))


def test_the_same_alert_at_a_later_time_opens_a_new_case(ask: Client) -> None:
    """What comes back is a case of its own, and the first stays closed."""
    post(ask, reported())
    post(ask, reported(status="resolved"))
    assert {"opened": 1, "closed": 0, "known": 0} == post(ask, reported(began=BEGAN_AGAIN)).json()
    assert (1, 1) == (len(listed(ask)), len(listed(ask, closed=True)))


def test_what_the_monitoring_did_stands_in_the_trail(ask: Client, database: Database) -> None:
    """Who opened and closed what, in the chain that nobody can change unseen."""
    post(ask, reported())
    post(ask, reported(status="resolved"))
    with database.read() as connection:
        told = connection.exec_driver_sql("SELECT actor, action FROM audit WHERE action LIKE 'operations.%' ORDER BY 1")
        assert [("monitor", "operations.opened"), ("monitor", "operations.closed")] == [tuple(row) for row in told]
    assert 0 == len(ask("GET", "/audit/verify", role=Role.ADMIN).json()["faults"])


@pytest.mark.parametrize(
    "change",
    [
        {"version": "3"},
        {"alerts": [reported() | {"fingerprint": ""}]},
        {"alerts": [reported() | {"status": "maybe"}]},
        {"alerts": [reported() | {"startsAt": "yesterday"}]},
        {"alerts": [reported(long="x" * 2_001)]},
    ],
)
def test_what_alertmanager_does_not_say_is_refused_whole(ask: Client, change: dict[str, Any]) -> None:
    """Nothing of such a report is taken up, and the answer names the field."""
    answer = post(ask, reported(), **change)
    assert 422 == answer.status_code
    assert answer.json()["errors"]
    assert [] == listed(ask)


def test_the_key_of_the_monitoring_opens_nothing_else(ask: Client) -> None:
    """A key that lies about in a monitoring system reads no case, not even its own account."""
    assert {403} == {ask("GET", path, role=Role.MONITOR).status_code for path in ("/me", "/cases", "/operations/cases")}
