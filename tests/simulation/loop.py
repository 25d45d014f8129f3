"""Several processes in one thread: an event loop with virtual time in which a seed says whose turn it is.

Within a process callbacks run in the order in which asyncio would run them, since code may rely on that. Between
processes the order is drawn. A process can be killed or paused between any two of its callbacks, as SIGKILL and SIGSTOP
do it; time goes on meanwhile, and what it had sent is on its way.
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio import events
from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from random import Random

PROCESS: contextvars.ContextVar[Process] = contextvars.ContextVar("process")


class Gone(BaseException):
    """The process that runs this has ended: nothing after it happens."""


class Hang(Exception):  # noqa: N818 - it names what is found
    """Nothing is left to do, or it took too long, and the run is not over."""


class Handle:
    """A callback that waits for its turn."""

    __slots__ = ("args", "callback", "context", "gone", "process", "when_")

    def __init__(
        self, process: Process, context: contextvars.Context, callback: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        self.process = process
        self.context = context
        self.callback: Callable[..., Any] | None = callback
        self.args = args
        self.when_ = 0.0

    def cancel(self) -> None:
        """It will not run."""
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        """Whether it will not run."""
        return self.callback is None

    def when(self) -> float:
        """When it is due."""
        return self.when_


class Process:
    """One simulated process: what of it is ready to run, and until when it does."""

    def __init__(self, name: str, loop: Loop) -> None:
        self.name = name
        self.loop = loop
        self.ready: deque[Handle] = deque()
        self.alive = True
        self.paused = False
        self.steps = 0
        self.stops_at: list[tuple[int, Callable[[], None]]] = []
        """What befalls it after so many steps, the next one last."""
        self.on_end: Callable[[int | None], None] = lambda _: None
        """Told the exit code, None for a kill."""
        self.context = contextvars.Context()
        self.context.run(PROCESS.set, self)

    def end(self, code: int | None) -> None:
        """Ends it between two instructions: nothing is cleaned up."""
        if self.alive:
            self.alive = False
            self.ready.clear()
            self.loop.processes.remove(self)
            self.on_end(code)


class _Task(asyncio.Task[Any]):
    # Sets of tasks are iterated over by hash, which would otherwise be an address.
    _number = 0
    process: Process

    def __hash__(self) -> int:
        return self._number


class Loop(asyncio.AbstractEventLoop):
    """The event loop of all processes."""

    def __init__(self, random: Random, limit: float) -> None:
        self._random = random
        self._limit = limit
        self._now = 0.0
        self._timers: list[tuple[float, int, Handle]] = []
        self._numbers = 0
        self.processes: list[Process] = []
        self.world = self.new_process("world")
        self.turns = 0
        self.surprises: list[str] = []
        """Exceptions that nobody saw, of processes that live."""

    def new_process(self, name: str) -> Process:
        """A process with nothing to do yet."""
        process = Process(name, self)
        self.processes.append(process)
        return process

    # -- what asyncio asks of a loop --------------------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds since the run began."""
        return self._now

    def get_debug(self) -> bool:
        """No."""
        return False

    def is_running(self) -> bool:
        """Yes: it is asked only from within."""
        return True

    def is_closed(self) -> bool:
        """No."""
        return False

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name: Any = None, context: Any = None) -> Any:  # type: ignore[override]
        """A task of the process that asks for it."""
        self._numbers += 1
        task = _Task(coro, loop=self, name=name or "", context=context)
        task._number = self._numbers
        task.process = (context or contextvars.copy_context())[PROCESS]
        return task

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        """At the end of the line of its process."""
        context = contextvars.copy_context() if context is None else context
        process = context[PROCESS]
        handle = Handle(process, context, callback, args)
        if process.alive:
            process.ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        """When it is time."""
        context = contextvars.copy_context() if context is None else context
        handle = Handle(context[PROCESS], context, callback, args)
        handle.when_ = when
        self._numbers += 1
        heappush(self._timers, (when, self._numbers, handle))
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        """After so long."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An exception that nobody saw. Those of the dead are nobody's business."""
        error, task = context.get("exception"), context.get("task")
        if error is not None and not isinstance(error, Gone) and isinstance(task, _Task) and task.process.alive:
            self.surprises.append(f"{type(error).__name__}: {error}")

    # -- the world's side -------------------------------------------------------------------------------------------

    def world_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> None:
        """The world does something after so long, whatever befalls the processes."""
        handle = Handle(self.world, self.world.context, callback, args)
        self._numbers += 1
        heappush(self._timers, (self._now + delay, self._numbers, handle))

    def spawn(self, process: Process, coro: Coroutine[Any, Any, Any]) -> Any:
        """Starts a coroutine in a process."""
        context = process.context.copy()
        return context.run(self.create_task, coro, context=context)

    def pause(self, process: Process, seconds: float) -> None:
        """SIGSTOP now and SIGCONT after so long."""
        if process.alive and not process.paused:
            process.paused = True
            self.world_later(seconds, self._resume, process)

    @staticmethod
    def _resume(process: Process) -> None:
        process.paused = False

    def run(self, coro: Coroutine[Any, Any, Any]) -> Any:
        """Runs until this coroutine of the world is done. Raises Hang."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            main = self.spawn(self.world, coro)
            while not main.done():
                self._turn()
            return main.result()
        finally:
            events._set_running_loop(before)

    def _turn(self) -> None:
        runnable = [process for process in self.processes if process.ready and not process.paused]
        if not runnable:
            self._advance()
            return
        process = runnable[int(self._random.random() * len(runnable))] if len(runnable) > 1 else runnable[0]
        handle = process.ready.popleft()
        if handle.callback is None:
            return
        self.turns += 1
        process.steps += 1
        try:
            handle.context.run(handle.callback, *handle.args)
        except Gone:
            pass
        except Exception as error:  # noqa: BLE001 - a callback's exception is what asyncio would log
            self.surprises.append(f"{type(error).__name__}: {error}")
        if process.stops_at and process.steps >= process.stops_at[-1][0] and process.alive:
            process.stops_at.pop()[1]()

    def _advance(self) -> None:
        if not self._timers:
            raise Hang("nothing is left to do")
        self._now = max(self._now, self._timers[0][0])
        if self._now > self._limit:
            raise Hang(f"not over after {self._limit:.0f} s")
        while self._timers and self._timers[0][0] <= self._now:
            handle = heappop(self._timers)[2]
            if handle.callback is not None and handle.process.alive:
                handle.process.ready.append(handle)
