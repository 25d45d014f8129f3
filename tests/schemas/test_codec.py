from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.alerts import Alert
from schemas.codec import EVENT_BYTES_MAX, InvalidEvent, Reason, decode, decode_alert, decode_mapping, describe, encode
from schemas.events import EVENTS, Event, FeedHeartbeat, FeedHeartbeatData, RepaymentReturned
from schemas.fields import CURRENCIES, ZONES
from tests.schemas.goldens import GOLDEN, files, load

BOOKED = load(GOLDEN / "events" / "ews.transaction.booked.v1.full.json")
RETURNED = load(GOLDEN / "events" / "ews.repayment.returned.v1.full.json")
GOLDENS = [path.read_bytes() for path in files("events")]
PERSON = "Zhang San 13800138000"
CARD = 4_111_111_111_111_111_111
patient = settings(deadline=None)
"""A busy machine is no failure."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


def _outcome(value: bytes | None) -> InvalidEvent | Event:
    try:
        return decode(value)
    except InvalidEvent as fault:
        return fault


def _refusal(value: bytes | None) -> InvalidEvent:
    outcome = _outcome(value)
    assert isinstance(outcome, InvalidEvent)
    return outcome


def _event(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A golden event with fields of its envelope, or of its data, changed."""
    data = event["data"] | {name: value for name, value in changes.items() if name in event["data"]}
    return event | {name: value for name, value in changes.items() if name not in event["data"]} | {"data": data}


@patient
@given(st.none() | st.binary())
@example(b"\xff\xfe{}")
@example(b"{}")
@example(b"null")
@example(b"\x00")
def test_any_bytes_give_an_event_or_a_reason(value: bytes | None) -> None:
    """Whatever arrives, decode returns an Event or raises InvalidEvent, and nothing else."""
    outcome = _outcome(value)
    assert isinstance(outcome, Event) or outcome.reason in Reason


@patient
@given(st.data())
def test_a_damaged_event_gives_an_event_or_a_reason(data: st.DataObject) -> None:
    """A real event with some bytes replaced, dropped or doubled never raises anything but InvalidEvent."""
    golden = bytearray(data.draw(st.sampled_from(GOLDENS)))
    start = data.draw(st.integers(0, len(golden)))
    end = data.draw(st.integers(start, min(start + 8, len(golden))))
    golden[start:end] = data.draw(st.binary(max_size=8))
    outcome = _outcome(bytes(golden))
    assert isinstance(outcome, Event) or outcome.reason in Reason


@patient
@given(st.sampled_from(GOLDENS), st.data(), JSON)
def test_any_json_in_any_field_gives_an_event_or_a_reason(golden: bytes, data: st.DataObject, value: Any) -> None:
    """A field of any JSON type and size is read or refused; what is read can be written and read again."""
    event = orjson.loads(golden)
    holder = data.draw(st.sampled_from([event, event["data"]]))
    name = data.draw(st.sampled_from(sorted(holder)))
    holder[name] = value
    outcome = _outcome(orjson.dumps(event))
    if isinstance(outcome, Event):
        assert decode(encode(outcome)) == outcome
    else:
        assert outcome.reason in (Reason.INVALID, Reason.UNKNOWN_TYPE)


@patient
@given(st.sampled_from(GOLDENS), st.data(), st.sampled_from([PERSON, CARD, [PERSON], {PERSON: PERSON}, float(CARD)]))
def test_a_refusal_never_quotes_what_was_sent(golden: bytes, data: st.DataObject, value: Any) -> None:
    """A person's name or number in the wrong place does not reach the detail, which goes into headers and logs."""
    event = orjson.loads(golden)
    holder = data.draw(st.sampled_from([event, event["data"]]))
    holder[data.draw(st.sampled_from(sorted(holder)))] = value
    outcome = _outcome(orjson.dumps(event))
    if isinstance(outcome, InvalidEvent):
        assert "Zhang" not in str(outcome)
        assert "1380" not in str(outcome)
        assert "4111" not in str(outcome)


