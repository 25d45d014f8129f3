"""Runs seeds: `--seeds 1000`, one of them again with `--seed N`, every planted bug with `--bugs`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from tests.simulation.planted import BUGS
from tests.simulation.run import Report, simulate

if TYPE_CHECKING:
    from collections.abc import Iterable

PROGRESS_SECONDS = 30.0
CHUNK = 20
BUG_SEEDS_MAX = 400


@dataclass(slots=True)
class Sum:
    """What many runs came to."""

    seeds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    failed: list[Report] = field(default_factory=list)
    cpu_seconds: float = 0.0
    virtual_seconds: float = 0.0

    def add(self, other: Sum) -> None:
        """Takes another sum in."""
        self.seeds += other.seeds
        self.faults.update(other.faults)
        self.counts.update(other.counts)
        self.failed += other.failed
        self.cpu_seconds += other.cpu_seconds
        self.virtual_seconds += other.virtual_seconds

    def document(self) -> dict[str, Any]:
        """For a machine."""
        return {
            "seeds": self.seeds,
            "failed": [{"seed": one.seed, "assertion": one.broken, "detail": one.detail} for one in self.failed],
            "cpu_ms_a_seed": round(1000 * self.cpu_seconds / max(1, self.seeds), 1),
            "virtual_seconds": round(self.virtual_seconds),
            "faults": dict(sorted(self.faults.items())),
            "counts": dict(sorted(self.counts.items())),
        }


def quiet() -> None:
    """The simulated workers log to nobody, and what a killed process leaves behind is no mistake."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    warnings.simplefilter("ignore")


def chunk(seeds: Iterable[int]) -> Sum:
    """Runs some seeds in this process."""
    quiet()
    gc.disable()  # Collected between runs: a killed process's coroutines end when they are found.
    total, began = Sum(), time.process_time()
    for seed in seeds:
        report = simulate(seed)
        total.seeds += 1
        total.faults.update(report.faults)
        total.counts.update(report.counts)
        total.virtual_seconds += report.seconds
        if report.broken is not None:
            total.failed.append(report)
    gc.collect()
    total.cpu_seconds = time.process_time() - began
    return total


def again(report: Report, plant: str | None = None) -> str:
    """What is broken, and the line that runs the seed again."""
    line = f"uv run python -m tests.simulation --seed {report.seed}" + (f" --plant {plant}" if plant else "")
    return f"seed {report.seed}: {report.broken}: {report.detail}\n  {line}"


def many(first: int, count: int, processes: int, seconds: float | None) -> Sum:
    """Runs seeds in several processes, and says now and then how far it is."""
    chunks = [range(at, min(at + CHUNK, first + count)) for at in range(first, first + count, CHUNK)]
    total, began = Sum(), time.monotonic()
    told = began
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for done in pool.imap_unordered(chunk, chunks):
            total.add(done)
            for report in done.failed:
                print(again(report), flush=True)
            now = time.monotonic()
            if now - told > PROGRESS_SECONDS:
                told = now
                print(f"{total.seeds} of {count} seeds, {len(total.failed)} failed, {now - began:.0f} s", flush=True)
            if seconds is not None and now - began > seconds:
                pool.terminate()
                break
    return total


def one(seed: int, plant: str | None) -> int:
    """Runs a seed and tells of it."""
    report = simulate(seed, BUGS[plant] if plant else None)
    print(f"seed {seed}: {report.seconds:.1f} virtual seconds, {report.turns} turns, digest {report.digest}")
    for name, count in sorted((report.faults + report.counts).items()):
        print(f"  {name}: {count}")
    print("ok" if report.broken is None else again(report, plant))
    return int(report.broken is not None)


def caught(name: str) -> dict[str, Any]:
    """After how many seeds a planted bug was seen, and by what."""
    quiet()
    for seed in range(BUG_SEEDS_MAX):
        report = simulate(seed, BUGS[name])
        if report.broken is not None:
            break
    return {"bug": name, "seeds": seed + 1, "assertion": report.broken, "detail": report.detail}


def all_caught(processes: int) -> bool:
    """Whether every planted bug is seen; tells of each."""
    seen = True
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for bug in pool.imap(caught, BUGS):
            print(json.dumps(bug), flush=True)
            seen = seen and bug["assertion"] is not None
    return seen


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one and tell of it")
    parser.add_argument("--plant", choices=BUGS, help="with a known bug")
    parser.add_argument("--seeds", type=int, default=1_000, help="how many to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--bugs", action="store_true", help="plant known bugs and say what sees each")
    parser.add_argument("--json", help="write the sum into this file")
    asked = parser.parse_args()
    quiet()
    if asked.seed is not None:
        return one(asked.seed, asked.plant)
    if asked.bugs:
        return int(not all_caught(asked.processes))
    total = many(asked.first, asked.seeds, asked.processes, asked.seconds)
    text = json.dumps(total.document(), indent=1)
    if asked.json:
        with open(asked.json, "w", encoding="utf-8") as file:  # noqa: PTH123 - a name of the caller's
            file.write(text)
    print(text)
    return int(bool(total.failed))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # Killed processes leave coroutines behind, which would complain one after the other.
