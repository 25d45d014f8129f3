from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from streams.api.document import FILE, document, text

if TYPE_CHECKING:
    from tests.api.house import Client

OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, item in document()["paths"].items()
    for method, operation in item.items()
]


def test_the_file_is_what_the_routes_say() -> None:
    """A route that changes changes docs/openapi.json: `uv run poe openapi` writes it."""
    assert text() == FILE.read_text(encoding="utf-8")


def test_the_api_serves_it_to_anybody(ask: Client) -> None:
    """The document needs no key."""
    assert document() == ask("GET", "/openapi.json", role=None).json()


@pytest.mark.parametrize(("name", "operation"), OPERATIONS)
def test_every_operation_says_what_it_is(name: str, operation: dict[str, Any]) -> None:
    """A summary, a description, a tag, the security scheme, and the problems it may answer with."""
    assert operation["summary"], name
    assert operation["description"], name
    assert operation["tags"], name
    assert [{"API key": []}] == operation["security"]
    problems = {
        status for status, one in operation["responses"].items() if "application/problem+json" in one.get("content", {})
    }
    assert {"400", "401", "403", "422", "429", "500", "503"} <= problems


def test_an_action_needs_its_kind() -> None:
    """The body of an action is told apart by `kind`, and there are examples."""
    [body] = document()["paths"]["/v1/cases/{case_id}/actions"]["post"]["requestBody"]["content"].values()

    assert "kind" == body["schema"]["discriminator"]["propertyName"]
    assert {"note", "promise", "assign", "close"} == set(body["examples"])
