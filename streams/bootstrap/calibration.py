"""Puts a calibration together: the policy to begin with, the events, the labels, and where the results go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import tomli_w

from streams import clock
from streams.bootstrap.policies import HEADER, effective
from streams.bootstrap.policy import load_detectors, load_policy
from streams.engine.calendar import HOUR_MS
from streams.engine.characteristics import CHARACTERISTICS
from streams.engine.engine import Engine
from streams.engine.scorecard import Banded
from streams.errors import Misconfigured
from streams.history.backtest.labels import decisions, read_labels, tasks_of
from streams.history.calibration.collecting import collect, names_of, truth
from streams.history.calibration.document import sections
from streams.history.calibration.fitting import require_library
from streams.history.calibration.judging import calibrated, left_out
from streams.history.files import read_events
from streams.history.ordering import keep_apart, replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from streams.engine.policy import Policy
    from streams.engine.scorecard import Scorecard
    from streams.history.backtest.ground import Question
    from streams.history.calibration.judging import Judged, Plan

REPORT = "calibration.json"


class Places(NamedTuple):
    """What is read and what is written."""

    events: Sequence[Path]
    labels: Path
    base: Path | None
    out: Path
    report: Path | None


def calibrate_files(
    places: Places,
    question: Question,
    plan: Plan,
    version: str,
    progress: Callable[[int, int], None] = lambda _lines, _now_ms: None,
) -> tuple[Judged, dict[str, Any]]:
    """Fit a scorecard for one task and write the policy and its report. Raises Misconfigured."""
    require_library()
    keep_apart([*places.events, places.labels, *([places.base] if places.base else [])], [places.out])
    base = load_policy(places.base)
    rows = read_labels(places.labels, question.zone)
    tasks = tasks_of(rows, question.tasks)
    if len(tasks) > 1:
        raise Misconfigured(f"{places.labels} holds several tasks: choose one of {', '.join(tasks)} with --task")
    rows = [row for row in rows if row.task in tasks]
    lines = read_events(places.events, latest_ms=clock.now_ms() + HOUR_MS)
    engine = _noting(base)
    _check_names(names_of(engine), plan.without)
    collected = collect(engine, base.scorecard, lines, decisions(rows, question.zone), progress)
    judged = calibrated(collected, truth(collected, question), rows, base.scorecard, question, plan)
    policy = base.model_copy(update={"version": version, "scorecard": judged.fitted.card})
    _write_policy(places.out, policy, judged)
    report = _report(judged, question, plan, policy)
    if places.report is not None:
        _write_report(places.report, report)
    return judged, report


def _check_names(names: Sequence[str], without: Sequence[str]) -> None:
    for pattern in without:
        if not any(left_out(name, [pattern]) for name in names):
            raise Misconfigured(f"--without {pattern}: there is no such characteristic; there are {', '.join(names)}")


def _noting(base: Policy) -> Engine:
    """An engine that keeps what every characteristic is made of, and scores as the policy does."""
    kept = {name: Banded() for name in CHARACTERISTICS} | base.scorecard.characteristics
    policy = base.model_copy(update={"scorecard": base.scorecard.model_copy(update={"characteristics": kept})})
    return Engine(policy, load_detectors(policy))


def _write_policy(out: Path, policy: Policy, judged: Judged) -> None:
    whole = effective(policy)
    whole["scorecard"] = {name: part for name, part in whole["scorecard"].items() if name != "characteristics"}
    made = f"# The scorecard was fitted by `ews calibrate` on {judged.fitted_rows:,} decisions.\n\n"
    text = HEADER + made + tomli_w.dumps(whole, indent=2) + "\n" + sections(judged.fitted.bandings)
    with replacing(out) as stream:
        stream.write(text.encode())


def _report(judged: Judged, question: Question, plan: Plan, policy: Policy) -> dict[str, Any]:
    return {
        "version": policy.version,
        "plan": plan._asdict(),
        "question": question._asdict(),
        "fitted": {"decisions": judged.fitted_rows},
        "judged": {"decisions": judged.judged_rows, "borrowers": judged.judged_borrowers},
        "characteristics": {one.name: one._asdict() for one in judged.fitted.bandings},
        "scorecard": _plain(policy.scorecard),
        **judged.as_dict(),
    }


def _plain(card: Scorecard) -> dict[str, Any]:
    return card.model_dump(mode="json")


def _write_report(folder: Path, report: dict[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT).write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise Misconfigured(f"cannot write {folder}: {error.strerror or error}") from None
