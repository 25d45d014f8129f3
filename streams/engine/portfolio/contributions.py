"""What a borrower's loans add to the cohorts and links they belong to, told as differences at the end of a day.

A loan is told when it changed, and when its bucket changes by silence. A wake-up of the engine's own asks for it at the
next end of a day (UTC), so that a borrower costs at most one look a day, and a lane can sum what its borrowers tell.
The loan remembers what was told last: (bucket, outstanding).
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2s
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from schemas.portfolio import BUCKETS
from streams.engine.arrears import next_rung
from streams.engine.calendar import DAY_MS, midnight_ms
from streams.engine.detector import BorrowerView
from streams.engine.loan import ACTIVE, BUCKET_DAYS, Loan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.engine.borrower import Borrower

TELL = "_tell"
"""The wake-up at which a borrower's loans are told."""
RUNGS = tuple(BUCKET_DAYS * number + 1 for number in range(BUCKETS - 1))
"""The days past due at which a bucket begins."""
NAME_MAX = 128
Stand = tuple[int, int]
"""The bucket of a loan, and what is outstanding on it."""


class Shift(NamedTuple):
    """What one loan takes from a bucket of a cohort, or adds to it."""

    cohort: str
    bucket: int
    minor: int
    loans: int


class Member(NamedTuple):
    """A borrower behind a link: the worst bucket, or None when no running loan has that link any more."""

    link: str
    bucket: int | None


class Told(NamedTuple):
    """What a borrower tells at the end of a day."""

    shifts: tuple[Shift, ...] = ()
    members: tuple[Member, ...] = ()


NOTHING = Told()


def plan_telling(borrower: Borrower, at_ms: int) -> None:
    """A loan has changed: tell it at the end of the day."""
    closing = (_closing_ms(at_ms), "")
    asked = borrower.wakeups.get(TELL, [])
    if closing not in asked:
        borrower.wakeups[TELL] = [closing, *asked]


def tell(borrower: Borrower, now_ms: int, through: Callable[[str], int]) -> Told:
    """What has changed since it was told last, as of the end of the day that is over; and when to tell again.

    A due day that passed is told as late as its source is complete past it: silence of a feed is not arrears.
    """
    view = BorrowerView(borrower, now_ms - 1, through)
    before = _members(borrower)
    shifts: list[Shift] = []
    wakeups: list[tuple[int, str]] = []
    for loan in borrower.loans:
        stand = _stand(view, loan)
        if stand != loan.told:
            shifts += _shifts(loan, loan.told, -1)
            shifts += _shifts(loan, stand, 1)
            loan.told = stand
        if stand is not None:
            wakeups += _again(view, loan, now_ms)
    if wakeups:
        borrower.wakeups[TELL] = sorted(set(wakeups))
    else:
        borrower.wakeups.pop(TELL, None)
    after = _members(borrower)
    changed = sorted(link for link in before.keys() | after.keys() if before.get(link) != after.get(link))
    return Told(tuple(shifts), tuple(Member(link, after.get(link)) for link in changed))


def _stand(view: BorrowerView, loan: Loan) -> Stand | None:
    outstanding = loan.outstanding() if loan.status == ACTIVE else 0
    if not outstanding:
        return None
    late = loan.days_past_due(view.day(loan))
    return min(BUCKETS - 1, -(-late // BUCKET_DAYS)), outstanding


def _shifts(loan: Loan, stand: Stand | None, sign: int) -> Iterator[Shift]:
    if stand is not None:
        for kind, value in _cohorts(loan):
            yield Shift(cohort_name(kind, value, loan.currency), stand[0], sign * stand[1], sign)


def _cohorts(loan: Loan) -> Iterator[tuple[str, str]]:
    yield "portfolio", "all"
    yield "product", loan.product
    yield "channel", loan.channel
    if loan.profile is not None:
        for kind in ("industry", "region", "employer"):
            value = getattr(loan.profile, kind)
            if value:
                yield kind, value


@lru_cache(maxsize=65_536)
def cohort_name(kind: str, value: str, currency: str) -> str:
    """The name of a cohort, as a valid token: `product:cash:CNY`. What does not fit is cut and told apart by a hash."""
    return _token(f"{kind}:{quote(value, safe='')}:{currency}")


def _members(borrower: Borrower) -> dict[str, int]:
    """The links of the loans as they were told last, with the borrower's worst bucket."""
    told = [(loan, loan.told[0]) for loan in borrower.loans if loan.told is not None]
    worst = max((bucket for _, bucket in told), default=0)
    return {link: worst for loan, _ in told for link in _links(loan)}


def _links(loan: Loan) -> Iterator[str]:
    if loan.profile is not None:
        yield from map(_token, loan.profile.links)
        if loan.profile.employer:
            yield _token(f"employer:{loan.profile.employer}")


def _token(name: str) -> str:
    if len(name) <= NAME_MAX:
        return name
    return f"{name[: NAME_MAX - 33]}~{blake2s(name.encode(), digest_size=16).hexdigest()}"


def _again(view: BorrowerView, loan: Loan, now_ms: int) -> Iterator[tuple[int, str]]:
    """When the bucket may change with no event: the end of that day, or when its source is complete so far."""
    day = view.day(loan)
    # Paid, by a value day that is still to come, or that the source is not complete past yet.
    paid = [x.cleared for x in loan.installments if x.cleared is not None and x.cleared > day]
    changes = [*next_rung(view, loan, RUNGS), *((midnight_ms(cleared, loan.zone), loan.source) for cleared in paid)]
    for at_ms, source in changes:
        closing = _closing_ms(at_ms)
        yield (closing, "") if closing > now_ms else (at_ms, source)


def _closing_ms(at_ms: int) -> int:
    """The end of the day of an instant: the first midnight (UTC) after it."""
    return (at_ms // DAY_MS + 1) * DAY_MS
