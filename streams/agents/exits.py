"""How a worker's process ends, a number for each reason, so that whoever restarts it can tell what happened.

A worker does not recover from a failure in place: it ends at once, its transaction is aborted by whoever starts next
under the same transactional ids, and the restart recovers from the log. A graceful stop would let Faust acknowledge and
commit what was not done, so nothing but SIGTERM and SIGINT leads to one.
"""

from __future__ import annotations

import os
import sys
from enum import IntEnum
from typing import Any, NoReturn

import structlog

from streams.errors import Misconfigured

log = structlog.get_logger(__name__)


class Exit(IntEnum):
    """The exit codes of `ews worker`. The first four are those of every command."""

    OK = 0
    """Stopped as asked: the drains in flight were finished."""
    FAILED = 1
    """Kafka could not be reached at the start."""
    MISCONFIGURED = 2
    """A setting, a topic or a partition count is wrong; the reason is named. A restart does not help."""
    DEAD_LETTER_LIMIT = 3
    """Too many records in a row were dead letters; nothing of that drain is committed. A restart does not help."""
    CRASHED = 10
    """A defect of ours or of a library: an exception that nobody expected."""
    FENCED = 11
    """A younger worker owns the lane: this one was paused, and what it did last was not committed."""
    INSTANCE_TAKEN = 12
    """The group no longer knows this member: its id was taken over by another process, or its session ran out."""
    TRANSACTION_DEADLINE = 13
    """A transaction did not end in time."""
    TRANSACTION_FAILED = 14
    """Kafka refused a part of a transaction."""
    RECORD_TOO_LARGE = 15
    """A record to be written is larger than its topic allows. A restart does not help."""
    LANE_INCOMPLETE = 16
    """A lane was assigned without one of its sources or its changelog: are all workers on the same version?"""
    LOG_CHANGED = 17
    """A source does not hold the position that the state stands at: the topic was made anew or cut off."""
    STALLED = 18
    """Records wait and nothing moves, or the process hangs."""
    RECOVERY_FAILED = 19
    """The states could not be read back."""


FINAL = frozenset(
    {Exit.MISCONFIGURED, Exit.DEAD_LETTER_LIMIT, Exit.RECORD_TOO_LARGE, Exit.LANE_INCOMPLETE, Exit.LOG_CHANGED}
)
"""After these a restart would end in the same way: a person must look first."""


def leave(code: Exit, reason: str, **facts: Any) -> NoReturn:
    """Ends the process now: no clean-up, no flush, no commit. `facts` must hold no person."""
    log.critical("worker.exit", code=int(code), exit=code.name.lower(), reason=reason, **facts)
    sys.stderr.flush()
    os._exit(code)


def leave_on(error: BaseException, code: Exit = Exit.CRASHED) -> NoReturn:
    """Ends the process because of this exception. Only its place and type are logged: its text may hold a person.

    The text of a Misconfigured is ours and says what to change: a state of a newer release, for one.
    """
    if isinstance(error, Misconfigured):
        leave(Exit.MISCONFIGURED, str(error))
    traceback = error.__traceback__
    places = []
    while traceback is not None:
        places.append(f"{traceback.tb_frame.f_code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    leave(code, type(error).__name__, at=" ".join(places[-6:]))
