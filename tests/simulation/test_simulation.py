"""The simulation runs in processes of its own: what a killed worker leaves behind must not reach other tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulation.planted import BUGS

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = 1_000
SECONDS_MAX = 540
"""Far more than it takes: what a busy machine costs is no failure of the shell."""


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m tests.simulation`."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        env=os.environ | environment, capture_output=True, text=True, check=False, timeout=SECONDS_MAX + 60,
    )  # fmt: skip


@pytest.fixture(scope="module")
def total(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a thousand seeds came to."""
    file: Path = tmp_path_factory.mktemp("simulation") / "total.json"
    done = command("--seeds", str(SEEDS), "--json", str(file))
    assert 0 == done.returncode, done.stdout[-3_000:]
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def test_a_thousand_seeds_keep_every_promise(total: dict[str, Any]) -> None:
    """Alerts as the recorded order gives them, each once; every offset once; states equal; nobody hangs."""
    assert [] == total["failed"]
    assert SEEDS == total["seeds"]
    assert total["counts"]["alerts"] > 5 * SEEDS


@pytest.mark.parametrize(
    "what",
    [
        "kill", "pause", "replaced while paused", "rebalance", "clock jump", "compaction", "policy changed",
        "committed offsets expired", "event handed over twice", "commit lost before", "commit lost after",
        "produce refused", "produce refused after", "produce slow", "source transaction aborted", "kill before commit",
        "kill after commit", "kill before produce", "kill after init", "pause before commit", "pause after produce",
    ],
)  # fmt: skip
def test_every_kind_of_fault_happened(total: dict[str, Any], what: str) -> None:
    """A simulation in which nothing goes wrong shows nothing."""
    assert total["faults"].get(what, 0) > 0


@pytest.mark.parametrize("seed", ["3", "44"])
def test_a_seed_is_one_run(seed: str) -> None:
    """The same seed makes the same log, request by request, whatever Python's hashes are."""
    one, other = command("--seed", seed, PYTHONHASHSEED="1"), command("--seed", seed, PYTHONHASHSEED="2")
    assert "digest" in one.stdout
    assert one.stdout == other.stdout


def test_every_planted_bug_is_caught() -> None:
    """The simulation sees what it is there to see, and a failing seed prints how to run it again."""
    done = command("--bugs")
    caught = [json.loads(line) for line in done.stdout.splitlines()]
    assert [*BUGS] == [bug["bug"] for bug in caught]
    assert [] == [bug["bug"] for bug in caught if bug["assertion"] is None]


def test_a_failing_seed_prints_the_line_that_runs_it_again() -> None:
    """Nobody has to look for how."""
    done = command("--seed", "1", "--plant", "the_order_misses_a_run")
    assert 1 == done.returncode
    assert "uv run python -m tests.simulation --seed 1 --plant the_order_misses_a_run" in done.stdout
