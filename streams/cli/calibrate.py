"""`ews calibrate`: the points of the scorecard, fitted on labelled history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.bootstrap.calibration import REPORT, Places, calibrate_files
from streams.cli.options import AsJson, PolicyFile
from streams.cli.tables import print_json
from streams.errors import Misconfigured
from streams.history.backtest.ground import HORIZON_DAYS, RECALLS, Question
from streams.history.backtest.resample import RESAMPLES
from streams.history.calibration.judging import Plan

if TYPE_CHECKING:
    from streams.history.calibration.judging import Judged

DEFAULTS = Plan()


def calibrate(  # noqa: PLR0917 - Typer passes them by name
    events: Annotated[list[Path], typer.Argument(metavar="EVENTS...", help="Files of events; .gz is unpacked.")],
    labels: Annotated[Path, typer.Option("--labels", help="What came of whom (CSV).")],
    out: Annotated[Path, typer.Option("--out", help="The policy with the fitted scorecard, as TOML.")],
    task: Annotated[str | None, typer.Option("--task", help="Which task of the labels, if several.")] = None,
    policy: PolicyFile = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="DIR", help=f"A folder for {REPORT}.")] = None,
    split: Annotated[
        float, typer.Option(min=0.05, max=0.95, help="Share of the borrowers to fit on; the others judge.")
    ] = DEFAULTS.split,
    folds: Annotated[
        int,
        typer.Option(
            min=0, max=20, help="Instead of a split: so many parts, each judging the fit on the others; fit on all."
        ),
    ] = DEFAULTS.folds,
    seed: Annotated[int, typer.Option(min=0, help="Which borrowers are in which part.")] = DEFAULTS.seed,
    most: Annotated[int, typer.Option(min=1, max=60, help="How many characteristics at most.")] = DEFAULTS.most,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Leave a characteristic out (`*` for anything); repeatable."),
    ] = None,
    recalls: Annotated[str, typer.Option(metavar="R,R,...", help="Recalls at which precision is told.")] = ",".join(
        map(str, RECALLS)
    ),
    horizon: Annotated[
        int, typer.Option(min=1, max=1_000, metavar="DAYS", help="How far a decision at a month end reaches.")
    ] = HORIZON_DAYS,
    zone: Annotated[str, typer.Option(help="Of times in the labels that have no offset.")] = "UTC",
    resamples: Annotated[int, typer.Option(min=10, max=100_000, help="For the 95 % intervals.")] = RESAMPLES,
    version: Annotated[str, typer.Option(min=1, max=64, help="The new policy's version.")] = "calibrated-1",
    as_json: AsJson = False,
) -> None:
    """Fit the scorecard's points on labelled history, and say what they are worth on borrowers not fitted on.

    Only what was known at each decision is used. The policy that is written says beside each band what it was made of.

    Example:
        ews calibrate events.jsonl.gz --labels labels.csv --task late7 --out calibrated.toml --report calibration
        ews calibrate events.jsonl.gz --labels labels.csv --task late7 --folds 5 --out calibrated.toml
        ews calibrate events.jsonl.gz --labels labels.csv --without 'episode.*' --out calibrated.toml
        ews policies check calibrated.toml
    """
    question = Question(
        tasks=() if task is None else (task,), horizon_days=horizon, recalls=_recalls(recalls), zone=zone,
        resamples=resamples, seed=seed,
    )  # fmt: skip
    places = Places(events, labels, policy, out, report)
    judged, told = calibrate_files(places, question, Plan(split, folds, seed, most, tuple(without or ())), version)
    if as_json:
        print_json(told)
    else:
        _tell(judged, told, out)


def _recalls(text: str) -> tuple[float, ...]:
    try:
        found = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        raise Misconfigured(f"--recalls {text}: must be shares such as 0.25,0.42,0.60") from None
    if not all(0 < recall <= 1 for recall in found):
        raise Misconfigured(f"--recalls {text}: each must lie above 0 and be 1 at most")
    return found


def _tell(judged: Judged, told: dict[str, Any], out: Path) -> None:
    typer.echo(
        f"fitted on {judged.fitted_rows:,} decisions; judged by {judged.judged_rows:,} decisions of "
        f"{judged.judged_borrowers:,} borrowers that the fit did not see (95 % intervals over borrowers)"
    )
    for task, figures in told["tasks"].items():
        typer.echo(f"\n{task}: {_percent(figures['base_rate']['policy'])} came true")
        typer.echo(f"{'':<26}{'before':>26}{'after':>26}")
        _line("AUC", figures["auc"])
        for recall, point in figures["recalls"].items():
            _line(f"precision at recall {float(recall):.0%}", point["precision"])
            _line("  days before, median", point["lead_median"], digits=0)
    typer.echo(f"\nwhat adds points, the weightiest first: {', '.join(one.name for one in judged.fitted.bandings)}")
    typer.echo(f"{out} holds the policy; `ews policies check {out}`")


def _line(title: str, figure: dict[str, Any], digits: int = 3) -> None:
    typer.echo(f"{title:<26}{_figure(figure['against'], digits):>26}{_figure(figure['policy'], digits):>26}")


def _figure(told: dict[str, float | None] | None, digits: int) -> str:
    if told is None or told["value"] is None:
        return "-"
    text = f"{told['value']:.{digits}f}"
    return text if told["low"] is None else f"{text} [{told['low']:.{digits}f}, {told['high']:.{digits}f}]"


def _percent(told: dict[str, float] | None) -> str:
    return "-" if told is None else f"{told['value']:.1%}"
