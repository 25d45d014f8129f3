"""An older release of the worker, planted: its own code in its own directory, run beside today's.

`python -m tests.upgrade.releases` plants the code of the working tree. Do so at each release, and whenever the state's
version rises (with the code from before): then the rolling upgrade is tested from what is in the field.
"""

from __future__ import annotations

import re
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLANTED = Path(__file__).parent / "worker.tar.xz"
PARTS = (
    "schemas/*.py",
    "streams/__init__.py",
    *(f"streams/{name}.py" for name in ("clock", "errors", "health", "metrics", "settings")),
    "streams/agents/*.py",
    "streams/detectors/**/*.py",
    "streams/engine/**/*.py",
    "streams/kafka/*.py",
    "streams/bootstrap/__init__.py",
    *(f"streams/bootstrap/{name}.py" for name in ("logs", "policies", "policy", "policy_book", "supervisor", "worker")),
)
"""What a worker imports."""
RUN = """
import sys
from streams.bootstrap.worker import run
from streams.errors import Misconfigured
from streams.settings import load
try:
    sys.exit(run(load()))
except Misconfigured as wrong:
    sys.exit(f"ews: {wrong}")
"""
"""A worker's process, of whichever release is first on the path."""


def plant() -> int:
    """Pack today's worker; the number of files."""
    files = sorted({path for part in PARTS for path in ROOT.glob(part)})
    with tarfile.open(PLANTED, "w:xz") as archive:
        for path in files:
            archive.add(path, path.relative_to(ROOT).as_posix(), filter=_plain)
    return len(files)


def unpack(directory: Path) -> Path:
    """The planted release in a directory, for PYTHONPATH."""
    with tarfile.open(PLANTED) as archive:
        archive.extractall(directory, filter="data")
    return directory


def state_version(release: Path) -> int:
    """The version of the states that a release writes."""
    text = (release / "streams" / "engine" / "borrower.py").read_text(encoding="utf-8")
    found = re.search(r"^STATE_VERSION = (\d+)$", text, flags=re.MULTILINE)
    assert found is not None, "a release says its state's version in one line"
    return int(found[1])


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without owner, rights and time: planted twice it is the same file."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


if __name__ == "__main__":
    sys.stdout.write(f"{plant()} files in {PLANTED.name}, {PLANTED.stat().st_size:,} bytes\n")
