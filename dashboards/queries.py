"""How a metric is asked: rates, increases, quantiles. `where` narrows it, as between the braces of a selector."""

from __future__ import annotations

from typing import Final

RATE: Final = "$__rate_interval"
RANGE: Final = "$__range"
OURS: Final = 'job=~"ews.*"'
"""Our processes among others that the same Prometheus may watch."""


def selected(metric: str, where: str = "") -> str:
    """The series of a metric."""
    return f"{metric}{{{where}}}" if where else metric


def rate(metric: str, by: str, where: str = "") -> str:
    """How often a second."""
    return f"sum by ({by}) (rate({selected(metric, where)}[{RATE}]))"


def more(metric: str, by: str, where: str = "") -> str:
    """How many more in a step of the curve."""
    return f"sum by ({by}) (increase({selected(metric, where)}[{RATE}]))"


def in_range(metric: str, where: str = "") -> str:
    """How many more in the time that the dashboard shows."""
    return f"sum(increase({selected(metric, where)}[{RANGE}]))"


def in_range_by(metric: str, by: str, where: str = "") -> str:
    """The same by a label."""
    return f"sum by ({by}) (increase({selected(metric, where)}[{RANGE}]))"


def share(metric: str, part: str, where: str = "") -> str:
    """What part of a counter's increase has a label; 0 where none of it has."""
    some = ", ".join(filter(None, (part, where)))
    return f"(sum(rate({selected(metric, some)}[{RATE}])) or vector(0)) / sum(rate({selected(metric, where)}[{RATE}]))"


def quantiles(metric: str, *shares: float) -> list[tuple[str, str]]:
    """Quantiles of a histogram, each with its legend."""
    buckets = f"sum by (le) (rate({metric}_bucket[{RATE}]))"
    return [(f"histogram_quantile({each}, {buckets})", f"p{each * 100:g}") for each in shares]


def or_none(expression: str) -> str:
    """The same, and 0 where nothing of it was ever counted."""
    return f"({expression} or vector(0))"


def over(part: str, whole: str) -> str:
    """A share."""
    return f"{part} / {whole}"
