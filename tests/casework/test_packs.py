"""Packs as data: what is built in says what the documents say, and mistakes in one's own are named."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.casework.contact import Channel, Kind
from streams.casework.packs import (
    HOUSE,
    Pack,
    PackRow,
    describe,
    known_packs,
    load_packs,
    pack_names,
    packs_for,
    support_owed,
)
from streams.errors import Misconfigured
from tests.casework.contacting import record

SIX_DAYS = {"mon", "tue", "wed", "thu", "fri", "sat"}
GOOD = """
title = "Ours"
[[caps]]
contacts_max = 2
days = 7
counts = ["call", "sms"]
document = "House rule 7"
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A directory of the house's own packs with one in it."""
    (tmp_path / "ours.toml").write_text(GOOD)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "hours", "days", "holidays", "caps", "waits"),
    [
        ("cn", ("08:00", "22:00"), None, False, [(3, 1, "borrower")], []),
        ("us", ("08:00", "21:00"), None, False, [(7, 7, "debt")], [(7, "debt")]),
        ("in", ("08:00", "19:00"), None, False, [], []),
        ("id", ("08:00", "20:00"), SIX_DAYS, True, [], []),
        ("uk", ("09:00", "19:00"), SIX_DAYS, False, [], []),
        ("default", ("08:00", "19:00"), SIX_DAYS, True, [(3, 1, "borrower"), (7, 7, "borrower")], [(7, "borrower")]),
    ],
)
def test_what_is_built_in(  # noqa: PLR0917 - a table
    name: str,
    hours: tuple[str, str],
    days: set[str] | None,
    holidays: bool,  # noqa: FBT001 - a table
    caps: list[tuple[int, int, str]],
    waits: list[tuple[int, str]],
) -> None:
    """The numbers of each built-in pack, as its documents give them."""
    (pack,) = load_packs([name])
    assert pack.hours is not None
    assert tuple(map(time.fromisoformat, hours)) == (pack.hours.start, pack.hours.until)
    assert days == (None if pack.weekdays is None else pack.weekdays.allowed)
    assert holidays == (pack.holidays is not None)
    assert caps == [(cap.contacts_max, cap.days, cap.per) for cap in pack.caps]
    assert waits == [(wait.days, wait.per) for wait in pack.waits]


def test_what_counts_and_what_is_bound() -> None:
    """The United States and China count calls; the default pack counts visits too, and hears more conversations."""
    us, cn, default = load_packs(["us", "cn", "default"])
    assert [{Channel.CALL}] * 2 == [pack.caps[0].counts for pack in (us, cn)]
    assert ({Channel.CALL}, {Channel.CALL}) == (us.waits[0].after, us.waits[0].binds)
    assert [{Channel.CALL, Channel.VISIT}] * 3 == [*(cap.counts for cap in default.caps), default.waits[0].binds]


def test_the_default_pack_is_at_least_as_strict_as_what_documents_name() -> None:
    """No verified number of another pack is stricter than the default's."""
    (default,) = load_packs(["default"])
    assert default.hours is not None
    for pack in known_packs().values():
        if pack.hours is not None and not pack.hours.unverified:
            assert pack.hours.start <= default.hours.start < default.hours.until <= pack.hours.until
        for cap in pack.caps:
            assert any(own.contacts_max <= cap.contacts_max and own.days == cap.days for own in default.caps)
        for wait in pack.waits:
            assert default.waits[0].days >= wait.days


def test_every_rule_has_its_source_and_what_was_not_seen_says_so() -> None:
    """The table of packs: the house's rules first, a document beside each rule, and marks where none was seen."""
    rows = describe(known_packs().values())
    assert list(HOUSE) == [row.rule for row in rows if row.pack == "house"]
    assert all(row.says and row.source for row in rows)
    assert {("us", "scope"), ("uk", "hours"), ("uk", "weekday")} == {
        (row.pack, row.rule) for row in rows if row.unverified
    }


def test_support_is_owed_by_those_whose_law_says_so() -> None:
    """In the United Kingdom a reminder before the due date says what support there is."""
    assert [True, False] == [support_owed(load_packs([name]), Kind.SERVICE) for name in ("uk", "us")]
    assert support_owed(load_packs(["us", "uk"]), Kind.COLLECTION)


def test_the_packs_of_a_borrower() -> None:
    """The installation's and the record's, each once; one that is not there is left for `check` to refuse."""
    known = known_packs()
    names = [pack.name for pack in packs_for(record(packs=("cn", "us", "eu")), load_packs(["us"]), known)]
    assert ["us", "cn"] == names
    assert ["us"] == [pack.name for pack in packs_for(None, load_packs(["us"]), known)]


