"""A disk of a broker's own that can be made full: a small file system in memory. Only root may mount one."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SIZE_BYTES = 2 * 2**30
"""What may lie on it: memory, but only as much as is written."""


class SmallDisk:
    """A tmpfs in place of a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def mount(self) -> str | None:
        """Mount it; why not, if that is refused."""
        self.directory.mkdir(parents=True)
        return self._mount(f"size={SIZE_BYTES}")

    def fill(self) -> None:
        """Leave no room."""
        refused = self._mount(f"remount,size={shutil.disk_usage(self.directory).used + 4096}")
        assert refused is None, refused

    def free(self) -> None:
        """Make room again."""
        refused = self._mount(f"remount,size={SIZE_BYTES}")
        assert refused is None, refused

    def unmount(self) -> None:
        """Take it away, with all that is on it."""
        subprocess.run(["umount", "--lazy", self.directory], check=False, capture_output=True)

    def _mount(self, options: str) -> str | None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.directory]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
        except OSError as missing:
            return f"there is no mount ({missing.strerror})"
        return None if done.returncode == 0 else f"a small disk cannot be mounted: {done.stderr.strip()}"
