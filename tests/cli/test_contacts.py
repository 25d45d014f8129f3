from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from streams.api.desk import Desk
from streams.bootstrap.contact_people import masked
from streams.casework.actions import Note
from streams.casework.contact import Channel
from streams.casework.contact_row import FIELDS
from streams.casework.ladder import Ladder
from streams.casework.roles import Actor, Role
from streams.cli import main
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import Batch
from streams.metrics import Metrics
from streams.settings import load
from streams.stores.cases import CaseStore
from streams.stores.cipher import new_key
from streams.stores.database import CONTACTS, open_database
from streams.stores.messages import Message, MessageStatus, MessageStore
from tests.consumers.builders import START, alert

PHONE, MAIL, NOTE = "+8613800138012", "wei@mail.example", "spoke with Wei Zhang of Long Street"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of its own, with a key."""
    monkeypatch.setenv("EWS_CONTACTS_URL", f"sqlite:///{tmp_path}/contacts.db")
    monkeypatch.setenv("EWS_DATABASE_URL", f"sqlite:///{tmp_path}/cases.db")
    monkeypatch.setenv("EWS_CONTACTS_KEY", new_key())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_list(*rows: dict[str, str], name: str = "contacts.csv") -> str:
    """A contact file; without rows that of one borrower with a number and a mail address."""
    path = Path(name)
    told = rows or (row(), row(channel="email", address=MAIL))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, restval="")
        writer.writeheader()
        writer.writerows(told)
    return name


def row(**more: str) -> dict[str, str]:
    """A row."""
    good = {"borrower": "b-1", "zone": "Asia/Shanghai", "language": "zh", "channel": "sms", "address": PHONE}
    return good | {"consented_at": "2026-01-02T09:00:00+08:00", "consent_source": "contract"} | more


def ews(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """What `ews contacts ... --json` answers."""
    assert code == main(["contacts", *arguments, "--json"])
    return json.loads(capsys.readouterr().out)


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What `ews contacts ...` says on both of its outputs."""
    assert code == main(["contacts", *arguments])
    told = capsys.readouterr()
    return told.out + told.err


def test_a_list_is_imported_and_shown_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """Without being asked for, no address is on the screen; asked for, it is."""
    done = ews(capsys, "import", a_list())
    assert {"rows": 2, "stored": True, "new": 1, "changed": 1, "same": 0, "refused": 0, "reasons": {}} == done

    assert ["+86*********12", "w***@m***.example"] == [a["address"] for a in ews(capsys, "show", "b-1")["addresses"]]
    shown = said(capsys, "show", "b-1")
    assert "+86*********12" in shown
    assert PHONE not in shown
    assert [PHONE, MAIL] == [a["address"] for a in ews(capsys, "show", "b-1", "--reveal")["addresses"]]


def test_the_same_list_again_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """It may be repeated, whole or after a stop half way."""
    ews(capsys, "import", a_list())

    assert 2 == ews(capsys, "import", a_list())["same"]


def test_bad_rows_are_named_and_the_others_stored(capsys: pytest.CaptureFixture[str]) -> None:
    """Line and reason, no value; counted by reason."""
    bad = a_list(row(), row(borrower="b-2", zone="Mars/Base"), row(borrower="b-3", address="1380013"), row())

    told = said(capsys, "import", bad)

    assert "contacts.csv:3: invalid: zone: is not an IANA time zone name" in told
    assert "contacts.csv:4: invalid: address: is no telephone number" in told
    assert "contacts.csv:5: duplicate: says what line 2 says" in told
    assert "4 rows: new 1, changed 0, as before 0, refused 3" in told
    assert not [value for value in ("Mars", "1380013", PHONE[3:]) if value in told]


def test_strict_is_all_or_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """One bad row, first or last, and nothing is stored; every bad row is still named."""
    bad = a_list(row(zone="x"), row(borrower="b-2"), row(borrower="b-3", zone="y"))

    done = ews(capsys, "import", bad, "--strict", code=1)

    assert (False, 0, {"invalid": 2}) == (done["stored"], done["new"], done["reasons"])
    assert "nothing is known" in said(capsys, "show", "b-2", code=1)
    assert ews(capsys, "import", a_list(row(borrower="b-2")), "--strict")["stored"]


