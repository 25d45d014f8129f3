"""A lender's export becomes events: each row one event or a named rejection, by a mapping that is checked first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from schemas.codec import decode
from streams.errors import Misconfigured
from streams.history.importer import Imported, Refusal, import_file
from streams.history.mapping import load_mapping

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
source = "core/export"
kind = "what"
zone = "Africa/Lagos"
currency = "NGN"
[constants]
servicing_zone = "Africa/Lagos"
product = "payday"
channel = "app"
"""
OPENED = """
[[rows]]
when = "opened"
type = "ews.loan.opened.v1"
subject = "who"
time = "at"
columns = { loan = "loan" }
amounts = { principal_minor = "lent" }
schedule = { due_on = "dues", total = "owed" }
"""
PAID = """
[[rows]]
when = ["paid", "settled"]
type = "ews.repayment.received.v1"
subject = "who"
time = "at"
columns = { loan = "loan" }
times = { valued_at = "at" }
derived = "payment_id"
amount = "outstanding"
"""
CLOSED = """
[[rows]]
when = "closed"
type = "ews.loan.closed.v1"
subject = "who"
time = "at"
columns = { loan = "loan" }
"""
ALL = HEAD + OPENED + PAID + CLOSED


class Import:
    """One import in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refusals: list[Refusal] = []

    def __call__(self, mapping: str, rows: str | list[dict[str, Any]], name: str = "export.jsonl") -> list[Any]:
        """The events of these rows."""
        text = rows if isinstance(rows, str) else "\n".join(orjson.dumps(row).decode() for row in rows) + "\n"
        (self.folder / name).write_text(text, encoding="utf-8")
        (self.folder / "map.toml").write_text(mapping, encoding="utf-8")
        out = self.folder / "events.jsonl"
        loaded = load_mapping(self.folder / "map.toml")
        self.result: Imported = import_file(self.folder / name, loaded, out, self.refusals.append)
        return [decode(line) for line in out.read_bytes().splitlines()]

    def reasons(self) -> list[tuple[int, str]]:
        """Line and reason of each refusal."""
        return [(refusal.line, refusal.reason) for refusal in self.refusals]


@pytest.fixture
def run(tmp_path: Path) -> Import:
    """An import to call."""
    return Import(tmp_path)


def opened(loan: str = "l1", at: str = "2024-03-01T08:00:00", **more: Any) -> dict[str, Any]:
    """A row of a loan with one due date."""
    row = {
        "what": "opened",
        "who": "b1",
        "at": at,
        "loan": loan,
        "lent": 10000.0,
        "owed": 11500.5,
        "dues": ["2024-03-31"],
    }
    return row | more


def paid(loan: str = "l1", at: str = "2024-03-31T23:30:00", **more: Any) -> dict[str, Any]:
    """A row of a payment without an amount."""
    return {"what": "paid", "who": "b1", "at": at, "loan": loan} | more


def test_a_row_becomes_an_event_in_the_mapping_s_words(run: Import) -> None:
    """Local times get their offset, decimals become minor units, due dates a schedule."""
    loan, payment = run(ALL, [opened(), paid()])
    assert loan.time.isoformat() == "2024-03-01T07:00:00+00:00"
    assert (loan.source, loan.subject, loan.data.currency, loan.data.product) == ("core/export", "b1", "NGN", "payday")
    assert loan.data.principal_minor == 1_000_000
    assert [(i.number, i.due_on.isoformat(), i.amount_minor) for i in loan.data.schedule] == [
        (1, "2024-03-31", 1_150_050)
    ]
    assert payment.data.amount_minor == 1_150_050
    assert payment.data.payment_id == payment.id


def test_a_payment_of_what_is_outstanding_settles_the_loan_once(run: Import) -> None:
    """The first payment takes all; a second one, and one for a loan never seen, are refused by name."""
    events = run(ALL, [opened(), paid(), paid(at="2024-04-01T00:00:00"), paid("l2")])
    assert [event.type for event in events] == ["ews.loan.opened.v1", "ews.repayment.received.v1"]
    assert run.reasons() == [(3, "nothing_outstanding"), (4, "unknown_loan")]


def test_the_same_row_has_the_same_id_in_every_export(run: Import) -> None:
    """Ids come from the row's content, not from its place."""
    first = {event.id for event in run(ALL, [opened(), paid()])}
    again = {event.id for event in run(ALL, [opened("l0"), opened(), paid()])}
    assert len(first) == 2
    assert first < again


def test_named_columns_identify_a_fact(run: Import) -> None:
    """With `id`, a row that is exported again with another remark is the same event."""
    mapping = HEAD + CLOSED + 'id = ["loan"]\n'
    rows = [{"what": "closed", "who": "b1", "at": "2024-05-01", "loan": "l1", "note": note} for note in ("a", "b")]
    assert len({event.id for event in run(mapping, rows)}) == 1


def test_events_come_out_in_order_of_time(run: Import) -> None:
    """The export's own order does not matter to the file of events."""
    events = run(ALL, [opened("l2", "2024-05-01T00:00:00"), opened("l1")])
    assert [event.data.loan for event in events] == ["l1", "l2"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"what": "refinanced"}, "unknown_kind"),
        (opened(who=""), "missing_column"),
        (opened(who="two words"), "invalid"),
        (opened(at="yesterday"), "bad_time"),
        (opened(lent="ten"), "bad_amount"),
        (opened(lent="10.005"), "bad_amount"),
        (opened(lent="Infinity"), "bad_amount"),
        (opened(lent=-5), "invalid"),
        (opened(dues=[]), "bad_schedule"),
        (opened(dues=["soon"]), "bad_date"),
    ],
)
def test_a_row_that_makes_no_event_is_refused_by_name(run: Import, row: dict[str, Any], reason: str) -> None:
    """The rows around it are imported all the same."""
    events = run(ALL, [opened("l8"), row, opened("l9", "2024-03-02T08:00:00")])
    assert run.reasons() == [(2, reason)]
    assert len(events) == 2
    assert run.result.rows == run.result.events + run.result.refused


