"""What `ews bench` shows of what it measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.table import Column, Table

from streams.local.bench.figures import MEBIBYTE, cpu_ratio, ratio
from streams.local.bench.variants import FAUST, LOOP, VARIANTS, Variant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.bootstrap.bench_engine import Cost, Sizes
    from streams.local.bench.figures import Summary
    from streams.local.bench.latency import Latency
    from streams.local.bench.scale import Scaled


def listed(variants: Iterable[Variant]) -> Table:
    """The variants, for `--list`."""
    table = Table("name", "system", "guarantee")
    for variant in variants:
        table.add_row(variant.key, variant.title, variant.guarantee)
    return table


def variant_of(key: str) -> Variant:
    """The variant of a name."""
    return next(variant for variant in VARIANTS if variant.key == key)


def rates(results: Sequence[Summary]) -> Table:
    """Events a second and what they cost, beside stock Faust and the plain transactional loop."""
    figures = ("events/s", "x Faust", "x loop", "CPU s/M", "x loop", "MiB", "alerts")
    table = Table(Column("variant", no_wrap=True), "", *figures, box=SIMPLE, padding=(0, 0))
    for result in results:
        variant = variant_of(result.variant)
        table.add_row(
            variant.key,
            "once" if variant.guarantee == "exactly once" else "least",
            f"{result.rate:,.0f}",
            _times(ratio(results, result.variant, FAUST)),
            _times(ratio(results, result.variant, LOOP)),
            f"{result.cpu_seconds_per_million:.1f}",
            _times(cpu_ratio(results, result.variant, LOOP)),
            f"{result.memory_bytes / MEBIBYTE:,.0f}",
            "right" if result.right else "WRONG",
        )
    return table


def latencies(measured: Iterable[Latency]) -> Table:
    """Milliseconds from event to alert."""
    figures = ("events/s", "p50 ms", "p99 ms", "max ms", "sent late p99", "alerts")
    table = Table(Column("variant", no_wrap=True), *figures, box=SIMPLE)
    for one in measured:
        table.add_row(
            one.variant,
            f"{one.rate:,.0f}",
            f"{one.p50_ms:,.1f}",
            f"{one.p99_ms:,.1f}",
            f"{one.max_ms:,.1f}",
            f"{one.producer_late_p99_ms:,.1f}",
            f"{one.alerts:,}" if one.verdict.right else "WRONG",
        )
    return table


def costs(measured: Sequence[Cost]) -> Table:
    """What an event costs the engine; the first row is what the others are held against."""
    table = Table("borrowers", "days", "us/event", "x first", "us/day", "load s", "MiB", "peak MiB")
    for cost in measured:
        table.add_row(
            f"{cost.borrowers:,}",
            str(cost.days),
            f"{cost.event_us:.0f}",
            f"{cost.event_us / measured[0].event_us:.2f}",
            "" if cost.wake_up_us is None else f"{cost.wake_up_us:.0f}",
            f"{cost.load_seconds:.1f}",
            f"{cost.resident_bytes / MEBIBYTE:,.0f}",
            f"{cost.peak_bytes / MEBIBYTE:,.0f}",
        )
    return table


def sizes(measured: Iterable[Sizes]) -> Table:
    """How large states are."""
    table = Table("days", "borrowers", "state bytes, median", "p99", "largest")
    for size in measured:
        table.add_row(*(f"{value:,}" for value in size))
    return table


def scaling(measured: Sequence[Scaled]) -> Table:
    """Throughput by number of workers; the first row is what the others are held against."""
    table = Table("workers", "events/s", "x first", "CPU s/M", "alerts")
    for one in measured:
        table.add_row(
            str(one.workers),
            f"{one.rate:,.0f}",
            _times(one.rate / measured[0].rate),
            f"{one.cpu_seconds_per_million:.1f}",
            "right" if one.right else "WRONG",
        )
    return table


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