@pytest.mark.parametrize(
    "text",
    [b'{"type": Zhang}', b'{"id": "Zhang', b'{"Zhang": 1,}', b'"Zhang', b"Zhang", b'{"a": "\xff Zhang"}', b"Zhang\xc3"],
)
def test_unreadable_text_is_not_quoted(text: bytes) -> None:
    """What is said of broken JSON or UTF-8 is its kind and place only."""
    assert "Zhang" not in str(_refusal(text))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.EMPTY),
        (b"", Reason.EMPTY),
        (b" ", Reason.NOT_JSON),
        (b"{" + b" " * EVENT_BYTES_MAX, Reason.TOO_LARGE),
        (b'{"a": "\xff"}', Reason.NOT_UTF8),
        ("{}".encode("utf-16"), Reason.NOT_UTF8),
        (b"\xef\xbb\xbf{}", Reason.NOT_JSON),
        (b'{"a": NaN}', Reason.NOT_JSON),
        (b'{"a": -Infinity}', Reason.NOT_JSON),
        (b'{"a": "\\ud800"}', Reason.NOT_JSON),
        (b"[" * 100_000, Reason.NOT_JSON),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, Reason.NOT_JSON),
        (b"{'a': 1}", Reason.NOT_JSON),
        (b"[]", Reason.INVALID),
        (b"1", Reason.INVALID),
        (b'"text"', Reason.INVALID),
        (b"{}", Reason.INVALID),
        (b'{"type": 1}', Reason.INVALID),
        (b'{"type": ["ews.loan.opened.v1"]}', Reason.INVALID),
        (b'{"type": "ews.loan.opened.v2"}', Reason.UNKNOWN_TYPE),
        (b'{"type": "ews.loan.opened.v1"}', Reason.INVALID),
    ],
)
def test_each_kind_of_bad_record_has_its_reason(value: bytes | None, reason: Reason) -> None:
    """Metrics and dead letters tell the kinds apart."""
    assert reason == _refusal(value).reason


@pytest.mark.parametrize(
    "amount", [b"1e3", b"1000.0", b"true", b"null", b'"1000"', b"18446744073709551616", b"-1", b"1e400"]
)
def test_only_whole_numbers_are_money(amount: bytes) -> None:
    """Floats, booleans, texts, negatives and numbers beyond 64 bits are refused, not rounded."""
    text = orjson.dumps(_event(BOOKED, amount_minor=123454321)).replace(b"123454321", amount)
    assert _refusal(text).detail.startswith("data.amount_minor: ") or b"1e400" == amount