def test_the_houses_own_pack_stands_beside_the_built_in_ones(house: Path) -> None:
    """It is called like its file, and holds what it says."""
    ours, us = load_packs(["ours", "us", "ours"], house)
    assert ("ours", "us", 2) == (ours.name, us.name, ours.caps[0].contacts_max)
    assert {"ours", "us", "default"} <= pack_names(house)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["defualt"], "no pack of contact rules is called defualt, did you mean default?"),
        (["zz"], "no pack of contact rules is called zz; there are cn, default, id, in, uk, us"),
        ([], "no pack of contact rules is named: EWS_CONTACT_PACKS=default is the strictest"),
    ],
)
def test_names_that_are_none(names: list[str], expected: str) -> None:
    """A name that is not there is answered with the nearest one, or all."""
    with pytest.raises(Misconfigured) as wrong:
        load_packs(names)
    assert expected == str(wrong.value)


CAP = "[[caps]]\ncontacts_max = 3\ndays = 1\ncounts = ['call']\ndocument = 'x'\n"
HOURS = "[hours]\nfrom = '08:00'\nuntil = '20:00'\ndocument = 'x'\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "title: is missing"),
        ("title = 'x'", "the file: it has no rule: give it hours, weekdays, holidays, caps, waits or consents"),
        ("title = 'x'\nname = 'y'", "name: a pack is called like its file; leave the key out"),
        ("title = 'x'\ncountry = 'XX'\n" + CAP, "country: no calendar of holidays is known for this country"),
        ("title = 'x'\nhuors = 1\n" + CAP, "huors: there is no such key, did you mean hours?"),
        (f"title = 'x'\n{CAP}contact_max = 3", "caps.0.contact_max: there is no such key, did you mean contacts_max?"),
        (f"title = 'x'\n{HOURS}til = '21:00'", "hours.til: there is no such key, did you mean until?"),
        ("title = 'x'\n" + HOURS.replace("document", "dokument"), "hours.document: is missing"),
        ("title = 'x'\n" + HOURS.replace("'08:00'", "8"), 'hours.from: a time of day is written "08:00"'),
        ("title = 'x'\n" + HOURS.replace("08:00", "8"), "hours.from: "),
        ("title = 'x'\n" + HOURS.replace("08:00", "24:00"), "hours.from: "),
        ("title = 'x'\n" + HOURS.replace("08:00", "20:00"), "hours: from and until are the same"),
        ("title = 'x'\n" + HOURS.replace("08:00", "08:00Z"), "hours: from and until are local times, without a zone"),
        ("title = 'x'\n" + CAP.replace("3", "0"), "caps.0.contacts_max: Input should be greater than or equal to 1"),
        ("title = 'x'\n" + CAP.replace("3", "'3'"), "caps.0.contacts_max: Input should be a valid integer"),
        ("title = 'x'\n" + CAP.replace("3", "true"), "caps.0.contacts_max: Input should be a valid integer"),
        (
            "title = 'x'\n" + CAP.replace("days = 1", "days = 61"),
            "caps.0.days: Input should be less than or equal to 60",
        ),
        ("title = 'x'\n" + CAP.replace("['call']", "[]"), "caps.0.counts: "),
        ("title = 'x'\n" + CAP.replace("call", "fax"), "caps.0.counts.0: Input should be 'call', 'sms'"),
        (f"title = 'x'\n{CAP}unverified = 'yes'", "caps.0.unverified: Input should be a valid boolean"),
        ("title = 'x'\n[weekdays]\nallowed = ['montag']\ndocument = 'x'", "weekdays.allowed.0: Input should be 'mon'"),
        (f"title = 'x'\n{CAP}section = \"a\\nb\"", "caps.0.section: is one line of text"),
        (f"title = 'x'\n\"a\\nb\" = 1\n{CAP}", "(a key that is none): there is no such key; there are "),
        ("title = ", "is not TOML: Invalid value"),
        ("a = " + "[" * 5_000, "is not TOML: "),
        ("a = " + "9" * 5_000, "is not TOML: "),
        ("a = 2026-02-30", "is not TOML: "),
        ("# " + "x" * 300_000, "is larger than 256 KiB"),
    ],
)
def test_mistakes_are_named_with_file_and_key(tmp_path: Path, text: str, expected: str) -> None:
    """One line that says where and what, for each mistake of a pack of one's own."""
    file = tmp_path / "ours.toml"
    file.write_text(text)
    with pytest.raises(Misconfigured) as wrong:
        load_packs(["us"], tmp_path)
    assert f"{file}: {expected}" in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_every_mistake_of_every_file_is_named(house: Path) -> None:
    """Three files with four mistakes are four places in one answer."""
    (house / "first.toml").write_text("titel = 'x'\n" + CAP)
    (house / "second.toml").write_text(f"title = 'x'\n{CAP.replace('call', 'fax')}")
    (house / "third.toml").write_bytes(b"title = '\xff'")
    with pytest.raises(Misconfigured) as wrong:
        load_packs(["us"], house)
    places = ["first.toml: title", "first.toml: titel", "second.toml: caps.0.counts.0", "third.toml: is not UTF-8"]
    assert [True] * 4 == [place in str(wrong.value) for place in places]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("us.toml", "there is a built-in pack of this name; rename the file"),
        ("Our-Rules.toml", "a pack's name is 1 to 32 small letters and _; rename the file"),
        ("größe.toml", "a pack's name is 1 to 32 small letters and _; rename the file"),
    ],
)
def test_names_that_a_file_must_not_have(tmp_path: Path, name: str, expected: str) -> None:
    """Nobody replaces the law by a file of the same name, and every pack can be named in the setting."""
    (tmp_path / name).write_text(GOOD)
    with pytest.raises(Misconfigured, match=expected):
        load_packs(["us"], tmp_path)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """The setting is named."""
    with pytest.raises(Misconfigured, match="cannot read EWS_CONTACT_PACKS_DIR"):
        load_packs(["us"], tmp_path / "none")


