"""What a person sees while a demo runs: a picture that renews itself on a terminal, else a line every few seconds."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streams import clock

if TYPE_CHECKING:
    from rich.console import RenderableType

    from streams.local.demo.progress import Progress

LINE_SECONDS = 3.0
"""Between two lines where there is no terminal."""


class Screen(Protocol):
    """Who is told how a demo gets on. Any thread may tell."""

    def phase(self, text: str) -> None:
        """Something new begins."""
        ...

    def count(self, what: str, done: int, total: int | None = None) -> None:
        """So much of it is done."""
        ...

    def progress(self, progress: Progress) -> None:
        """How far the processes are."""
        ...

    def close(self) -> None:
        """No more to come."""
        ...


class Silent:
    """Nobody looks."""

    def phase(self, text: str) -> None:
        """Say nothing."""

    def count(self, what: str, done: int, total: int | None = None) -> None:
        """Say nothing."""

    def progress(self, progress: Progress) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""


class Lines:
    """A log, a pipe, a CI: a line for each phase, and one every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = clock.monotonic()
        self._said = 0.0

    def phase(self, text: str) -> None:
        """Say it at once."""
        self._say(text)

    def count(self, what: str, done: int, total: int | None = None) -> None:
        """Say it now and then."""
        if self._due():
            self._say(f"{what} {done:,}" + (f" of {total:,}" if total else ""))

    def progress(self, progress: Progress) -> None:
        """Say it now and then."""
        if self._due():
            self._say(sentence(progress))

    def close(self) -> None:
        """Nothing is held."""

    def _due(self) -> bool:
        return clock.monotonic() - self._said >= LINE_SECONDS

    def _say(self, text: str) -> None:
        self._said = clock.monotonic()
        self._console.print(f"{self._said - self._began:6.1f} s  {text}", highlight=False, soft_wrap=True, markup=False)


class Picture:
    """A terminal: the phases above, below them what moves."""

    def __init__(self, console: Console) -> None:
        self._began = clock.monotonic()
        self._lock = threading.Lock()
        self._live = Live(console=console, refresh_per_second=5, transient=True)
        self._live.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def phase(self, text: str) -> None:
        """Write it above the picture."""
        self._live.console.print(
            f"{clock.monotonic() - self._began:6.1f} s  {text}", highlight=False, soft_wrap=True, markup=False
        )

    def count(self, what: str, done: int, total: int | None = None) -> None:
        """Show a bar."""
        self._show(_bar(f"{what} {done:,}", done, total))

    def progress(self, progress: Progress) -> None:
        """Show everything."""
        self._show(_picture(progress))

    def close(self) -> None:
        """Leave the phases and take the picture away."""
        self._live.stop()

    def _show(self, what: RenderableType) -> None:
        with self._lock:
            self._live.update(what)


def for_console(console: Console) -> Screen:
    """The screen that fits."""
    return Picture(console) if console.is_terminal else Lines(console)


def sentence(progress: Progress) -> str:
    """The progress in one line."""
    alerts = ", ".join(f"{name} {number:,}" for name, number in progress.alerts.most_common())
    parts = [
        f"{progress.applied:,} of {progress.total:,} events applied",
        f"{progress.per_second:,.0f}/s",
        f"event time {_day(progress.event_time_ms)}",
        f"{progress.alerts.total():,} alerts" + (f" ({alerts})" if alerts else ""),
        f"{progress.dead_letters} dead letters",
        f"{progress.cases} cases",
    ]
    return "; ".join(parts) + (f"; {progress.restarts} restarts" if progress.restarts else "")


def _picture(progress: Progress) -> RenderableType:
    table = Table.grid(padding=(0, 3))
    left = [
        ("events/s", f"{progress.per_second:,.0f}"),
        ("lag", f"{progress.lag:,}"),
        ("event time", _day(progress.event_time_ms)),
        ("dead letters", f"{progress.dead_letters:,}"),
        ("cases opened", f"{progress.cases:,}"),
        ("restarts", f"{progress.restarts}"),
    ]
    right = [*progress.alerts.most_common(), ("alerts", progress.alerts.total())]
    for row in range(max(len(left), len(right))):
        name, value = left[row] if row < len(left) else ("", "")
        detector, number = right[row] if row < len(right) else ("", "")
        table.add_row(name, Text(value, "bold", justify="right"), str(detector), Text(f"{number}", "bold"))
    title = f"{progress.applied:,} of {progress.total:,} events applied"
    return Group(_bar(title, progress.applied, progress.total), table)


def _bar(title: str, done: int, total: int | None) -> RenderableType:
    bar = Table.grid(padding=(0, 2))
    bar.add_row(ProgressBar(total=total, completed=done, width=40, pulse=not total), title)
    return bar


def _day(moment_ms: int | None) -> str:
    return f"{datetime.fromtimestamp(moment_ms / 1000, UTC):%Y-%m-%d %H:%M}" if moment_ms else "-"
