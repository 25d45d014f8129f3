"""Four kinds of failure, because there are four things to do about one.

InvalidEvent (schemas.codec)   dead-letter it, never retry
EarlyWarningError
  Misconfigured                refuse to start: the person who started it must change something
  Unavailable                  back off and retry, commit nothing
    ProcessEnded               a process that we started gave up: say why, and end as it did
  Rejected                     the other side said no: record it and go on
    NotFound                   there is no such thing
    NotAllowed                 the account's role does not reach so far
    Conflict                   it cannot be done as things stand: the text says why
    Stale                      it was changed since it was read: read it again
  DeadLetterLimit              too many dead letters: the fault is ours or the producer's, so stop
"""

from __future__ import annotations


class EarlyWarningError(Exception):
    """The root. Its text is one line that says what to do; the command line prints it without a traceback."""


class Misconfigured(EarlyWarningError):  # noqa: N818 - named for what is wrong
    """A setting, a file or the cluster is not as it must be. Exit code 2."""


class Unavailable(EarlyWarningError):  # noqa: N818 - named for what is wrong
    """Something that is needed cannot be reached now. Exit code 1 where nothing retries."""


class ProcessEnded(Unavailable):
    """A process that we started gave up. Its own exit code is ours if it is 2 or 3: the reason is the same."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Rejected(EarlyWarningError):  # noqa: N818 - named for what is wrong
    """The other side refused for good."""


class NotFound(Rejected):
    """There is no case, borrower or account of that name."""


class NotAllowed(Rejected):
    """Who asked may not do this."""


class Conflict(Rejected):
    """What was asked for does not go with the state that things are in."""


class Stale(Rejected):
    """Somebody else has changed it in the meantime. Nothing was written."""


class DeadLetterLimit(EarlyWarningError):  # noqa: N818 - named for what is wrong
    """Too many records of a topic's partition in a row were dead letters. Exit code 3, nothing committed."""

    def __init__(self, topic: str, partition: int, detail: str) -> None:
        what_to_do = "look at `ews dead-letters list` (a replay: --dead-letters FILE), mend the source, start again"
        super().__init__(f"{topic}/{partition}: {detail}; {what_to_do}")
        self.topic = topic
        self.partition = partition