def test_lines_that_are_no_rows_are_refused(run: Import) -> None:
    """Broken JSON and JSON of another shape."""
    assert not run(ALL, '{"what":\n[1]\n\n')
    assert run.reasons() == [(1, "unreadable"), (2, "unreadable"), (3, "unreadable")]


def test_a_total_is_spread_over_the_due_dates_and_the_last_takes_the_rest(run: Import) -> None:
    """No kobo is lost."""
    (loan,) = run(ALL, [opened(owed=100, dues=["2024-03-31", "2024-04-30", "2024-05-31"])])
    assert [line.amount_minor for line in loan.data.schedule] == [3333, 3333, 3334]


def test_csv_with_lists_in_cells_and_odd_bytes(run: Import) -> None:
    """Lists are separated in their cell; a row with too few cells, or quotes that never end, is refused alone."""
    mapping = HEAD + OPENED.replace('total = "owed"', 'amounts = "parts", separator = "|"')
    rows = (
        "\ufeffwhat,who,at,loan,lent,dues,parts\r\n"
        'opened,b1,2024-03-01 08:00:00,l1,"1000.5",2024-03-31|2024-04-30,600|500.25\r\n'
        "opened,b1\r\n"
        "\r\nopened,b2,2024-03-01T08:00:00+01:00,l2,1,2024-03-31,1|2\r\n"
    )
    (loan,) = run(mapping, rows, "export.csv")
    assert [line.amount_minor for line in loan.data.schedule] == [60_000, 50_025]
    assert run.reasons() == [(3, "unreadable"), (5, "bad_schedule")]


@pytest.mark.parametrize(("currency", "minor"), [("JPY", 1200), ("KWD", 1_200_000), ("EUR", 120_000)])
def test_minor_units_follow_the_currency(run: Import, currency: str, minor: int) -> None:
    """The yen has no decimals, the dinar three."""
    (loan,) = run(ALL.replace("NGN", currency), [opened(lent=1200, owed=1200)])
    assert loan.data.principal_minor == minor


def test_values_are_renamed_and_rows_skipped(run: Import) -> None:
    """A status gets its name here; one without a name is refused; one to skip is counted and not refused."""
    mapping = (
        HEAD
        + """
[[rows]]
type = "ews.tradeline.reported.v1"
subject = "who"
time = "at"
skip = { status = "X" }
constants = { lender_token = "other", kind = "card" }
columns = { tradeline = "loan", status = "status" }
numbers = { days_past_due = "dpd" }
values = { status = { 1 = "71" } }
"""
    )
    row = {"what": "", "who": "b1", "at": "2024-01-01", "loan": "l1", "status": "1", "dpd": 30}
    rows = [row, row | {"status": "X"}, row | {"status": "9"}, row | {"dpd": 1.5}]
    mapping = mapping.replace('kind = "what"\n', "")
    (line,) = run(mapping, rows)
    assert (line.data.status, line.data.days_past_due) == ("71", 30)
    assert run.reasons() == [(3, "unknown_value"), (4, "bad_number")]
    assert run.result.reasons["skipped"] == 1


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ("source = ", "not TOML"),
        (OPENED, "source: is required"),
        (HEAD, "rows: is required"),
        (ALL.replace("Africa/Lagos", "Africa/Lagoon", 1), "zone: is not an IANA time zone name"),
        (ALL.replace("ews.loan.opened.v1", "ews.loan.made.v1"), "rows.0.type: is not an event type"),
        (ALL.replace("subject =", "subjekt =", 1), "rows.0.subject: is required"),
        (ALL.replace("columns = { loan", "columns = { lone", 1), "rows.0: lone: ews.loan.opened.v1 has no such field"),
        (ALL.replace('derived = "payment_id"', ""), "rows.1: payment_id: is required"),
        (ALL.replace('"outstanding"', '"all"'), "rows.1.amount: must be 'outstanding'"),
        (ALL.replace(', total = "owed"', ""), "rows.0.schedule: give either total or amounts"),
        (ALL.replace('derived = "payment_id"', 'derived = ["payment_id", "loan"]'), "rows.1: loan: is filled twice"),
        (ALL.replace('kind = "what"\n', ""), "rows.0.when: needs `kind`"),
        (ALL + 'values = { loan2 = { a = "b" } }\n', "rows.2.values.loan2: is no field"),
    ],
)
def test_a_mistake_in_the_mapping_is_one_line_that_names_the_key(run: Import, mapping: str, sentence: str) -> None:
    """Nothing is imported by half a mapping."""
    with pytest.raises(Misconfigured) as refused:
        run(mapping, [])
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_csv_without_the_kind_column_is_not_imported(run: Import) -> None:
    """Every row would be refused: it is the mapping or the file that is wrong."""
    with pytest.raises(Misconfigured, match="no column 'what'"):
        run(ALL, "kind,who\nopened,b1\n", "export.csv")


def test_memory_stays_bounded_by_sorted_pieces(run: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export larger than a piece is merged from several."""
    monkeypatch.setattr("streams.history.ordering.PIECE_LINES", 3)
    events = run(ALL, [opened(f"l{n}", f"2024-03-{28 - n:02d}T08:00:00") for n in range(20)])
    assert [event.data.loan for event in events] == [f"l{n}" for n in reversed(range(20))]
