"""A borrower's state for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from streams.bootstrap.policy import load_engine
from streams.cli.tables import print_rows
from streams.engine.calendar import date_text, local_day, moment_of
from streams.engine.loan import CHARGED_OFF, CLOSED, RETURNED, bucket_of

if TYPE_CHECKING:
    from streams.engine.borrower import Borrower
    from streams.engine.loan import Installment, Loan
    from streams.history.states import Inspected

_ENDED = {CLOSED: "closed", CHARGED_OFF: "charged off"}
_LOANS = (
    "loan",
    "status",
    "DPD#",
    "bucket",
    "oldest unpaid due",
    "overdue#",
    "outstanding#",
    "currency",
    "zone",
    "source",
)
_LINES = ("loan", "number#", "due", "amount#", "paid#", "cleared")
_PAYMENTS = ("loan", "value day", "amount#", "state", "reason", "event")
_MEASURES = ("measure", "count#", "sum#", "buckets#", "occurrences#", "since", "dropped#")
_EPISODES = ("detector", "loan", "onset", "open", "step#", "severity", "revision#", "changed")
_WAKEUPS = ("asked by", "at", "once complete")


def print_borrower(found: Inspected) -> None:
    """Everything that is kept of one borrower, days past due as of the lane's latest tick."""
    borrower, now_ms = found.borrower, found.position.now_ms
    facts = [
        ("borrower", found.token),
        ("partition", found.partition),
        ("bytes", found.size),
        ("as of (latest tick)", _moment(now_ms)),
        ("last event", _moment(borrower.last_ms)),
        ("balance (minor units)", "" if borrower.balance is None else borrower.balance),
        ("event ids remembered", len(borrower.ids)),
        ("event ids forgotten early", borrower.ids.overflow),
        ("facts waiting for their loan", len(borrower.waiting)),
    ]
    print_rows(("", ""), [fact for fact in facts if fact[1] != ""])
    _section("Loans (amounts in minor units)", _LOANS, [_loan(loan, now_ms) for loan in borrower.loans])
    _section("Installments", _LINES, [_line(loan, line) for loan in borrower.loans for line in loan.installments])
    _section("Payments", _PAYMENTS, _payments(borrower))
    _section("Measures", _MEASURES, _measures(borrower))
    _section("Episodes", _EPISODES, _episodes(borrower))
    _section("Wake-ups", _WAKEUPS, _wakeups(borrower))


def _section(title: str, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    if rows:
        typer.echo()
        print_rows(columns, rows, title)


def _loan(loan: Loan, now_ms: int) -> tuple[object, ...]:
    day = local_day(now_ms, loan.zone)
    oldest, late = loan.oldest_unpaid(day), loan.days_past_due(day)
    return (
        loan.id,
        _ENDED.get(loan.status, "in forbearance" if loan.frozen(day) else "active"),
        late,
        bucket_of(late),
        "" if oldest is None else date_text(oldest.due),
        loan.overdue(day),
        loan.outstanding(),
        loan.currency,
        loan.zone,
        loan.source,
    )


def _line(loan: Loan, line: Installment) -> tuple[object, ...]:
    return loan.id, line.number, date_text(line.due), line.amount, line.paid, _day(line.cleared)


def _payments(borrower: Borrower) -> list[tuple[object, ...]]:
    return [
        (loan.id, date_text(p.valued), p.amount, "returned" if p.state == RETURNED else "stands", p.reason, p.event)
        for loan in borrower.loans
        for p in loan.payments
    ]


def _measures(borrower: Borrower) -> list[tuple[object, ...]]:
    names = {measure.key: measure.name for measure in load_engine(None).measures}
    return [
        (
            f"{names.get(key, f'{key:08x}')}{'/' * bool(part)}{part}",
            s.count,
            s.amount,
            len(s.ats),
            len(s.seen) + len(s.levels),
            _moment(s.since),
            s.overflow,
        )
        for key in borrower.measured
        for part, s in borrower.parts(key).items()
    ]


def _episodes(borrower: Borrower) -> list[tuple[object, ...]]:
    return [
        (
            e.detector,
            e.loan,
            date_text(e.onset),
            "open" if e.is_open else "over",
            e.step,
            e.severity,
            e.revision,
            _moment(e.changed_ms),
        )
        for e in borrower.episodes
    ]


def _wakeups(borrower: Borrower) -> list[tuple[object, ...]]:
    asked = [(at, name, source) for name, entries in borrower.wakeups.items() for at, source in entries]
    asked += [(borrower.forget_ms, "forget", "")] if borrower.forget_ms else []
    return [(name.removeprefix("_"), _moment(at), source) for at, name, source in sorted(asked)]


def _day(day: int | None) -> str:
    return "" if day is None else date_text(day)


def _moment(ms: int) -> str:
    return f"{moment_of(ms):%Y-%m-%d %H:%M} UTC" if ms else ""
