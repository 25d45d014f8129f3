"""The commands `ews simulate`, `ews import` and `ews validate`, as a person meets them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from streams.cli import main

if TYPE_CHECKING:
    import pytest

MAPPINGS = Path(__file__).parents[2] / "deploy" / "mappings"

GOOD = {
    "specversion": "1.0",
    "id": "1",
    "source": "core",
    "type": "ews.loan.closed.v1",
    "subject": "b1",
    "time": "2025-01-01T00:00:00Z",
    "data": {"loan": "l1"},
}
LOANS = [
    {
        "event_time": "2016-05-01T10:00:00", "borrower": "b1", "kind": "inquiry_made", "amount": 5000.0,
        "scope": "own_lender",
    },
    {
        "event_time": "2016-05-01T10:01:00", "borrower": "b1", "loan": "l1", "kind": "loan_opened", "amount": 5000.0,
        "total_due": 5562.5, "term_days": 30, "instalments": 1, "due_dates": ["2016-05-31"], "loan_seq": 1,
    },
    {"event_time": "2016-06-01T09:00:00", "borrower": "b1", "loan": "l1", "kind": "repayment_received"},
    {"event_time": "2016-06-02T00:05:00", "borrower": "b1", "loan": "l1", "kind": "loan_closed"},
    {"event_time": "2016-06-03T00:05:00", "borrower": "b1", "loan": "l1", "kind": "loan_sold"},
]  # fmt: skip


def lines(path: Path, *events: object) -> Path:
    """A file of these."""
    path.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
    return path


def test_validate_says_nothing_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A good file: exit 0, nothing on standard output, the verdict on standard error."""
    assert main(["validate", str(lines(tmp_path / "a.jsonl", GOOD))]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "1 good, 0 bad" in said.err


def test_validate_has_a_line_for_each_bad_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File, line, reason, detail; and exit 1."""
    path = lines(
        tmp_path / "a.jsonl", GOOD, GOOD | {"type": "ews.x"}, GOOD | {"data": {}}, GOOD | {"partitionkey": "b2"}
    )
    assert main(["validate", str(path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{path}:2: unknown_type: type is not known",
        f"{path}:3: invalid: data.loan: is required",
        f"{path}:4: wrong_key: partitionkey is not the subject",
    ]


def test_validate_answers_machines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard input, and one JSON object."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(orjson.dumps(GOOD) + b"\n\n")))
    assert main(["validate", "-", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["good"], answer["bad"], answer["reasons"]) == (1, 1, {"empty": 1})
    assert answer["mistakes"][0]["line"] == 2


def test_validate_of_a_missing_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """And exit 2."""
    assert main(["validate", "nothing.jsonl"]) == 2
    assert capsys.readouterr().err == "ews: cannot read nothing.jsonl: No such file or directory\n"


def test_simulate_tells_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Events, labels and a summary, for people and for machines."""
    out, labels = tmp_path / "a.jsonl", tmp_path / "a.csv"
    arguments = ["simulate", "--borrowers", "20", "--days", "30", "--out", str(out), "--labels", str(labels)]
    assert main(arguments) == 0
    assert "20 borrowers, 30 days" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["lines"] == out.read_bytes().count(b"\n")
    assert labels.read_text(encoding="ascii").startswith("task,borrower,loan,at,t,label,")


def test_simulate_into_no_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And exit 2."""
    assert main(["simulate", "--borrowers", "1", "--days", "1", "--out", str(tmp_path / "no" / "a.jsonl")]) == 2
    assert capsys.readouterr().err.startswith("ews: cannot write ")
    assert capsys.readouterr().err.count("\n") <= 1


def test_the_payday_mapping_reads_rows_as_that_lender_exports_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four kinds of row become events that are valid; a fifth is rejected with its line and reason."""
    export, out, rejected = lines(tmp_path / "x.jsonl", *LOANS), tmp_path / "e.jsonl", tmp_path / "r.txt"
    mapping = str(MAPPINGS / "superlender.toml")
    arguments = ["import", "--map", mapping, str(export), "--out", str(out), "--rejected", str(rejected)]
    assert main(arguments) == 0
    assert "5 rows, 4 events" in capsys.readouterr().out
    assert rejected.read_text() == f"{export}:5: unknown_kind: no row of the mapping is for this kind\n"
    events = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert [event["type"].split(".", 1)[1] for event in events] == [
        "inquiry.made.v1", "loan.opened.v1", "repayment.received.v1", "loan.closed.v1",
    ]  # fmt: skip
    assert events[0]["data"]["lender_token"] == "own"
    assert events[2]["data"]["amount_minor"] == 556_250
    assert main(["validate", str(out)]) == 0
    assert main([*arguments, "--strict"]) == 1


def test_the_bureau_mapping_speaks_metro_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Statuses get their codes, months without the loan are skipped."""
    row = {"event_time": "2018-03-01T00:00:00", "borrower": "b1", "loan": "l1", "kind": "tradeline_reported"}
    rows = [row | {"status": s} | ({} if s in "XC" else {"dpd_min": 30}) for s in ("X", "C", "0", "1", "5")]
    out = tmp_path / "e.jsonl"
    arguments = ["import", "--map", str(MAPPINGS / "credit_record.toml"), "--out", str(out), "--json"]
    assert main([*arguments, str(lines(tmp_path / "x.jsonl", *rows))]) == 0
    assert json.loads(capsys.readouterr().out)["reasons"] == {"skipped": 1}
    statuses = sorted(orjson.loads(line)["data"]["status"] for line in out.read_bytes().splitlines())
    assert statuses == ["11", "13", "71", "83"]


def test_a_broken_mapping_is_one_line_that_names_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And exit 2, with nothing written."""
    mapping = tmp_path / "m.toml"
    mapping.write_text('source = "x"\nzone = "UTC"\ncurrency = "NGN"\n')
    out = tmp_path / "e.jsonl"
    assert main(["import", "--map", str(mapping), str(lines(tmp_path / "x.jsonl")), "--out", str(out)]) == 2
    assert capsys.readouterr().err == f"ews: {mapping}: rows: is required\n"
    assert not out.exists()


def test_no_command_writes_over_what_it_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An export, a mapping and an event file are as they were; two results never share a file."""
    export, events = lines(tmp_path / "export.jsonl", *LOANS), lines(tmp_path / "events.jsonl", GOOD)
    mapping = tmp_path / "mapping.toml"
    mapping.write_bytes((MAPPINGS / "superlender.toml").read_bytes())
    out = tmp_path / "out.jsonl"
    before = {path: path.read_bytes() for path in (export, events, mapping)}
    imports = ["import", "--map", str(mapping), str(export), "--out"]
    for arguments in (
        [*imports, str(export)],
        [*imports, str(mapping)],
        [*imports, str(out), "--rejected", str(export)],
        [*imports, str(out), "--rejected", str(out)],
        ["replay", str(events), "--alerts", str(tmp_path / "." / "events.jsonl")],
        ["replay", str(events), "--alerts", str(out), "--episodes", str(out)],
        ["simulate", "--out", str(out), "--labels", str(out), "--borrowers", "1", "--days", "1"],
    ):
        assert main(arguments) == 2
        assert "is read or written already: give another file to write\n" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert not out.exists()
