"""Fuzzes decode and engine: `python -m tests.fuzzing --messages 100000 --seed 1`."""
# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import sys

from tests.fuzzing.campaign import campaign, summary


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000, help="how many spoiled records")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    outcome = campaign(asked.seed, asked.messages)
    print(summary(outcome).decode())
    for wrong in outcome.wrong[:5]:
        print(f"{wrong}\n  uv run python -m tests.fuzzing --seed {asked.seed} --messages {asked.messages}")
    return int(bool(outcome.wrong))


if __name__ == "__main__":
    sys.exit(main())
