"""What is known of borrowers before something is done: their open cases, their episodes, what people made of them.

A book is read for a change with a lock (`cases.CaseTransaction`), or only to look, as here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import select, true

from schemas.alerts import AlertStatus
from streams.errors import NotFound
from streams.stores.case import Book
from streams.stores.case_reading import Work, pages, read_cases, read_episodes, read_work
from streams.stores.rows import episode_from
from streams.stores.tables import cases, episodes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from sqlalchemy import Connection, Select

    from streams.stores.case import Case, Episode

OPEN_STATUSES = (AlertStatus.OPENED, AlertStatus.ESCALATED)


class CaseBooks:
    """The books of borrowers, as one transaction sees them."""

    locks: ClassVar[bool] = False
    """Whether the cases that are read stay as they are until the transaction ends."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def books(self, borrowers: Collection[str], episode_ids: Collection[str] = ()) -> dict[str, Book]:
        """The book of each borrower: the open case, its episodes, loose open ones, those of `episode_ids`."""
        held = {case.borrower: case for case in self._open_cases(borrowers)}
        case_ids = [case.case_id for case in held.values()]
        latest: dict[str, dict[str, Episode]] = {borrower: {} for borrower in borrowers}
        for episode in self._episodes(borrowers, episode_ids, case_ids):
            known = latest.setdefault(episode.borrower, {}).get(episode.episode_id)
            if known is None or _newer(episode, known, case_ids):
                latest[episode.borrower][episode.episode_id] = episode
        work, dead = read_work(self.connection, case_ids), self._deceased(borrowers)
        return {each: _book(each, held.get(each), latest[each], work, deceased=each in dead) for each in borrowers}

    def book_of(self, case_id: str) -> Book:
        """The book with this case, open or ended. Raises NotFound."""
        case = next(self._read(select(cases).where(cases.c.case_id == case_id)), None)
        if case is None:
            raise NotFound("there is no such case")
        work, dead = read_work(self.connection, [case_id]), self._deceased([case.borrower])
        if case.closed_at is None:
            return _book(case.borrower, case, self._held_or_loose(case), work, deceased=bool(dead))
        held = {episode.episode_id: episode for episode in read_episodes(self.connection, [case_id])}
        book = _book(case.borrower, case, held, work, deceased=bool(dead))
        return replace(book, since=self._since(case.borrower, held), open_elsewhere=self._open_of(case.borrower))

    def _open_cases(self, borrowers: Collection[str]) -> Iterator[Case]:
        for page in pages(sorted(borrowers)):
            query = select(cases).where(cases.c.borrower.in_(page), cases.c.closed_at.is_(None))
            yield from self._read(query.order_by(cases.c.case_id))

    def _read(self, query: Select[Any]) -> Iterator[Case]:
        yield from read_cases(self.connection, query.with_for_update() if self.locks else query)

    def _episodes(
        self, borrowers: Collection[str], episode_ids: Collection[str], case_ids: Collection[str]
    ) -> Iterator[Episode]:
        wanted = (
            *(episodes.c.borrower.in_(page) & episodes.c.status.in_(OPEN_STATUSES) for page in pages(borrowers)),
            *(episodes.c.episode_id.in_(page) for page in pages(episode_ids)),
            *(episodes.c.case_id.in_(page) for page in pages(case_ids)),
        )
        for condition in wanted:
            yield from map(episode_from, self.connection.execute(select(episodes).where(condition)))

    def _held_or_loose(self, case: Case) -> dict[str, Episode]:
        """The episodes of an open case, and the borrower's open ones that no case holds."""
        mine = (episodes.c.case_id == case.case_id) | (
            (episodes.c.case_id == "") & episodes.c.status.in_(OPEN_STATUSES)
        )
        query = select(episodes).where(episodes.c.borrower == case.borrower, mine)
        found = sorted(map(episode_from, self.connection.execute(query)), key=lambda e: _age(e, [case.case_id]))
        return {episode.episode_id: episode for episode in found}

    def _since(self, borrower: str, held: Mapping[str, Episode]) -> tuple[Episode, ...]:
        """The latest revisions of an ended case's episodes, where they are later than its own; open ones in no case."""
        loose = (episodes.c.case_id == "") & episodes.c.status.in_(OPEN_STATUSES)
        latest: dict[str, Episode] = dict(held)
        for page in pages(held):  # A case holds one episode at least.
            query = select(episodes).where(episodes.c.borrower == borrower, episodes.c.episode_id.in_(page) | loose)
            for episode in map(episode_from, self.connection.execute(query)):
                known = latest.get(episode.episode_id)
                if known is None or episode.revision > known.revision:
                    latest[episode.episode_id] = episode
        return tuple(episode for name, episode in sorted(latest.items()) if episode is not held.get(name))

    def _deceased(self, borrowers: Collection[str]) -> set[str]:
        return {
            borrower
            for page in pages(borrowers)
            for borrower in self.connection.scalars(
                select(cases.c.borrower).where(
                    cases.c.borrower.in_(page), cases.c.deceased == true(), cases.c.closed_at.isnot(None)
                )
            )
        }

    def _open_of(self, borrower: str) -> str | None:
        query = select(cases.c.case_id).where(cases.c.borrower == borrower, cases.c.closed_at.is_(None))
        return self.connection.scalar(query)


def _newer(one: Episode, other: Episode, open_cases: Collection[str]) -> bool:
    """Which of two rows of an episode counts: the later revision, of equal ones that of the open case."""
    return _age(one, open_cases) > _age(other, open_cases)


def _age(episode: Episode, open_cases: Collection[str]) -> tuple[int, bool, str]:
    return episode.revision, episode.case_id in open_cases, episode.case_id or ""


def _book(
    borrower: str, case: Case | None, held: Mapping[str, Episode], work: Mapping[str, Work], *, deceased: bool
) -> Book:
    made = work[case.case_id] if case is not None else Work()
    return Book(borrower, case, held, made.promises, made.approvals, made.plans, deceased=deceased)
