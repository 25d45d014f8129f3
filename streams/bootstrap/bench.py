"""The benchmark put together: a broker, and what the whole catalogue must say of a simulated portfolio."""

from __future__ import annotations

import contextlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from streams.bootstrap.history import replay_files
from streams.history.files import read_events
from streams.history.replay import final_episodes
from streams.history.simulator import Plan, simulate
from streams.local.bench.comparison import Comparison, Work
from streams.local.bench.figures import Verdict
from streams.local.broker import LocalBroker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from streams.history.replay import Episode
    from streams.local.bench.comparison import Load
    from streams.local.bench.ground import Alert

EVENTS_OF_A_BORROWER = 215
"""What the simulator makes of one in half a year, about."""


@contextlib.contextmanager
def comparison(load: Load, say: Callable[[str], None], bootstrap: str | None = None) -> Iterator[Comparison]:
    """A comparison on a broker of its own, or on the one that is named."""
    with tempfile.TemporaryDirectory(prefix="ews-bench-", ignore_cleanup_errors=True) as scratch:
        directory = Path(scratch)
        with contextlib.ExitStack() as stack:
            if bootstrap is None:
                broker = stack.enter_context(LocalBroker(directory / "broker", say=say))
                bootstrap = broker.bootstrap_servers
            yield Comparison(load, bootstrap, directory, lambda count: _catalogue(directory, count), say)


def _catalogue(directory: Path, count: int) -> Work:
    """A simulated half year of about so many events, and the final episodes that a replay of the file makes of it."""
    file, told = directory / f"portfolio-{count}.jsonl", directory / f"alerts-{count}.jsonl"
    simulate(Plan(borrowers=max(10, count // EVENTS_OF_A_BORROWER), days=180, seed=11), file, None)
    replayed = replay_files([file], alerts=told, until=None)
    values = told.read_bytes().splitlines()
    wanted = set(final_episodes(values))

    def verdict(alerts: Sequence[Alert]) -> Verdict:
        return episodes_verdict(wanted, [alert.value for alert in alerts])

    until = datetime.fromtimestamp(replayed.now_ms / 1000, UTC).isoformat()
    return Work(lambda: read_events([file]), verdict, len(values), until)


def episodes_verdict(wanted: set[Episode], values: Sequence[bytes]) -> Verdict:
    """How a worker's alerts compare with a replay's: the same final episodes, and no alert twice."""
    found = set(final_episodes(values))
    return Verdict(
        expected=len(wanted),
        missing=len(wanted - found),
        doubled=len(values) - len(set(values)),
        wrong=len(found - wanted),
    )
