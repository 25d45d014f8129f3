"""Puts replays together: files, engine, where the results go."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING

import orjson

from streams import clock
from streams.bootstrap.memory import collect_seldom
from streams.bootstrap.policy import load_engine
from streams.engine.calendar import HOUR_MS, ms_of
from streams.engine.portfolio.judging import rules_of
from streams.errors import Misconfigured
from streams.history.files import STDIN, read_events
from streams.history.ordering import keep_apart, replacing
from streams.history.portfolio import SecondHop
from streams.history.replay import PolicyChange, Replayed, Sink, final_episodes, replay

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from streams.engine.drain import DeadLetter
    from streams.engine.engine import Engine


def replay_files(
    files: Sequence[Path | str],
    *,
    alerts: Path | None,
    episodes: Path | None = None,
    portfolio: Path | None = None,
    dead_letters: Path | None = None,
    policy_file: Path | None = None,
    policy_changes: Sequence[tuple[datetime, Path]] = (),
    until: datetime | None = None,
    live_from: datetime | None = None,
    progress: Callable[[int, int], None] = lambda _lines, _now_ms: None,
) -> Replayed:
    """Replay files and write alerts, final episodes and dead letters as JSON lines. Raises Misconfigured.

    `portfolio` takes the alerts of the second hop: cohorts and shared contacts.
    """
    keep_apart((Path(file) for file in files if str(file) != STDIN), (alerts, episodes, portfolio, dead_letters))
    collect_seldom()
    live_from_ms = None if live_from is None else ms_of(live_from)
    engine = load_engine(policy_file, live_from_ms)
    changes = _changes(engine, policy_changes, live_from_ms)
    kept: list[bytes] = []
    with ExitStack() as stack:
        to_alerts = opened(stack, alerts)
        to_portfolio = opened(stack, portfolio)
        # Not replaced at the end, but written at once: it tells why a replay with too many of them stopped.
        to_letters = None if dead_letters is None else stack.enter_context(_open(dead_letters))

        def alert(value: bytes) -> None:
            if episodes is not None:
                kept.append(value)
            if to_alerts is not None:
                to_alerts.write(value + b"\n")

        def letter(rejected: DeadLetter) -> None:
            if to_letters is not None:
                to_letters.write(orjson.dumps({name: text.decode() for name, text in rejected.headers}) + b"\n")

        second = None
        if to_portfolio is not None:
            rules = rules_of(engine.policy.version, engine.detectors)
            second = SecondHop(rules, live_from_ms, lambda value: to_portfolio.write(value + b"\n"))
        lines = read_events(files, latest_ms=clock.now_ms() + HOUR_MS)
        sink = Sink(alert, letter, progress, None if second is None else second.take)
        until_ms = None if until is None else ms_of(until)
        done = replay(engine, lines, sink, until_ms=until_ms, live_from_ms=live_from_ms, changes=changes)
        to_episodes = opened(stack, episodes)
        if to_episodes is not None:
            to_episodes.writelines(orjson.dumps(episode._asdict()) + b"\n" for episode in final_episodes(kept))
        done.portfolio = 0 if second is None else second.alerts
    return done


def _changes(first: Engine, asked: Sequence[tuple[datetime, Path]], live_from_ms: int | None) -> list[PolicyChange]:
    changes = [PolicyChange(ms_of(at), load_engine(file, live_from_ms)) for at, file in asked]
    versions = [first.policy.version, *(change.engine.policy.version for change in changes)]
    if twice := [version for version in dict.fromkeys(versions) if versions.count(version) > 1]:
        raise Misconfigured(f"two of the policies have the version {twice[0]}: give each one of its own")
    return sorted(changes, key=lambda change: change.at_ms)


def opened(stack: ExitStack, file: Path | None) -> IO[bytes] | None:
    """A file that is replaced when all went well, None for None; a device as it is. Raises Misconfigured."""
    if file is None:
        return None
    return stack.enter_context(_open(file) if file.exists() and not file.is_file() else replacing(file))


def _open(file: Path) -> IO[bytes]:
    try:
        return file.open("wb")
    except OSError as error:
        raise Misconfigured(f"cannot write {file}: {error.strerror}") from None
