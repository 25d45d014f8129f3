from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from streams.cli import main
from streams.history.simulator import Plan, simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER = "task,borrower,loan,at,t,label,observed_from,observed_until,segment"
MAPPINGS = Path(__file__).parents[2] / "deploy" / "mappings"
POLICY = 'version = "{version}"\n[detectors.missed_installment]\nenabled = {enabled}\n'


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The events and labels of forty borrowers over 90 days."""
    folder = tmp_path_factory.mktemp("portfolio")
    simulate(Plan(borrowers=40, days=90, seed=11), folder / "events.jsonl", folder / "labels.csv")
    return str(folder / "events.jsonl"), str(folder / "labels.csv")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, what was said, what was complained of."""
    code = main(["backtest", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def leaves(tree: Any) -> Sequence[Any]:
    """Every figure in a report."""
    if "value" in tree:
        return [tree]
    return [leaf for branch in tree.values() for leaf in leaves(branch)]


def test_a_report_of_three_files_and_a_summary(
    tmp_path: Path, portfolio: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables on the screen; a page that needs nothing else, figures for machines, a score for each decision."""
    events, labels = portfolio
    folder = tmp_path / "new" / "report"
    code, said, complained = run(capsys, events, "--labels", labels, "--report", folder, "--resamples", 50)
    assert code == 0
    assert "first_31dpd: score at the decision" in said
    assert "Kinds of trouble\n\tborrowers\tmissed\trecall" in said
    assert "\n\tright\twrong\tprecision\trecall" in said
    assert "events were rejected" in complained
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 4
    assert "<script" not in page
    assert 'src="' not in page
    for text in ("Task first_miss", "missed_installment", "job_loss", "False alarms on healthy borrowers"):
        assert text in page
    report = json.loads((folder / "report.json").read_bytes())
    assert report["question"]["tasks"] == ["first_miss", "first_31dpd"]
    assert report["borrowers"] == 40
    assert all(leaf.keys() == {"value", "low", "high"} for leaf in leaves(report["figures"]))
    with (folder / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    counts = report["counts"][0]["tasks"]
    assert len(rows) == sum(counts[task]["decisions"] for task in counts)
    assert {row["tier"] for row in rows} <= {"none", "watch", "high", "critical"}
    assert all(row["at"] < row["t"] for row in rows if row["label"] == "1")


def test_the_same_command_gives_the_same_files(
    tmp_path: Path, portfolio: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Seeded, and without a time of day: a report can be compared with one that was kept."""
    events, labels = portfolio
    contents = []
    for name in ("a", "b"):
        task = ["--task", "first_31dpd", "--resamples", 20]
        assert run(capsys, events, "--labels", labels, "--report", tmp_path / name, *task)[0] == 0
        contents.append(
            [(tmp_path / name / file).read_bytes() for file in ("report.html", "report.json", "scores.csv")]
        )
    assert contents[0] == contents[1]


def test_two_policies_side_by_side(
    tmp_path: Path, portfolio: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Both columns and the difference, on the screen, in both files; and a second score for each decision."""
    events, labels = portfolio
    on, off = tmp_path / "on.toml", tmp_path / "off.toml"
    on.write_text(POLICY.format(version="with", enabled="true"))
    off.write_text(POLICY.format(version="without", enabled="false"))
    two = ["--policy", on, "--against", off, "--task", "first_31dpd", "--resamples", 20]
    code, said, _ = run(capsys, events, "--labels", labels, "--report", tmp_path / "r", *two, "--json")
    assert code == 0
    answer = json.loads(said)
    assert answer == json.loads((tmp_path / "r" / "report.json").read_bytes())
    assert answer["policies"] == ["with", "without"]
    volume = answer["figures"]["volume"]["all"]["per_1000_a_month"]
    assert volume["policy"]["value"] > volume["against"]["value"]
    assert volume["difference"]["value"] == pytest.approx(volume["policy"]["value"] - volume["against"]["value"])
    assert answer["figures"]["volume"]["missed_installment"]["per_1000_a_month"]["against"]["value"] in {None, 0}
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "with against without" in page
    assert "difference" in page
    header = (tmp_path / "r" / "scores.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.endswith("score,tier,score_against,tier_against")


def test_an_imported_export_is_measured_by_its_own_tokens_and_zone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lender's labels name borrowers, loans and local times as the export did."""
    loans = []
    for day, loan, paid in (("01", "l1", "2016-06-20"), ("25", "l2", "2016-06-24")):
        opened = {"borrower": "b1", "loan": loan, "kind": "loan_opened", "amount": 50.0, "total_due": 55.0}
        due = {"term_days": 30, "instalments": 1, "due_dates": [f"2016-0{5 + (day == '01')}-15"], "loan_seq": 1}
        loans.append({"event_time": f"2016-05-{day}T00:30:00", **opened, **due})
        loans.append({"event_time": f"{paid}T09:00:00", "borrower": "b1", "loan": loan, "kind": "repayment_received"})
    loans.sort(key=lambda row: row["event_time"])
    export, events, labels = tmp_path / "x.jsonl", tmp_path / "e.jsonl", tmp_path / "l.csv"
    export.write_text("".join(json.dumps(row) + "\n" for row in loans), encoding="utf-8")
    labels.write_text(
        f"{HEADER}\nlate,b1,l1,2016-05-01T00:30:00,2016-06-20T09:00:00,1,,,\n"
        "late,b1,l2,2016-05-25T00:30:00,2016-06-24T09:00:00,0,,,\nlate,b2,l3,2016-05-25T00:30:00,,0,,,\n",
        encoding="utf-8",
    )
    assert main(["import", "--map", str(MAPPINGS / "superlender.toml"), str(export), "--out", str(events)]) == 0
    capsys.readouterr()
    zoned = ["--zone", "Africa/Lagos", "--resamples", 10]
    code, said, complained = run(capsys, events, "--labels", labels, "--report", tmp_path / "r", *zoned)
    assert code == 0, complained
    assert "1 borrowers have labels and no event, and are left out: b2" in complained
    rows = (tmp_path / "r" / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert rows[1].startswith("late,b1,l1,2016-04-30T23:30:00Z,2016-06-20T08:00:00Z,1,")
    assert len(rows) == 4
    assert "late: alerts, overall and by detector" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"events": "nothing.jsonl"}, "cannot read nothing.jsonl"),
        ({"labels": "nothing.csv"}, "cannot read nothing.csv"),
        ({"more": ["--task", "unknown"]}, "no label has the task 'unknown'; there are trouble, first_miss"),
        ({"more": ["--zone", "Nowhere/Town"]}, "'Nowhere/Town' is not an IANA time zone name"),
        ({"more": ["--recalls", "half"]}, "'half' is no list of shares such as 0.25,0.5"),
        ({"more": ["--recalls", "0.5,2"]}, "'0.5,2' is no list of shares"),
        ({"more": ["--policy", "nothing.toml"]}, "there is no readable file nothing.toml"),
        ({"events": "-", "more": ["--against", "x.toml"]}, "two policies need the events twice"),
        ({"report": "/dev/null/report"}, "cannot make the folder /dev/null/report"),
    ],
    ids=["events", "labels", "task", "zone", "recalls", "a recall", "policy", "standard input", "folder"],
)
def test_mistakes_are_one_line(
    tmp_path: Path, portfolio: tuple[str, str], capsys: pytest.CaptureFixture[str], change: Any, said: str
) -> None:
    """That says what to do, and exit 2."""
    events, labels = change.get("events", portfolio[0]), change.get("labels", portfolio[1])
    report = change.get("report", tmp_path / "r")
    result = run(capsys, events, "--labels", labels, "--report", report, *change.get("more", []))
    assert result[0] == 2
    assert said in result[2]
    assert result[2].count("\n") == 1


def test_a_report_never_replaces_what_it_was_made_of(
    tmp_path: Path, portfolio: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels that are called like one of its files would be lost."""
    labels = tmp_path / "scores.csv"
    labels.write_bytes(Path(portfolio[1]).read_bytes())
    code, _, complained = run(capsys, portfolio[0], "--labels", labels, "--report", tmp_path)
    assert code == 2
    assert "is read or written already" in complained


def test_labels_of_nobody_in_the_events_are_a_mistake(
    tmp_path: Path, portfolio: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Tokens that do not fit are the likeliest reason."""
    labels = tmp_path / "l.csv"
    labels.write_text(f"{HEADER}\nlate,nobody,,2025-02-01T00:00:00Z,2025-03-01T00:00:00Z,1,,,\n", encoding="utf-8")
    code, _, complained = run(capsys, portfolio[0], "--labels", labels, "--report", tmp_path / "r")
    assert code == 2
    assert "none of its borrowers is in the events" in complained


def test_a_worker_imports_nothing_of_it() -> None:
    """Neither the hot path nor the list of commands pays for numbers and plots."""
    code = (
        "import sys, streams.bootstrap.worker, streams.cli.replay, streams.cli.worker\n"
        "heavy = {'numpy', 'matplotlib', 'jinja2'} & sys.modules.keys()\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
