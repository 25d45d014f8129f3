"""Run a command that ends with the process that started it, however that one ends. Started as a script, not imported.

Its standard input is a pipe that the parent holds: when the parent closes it, or dies of anything, SIGKILL included,
the pipe ends, and the command is stopped: asked first, killed when it has not obeyed in time.

    python guard.py PATIENCE_SECONDS COMMAND...
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading


def main(patience_seconds: float, command: list[str]) -> int:
    """Run the command until it ends or the parent does. The command's exit code, 128 + its signal if one ended it."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the command is our own
    threading.Thread(target=_end_with_parent, args=(child, patience_seconds), daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _end_with_parent(child: subprocess.Popen[bytes], patience_seconds: float) -> None:
    while os.read(0, 1):
        pass
    child.terminate()
    try:
        child.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
