from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from streams.api import answers, desk
from streams.api.document import FILE, document, text
from streams.stores import case, contact, work

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tests.api.house import Client

SHOWN = [
    (answers.Case, case.Case),
    (answers.Loan, case.CaseLoan),
    (answers.Episode, case.Episode),
    (answers.Line, case.AuditLine),
    (answers.Promise, work.Promise),
    (answers.Approval, work.Approval),
    (answers.Plan, work.Plan),
    (answers.Note, work.Note),
    (answers.Judgement, work.Judgement),
    (answers.Contact, contact.PastContact),
    (answers.CaseFile, desk.CaseFile),
    (answers.Precision, desk.Precision),
]
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


@pytest.mark.parametrize(("answer", "value"), SHOWN)
def test_every_answer_has_where_it_comes_from(answer: type[BaseModel], value: type[object]) -> None:
    """A field that a value loses is lost here too, and not at the first request that shows one."""
    assert [] == [name for name in answer.model_fields if not hasattr(value, name) and name not in fields_of(value)]


def fields_of(value: Any) -> list[str]:
    """The names of a dataclass's fields."""
    return [field.name for field in dataclasses.fields(value)]


def test_an_action_needs_its_kind() -> None:
    """The body of an action is told apart by `kind`, and there are examples."""
    [body] = document()["paths"]["/v1/cases/{case_id}/actions"]["post"]["requestBody"]["content"].values()

    assert "kind" == body["schema"]["discriminator"]["propertyName"]
    assert {"note", "promise", "assign", "close"} == set(body["examples"])
