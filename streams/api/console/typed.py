"""From what a person typed into a form to an action. What is none comes back with a sentence for each field."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from streams.api.console.words import end_of_day, minor_of
from streams.casework.actions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streams.api.console.forms import Ground
    from streams.casework.actions import Action

INSTALLMENTS_MAX = 60
DIGITS_MAX = 6
NUMBER_MAX = 1_200
"""The highest number that an installment may have (`schemas.events`)."""


class Mistyped(Exception):  # noqa: N818 - named for what is wrong
    """What was typed is no action. `faults` has a sentence for each field; that of "" is about the whole."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__("; ".join(sorted(faults)))
        self.faults = faults


def action_of(kind: str, typed: Mapping[str, str], ground: Ground) -> Action:
    """The action. Raises Mistyped."""
    read = _READ.get(kind, _as_typed)
    try:
        return ACTIONS.validate_python({"kind": kind, **read(typed, ground)})
    except ValidationError as invalid:
        raise Mistyped(_faults(invalid)) from None


def _as_typed(typed: Mapping[str, str], _ground: Ground) -> dict[str, Any]:
    return {name: value for name, value in typed.items() if value}


def _read_promise(typed: Mapping[str, str], ground: Ground) -> dict[str, Any]:
    currency = _currency(typed.get("loan", ""), ground)
    on = _day(typed, "promised_on")
    amount = _amount(typed, "amount", currency)
    return {"loan": typed["loan"], "currency": currency, "amount_minor": amount, "promised_on": on}


def _read_hold(typed: Mapping[str, str], _ground: Ground) -> dict[str, Any]:
    return {"until": end_of_day(_day(typed, "until")), "reason": typed.get("reason", "")}


def _read_decision(name: str) -> Callable[[Mapping[str, str], Ground], dict[str, Any]]:
    def read(typed: Mapping[str, str], ground: Ground) -> dict[str, Any]:
        if typed.get(name) not in {"yes", "no"}:
            raise Mistyped({name: "choose one"})
        return _as_typed(typed, ground) | {name: typed[name] == "yes"}

    return read


def _read_contact(typed: Mapping[str, str], ground: Ground) -> dict[str, Any]:
    return _as_typed(typed, ground) | {"reached": typed.get("reached") == "yes"}


def _read_plan(typed: Mapping[str, str], ground: Ground) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "loan": typed.get("loan", ""),
        "reason": typed.get("plan_reason", ""),
        "effective_on": _day(typed, "effective_on"),
    }
    if typed.get("until"):
        plan["until"] = _day(typed, "until")
    if typed.get("count"):
        plan["schedule"] = _schedule(typed, ground)
    return plan


def _schedule(typed: Mapping[str, str], ground: Ground) -> list[dict[str, Any]]:
    count, first = _number(typed, "count"), _number(typed, "first_number")
    amount = _amount(typed, "each", _currency(typed.get("loan", ""), ground))
    due, every = _day(typed, "first_due"), typed.get("every", "month")
    return [{"number": first + n, "due_on": _after(due, n, every), "amount_minor": amount} for n in range(count)]


def _after(due: date, times: int, every: str) -> date:
    if every != "month":
        return due + timedelta(weeks=times * (2 if every == "two_weeks" else 1))
    months = due.month - 1 + times
    first = date(due.year + months // 12, months % 12 + 1, 1)
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(due.day, last.day))


_READ: dict[str, Callable[[Mapping[str, str], Ground], dict[str, Any]]] = {
    "promise": _read_promise,
    "hold": _read_hold,
    "plan": _read_plan,
    "log_contact": _read_contact,
    "decide_hardship": _read_decision("granted"),
    "decide_approval": _read_decision("approve"),
}


def _currency(loan: str, ground: Ground) -> str:
    found = next((one.currency for one in ground.file.case.loans if one.loan == loan), None)
    if found is None:
        raise Mistyped({"loan": "choose a loan of this case"})
    return found


def _amount(typed: Mapping[str, str], name: str, currency: str) -> int:
    try:
        return minor_of(typed.get(name, ""), currency)
    except ValueError as wrong:
        raise Mistyped({name: str(wrong)}) from None


def _day(typed: Mapping[str, str], name: str) -> date:
    try:
        return date.fromisoformat(typed.get(name, ""))
    except ValueError:
        raise Mistyped({name: "write a day, such as 2025-06-30"}) from None


def _number(typed: Mapping[str, str], name: str) -> int:
    text = typed.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX and 1 <= int(text) <= NUMBER_MAX):
        raise Mistyped({name: "write a number from 1"})
    if name == "count" and int(text) > INSTALLMENTS_MAX:
        raise Mistyped({name: f"at most {INSTALLMENTS_MAX} installments"})
    return int(text)


_FIELD_OF = {"amount_minor": "amount", "closed_as": "as", "schedule": "count"}


def _faults(invalid: ValidationError) -> dict[str, str]:
    """A sentence for each field. Without the input: it may be anything."""
    faults: dict[str, str] = {}
    for error in invalid.errors(include_url=False, include_input=False, include_context=True):
        place = [part for part in error["loc"][1:] if isinstance(part, str)]
        name = _FIELD_OF.get(place[0], place[0]) if place else ""
        faults.setdefault(name, _SENTENCES.get(error["type"]) or error["msg"].removeprefix("Value error, "))
    return faults


_SENTENCES = {
    "missing": "this is needed",
    "string_too_short": "this is needed",
    "extra_forbidden": "this form has no such field",
    "union_tag_invalid": "there is no such action",
    "enum": "choose one",
    "literal_error": "choose one",
    "uuid_parsing": "this is no id",
}
