"""Random lives of two borrowers for property tests: loans, payments, money, inquiries, heartbeats, mistakes."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.builders import (
    at,
    booked,
    charged_off,
    closed,
    disbursed,
    event,
    events,
    filed,
    heartbeat,
    inquired,
    moved,
    opened,
    paid,
    promised,
    rescheduled,
    returned,
    scored,
    tradeline,
    tried,
    worth,
)

LAST_DAY = 110

days = st.integers(0, LAST_DAY * 4).map(lambda quarter: quarter / 4)
amounts = st.sampled_from([1, 300, 500, 899, 900, 1_000, 1_700, 3_000])
people = st.sampled_from(["b-1", "b-2"])
loans = st.sampled_from(["l-1", "l-2"])
names = st.integers(1, 8).map(lambda number: f"p-{number}")
moves = st.one_of(
    st.tuples(st.just("paid"), days, amounts, names, st.integers(0, 12)),
    st.tuples(st.just("paid"), days, amounts, names, st.just(0)),
    st.tuples(st.just("returned"), days, amounts, names, st.sampled_from(["AM04", "AC04", "MD07"])),
    st.tuples(st.just("salary"), st.integers(0, 3), amounts, names, st.integers(-2, 9)),
    st.tuples(st.just("booked"), days, amounts, names, st.sampled_from([1, -1])),
    st.tuples(st.just("inquired"), days, amounts, names, st.sampled_from([0, 0, 3])),
    st.tuples(st.just("shopped"), days, amounts, names, st.sampled_from(["mortgage", "car"])),
    st.tuples(st.just("tradeline"), days, amounts, names, st.sampled_from([0, 0, 29, 30, 60, 95])),
    st.tuples(st.just("scored"), days, amounts, names, st.sampled_from([810, 740, 735, 690, 600])),
    st.tuples(st.just("filed"), days, amounts, names, st.sampled_from(["judgment", "enforcement"])),
    st.tuples(
        st.just("changed"), days, amounts, names, st.sampled_from(["extension", "re_age", "forbearance", "plan"])
    ),
    st.tuples(st.just("ended"), days, amounts, names, st.booleans()),
    st.tuples(st.just("promised"), days, amounts, names, st.integers(-3, 9)),
    st.tuples(st.just("worth"), days, amounts, names, st.sampled_from([1, 2, 3])),
    st.tuples(st.just("tried"), days, amounts, names, st.sampled_from(["", "", "undeliverable", "reached"])),
    st.tuples(st.just("moved"), days, amounts, names, st.sampled_from(["device", "phone", "email"])),
    st.tuples(st.just("spent"), days, amounts, names, st.sampled_from(["7995", "7995", "6051", "6010", "6012"])),
    st.tuples(st.just("lent"), days, amounts, names, st.sampled_from([0, 0, 6])),
    st.tuples(st.just("disbursed"), days, amounts, names, st.none()),
    st.tuples(st.just("foreign"), days, amounts, names, st.none()),
    st.tuples(st.just("heartbeat"), st.integers(0, LAST_DAY), amounts, names, st.sampled_from([0, 1, 5])),
)


def _made(move: tuple, who: str, loan: str) -> list[events.Event]:  # noqa: C901, PLR0911 - a table of moves
    kind, day, amount, name, detail = move
    loan = f"{loan}-{who}"
    if kind == "paid":
        return [paid(day, amount, loan=loan, payment=name, valued=max(0, day - detail), subject=who)]
    if kind == "returned":
        return [returned(day, name, detail, loan=loan, subject=who)]
    if kind == "salary":
        return [booked(day * 30 + max(0, detail), 5_000, 6_000, purpose="SALA", subject=who)]
    if kind == "booked":
        return [booked(day, amount * detail, 2_000 + amount * detail, subject=who)]
    if kind == "inquired":
        known = at(day + detail) if detail else None
        return [inquired(day, name, subject=who, recorded=known)]
    if kind in {"shopped", "tradeline", "scored", "filed"}:
        return [_of_the_bureau(move, who)]
    if kind in {"promised", "worth", "tried", "moved"}:
        return [_of_collection(move, who, loan)]
    if kind == "changed":
        dues = [] if detail == "forbearance" else [int(day) + 10, int(day) + 40]
        return [
            rescheduled(day, detail, dues, first=2, loan=loan, subject=who, until=int(day) + 7 if not dues else None)
        ]
    if kind == "ended":
        return [(closed if detail else charged_off)(day, loan=loan, subject=who)]
    if kind in {"spent", "lent", "disbursed"}:
        return _of_money(move, who, loan)
    if kind == "foreign":
        return [paid(day, amount, loan=loan, payment=name, currency="JPY", subject=who)]
    return [heartbeat(day, through=day - detail, hour=10) if day > detail else heartbeat(0)]


def _of_money(move: tuple, who: str, loan: str) -> list[events.Event]:
    """Money of which nobody likes to tell: bets and cash until the account is overdrawn, loans elsewhere."""
    kind, day, amount, name, detail = move
    if kind == "disbursed":
        return [disbursed(day, amount, loan=loan, subject=who)]
    if kind == "lent":
        known = at(day + detail) if detail else None
        return [booked(day, amount, amount, purpose="LOAN", counterparty_token=name, recorded=known, subject=who)]
    return [booked(day + n / 24, -amount, 2_000 - amount * n, mcc=detail, subject=who) for n in range(5)]


def _of_the_bureau(move: tuple, who: str) -> events.Event:
    kind, day, amount, name, detail = move
    if kind == "shopped":
        return inquired(day, name, subject=who, purpose=detail)
    if kind == "tradeline":
        return tradeline(day, name, f"lender-{name}", owed=amount - 1, behind=detail, subject=who)
    if kind == "scored":
        return scored(day, detail, model=f"model-{amount % 2}", subject=who)
    return filed(day, detail, name, subject=who)


def _of_collection(move: tuple, who: str, loan: str) -> events.Event:
    kind, day, amount, name, detail = move
    if kind == "promised":
        return promised(day, int(day) + detail, amount, loan=loan, promise=name, subject=who)
    if kind == "worth":
        return worth(day, amount * detail, loan=loan, subject=who)
    if kind == "tried":
        return tried(day, "sms" if amount % 2 else "call", contact=name, result=detail, subject=who)
    return moved(day, detail, subject=who)


@st.composite
def lives(draw: st.DrawFn, most: int = 25) -> list[events.Event]:
    """Some events in any order, with different ids."""
    facts: list[events.Event] = []
    for who in ("b-1", "b-2"):
        for loan in draw(st.lists(loans, unique=True, max_size=2)):
            day = draw(st.sampled_from([0, 0, 0, 20, 41]))
            car = draw(st.sampled_from([None, {"kind": "car", "value_minor": 3_200}]))
            facts.append(opened([30, 60, 90], loan=f"{loan}-{who}", day=day, subject=who, collateral=car))
        if draw(st.booleans()):
            facts += [booked(day, 5_000, 6_000, purpose="SALA", subject=who) for day in (1, 31, 61)]
    for move in draw(st.lists(moves, max_size=most)):
        facts += _made(move, draw(people), draw(loans))
    return [
        fact.model_copy(update={"id": f"x-{number}"}) if not isinstance(fact, events.LoanOpened) else fact
        for number, fact in enumerate(facts)
    ]


__all__ = ["LAST_DAY", "event", "lives"]
