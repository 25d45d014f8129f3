"""Questions that are asked side by side, answered together by a blocking function: one transaction for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from streams.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Gathering(Generic[Question, Answer]):
    """Gathers what is asked while the last questions are being answered. Each answer stands at its question's place."""

    def __init__(self, answer: Callable[[Sequence[Question]], Sequence[Answer]], *, most: int) -> None:
        self._answer = answer
        self._most = most
        self._asked: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """The answer. Raises what answering raised: Unavailable to all that were asked together, else to one alone."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked.append((question, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            await asyncio.sleep(0)  # Whoever is about to ask does so now.
            while self._asked:
                group, self._asked = self._asked[: self._most], self._asked[self._most :]
                await self._settle(group)
        finally:
            self._task = None

    async def _settle(self, group: Sequence[tuple[Question, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await asyncio.to_thread(self._answer, [question for question, _ in group])
        except Exception as fault:  # noqa: BLE001 - whoever asked is told
            if len(group) > 1 and not isinstance(fault, Unavailable):  # One of them: the others are not to suffer.
                for one in group:
                    await self._settle([one])
                return
            for _, future in group:
                if not future.done():
                    future.set_exception(fault)
            return
        for (_, future), answer in zip(group, answers, strict=True):
            if not future.done():
                future.set_result(answer)
