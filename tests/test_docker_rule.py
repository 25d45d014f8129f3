from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NEEDS_IT = """
import pytest

@pytest.mark.{mark}
def test_with_it():
    raise AssertionError("it ran")
"""
MISSING = {
    "docker": ("needs Docker: there is no docker command", "the container tests must run in CI"),
    "browser": ("needs Chromium: there is none of chromium", "the browser tests must run in CI"),
}


def without(mark: str, directory: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """Run a test that needs something where there is nothing."""
    shutil.copy(Path(__file__).with_name("conftest.py"), directory)
    (directory / "test_it.py").write_text(NEEDS_IT.format(mark=mark))
    environment = os.environ | {"PATH": str(directory), "CI": ci, "CHROMIUM": ""}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(directory),
        str(directory),
    ]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=directory)


@pytest.mark.parametrize("mark", MISSING)
def test_at_home_it_is_skipped_with_the_reason(mark: str, tmp_path: Path) -> None:
    """Without Docker or a browser a test that needs it is skipped, and the closing report says why."""
    answer = without(mark, tmp_path, ci="")
    assert (0, True) == (answer.returncode, MISSING[mark][0] in answer.stdout)
    assert "1 skipped" in answer.stdout


@pytest.mark.parametrize("mark", MISSING)
def test_in_ci_it_fails(mark: str, tmp_path: Path) -> None:
    """Where CI=true what is missing fails the run instead of passing it silently."""
    answer = without(mark, tmp_path, ci="true")
    assert (1, True) == (answer.returncode, MISSING[mark][1] in answer.stdout)


@pytest.mark.docker
def test_docker_answers() -> None:
    """The rule itself is met here: the engine names its version."""
    answer = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip()
