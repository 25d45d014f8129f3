"""Chaos on real brokers: seeded rounds of faults, and what must be true afterwards. Exit code 1 if something is not.

python -m tests.chaos --rounds 30 --seed 1
python -m tests.chaos --only broker-killed --rounds 3
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import shutil
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import orjson

from tests.chaos.faults import KINDS
from tests.chaos.run import Plot, Report, Run


def main() -> int:
    """Run the chaos."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__, formatter_class=_Form)
    parser.add_argument("--rounds", type=int, default=30, help="faults, one after the other")
    parser.add_argument("--minutes", type=float, default=600.0, help="no round begins later")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same faults; moments differ")
    parser.add_argument("--only", action="append", choices=KINDS, metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--rate", type=int, default=60, help="events a second")
    parser.add_argument("--borrowers", type=int, default=600, help="of the simulated portfolio: 200 events each")
    parser.add_argument("--clock", choices=("event", "wall"), default="event", help="EWS_CLOCK of the workers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument("--dir", type=Path, help="keep logs and topics there")
    chosen = parser.parse_args()
    folder = chosen.dir or Path(tempfile.mkdtemp(prefix="ews-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    plot = Plot(
        seed=chosen.seed,
        rounds=chosen.rounds,
        kinds=tuple(chosen.only or KINDS),
        rate=chosen.rate,
        minutes=chosen.minutes,
        borrowers=chosen.borrowers,
        clock=chosen.clock,
    )
    logging.basicConfig(filename=folder / "harness.log", level=logging.WARNING)
    try:
        report = asyncio.run(_interruptible(Run(plot, folder.absolute(), _say)))
    except asyncio.CancelledError:
        return 130
    if chosen.json:
        chosen.json.write_bytes(orjson.dumps(dataclasses.asdict(report), option=orjson.OPT_INDENT_2))
    for name, figure in report.figures.items():
        _say(f"  {name.replace('_', ' ')}: {figure}")
    for fault in report.faults:
        _say(f"NOT AS IT MUST BE: {fault}")
    _say("everything is equal" if not report.faults else f"DIFFERENT; logs are in {folder}")
    if not report.faults and chosen.dir is None:
        shutil.rmtree(folder)
    return 1 if report.faults else 0


async def _interruptible(run: Run) -> Report:
    """Whatever ends it, its processes end too, and the small disk is taken away."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await run.to_end()


class _Form(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """The text as it stands, and the defaults."""


def _say(line: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")  # noqa: TID251 - for who watches
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