@pytest.mark.parametrize(
    "time",
    [
        1_772_328_600,
        1_772_328_600.5,
        "1772328601",
        "2026-03-01",
        "2026-03-01T09:30:00",
        "2026-03-01 09:30:00Z",
        "now",
        "2026-02-29T00:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T23:59:60Z",
        "2026-03-01T09:30Z",
        "20260301T093000Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+14:00",
        "2200-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "2026-03-01T09:30:00+24:00",
        "2026-03-01T09:30:00+99:99",
        "2026-03-01T09:30:00 +08:00",
        "\uff12\uff10\uff12\uff16-03-01T09:30:00Z",
        "2026-W09-7T09:30:00Z",
        "+002026-03-01T09:30:00Z",
        "",
    ],
)
def test_a_time_is_rfc_3339_with_an_offset_or_refused(time: Any) -> None:
    """Numbers, local times, times that do not exist and absurd years are refused, and never raise anything else."""
    assert _refusal(orjson.dumps(_event(BOOKED, time=time))).detail.startswith("time: ")


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-03-01T09:30:00+08:00", datetime(2026, 3, 1, 1, 30, tzinfo=UTC)),
        ("2026-03-01t01:30:00z", datetime(2026, 3, 1, 1, 30, tzinfo=UTC)),
        ("2026-03-01T01:30:00-00:00", datetime(2026, 3, 1, 1, 30, tzinfo=UTC)),
        ("2026-02-28T20:00:00-05:30", datetime(2026, 3, 1, 1, 30, tzinfo=UTC)),
        ("2026-03-01T01:30:00.123456789Z", datetime(2026, 3, 1, 1, 30, 0, 123456, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2199-12-31T23:59:59.999999Z", datetime(2199, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2026-03-02T01:29:00+23:59", datetime(2026, 3, 1, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_an_instant(time: str, expected: datetime) -> None:
    """The same instant is read from any offset, to the microsecond."""
    assert expected == decode(orjson.dumps(_event(BOOKED, time=time))).time


MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30), timezones=st.timezones(), allow_imaginary=False)  # noqa: DTZ001


@patient
@given(MOMENTS)
def test_a_time_built_in_python_is_written_and_read_as_the_same_instant(time: datetime) -> None:
    """Producers in Python may use any aware datetime, whatever its zone."""
    beat = FeedHeartbeatData(source="core", complete_through=time)
    event = FeedHeartbeat(specversion="1.0", id="1", source="core", subject="core", time=time, data=beat)
    assert event.time.timestamp() == decode(encode(event)).time.timestamp()


def test_a_naive_time_is_refused_in_python_too() -> None:
    """An event cannot be built with a time that has no offset."""
    with pytest.raises(ValidationError, match="timezone"):
        FeedHeartbeatData(source="core", complete_through=datetime(2026, 3, 1))  # noqa: DTZ001 - that is the point


@patient
@given(st.text(st.characters(categories=["Cs"]), min_size=1))
def test_lone_surrogates_in_a_parsed_object_are_refused(text: str) -> None:
    """Other JSON parsers let lone surrogates through; an event with one cannot be written, so it is refused."""
    with pytest.raises(InvalidEvent) as caught:
        decode_mapping(_event(BOOKED, id=text))
    assert caught.value.reason is Reason.INVALID


def test_nesting_in_an_unknown_field_is_no_way_to_stop_a_worker() -> None:
    """Unknown fields are ignored at any depth that the parser permits."""
    nested: Any = 1
    for _ in range(200):
        nested = [nested]
    assert isinstance(decode(orjson.dumps(BOOKED | {"nested": nested})), Event)


@pytest.mark.parametrize(("code", "expected"), [("R01", "AM04"), ("R09", "AM04"), ("AM04", "AM04"), ("NARR", "NARR")])
def test_nacha_codes_for_insufficient_funds_are_read_as_iso(code: str, expected: str) -> None:
    """R01 and R09 count as AM04 in every detector; other codes stay what they are."""
    event = decode(orjson.dumps(_event(RETURNED, reason_code=code)))
    assert isinstance(event, RepaymentReturned)
    assert expected == event.data.reason_code


def test_a_refusal_is_short() -> None:
    """Neither 180 currencies nor 600 zones nor a hundred bad installments make a long detail."""
    opened = load(GOLDEN / "events" / "ews.loan.opened.v1.full.json")
    bad = _event(opened, currency="ZZZ", servicing_zone="Mars", schedule=[{}] * 100)
    detail = _refusal(orjson.dumps(bad)).detail
    assert (
        "data.currency: is not an ISO 4217 currency code; data.servicing_zone: is not an IANA time zone name" in detail
    )
    assert detail.endswith(" more)")
    assert len(detail) < 300


def test_every_sentence_is_our_own() -> None:
    """Pydantic's sentences, which may quote what was sent, are in no refusal that the goldens can provoke."""
    wrong: tuple[Any, ...] = (
        None,
        True,
        5,
        5.5,
        -1,
        10**18,
        "",
        "x" * 300,
        [],
        {},
        "2026-02-30",
        "2026-02-30T00:00:00Z",
    )
    for golden in GOLDENS:
        event = orjson.loads(golden)
        for name in event["data"]:
            for value in wrong:
                outcome = _outcome(orjson.dumps(_event(event, **{name: value})))
                assert not re.search(
                    r"Input|valid |breaks the rule", str(outcome) if isinstance(outcome, Exception) else ""
                )


def test_a_source_is_fit_to_be_the_subject_of_an_alert() -> None:
    """A source that falls silent becomes the subject and key of feed_stale: so it is a token, as URIs are."""
    assert _refusal(orjson.dumps(_event(BOOKED, source="core banking"))).detail.startswith("source: must match")


def test_alerts_are_read_as_strictly() -> None:
    """A subscriber of ours gets an Alert or the reason too."""
    with pytest.raises(InvalidEvent, match=r"id: is required; type: is required; subject: is required \(and 2 more\)"):
        decode_alert(b"{}")
    with pytest.raises(InvalidEvent) as caught:
        decode_alert(b"nothing")
    assert caught.value.reason is Reason.NOT_JSON
    path = GOLDEN / "alerts" / "opened.full.json"
    assert isinstance(decode_alert(path.read_bytes()), Alert)


def test_describe_names_the_event_where_no_field_is_to_blame() -> None:
    """A mistake of the whole object is said of the event."""
    with pytest.raises(ValidationError) as caught:
        FeedHeartbeat.model_validate([])
    assert describe(caught.value) == "event: must be an object"


def test_the_codes_do_not_depend_on_the_machine() -> None:
    """Currencies and zones come from packages that the lock file pins, not from what is installed beside them."""
    assert {"CNY", "USD", "EUR", "IDR", "INR"} <= CURRENCIES
    assert {"Asia/Shanghai", "UTC", "America/New_York"} <= ZONES
    assert "localtime" not in ZONES


def test_every_event_type_is_versioned() -> None:
    """A type is `ews.<thing>.<verb>.v<n>`, so that a breaking change can only be a new type."""
    assert all(re.fullmatch(r"ews\.[a-z_]+\.[a-z_]+\.v[1-9]", kind) for kind in EVENTS)
