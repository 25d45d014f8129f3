"""Run a function of ours in a process that ends with the one that started it, whatever ended that. Started with -m.

    python -m streams.local.demo.child MODULE:FUNCTION ARGUMENTS...

Standard input is a pipe that the parent holds and never writes to: when it ends, the parent is gone, and so must be
this process and all that it started, which is its process group.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from importlib import import_module


def main(entry: str, arguments: list[str]) -> int:
    """Call the function with the arguments. Its result is the exit code."""
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    module, _, name = entry.partition(":")
    return int(getattr(import_module(module), name)(arguments) or 0)


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
