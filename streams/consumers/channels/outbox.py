"""The file outbox: one JSON file for each message, named by its idempotency key, so that a repeat overwrites itself."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from streams.consumers.channels.channel import STAFF
from streams.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from streams.consumers.channels.channel import Parcel


class FileOutbox:
    """A directory that staff, or a program of theirs, reads. A file is there whole or not at all."""

    name = "outbox"
    audience = STAFF

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def start(self) -> None:
        """Make the directory. Raises Misconfigured if it cannot be written to."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            (self._directory / ".writable").touch()
            (self._directory / ".writable").unlink()
        except OSError as fault:
            raise Misconfigured(
                f"the outbox {self._directory} cannot be written to ({fault.strerror}): change EWS_OUTBOX_DIR"
            ) from fault

    async def send(self, parcel: Parcel) -> None:
        """Write the file. Raises Unavailable."""
        try:
            await asyncio.to_thread(self._write, parcel.key, parcel.body)
        except OSError as fault:
            raise Unavailable(f"the outbox {self._directory} cannot be written to now ({fault.strerror})") from fault

    async def stop(self) -> None:
        """Nothing is held open."""

    def _write(self, key: str, body: str) -> None:
        unfinished = self._directory / f".{key}.part"
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(body + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._directory / f"{key}.json")