def test_a_pack_that_is_a_directory(tmp_path: Path) -> None:
    """It is a mistake like any other."""
    (tmp_path / "ours.toml").mkdir()
    with pytest.raises(Misconfigured, match=r"ours\.toml: cannot be read"):
        load_packs(["us"], tmp_path)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.times()
KEYS = """title country hours weekdays holidays caps waits consents support notes from until channels allowed
contacts_max days counts per after binds document section kinds topic text unverified reading x"""
keys = st.sampled_from([*KEYS.split(), "a\nb", "", "x" * 50])
documents = st.dictionaries(
    keys,
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5)),
    max_size=8,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_bytes_of_any_kind_are_a_pack_or_a_mistake(tmp_path: Path, raw: bytes) -> None:
    """No file ends in anything but a pack or one line."""
    (tmp_path / "ours.toml").write_bytes(raw)
    _is_pack_or_mistake(tmp_path)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=documents)
def test_documents_of_any_shape_are_a_pack_or_a_mistake(tmp_path: Path, document: dict[str, object]) -> None:
    """Known keys with wrong values are told, never a traceback."""
    (tmp_path / "ours.toml").write_text(_toml(document), encoding="utf-8")
    _is_pack_or_mistake(tmp_path)


def _is_pack_or_mistake(directory: Path) -> None:
    try:
        (pack,) = load_packs(["ours"], directory)
    except Misconfigured as wrong:
        assert "ours.toml: " in str(wrong)  # noqa: PT017 - either end will do
        assert "\n" not in str(wrong)  # noqa: PT017 - either end will do
    else:
        assert isinstance(pack, Pack)


def _toml(value: object) -> str:
    """A value as TOML would have it; None and the like as something that is not TOML."""
    import tomli_w  # noqa: PLC0415 - for this test alone

    try:
        return tomli_w.dumps(value if isinstance(value, dict) else {"x": value})
    except (TypeError, ValueError, AttributeError):
        return str(value)


PAGE = (Path(__file__).parents[2] / "docs" / "contact-rules.md").read_text(encoding="utf-8")


def test_the_page_has_every_rule_as_it_is() -> None:
    """Whoever changes a pack changes the page: each rule stands there with its source, its reading and its mark."""
    told = [f"| {row.says} | {_source(row)} | {row.reading} |" for row in describe(known_packs().values())]
    assert [] == [line for line in told if line.replace("| the house, under every pack |", "|") not in PAGE]


def test_the_example_on_the_page_is_a_pack(tmp_path: Path) -> None:
    """What the page shows can be copied."""
    _, _, rest = PAGE.partition("```toml\n")
    (tmp_path / "ours.toml").write_text(rest.partition("```")[0])
    (pack,) = load_packs(["ours"], tmp_path)
    assert all((pack.hours, pack.weekdays, pack.holidays, pack.caps, pack.waits, pack.consents, pack.notes))


def _source(row: PackRow) -> str:
    return f"{row.source} **unverified**" if row.unverified else row.source
