"""The golden files: what producers and subscribers of released versions write and read. Added to, never changed.

A new event version, or a field that is added to one, gets files of its own beside the old ones; then
`python -m tests.schemas.goldens` writes their hashes down. It refuses to touch a hash that is there already.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"
HASHES = GOLDEN / "SHA256SUMS"


def files(folder: str) -> list[Path]:
    """The golden files of a folder, in order."""
    return sorted((GOLDEN / folder).glob("*.json"))


def load(path: Path) -> Any:
    """What a golden file says."""
    return json.loads(path.read_text(encoding="utf-8"))


def frozen() -> dict[str, str]:
    """The hash of each file by its path, as it was written down."""
    lines = HASHES.read_text(encoding="utf-8").splitlines() if HASHES.exists() else []
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def present() -> dict[str, str]:
    """The hash of each file by its path, as it is."""
    return {
        path.relative_to(GOLDEN).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(GOLDEN.rglob("*.json"))
    }


def freeze() -> str | None:
    """Write down the hashes of new files; or say which old one was changed or removed, and write nothing."""
    now, before = present(), frozen()
    broken = [name for name, digest in before.items() if now.get(name) != digest]
    if broken:
        return f"changed or removed: {', '.join(broken)}; golden files are only added to"
    HASHES.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(now.items())), encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(freeze())
