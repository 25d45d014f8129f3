"""Puts the import of contacts together: a file's rows into the contact store, every refused row told."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from streams import clock
from streams.bootstrap.contacts import contact_store
from streams.casework.packs import pack_names
from streams.history.contact_file import ContactFile, Line
from streams.history.importer import Refusal
from streams.stores.contacts import Put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from streams.settings import Settings
    from streams.stores.contact import IncomingRecord
    from streams.stores.contacts import ContactStore

    Writer = Callable[[Sequence[IncomingRecord]], list[Put]]

BATCH_ROWS = 1_000
"""Rows of one transaction, unless all are one."""
ERASED = "the borrower was erased: take them off the list, or say --again"


@dataclass(slots=True)
class Imported:
    """What came of an import. Without `kept` the file was refused as a whole and nothing of it was stored."""

    rows: int = 0
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    kept: bool = True

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "rows": self.rows,
            "stored": self.kept,
            **{name: self.done[name] for name in (Put.NEW, Put.CHANGED, Put.SAME)},
            "refused": self.refused.total(),
            "reasons": dict(sorted(self.refused.items())),
        }


class _AllOrNothing(Exception):  # noqa: N818 - takes the transaction back
    pass


def import_contacts(  # everything that a person may ask for
    settings: Settings,
    path: Path,
    *,
    strict: bool = False,
    again: bool = False,
    format_: str | None = None,
    refused: Callable[[Refusal], None],
    progress: Callable[[int], None],
) -> Imported:
    """Store a file's rows. With `strict` all of them or none. Raises Misconfigured or Unavailable."""
    now, result = clock.now(), Imported()
    file = ContactFile(path, now=now, packs=pack_names(settings.contact_packs_dir), format_=format_)
    with contact_store(settings, needs_key=True) as store:
        job = _Job(store, now, result, refused, progress, again=again)
        try:
            job.run(file, strict=strict)
        except _AllOrNothing:
            result.kept = False
            result.done.clear()
    return result


class _Job:
    """One import on its way."""

    def __init__(
        self,
        store: ContactStore,
        now: datetime,
        result: Imported,
        refused: Callable[[Refusal], None],
        progress: Callable[[int], None],
        *,
        again: bool,
    ) -> None:
        self._store = store
        self._now = now
        self._result = result
        self._refused = refused
        self._progress = progress
        self._again = again

    def run(self, file: ContactFile, *, strict: bool) -> None:
        """All batches, each in a transaction of its own or (strict) all in one, which any refusal takes back."""
        with self._putting() if strict else nullcontext(None) as whole:
            for batch in _batches(file.rows()):
                self._take(batch, whole, store=not (strict and self._result.refused))
            if strict and self._result.refused:
                raise _AllOrNothing

    def _take(self, batch: list[Line | Refusal], whole: Writer | None, *, store: bool) -> None:
        for row in batch:
            if isinstance(row, Refusal):
                self._refuse(row)
        good = [row for row in batch if isinstance(row, Line)]
        if good and store:
            self._put(good, whole)
        self._result.rows += len(batch)
        self._progress(self._result.rows)

    def _put(self, good: list[Line], whole: Writer | None) -> None:
        with self._putting() if whole is None else nullcontext(whole) as put:
            done = put([row.record for row in good])
        for row, became in zip(good, done, strict=True):
            if became is Put.ERASED:
                self._refuse(Refusal(row.file, row.line, "erased", ERASED))
            else:
                self._result.done[became] += 1

    def _refuse(self, refusal: Refusal) -> None:
        self._result.refused[refusal.reason] += 1
        self._refused(refusal)

    def _putting(self) -> AbstractContextManager[Writer]:
        return self._store.putting(self._now, again=self._again)


def _batches(rows: Iterator[Line | Refusal]) -> Iterator[list[Line | Refusal]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch
