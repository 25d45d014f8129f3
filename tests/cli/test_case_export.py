"""The evidence bundle: whole, checkable without this program, the same for the same state."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import zipfile
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from streams.api.desk import Desk
from streams.casework.actions import Hardship, LogContact, Note, Promise
from streams.casework.ladder import Ladder
from streams.casework.roles import Actor, Role
from streams.cli import main
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import Batch
from streams.consumers.promise_keeper import PromiseKeeper
from streams.metrics import Metrics
from streams.stores.audit import GENESIS
from streams.stores.cases import CaseStore
from streams.stores.contact import Attempt, Channel, Kind, Refusal
from streams.stores.contact_log import ContactLog
from streams.stores.database import Database, open_database
from streams.stores.promises import PromiseStore
from tests.consumers.builders import START, alert
from tests.consumers.test_promise_keeper import paid, returned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LADDER = Ladder.standard()
HOSTILE = '=cmd()|"<script>alert(1)</script>\u4f60'
FILES = {
    "README.txt", "SHA256SUMS", "alerts.json", "approvals.json", "audit.jsonl", "case.json", "contacts.json",
    "index.html", "ledger.csv", "ledger.json", "manifest.json", "messages.json", "notes.json", "outcomes.json",
    "verify.json",
}  # fmt: skip


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A case in which much has happened, among others of other borrowers."""
    url = f"sqlite:///{tmp_path}/cases.db"
    monkeypatch.setenv("EWS_DATABASE_URL", url)
    with open_database(url) as opened:
        alerts = tuple(alert(borrower=f"b-{n}", dpd=5, hours=n, reason=HOSTILE) for n in (1, 2, 3))
        CaseCreator(CaseStore(opened), LADDER, Metrics()).take(Batch("alerts", 0, 0, 3, alerts))
        desk = Desk(opened, LADDER, now=lambda: START + timedelta(hours=6))
        case_id = CaseStore(opened).files_of("b-1")[0].case.case_id
        for action in (
            Note(text=HOSTILE),
            LogContact(channel=Channel.CALL, reached=False),
            Promise(loan="l-1", amount_minor=1_000, currency="CNY", promised_on=date(2026, 3, 6)),
            Hardship(note="lost the job"),
        ):
            desk.act(case_id, action, Actor("c-17", Role.COLLECTOR), version=None)
        keeper = PromiseKeeper(PromiseStore(opened), LADDER, Metrics(), now=lambda: START + timedelta(days=1))
        at = START + timedelta(hours=9)
        keeper.take(Batch("repayments", 0, 0, 3, (paid(400, at), paid(300, at, payment="p-2"), returned(at))))
        refused = Refusal(rule="hours", pack="default", detail="too early", next_at=START + timedelta(days=1))
        attempt = Attempt(borrower="b-1", loan="l-1", channel=Channel.SMS, kind=Kind.COLLECTION)
        ContactLog(opened).refuse(attempt, refused, START)
        yield opened


def exported(out: Path, code: int = 0) -> dict[str, bytes]:
    """The files of the bundle of b-1."""
    assert code == main(["cases", "export", "b-1", "--out", str(out)])
    if out.suffix == ".zip":
        with zipfile.ZipFile(out) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    return {each.name: each.read_bytes() for each in out.iterdir()}


@pytest.mark.usefixtures("database")
def test_every_file_is_there_and_in_the_manifest(tmp_path: Path) -> None:
    """A directory and a ZIP hold the same; the sums are those of the files, by this program and by sha256sum."""
    files = exported(tmp_path / "evidence")
    assert set(files) == FILES
    assert files == exported(tmp_path / "evidence.zip")
    manifest = json.loads(files["manifest.json"])
    named = {each["name"]: (each["sha256"], each["bytes"]) for each in manifest["files"]}
    assert set(named) == FILES - {"manifest.json", "SHA256SUMS"}
    assert named == {name: (hashlib.sha256(files[name]).hexdigest(), len(files[name])) for name in named}
    subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "evidence", check=True, capture_output=True)


@pytest.mark.usefixtures("database")
def test_the_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whenever and wherever it is written."""
    exported(tmp_path / "one.zip")
    exported(tmp_path / "elsewhere" / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "elsewhere" / "two.zip").read_bytes()


@pytest.mark.usefixtures("database")
def test_the_audit_lines_can_be_checked_as_the_readme_says(tmp_path: Path) -> None:
    """With nothing but SHA-256 and JSON; where two lines follow each other, so do their hashes."""
    lines = [json.loads(line) for line in exported(tmp_path / "evidence")["audit.jsonl"].splitlines()]
    assert len(lines) > 5
    assert GENESIS == lines[0]["hash_before"]
    for line in lines:
        said = {name: value for name, value in line.items() if name not in {"hash", "hash_before"}}
        plain = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert line["hash"] == hashlib.sha256((line["hash_before"] + plain).encode()).hexdigest()
    by_number = {line["number"]: line["hash"] for line in lines}
    follow = [line for line in lines if line["number"] - 1 in by_number]
    assert follow
    assert all(by_number[line["number"] - 1] == line["hash_before"] for line in follow)


@pytest.mark.usefixtures("database")
def test_it_tells_what_happened(tmp_path: Path) -> None:
    """Money in order, contacts with refusals, notes; text from people is only text, also in a spreadsheet."""
    files = exported(tmp_path / "evidence")
    rows = list(csv.DictReader(io.StringIO(files["ledger.csv"].decode("utf-8-sig"))))
    told = [(row["what"], row["amount_minor"]) for row in rows]
    assert ("promise made", "1000") in told
    assert ("repayment returned", "400") in told
    assert ("repayment", "300") in told
    assert sorted(row["at"] for row in rows) == [row["at"] for row in rows]
    assert not any(cell.startswith("=") for row in rows for cell in row.values())
    contacts = json.loads(files["contacts.json"])
    assert ["hours"] == [each["rule"] for each in contacts["refusals"]]
    page = files["index.html"].decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "\u4f60" in page
    assert HOSTILE in [each["text"] for each in json.loads(files["notes.json"])]


def test_a_trail_that_was_tampered_with_is_told(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bundle is written and says so, on every page and by exit code 1."""
    with database.write() as connection:
        last = "SELECT max(number) FROM audit WHERE actor = 'c-17'"
        connection.execute(text(f"UPDATE audit SET actor = 'c-18' WHERE number = ({last})"))  # noqa: S608 - our own text
    files = exported(tmp_path / "evidence", code=1)
    assert "is not what was written" in capsys.readouterr().err
    assert json.loads(files["verify.json"])["faults"]
    assert b"found faults" in files["index.html"]
    assert b"THE CHECK FOUND" in files["README.txt"]


@pytest.mark.usefixtures("database")
def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a file nor a directory with something in it; an empty one is used, and nothing is left of a mistake."""
    exported(tmp_path / "evidence.zip")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "empty").mkdir()
    for out in ("evidence.zip", "full"):
        assert 2 == main(["cases", "export", "b-1", "--out", str(tmp_path / out)])
        assert "never written over" in capsys.readouterr().err
    assert set(exported(tmp_path / "empty")) == FILES
    assert 1 == main(["cases", "export", "b-9", "--out", str(tmp_path / "absent")])
    assert "no case of a borrower b-9" in capsys.readouterr().err
    assert 2 == main(["cases", "export", "b-1", "--out", str(tmp_path / "full" / "x" / "y.zip")])
    assert {"cases.db", "evidence.zip", "full", "empty"} == {
        each.name for each in tmp_path.iterdir() if not each.name.startswith("cases.db-")
    }
