"""The report of a back-test: report.html for people, report.json for machines, scores.csv for whoever looks closer."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jinja2
import orjson

from streams.engine.calendar import moment_of
from streams.history.backtest.figures import nested
from streams.history.backtest.plots import curve_plot, lead_plot, volume_plot
from streams.history.backtest.tables import Results, alert_table, score_table, segment_tables, volume_tables
from streams.history.ordering import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streams.history.backtest.ground import Ground, Run
    from streams.history.backtest.tables import Table

TEMPLATE = "report.html.j2"
HTML, JSON, SCORES = "report.html", "report.json", "scores.csv"
NAMED = 5
"""Borrowers without events that are named."""


class Section(NamedTuple):
    """A heading with its tables and plots."""

    title: str
    note: str
    tables: Sequence[Table]
    plots: Sequence[str]


def write_report(folder: Path, ground: Ground, runs: Sequence[Run], results: Results) -> dict[str, Any]:
    """Write the three files, and give what report.json holds. Raises Misconfigured."""
    answer = as_json(ground, runs, results)
    _write(folder / JSON, orjson.dumps(answer, option=orjson.OPT_INDENT_2))
    _write(folder / SCORES, _scores(runs).encode())
    _write(folder / HTML, _html(ground, runs, results).encode())
    return answer


def _write(file: Path, content: bytes) -> None:
    with replacing(file) as stream:
        stream.write(content)


def as_json(ground: Ground, runs: Sequence[Run], results: Results) -> dict[str, Any]:
    """Everything that was measured."""
    question = ground.question._asdict()
    return {
        "policies": results.policies,
        "question": {**question, "tasks": ground.tasks},
        "borrowers": len(ground.owner_of),
        "borrowers_without_events": {"count": len(ground.unknown), "first": ground.unknown[:NAMED]},
        "until": moment_of(runs[0].last_ms).isoformat(),
        "dead_letters": [_dead_letters(run) for run in runs],
        "figures": nested({path: _figure(one) for path, one in results.figures.items()}),
        "counts": [nested(plain) for plain in results.plain],
    }


def _figure(one: Any) -> dict[str, Any]:
    found: dict[str, Any] = one._asdict()
    return {name: _figure(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _dead_letters(run: Run) -> dict[str, int]:
    return {what[1]: count for what, count in sorted(run.counts.items()) if what[0] == "dead_letter"}


# -- scores.csv -------------------------------------------------------------------------------------------------------


def _scores(runs: Sequence[Run]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ["task", "borrower", "loan", "at", "t", "label", "segment", "score", "tier"]
    writer.writerow([*names, *["score_against", "tier_against"][: 2 * (len(runs) - 1)]])
    together = zip(*(run.scored for run in runs), strict=True)
    for row in sorted(together, key=lambda row: (row[0].decision.label.line, row[0].decision.at_ms)):
        decision = row[0].decision
        label = decision.label
        said = [value for one in row for value in (f"{one.score:g}", one.tier)]
        writer.writerow(
            [
                label.task, label.borrower, label.loan or "", _moment(decision.at_ms), _moment(label.t_ms),
                int(label.label), label.segment, *said,
            ]
        )  # fmt: skip
    return out.getvalue()


def _moment(ms: int | None) -> str:
    return "" if ms is None else moment_of(ms).isoformat().replace("+00:00", "Z")


# -- report.html ------------------------------------------------------------------------------------------------------


def _html(ground: Ground, runs: Sequence[Run], results: Results) -> str:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    page = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined).get_template(TEMPLATE)
    return page.render(
        policies=results.policies,
        summary=_summary(ground, runs),
        warnings=list(warnings(ground, runs)),
        sections=list(_sections(ground, results)),
        resamples=f"{ground.question.resamples:,}",
        seed=ground.question.seed,
    )


def _summary(ground: Ground, runs: Sequence[Run]) -> str:
    question = ground.question
    return (
        f"{len(ground.owner_of):,} borrowers up to {moment_of(runs[0].last_ms).date()}, "
        f"{len(runs[0].scored):,} decisions. {question.mode.value.capitalize()} alerts of severity "
        f"{question.severity.value} and above count {question.horizon_days} days."
    )


def warnings(ground: Ground, runs: Sequence[Run]) -> Iterator[str]:
    """What a reader must know before believing a figure."""
    if ground.unknown:
        named = ", ".join(ground.unknown[:NAMED]) + (" ..." if len(ground.unknown) > NAMED else "")
        yield f"{len(ground.unknown):,} borrowers have labels and no event, and are left out: {named}"
    for run in runs:
        if letters := _dead_letters(run):
            told = ", ".join(f"{count:,} {reason}" for reason, count in letters.items())
            yield f"{run.policy}: events were rejected: {told}"


def _sections(ground: Ground, results: Results) -> Iterator[Section]:
    for task in ground.tasks:
        yield _task(ground, results, task)
    volumes = dict(zip(results.policies, results.value(("volume", "by_month")), strict=True))
    yield Section(
        "How many alerts", "", volume_tables(results), [volume_plot(volumes)] if any(volumes.values()) else []
    )
    if tables := segment_tables(results):
        yield Section("Trouble", "", tables, [])


def _task(ground: Ground, results: Results, task: str) -> Section:
    here = ("tasks", task)
    plain = results.plain[0]
    note = (
        f"{plain[*here, 'rows']:,} rows, {plain[*here, 'label_1']:,} with label 1, "
        f"{plain[*here, 'outcomes']:,} outcomes with a known time; {plain[*here, 'decisions']:,} decisions"
        f"{' at month ends' if plain.get((*here, 'monthly')) else ''}."
    )
    plots = []
    curves = dict(zip(results.policies, results.value((*here, "curve")), strict=True))
    if all(curves.values()):
        plots.append(curve_plot(task, curves, results.of((*here, "base_rate"))[0].value))
    leads = dict(zip(results.policies, results.value((*here, "leads")), strict=True))
    if any(leads.values()):
        plots.append(lead_plot(task, leads, ground.question.horizon_days))
    return Section(f"Task {task}", note, [score_table(results, task), alert_table(results, task)], plots)