def test_strict_takes_back_what_was_written_before(capsys: pytest.CaptureFixture[str]) -> None:
    """The bad row of a later batch undoes the batches before it."""
    many = [row(borrower=f"b-{number}") for number in range(1_500)]

    assert not ews(capsys, "import", a_list(*many, row(zone="x")), "--strict", code=1)["stored"]

    assert "nothing is known" in said(capsys, "show", "b-1", code=1)


def test_refused_rows_go_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, for whoever mends the list."""
    bad = a_list(*(row(borrower=f"b-{n}", zone="x") for n in range(30)))

    assert "... and 10 more" in said(capsys, "import", bad)
    said(capsys, "import", bad, "--rejected", "rejected.txt")

    assert 30 == len(Path("rejected.txt").read_text(encoding="utf-8").splitlines())


def test_an_opt_out_and_a_consent_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Each says what stands afterwards."""
    ews(capsys, "import", a_list())

    assert {"sms"} == set(ews(capsys, "opt-out", "b-1", "--channel", "sms")["opt_outs"])
    assert {"sms", "all"} == set(ews(capsys, "opt-out", "b-1")["opt_outs"])
    assert "out of everything" in said(capsys, "opt-out", "b-1")
    assert {"sms"} == set(ews(capsys, "consent", "b-1", "--all", "--from", "form F-12")["opt_outs"])
    assert {} == ews(capsys, "consent", "b-1", "--channel", "sms", "--from", "call of 2 November")["opt_outs"]
    earlier = "--channel", "sms", "--from", "letter", "--at", "2026-01-01"
    assert {} == ews(capsys, "consent", "b-1", *earlier)["opt_outs"]
    assert [None, None] == [a["opted_out_at"] for a in ews(capsys, "show", "b-1")["addresses"]]
    assert "no address of their own for push" in said(
        capsys, "consent", "b-1", "--channel", "push", "--from", "x", code=1
    )


def test_a_contact_is_judged_by_the_rules(capsys: pytest.CaptureFixture[str]) -> None:
    """Allowed by day, refused by night with the next moment, refused after an opt-out without one."""
    ews(capsys, "import", a_list())
    by_day, by_night = "2026-11-03T03:00:00Z", "2026-11-03T16:00:00Z"

    assert ews(capsys, "check", "b-1", "--channel", "sms", "--at", by_day)["allowed"]
    night = ews(capsys, "check", "b-1", "--channel", "sms", "--at", by_night, code=1)
    assert ("hours", "default", "2026-11-04T00:00:00Z") == (night["rule"], night["pack"], night["next_at"])
    assert "next: 2026-11-04 00:00 UTC" in said(capsys, "check", "b-1", "--channel", "sms", "--at", by_night, code=1)
    ews(capsys, "opt-out", "b-1", "--channel", "sms")
    assert "opted_out" == ews(capsys, "check", "b-1", "--channel", "sms", "--at", by_day, code=1)["rule"]
    assert "no_record" == ews(capsys, "check", "b-9", "--channel", "sms", code=1)["rule"]


def test_an_opt_out_of_a_channel_without_an_address_is_heeded(capsys: pytest.CaptureFixture[str]) -> None:
    """A letter needs no address of ours, and is not sent to whoever wants none."""
    ews(capsys, "import", a_list())
    letter = ("check", "b-1", "--channel", "visit", "--at", "2026-11-03T03:00:00Z")
    assert ews(capsys, *letter)["allowed"]

    ews(capsys, "opt-out", "b-1", "--channel", "visit")

    assert "opted_out" == ews(capsys, *letter, code=1)["rule"]


def test_packs_are_shown_with_their_sources(capsys: pytest.CaptureFixture[str]) -> None:
    """Every rule says where it is written."""
    rows = ews(capsys, "packs", "us")

    assert {"house", "us"} == {one["pack"] for one in rows}
    assert any("12 CFR 1006" in one["source"] for one in rows)
    assert "12 CFR 1006" in said(capsys, "packs")


