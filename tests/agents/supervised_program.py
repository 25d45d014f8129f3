"""A process under a supervisor, for tests: each life appends its number to a file and does what the word of it says."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from streams.bootstrap.supervisor import Supervisor
from streams.errors import Misconfigured, Unavailable

ERRORS = {"unavailable": Unavailable("Kafka is away"), "misconfigured": Misconfigured("a topic is missing")}


def live(diary: Path, words: list[str]) -> int:
    """One life. `stay` ends with 7 when asked to end, `renew` with 0, `die` kills itself; a number is an exit code.

    The name of an error raises it.
    """
    with diary.open("a") as file:
        file.write(f"{os.getpid()} {time.monotonic()}\n")
        number = len(diary.read_text().splitlines())
    word = words[min(number, len(words) - 1)]
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word.isdigit():
        return int(word)
    if word in ERRORS:
        raise ERRORS[word]
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    while not asked:
        time.sleep(0.01)
    return 0 if word == "renew" else 7


if __name__ == "__main__":
    sys.exit(Supervisor(lambda: live(Path(sys.argv[1]), sys.argv[2:])).run())
