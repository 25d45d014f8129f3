"""What pages show of cases and borrowers, made ready for the templates."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from streams.api.console.drawing import Past
from streams.api.console.forms import Ground
from streams.api.console.words import distance, length, moment, money, spoken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.api.console.room import Room
    from streams.api.console.shapes import Drawing
    from streams.api.desk import BorrowerFile, CaseFile
    from streams.stores.case import AuditLine, Case
    from streams.stores.roles import Actor
    from streams.stores.work import Approval

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:")
SOON_SECONDS = 4 * 3_600
"""A case that is due within this is drawn as due soon."""
MINUTE = 60
LEGEND = (
    ("paid", "installment paid in time"), ("late", "paid late"), ("unpaid", "due and unpaid"), ("ahead", "not yet due"),
    ("received", "payment"), ("returned", "payment sent back"), ("dpd", "days past due"), ("balance", "balance"),
    ("hard", "hard inquiry"), ("soft", "soft inquiry"), ("critical", "critical alert"), ("high", "high alert"),
    ("watch", "watch alert"), ("info", "info alert"), ("over", "alert that is over"), ("talked", "contact: reached"),
    ("tried", "not reached"), ("lost", "undeliverable"), ("refused", "refused by a rule"),
    ("promise-open", "promise"), ("promise-kept", "promise kept"), ("promise-broken", "promise broken"),
    ("promise-cancelled", "promise cancelled"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Card:
    """A case as a card of the board or a row of a list."""

    case: Case
    overdue: tuple[str, ...]
    """One amount for each currency."""
    due: str
    clock: str
    """late, soon, fine, paused or over: how the time to act stands."""


def card(case: Case, now: datetime) -> Card:
    """The card of a case."""
    by_currency: dict[str, int] = {}
    for loan in case.loans:
        by_currency[loan.currency] = by_currency.get(loan.currency, 0) + loan.overdue_minor
    overdue = tuple(money(minor, currency) for currency, minor in sorted(by_currency.items()) if minor)
    clock, due = _clock(case, now)
    return Card(case, overdue, due, clock)


def _clock(case: Case, now: datetime) -> tuple[str, str]:
    if case.closed_at is not None:
        return "over", f"ended {distance(case.closed_at, now)}"
    if case.is_paused:
        why = ", ".join(spoken(pause) for pause in case.pauses) or "paused"
        until = f", goes on {distance(case.resume_at, now)}" if case.resume_at else ""
        seconds = case.sla_left_seconds or 0
        left = f", then {length(seconds)} left" if seconds >= MINUTE else ", then due at once"
        return "paused", f"paused: {why}{until}{left}"
    if case.due_at is None:
        return "fine", "no time set"
    if case.due_at < now:
        return "late", f"due {distance(case.due_at, now)}"
    soon = (case.due_at - now).total_seconds() < SOON_SECONDS
    return ("soon" if soon else "fine"), f"due {distance(case.due_at, now)}"


def ground(room: Room, actor: Actor, file: CaseFile) -> Ground:
    """What the forms of a case are made on."""
    takers = [one.account for one in room.accounts.listed() if one.takes_cases and one.revoked_at is None]
    return Ground(file, actor, room.desk.ladder, room.now().date(), takers)


class Told(NamedTuple):
    """A line of the history in words."""

    line: AuditLine
    what: str
    text: str


def story(file: CaseFile) -> list[Told]:
    """The history in words, the latest first, with the text of notes where it is not erased."""
    notes = {note.note_id: note.text for note in file.notes}
    return [_told(line, notes) for line in sorted(file.history, key=lambda line: -line.number)]


def since(file: CaseFile, number: int) -> list[Told]:
    """What happened after a line."""
    return [told for told in story(file) if told.line.number > number]


_LEFT_OUT = {
    "alert_id", "episode_id", "revision", "sha256", "note_id", "note_sha256", "promise_id", "approval_id", "plan_id",
    "changes", "reason_sha256", "contact_id", "text_sha256", "note", "sla_left_seconds", "episodes", "step",
}  # fmt: skip


def _part(name: str, value: object) -> str:
    return _plain(value) if name == "reason" else f"{spoken(name)} {_plain(value)}"


def _told(line: AuditLine, notes: Mapping[str, str]) -> Told:
    detail = dict(line.detail)
    parts = [_part(name, value) for name, value in detail.items() if name not in _LEFT_OUT and value not in (None, "")]
    changes = detail.get("changes")
    if isinstance(changes, dict):
        pairs = ((name, pair) for name, pair in changes.items() if name not in _UNSAID and isinstance(pair, list))
        parts += [f"{spoken(name)} {_plain(pair[0])} → {_plain(pair[1])}" for name, pair in pairs]
    written = notes.get(str(detail.get("note_id")), "")
    if written:
        parts.append(f"“{written}”")
    return Told(line, spoken(line.action.replace(".", ": ")), "; ".join(parts))


_UNSAID = frozenset({"next_step", "sla_left_seconds"})
_SHORT = {None: "nothing", True: "yes", False: "no"}


def _plain(value: object) -> str:
    if value is None or isinstance(value, bool):
        return _SHORT[value]
    if not isinstance(value, str):
        return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)
    try:
        return moment(datetime.fromisoformat(value)) if _INSTANT.match(value) else spoken(value)
    except ValueError:
        return value


def once() -> str:
    """What makes a form that is sent twice count once."""
    return secrets.token_urlsafe(16)


def seen(file: CaseFile) -> int:
    """The last line of the history that a page shows."""
    return max((line.number for line in file.history), default=0)


def reason_of(approval: Approval, file: CaseFile) -> str:
    """Why it was asked for. The text is a note, which may have been erased."""
    return next((note.text for note in file.notes if note.note_id == getattr(approval, "note_id", None)), "")


def past_of(file: BorrowerFile) -> Past:
    """What the database knows, to be drawn."""
    refused = [(one.at, str(one.attempt.channel), one.refusal.rule) for one in file.refusals]
    return Past(file.episodes, file.promises, file.contacts, refused)


def legend(drawing: Drawing | None) -> list[tuple[str, str]]:
    """The signs that the drawing has, in words."""
    if drawing is None:
        return []
    kinds = {part for kind in drawing.kinds for part in (kind, *kind.split())}
    return [(kind, words) for kind, words in LEGEND if kind in kinds]