def a_case_with_a_note() -> str:
    """The id of a case of b-1 on which somebody has noted something."""
    # A command's answer is all that its standard output holds; what this logs is no part of it.
    with capture_logs(), open_database(load().database_url) as database:
        store = CaseStore(database)
        CaseCreator(store, Ladder.standard(), Metrics()).take(Batch("alerts", 0, 0, 1, (alert(),)))
        case_id = store.listed()[0].case_id
        desk = Desk(database, Ladder.standard(), now=lambda: START)
        desk.act(case_id, Note(text=NOTE), Actor("c-17", Role.COLLECTOR), version=None)
        with MessageStore(database).begin() as transaction:
            transaction.take_down([a_message("borrower"), a_message("staff")])
    return case_id


def a_message(audience: str) -> Message:
    """A message that waits."""
    return Message(
        key=f"{audience}-1",
        channel="sms",
        audience=audience,
        partition=0,
        borrower="b-1",
        alert_id="a-1",
        episode_id="e-1",
        revision=1,
        body="{}",
        taken_at=START,
    )


def bytes_of(*names: str) -> bytes:
    """Everything that SQLite has on the disk of these databases, its log included."""
    return b"".join(path.read_bytes() for name in names for path in sorted(Path().glob(f"{name}.db*")))


def test_the_files_do_not_hold_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the database nor its log, and it is readable for its owner alone."""
    ews(capsys, "import", a_list())

    assert b"b-1" in bytes_of("contacts")
    assert not [
        part for part in (PHONE.encode(), PHONE[1:].encode(), b"wei@", b"mail.example") if part in bytes_of("contacts")
    ]
    assert 0o600 == Path("contacts.db").stat().st_mode & 0o777


def test_erasing_leaves_no_trace_in_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    """Not the ciphertext, not the text of a note, neither in pages that are free nor in the log."""
    ews(capsys, "import", a_list())
    case_id = a_case_with_a_note()
    with open_database(load().contacts_url, CONTACTS) as database, database.read() as connection:
        secrets = [s.encode() for s in connection.scalars(text("SELECT ciphertext FROM contact_addresses"))]
    assert all(secret in bytes_of("contacts") for secret in secrets)
    assert NOTE.encode() in bytes_of("cases")

    done = ews(capsys, "erase", "b-1", "--yes")

    assert {"record": True, "addresses": 2, "notes": 1, "messages_ended": 1} == {
        name: done[name] for name in ("record", "addresses", "notes", "messages_ended")
    }
    everything = bytes_of("contacts", "cases")
    assert not [secret for secret in (*secrets, NOTE.encode(), b"Wei Zhang") if secret in everything]
    assert case_id.encode() in everything
    with open_database(load().database_url) as database:
        kept = MessageStore(database).of_alert("a-1")
        assert [MessageStatus.REFUSED, MessageStatus.WAITING] == [message.status for message in kept]
        assert () == CaseStore(database).verify().faults


def test_erasing_again_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """And an older list does not bring the borrower back, unless that is meant."""
    ews(capsys, "import", a_list())
    a_case_with_a_note()
    said(capsys, "erase", "b-1", "--yes")

    again = ews(capsys, "erase", "b-1", "--yes")
    assert {"record": False, "addresses": 0, "notes": 0, "messages_ended": 0, "answers": 0} == {
        name: value for name, value in again.items() if name not in {"borrower", "traceless"}
    }
    assert {"erased": 2} == ews(capsys, "import", a_list())["reasons"]
    assert "was erased on" in said(capsys, "show", "b-1", code=1)
    assert 1 == ews(capsys, "import", a_list(), "--again")["new"]


def test_an_erasure_that_leaves_a_trace_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a reader holds the log, the old pages are in it; erased again afterwards they are gone."""
    ews(capsys, "import", a_list())
    monkeypatch.setattr("streams.stores.database.BUSY_SECONDS", 0.05)
    with open_database(load().contacts_url, CONTACTS) as database, database.read() as connection:
        [secret, *_] = connection.scalars(text("SELECT ciphertext FROM contact_addresses")).all()
        assert "erase again later" in said(capsys, "erase", "b-1", "--yes")

    assert ews(capsys, "erase", "b-1", "--yes")["traceless"]
    assert secret.encode() not in bytes_of("contacts")


