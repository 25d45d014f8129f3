from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.casework.contact_row import FIELDS, ContactRow, read_row
from streams.errors import Misconfigured
from streams.history.contact_file import ContactFile, Line
from streams.history.importer import Refusal
from streams.stores.contact import Channel

if TYPE_CHECKING:
    from pathlib import Path

    from streams.stores.contact import IncomingRecord

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
PACKS = frozenset({"cn", "us"})
GOOD = {
    "borrower": "b-1",
    "zone": "Asia/Shanghai",
    "language": "zh",
    "channel": "sms",
    "address": "+86 138-0013-8012",
    "consented_at": "2026-01-02T09:00:00+08:00",
    "consent_source": "contract c-9",
}


def csv_of(*rows: dict[str, str], header: tuple[str, ...] = FIELDS) -> str:
    """A CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read(path: Path, text: str | bytes) -> list[Line | Refusal]:
    """The rows of a file with this text."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(ContactFile(path, now=NOW, packs=PACKS).rows())


def record(row: Line | Refusal) -> IncomingRecord:
    """The record of a good row."""
    assert isinstance(row, Line)
    return row.record


def refusal(**wrong: Any) -> str:
    """Why a row with this in it is refused."""
    with pytest.raises(ValueError, match=r".") as refused:
        read_row(GOOD | wrong, now=NOW, packs=PACKS)
    return str(refused.value)


def tried(row: dict[str, Any]) -> ContactRow | str:
    """The row with this in it, or why it is refused."""
    try:
        return read_row(GOOD | row, now=NOW, packs=PACKS)
    except ValueError as refused:
        return str(refused)


def test_a_row_of_a_csv_is_a_record(tmp_path: Path) -> None:
    """Every column is read; empty cells are not there; a number is kept in one form."""
    full = GOOD | {
        "country": "US-CA",
        "packs": "cn us",
        "preferred_from": "22:00",
        "preferred_until": "06:30",
        "opted_out_at": "2026-02-01T00:00:00Z",
        "third_party": "yes",
    }

    first, second = map(
        record, read(tmp_path / "c.csv", csv_of(full, {"borrower": "b-2", **dict(list(GOOD.items())[1:])}))
    )

    assert ("b-1", "Asia/Shanghai", "zh", "c.csv") == (first.borrower, first.zone, first.language, first.source)
    assert ("US-CA", ("cn", "us"), (time(22), time(6, 30))) == (first.country, first.packs, first.preferred)
    assert datetime(2026, 2, 1, tzinfo=UTC) == first.opted_out_at
    [address] = first.addresses
    assert (Channel.SMS, "+8613800138012", True) == (address.channel, address.address, address.third_party)
    assert (datetime(2026, 1, 2, 1, tzinfo=UTC), "contract c-9") == (address.consented_at, address.consent_source)
    assert (None, (), None, None) == (second.country, second.packs, second.preferred, second.opted_out_at)


def test_json_lines_say_the_same_as_a_csv(tmp_path: Path) -> None:
    """Either form, packed or not, gives the same records."""
    told = GOOD | {"packs": ["cn"], "third_party": True}
    packed = tmp_path / "c.jsonl.gz"

    [from_csv] = read(tmp_path / "c.csv", csv_of(GOOD | {"packs": "cn", "third_party": "true"}))
    [from_json] = read(packed, gzip.compress(json.dumps(told).encode()))

    assert record(from_csv).addresses == record(from_json).addresses
    assert record(from_csv).packs == record(from_json).packs


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"borrower": "Wei Zhang"}, "borrower"),
        ({"borrower": ""}, "borrower: is missing"),
        ({"zone": "Mars/Base"}, "zone: is not an IANA time zone name"),
        ({"zone": "+08:00"}, "zone"),
        ({"language": "chinese"}, "language"),
        ({"language": "xx"}, "language"),
        ({"country": "China"}, "country"),
        ({"country": "US-XX"}, "country"),
        ({"packs": "cn narnia"}, "ews contacts packs"),
        ({"packs": {"cn": 1}}, "packs"),
        ({"preferred_from": "08:00"}, "go together"),
        ({"preferred_from": "8am", "preferred_until": "20:00"}, "preferred_from: is no time of day"),
        ({"preferred_from": "24:00", "preferred_until": "20:00"}, "preferred_from"),
        ({"preferred_from": "08:00", "preferred_until": "08:00"}, "no hour is left"),
        ({"channel": "fax"}, "channel: is none of call"),
        ({"channel": ""}, "channel and address go together"),
        ({"address": "13800138012"}, "telephone number"),
        ({"address": "+86 138 ABC"}, "telephone number"),
        ({"channel": "email", "address": "wei at mail"}, "e-mail"),
        ({"channel": "email", "address": "a@b..example"}, "e-mail"),
        ({"channel": "push", "address": "two words"}, "token"),
        ({"channel": "letter", "address": "a\x00b"}, "postal address"),
        ({"address": 4917012345678}, "address: is no text"),
        ({"consented_at": "2026-01-02"}, "consented_at: must be an RFC 3339 time"),
        ({"consented_at": "2026-02-30T00:00:00Z"}, "consented_at"),
        ({"consented_at": 1767315600}, "consented_at"),
        ({"consented_at": "2027-01-02T09:00:00Z"}, "consented_at lies ahead"),
        ({"opted_out_at": "2027-01-02T09:00:00Z"}, "opted_out_at lies ahead"),
        ({"consent_source": ""}, "needs its consent_source"),
        ({"consent_source": "a\nb"}, "consent_source"),
        ({"third_party": "perhaps"}, "third_party: is neither"),
        ({"adress": "x"}, "a field is not known, was address meant?"),
    ],
)
def test_a_mistake_is_named_with_its_field_and_rule(wrong: dict[str, Any], said: str) -> None:
    """One sentence for each, and never what was written."""
    told = refusal(**wrong)

    assert said in told
    assert not [v for v in wrong.values() if isinstance(v, str) and len(v) > 5 and v in told]


