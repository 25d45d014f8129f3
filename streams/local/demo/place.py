"""The demo's directory: locked while a demo runs, cleaned of what an earlier one made, and of nothing else."""

from __future__ import annotations

import fcntl
import os
import shutil
from typing import IO, TYPE_CHECKING, Self

from streams.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

MARK = "ews-demo.lock"
"""Says that a directory is a demo's, and is the lock."""
MADE = (
    "events.jsonl",
    "labels.csv",
    "broker",
    "outbox",
    "cases.db",
    "cases.db-shm",
    "cases.db-wal",
    "contacts.db",
    "contacts.db-shm",
    "contacts.db-wal",
    "simulation.log",
    "worker.log",
    "portfolio.log",
    "portfolio.jsonl",
    "case_creator.log",
    "notifier.log",
    "alerts.jsonl",
    "dead-letters.jsonl",
    "episodes.jsonl",
    "summary.json",
)
"""What a demo writes into its directory."""


class Place:
    """The directory of one demo; a context manager that holds the lock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._lock: IO[str] | None = None

    def __truediv__(self, name: str) -> Path:
        assert name in MADE, f"{name} would not be cleaned up"
        return self.directory / name

    def __enter__(self) -> Self:
        self._check()
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = (self.directory / MARK).open("a+")
        except OSError as denied:
            raise Misconfigured(f"cannot write into {self.directory}: {denied.strerror}; give another --dir") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = self._owner()
            self._lock.close()
            raise Misconfigured(f"{self.directory} is in use by {owner}: stop it or give another --dir") from None
        self._lock.truncate(0)
        self._lock.write(f"the demo of process {os.getpid()}")
        self._lock.flush()
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def clean(self, keep: Path | None = None) -> None:
        """Remove what an earlier demo made, but not the file that is to be read now."""
        kept = keep.resolve() if keep else None
        for name in MADE:
            path = self.directory / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.resolve() != kept or path.is_symlink():
                path.unlink(missing_ok=True)

    def _check(self) -> None:
        """A directory with something in it must be one of ours."""
        if self.directory.is_dir() and not (self.directory / MARK).exists() and any(self.directory.iterdir()):
            raise Misconfigured(f"{self.directory} holds files that no demo made: give another --dir, or a new one")

    def _owner(self) -> str:
        assert self._lock is not None
        self._lock.seek(0)
        return self._lock.read().strip() or "another demo"