def test_erasing_asks_first(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an answer nothing is erased."""
    ews(capsys, "import", a_list())
    monkeypatch.setattr("typer.confirm", lambda *_, **__: (_ for _ in ()).throw(SystemExit(1)))

    with pytest.raises(SystemExit):
        main(["contacts", "erase", "b-1"])

    assert 2 == len(ews(capsys, "show", "b-1")["addresses"])


def test_all_that_is_held_of_a_person_is_exported(capsys: pytest.CaptureFixture[str]) -> None:
    """Both databases, with the addresses themselves, and nobody else's rows."""
    ews(capsys, "import", a_list(row(), row(borrower="b-2", address="+8613900139000")))
    case_id = a_case_with_a_note()

    assert 0 == main(["contacts", "export", "b-1"])
    told = capsys.readouterr().out

    held = json.loads(told)
    assert [PHONE] == [address["address"] for address in held["contacts"]["addresses"]]
    assert NOTE == held["cases"]["notes"][0]["text"]
    assert case_id == held["cases"]["cases"][0]["case_id"]
    assert {"audit", "cases", "episodes", "messages", "notes"} <= set(held["cases"])
    assert "+8613900139000" not in told


def test_keys_are_rotated(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """New in front of old, rotate, drop the old."""
    ews(capsys, "import", a_list())
    old, new = load().contacts_key, said(capsys, "key").strip()
    assert old is not None

    monkeypatch.setenv("EWS_CONTACTS_KEY", new)
    assert "another key" in said(capsys, "rekey", code=2)
    monkeypatch.setenv("EWS_CONTACTS_KEY", f"{new},{old.get_secret_value()}")
    assert {"addresses": 2, "unreadable": []} == ews(capsys, "rekey")
    monkeypatch.setenv("EWS_CONTACTS_KEY", new)

    assert [PHONE, MAIL] == [a["address"] for a in ews(capsys, "show", "b-1", "--reveal")["addresses"]]


@pytest.mark.parametrize(
    ("key", "arguments", "sentence"),
    [
        ("short", ["show", "b-1"], "key 1 of EWS_CONTACTS_KEY is none"),
        ("c2hvcnQ=", ["import", "contacts.csv"], "key 1 of EWS_CONTACTS_KEY is none"),
        (" , ", ["show", "b-1"], "EWS_CONTACTS_KEY is empty"),
        ("", ["import", "contacts.csv"], "set EWS_CONTACTS_KEY"),
        ("", ["show", "b-1", "--reveal"], "set EWS_CONTACTS_KEY"),
        ("", ["export", "b-1"], "set EWS_CONTACTS_KEY"),
        ("", ["rekey"], "set EWS_CONTACTS_KEY"),
    ],
)
def test_a_key_that_is_none_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, key: str, arguments: list[str], sentence: str
) -> None:
    """It says what to do, exit 2, and does not repeat the key."""
    a_list()
    monkeypatch.setenv("EWS_CONTACTS_KEY", key)

    told = said(capsys, *arguments, code=2)

    assert sentence in told
    assert 1 == len(told.splitlines())
    assert "short" not in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["import", "nothing.csv"], "cannot read nothing.csv"),
        (["show", "Wei Zhang"], "no borrower's token"),
        (["consent", "b-1", "--from", "x"], "one of --channel NAME, --all"),
        (["consent", "b-1", "--all", "--from", "a\nb"], "--from takes"),
        (["check", "b-1", "--channel", "fax"], "--channel"),
        (["opt-out", "b-1", "--at", "yesterday"], "--at"),
        (["packs", "narnia"], "no pack"),
    ],
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str) -> None:
    """It says what to do, exit 2."""
    told = said(capsys, *arguments, code=2)

    assert sentence in told
    assert 1 == len(told.splitlines())
    assert "Wei" not in told


def test_the_contact_store_is_a_database_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not put among the cases."""
    monkeypatch.setenv("EWS_CONTACTS_URL", load().database_url)

    assert "a database of its own" in said(capsys, "show", "b-1", code=2)


def test_masks_tell_nothing_of_short_addresses() -> None:
    """Postal addresses and tokens are not shown at all; the ends of a number are."""
    assert "+49*****78" == masked(Channel.CALL, "+491234578")
    assert "********" == masked(Channel.LETTER, "1 Long Street")
    assert "********" == masked(Channel.PUSH, "token")