def test_several_mistakes_are_told_together() -> None:
    """Nobody mends a row three times."""
    told = refusal(zone="x", language="x", channel="x")

    assert ["zone", "language", "channel"] == [part.split(":")[0] for part in told.split("; ")]


def test_refused_rows_have_their_line_and_the_others_are_read(tmp_path: Path) -> None:
    """A row that is none, a bad one, and one with an address over two lines: lines are counted as an editor does."""
    letter = GOOD | {"channel": "letter", "address": "1 Long Street\nShanghai"}
    text = csv_of(GOOD, letter, GOOD | {"borrower": "b-3", "zone": "x"}) + "b-4,too,few\n"

    first, second, third, fourth = read(tmp_path / "c.csv", text)

    assert (2, 3) == (first.line, second.line)
    assert "1 Long Street\nShanghai" == record(second).addresses[0].address
    assert isinstance(third, Refusal)
    assert isinstance(fourth, Refusal)
    assert (5, "invalid") == (third.line, third.reason)
    assert (6, "unreadable") == (fourth.line, fourth.reason)


def test_the_same_address_twice_is_a_duplicate(tmp_path: Path) -> None:
    """Also when it is written in another way; another channel or borrower is no duplicate."""
    rows = [GOOD, GOOD | {"address": "+8613800138012"}, GOOD | {"channel": "call"}, GOOD | {"borrower": "b-2"}]

    first, second, *others = read(tmp_path / "c.csv", csv_of(*rows))

    assert isinstance(first, Line)
    assert isinstance(second, Refusal)
    assert ("duplicate", "says what line 2 says") == (second.reason, second.detail)
    assert all(isinstance(row, Line) for row in others)


def test_a_borrower_has_one_zone(tmp_path: Path) -> None:
    """A later row that says otherwise of the borrower is refused: nobody knows which is true."""
    _, second = read(tmp_path / "c.csv", csv_of(GOOD, GOOD | {"channel": "call", "zone": "Asia/Urumqi"}))

    assert isinstance(second, Refusal)
    assert ("contradiction", "says otherwise of the borrower than line 2 does") == (second.reason, second.detail)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("b-1,Asia/Shanghai,zh\n", "column 1 of the first line is not known"),
        ("borrower,zone,langage\nb,z,l\n", "column 3 of the first line is not known, was language meant?"),
        ("borrower,zone\nb,z\n", "no column language"),
        ("borrower,zone,language,zone\nb,z,l,z\n", "names a column twice"),
        ("borrower,zone,langage\nonly one cell\nb,z,l\n", "was language meant?"),
    ],
)
def test_a_header_that_is_none_stops_the_import(tmp_path: Path, text: str, said: str) -> None:
    """A list without a header would have its first borrower's data in the message: only the column's number is told."""
    with pytest.raises(Misconfigured, match=said) as stopped:
        read(tmp_path / "c.csv", text)

    assert "b-1" not in str(stopped.value)


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    """Nothing, or a header alone."""
    assert [] == read(tmp_path / "c.csv", "")
    assert [] == read(tmp_path / "c.csv", csv_of())


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=30),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    st.sampled_from([*GOOD.values(), "08:00", "US-CA", "cn us", "true", "call", "email", "wei@mail.example"]),
)
ROWS = st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text(max_size=10)), VALUES, max_size=len(FIELDS) + 2)


@settings(max_examples=300, deadline=None)
@given(row=ROWS)
def test_whatever_a_row_says_it_is_a_record_or_one_sentence(row: dict[str, Any]) -> None:
    """No row ends the import, and a sentence is one line; what is taken is what the rules allow."""
    taken = tried(row)
    if isinstance(taken, str):
        assert taken
        assert taken.isprintable()
        return
    told = taken.record("list")
    assert all(a.consented_at is None or a.consented_at <= NOW + timedelta(minutes=5) for a in told.addresses)
    assert all(a.consented_at is None or a.consent_source for a in told.addresses)
    assert set(told.packs) <= PACKS


@settings(max_examples=100, deadline=None)
@given(secret=st.text(alphabet="0123456789ABCDEFabcdef@+ -", min_size=8, max_size=40), field=st.sampled_from(FIELDS))
def test_no_sentence_repeats_what_a_row_says(secret: str, field: str) -> None:
    """Whatever field a number or address got into by mistake, it is in no report."""
    taken = tried({field: secret})

    assert not isinstance(taken, str) or secret not in taken


@settings(max_examples=100, deadline=None)
@given(junk=st.binary(max_size=300), name=st.sampled_from(["c.csv", "c.jsonl"]))
def test_any_bytes_are_rows_or_refusals(tmp_path_factory: pytest.TempPathFactory, junk: bytes, name: str) -> None:
    """Junk behind a good header, or in place of JSON, is refused line by line."""
    head = (",".join(FIELDS) + "\n").encode() if name.endswith("csv") else b""

    rows = read(tmp_path_factory.mktemp("junk") / name, head + junk)

    assert all(isinstance(row, Line | Refusal) for row in rows)
