"""What is measured of a run, and the medians and ratios that are made of it."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MEBIBYTE = 2**20


class Verdict(NamedTuple):
    """How the alerts of a run compare with those that the rules make of the same events, one after the other."""

    expected: int
    missing: int = 0
    doubled: int = 0
    wrong: int = 0
    """Alerts that should not be, and those whose count of events is not the true one."""

    @property
    def right(self) -> bool:
        """Whether every alert is there, once, with the true count."""
        return not (self.missing or self.doubled or self.wrong)

    def __str__(self) -> str:
        if self.right:
            return f"{self.expected:,} alerts right"
        return f"of {self.expected:,} alerts {self.missing:,} missing, {self.doubled:,} doubled, {self.wrong:,} wrong"


class Run(NamedTuple):
    """One run of one variant."""

    variant: str
    events: int
    """Those of the time that is measured."""
    seconds: float
    """From when it was warm to the last effect in the log, by the machine's one clock."""
    cpu_seconds: float
    """User and system time of the variant's process in that time; the broker's is not in it."""
    memory_bytes: int
    """The most that the process ever held."""
    verdict: Verdict

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


class Summary(NamedTuple):
    """The medians of a variant's runs."""

    variant: str
    rates: tuple[float, ...]
    rate: float
    cpu_seconds_per_million: float
    memory_bytes: float
    right: bool
    """Whether every run's alerts were right."""


def summaries(runs: Sequence[Run], variants: Iterable[str]) -> list[Summary]:
    """One for each variant that ran, in the order of the variants."""
    by_variant = {variant: [run for run in runs if run.variant == variant] for variant in variants}
    return [_summary(variant, its) for variant, its in by_variant.items() if its]


def _summary(variant: str, runs: Sequence[Run]) -> Summary:
    return Summary(
        variant,
        tuple(run.rate for run in runs),
        median(run.rate for run in runs),
        median(run.cpu_seconds / run.events * 1e6 for run in runs),
        median(run.memory_bytes for run in runs),
        all(run.verdict.right for run in runs),
    )


def ratio(summaries_: Iterable[Summary], variant: str, to: str) -> float | None:
    """How many times the rate of another variant; None where one of them did not run."""
    rates = {summary.variant: summary.rate for summary in summaries_}
    return rates[variant] / rates[to] if variant in rates and to in rates else None


def cpu_ratio(summaries_: Iterable[Summary], variant: str, to: str) -> float | None:
    """How many times as many events for each second of CPU time; None where one of them did not run.

    Of two programs of one thread this says what `ratio` says on a machine that has nothing else to do.
    """
    costs = {summary.variant: summary.cpu_seconds_per_million for summary in summaries_}
    return costs[to] / costs[variant] if variant in costs and costs.get(to) else None


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 1).__int__() - 1)]
