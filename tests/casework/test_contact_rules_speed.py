"""What a check costs: it is asked before every message, and for every hour of a simulated year."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from streams.casework.contact import Allowed, Refusal
from streams.casework.contact_rules import check
from streams.casework.packs import load_packs
from tests.casework.contacting import NOTHING, attempt, local, past, record

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

NOON = local("2026-03-11T12:00")
HISTORY = [past(NOON - timedelta(days=8, hours=20 * i), ("call", "sms", "call", "email")[i % 4]) for i in range(50)]


@pytest.mark.benchmark
@pytest.mark.parametrize("names", [["us"], ["default"], ["default", "us"]])
def test_a_contact_that_is_allowed(benchmark: BenchmarkFixture, names: list[str]) -> None:
    """Fifty contacts of the past, none of which stands against it."""
    packs, of = load_packs(names), record(country="US")
    assert isinstance(benchmark(check, attempt(), of, NOTHING, HISTORY, packs, NOON), Allowed)


@pytest.mark.benchmark
def test_a_contact_that_is_refused(benchmark: BenchmarkFixture) -> None:
    """On Thanksgiving in the evening: the next moment is sought over hours, days and a conversation."""
    packs, of, evening = load_packs(["default", "us"]), record(country="US"), local("2026-11-26T20:00")
    history = [*HISTORY, past(evening - timedelta(days=2), reached=True)]
    assert isinstance(benchmark(check, attempt(), of, NOTHING, history, packs, evening), Refusal)
