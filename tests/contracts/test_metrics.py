from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from streams.metrics import LABELS, Definition, Metrics, definitions

UNITS = (
    "seconds",
    "bytes",
    "records",
    "ratio",
    "total",
    "keys",
    "lanes",
    "cases",
    "episodes",
    "loans",
    "timers",
    "minor",
)
DEFINED = list(definitions())
PERSONAL = {"borrower", "subject", "loan", "account", "case", "id", "alert", "source", "key"}


@pytest.mark.parametrize("definition", DEFINED, ids=lambda definition: definition.name)
def test_a_metric_names_its_unit_and_bounded_labels(definition: Definition[Counter]) -> None:
    """The name begins with ews_, ends in a unit, has a meaning, and no label that grows with the portfolio."""
    assert definition.name.startswith("ews_")
    assert definition.name.rsplit("_", 1)[-1] in UNITS
    assert definition.name.endswith("_total") == (definition.kind is Counter)
    assert definition.meaning.endswith(".") or ";" in definition.meaning
    assert set(definition.labels) <= set(LABELS)
    assert not set(definition.labels) & PERSONAL


def test_every_label_that_is_bounded_is_used() -> None:
    """The list of labels holds no label of a former metric, and no metric is declared twice."""
    assert set(LABELS) == {label for definition in DEFINED for label in definition.labels}
    assert len(DEFINED) == len({definition.name for definition in DEFINED})


def test_each_registry_counts_for_itself() -> None:
    """Two Metrics do not share a number, so tests and processes within a demo stay apart."""
    one, two = Metrics(), Metrics()
    one.ticks.inc()
    assert one.registry.get_sample_value("ews_ticks_total") == 1
    assert two.registry.get_sample_value("ews_ticks_total") == 0


def test_a_registry_can_be_handed_in() -> None:
    """A caller who has a registry gets the metrics into it."""
    registry = CollectorRegistry()
    assert Metrics(registry).registry is registry
    assert registry.get_sample_value("ews_ticks_total") == 0


def test_the_metrics_are_of_their_kind() -> None:
    """On an instance the attribute is the live metric; on the class it is the definition."""
    metrics = Metrics()
    assert isinstance(metrics.events, Counter)
    assert isinstance(metrics.lag_records, Gauge)
    assert isinstance(metrics.latency_seconds, Histogram)
    assert isinstance(Metrics.events, Definition)


def test_a_process_shows_its_own_resources_too() -> None:
    """Memory and processor time are there for a real process, and no _created series doubles the output."""
    text = generate_latest(Metrics.of_process().registry).decode()
    assert "process_resident_memory_bytes" in text
    assert "_created" not in text
