"""A report's tables: figures as a person reads them, with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from streams.history.backtest.figures import Compared, compared, figures
from streams.history.backtest.resample import Figure
from streams.history.backtest.tasks import ALL, TIERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from streams.history.backtest.ground import Measured, Path

NONE = "–"  # noqa: RUF001 - a dash, as in any table


class Cell(NamedTuple):
    """A figure and its interval, as text."""

    text: str
    interval: str = ""


class Table(NamedTuple):
    """Rows under columns."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


class Results:
    """Every figure of one policy, or of two side by side."""

    def __init__(self, measured: Sequence[Measured], policies: Sequence[str]) -> None:
        self.policies = list(policies)
        self.plain = [one.plain for one in measured]
        self.figures: dict[Path, Figure] | dict[Path, Compared] = (
            figures(measured[0]) if len(measured) == 1 else compared(measured[0], measured[1])
        )

    @property
    def headings(self) -> list[str]:
        """What stands over the columns of one figure."""
        return ["policy", "against", "difference"] if len(self.policies) > 1 else ["value"]

    def of(self, path: Path) -> list[Figure]:
        """A figure: one, or that of each policy and their difference."""
        found = self.figures.get(path, Figure(None, None, None))
        if isinstance(found, Compared):
            return list(found)
        return [found, *[Figure(None, None, None)] * (len(self.headings) - 1)]

    def value(self, path: Path) -> list[Any]:
        """What has no interval, of each policy."""
        return [plain.get(path) for plain in self.plain]

    def names(self, here: Path) -> list[str]:
        """What stands directly below a place, in the order of its figures."""
        return list(dict.fromkeys(path[len(here)] for path in self.figures if path[: len(here)] == here))


def share(value: float) -> str:
    """A share as in the field: .463."""
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def days(value: float) -> str:
    """Days with one decimal."""
    return f"{value:.1f}"


def cell(figure: Figure, form: Callable[[float], str]) -> Cell:
    """A figure with its interval."""
    if figure.value is None:
        return Cell(NONE)
    if figure.low is None or figure.high is None:
        return Cell(form(figure.value))
    return Cell(form(figure.value), f"[{form(figure.low)}, {form(figure.high)}]")


def form_of(name: str) -> Callable[[float], str]:
    """How a figure of a name is written."""
    return days if name.startswith("lead") or "per_1000" in name else share


WORDS = {
    "base_rate": "base rate", "auc": "AUC", "lead_q25": "days of warning: lower quarter", "lead_median": "median",
    "lead_q75": "upper quarter", "per_1000_a_month": "per 1,000 borrowers a month",
    "watch_per_1000_a_year": "watch per 1,000 healthy a year", "high_per_1000_a_year": "high per 1,000 healthy a year",
    "recall": "recall", "precision": "precision", "warned": "warned before the first miss",
}  # fmt: skip


def listed(results: Results, title: str, rows: Iterable[tuple[str, Path]], note: str = "") -> Table:
    """A table with a row for each figure."""
    cells = [[Cell(name), *(cell(one, form_of(path[-1])) for one in results.of(path))] for name, path in rows]
    return Table(title, ["", *results.headings], cells, note)


def crossed(
    results: Results, title: str, here: Path, names: Sequence[str], *, note: str = "", counts: Sequence[str] = ()
) -> Table:
    """A table with a row for each name below a place, and a column for each figure of each policy."""
    suffixes = [""] if len(results.policies) == 1 else [" (policy)", " (against)", " (difference)"]
    columns = ["", *counts]
    columns += [f"{WORDS.get(name, name)}{suffix}" for name in names for suffix in suffixes]
    rows = []
    for row in results.names(here):
        found = [Cell(row)]
        found += [Cell(" / ".join(_count(n) for n in results.value((*here, row, count)))) for count in counts]
        found += [cell(one, form_of(name)) for name in names for one in results.of((*here, row, name))]
        rows.append(found)
    return Table(title, columns, rows, note)


def _count(number: int | None) -> str:
    return NONE if number is None else f"{number:,}"


def score_table(results: Results, task: str) -> Table:
    """The scores of a task."""
    here = ("tasks", task)
    rows: list[tuple[str, Path]] = [("base rate", (*here, "base_rate")), ("AUC", (*here, "auc"))]
    for recall in results.names((*here, "recalls")):
        place = (*here, "recalls", recall)
        rows.append((f"precision at recall {share(float(recall))}", (*place, "precision")))
        rows.append(("  recall reached", (*place, "recall")))
        rows.append(("  median days before the outcome", (*place, "lead_median")))
    for tier in TIERS:
        place = (*here, "tiers", tier)
        rows.append((f"tier {tier} or above: precision", (*place, "precision")))
        rows.append(("  recall", (*place, "recall")))
        rows.append(("  median days before the outcome", (*place, "lead_median")))
    return listed(results, "Score at the decision", rows)


def alert_table(results: Results, task: str) -> Table:
    """The alerts of a task, overall and by detector."""
    names = ["precision", "recall", "lead_q25", "lead_median", "lead_q75"]
    here = ("tasks", task, "alerts")
    note = f"“{ALL}”: whatever alert comes first. Right and wrong: how many alerts the precision is of."
    title = "Alerts, overall and by detector"
    return crossed(results, title, here, names, note=note, counts=["right", "wrong"])


def volume_tables(results: Results) -> list[Table]:
    """How many alerts there were."""
    tables = [crossed(results, "Alerts a month", ("volume",), ["per_1000_a_month"], counts=["episodes"])]
    if results.names(("healthy",)):
        names = ["watch_per_1000_a_year", "high_per_1000_a_year"]
        tables.append(crossed(results, "False alarms on healthy borrowers", ("healthy",), names))
    return tables


def segment_tables(results: Results) -> list[Table]:
    """Kinds of trouble, where the labels tell them."""
    if not results.names(("segments",)):
        return []
    names = ["recall", "warned", "lead_q25", "lead_median", "lead_q75"]
    note = (
        "Recall: an alert within the horizon after the trouble began. Warned: of those who missed an installment "
        "since, how many had an alert before it; the days of warning are theirs."
    )
    into = "Alerts within the horizon after a harmful trouble began, of all."
    return [
        crossed(results, "Kinds of trouble", ("segments",), names, note=note, counts=["borrowers", "missed"]),
        crossed(results, "Alerts in times of trouble", ("trouble",), ["precision"], note=into, counts=["alerts"]),
    ]
