from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NEEDS_DOCKER = """
import pytest

@pytest.mark.docker
def test_in_a_container():
    raise AssertionError("it ran")
"""


def without_docker(directory: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """Run a test that needs Docker where there is none."""
    shutil.copy(Path(__file__).with_name("conftest.py"), directory)
    (directory / "test_it.py").write_text(NEEDS_DOCKER)
    environment = os.environ | {"PATH": str(directory), "CI": ci}
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


def test_at_home_it_is_skipped_with_the_reason(tmp_path: Path) -> None:
    """Without Docker a container test is skipped, and the closing report says why."""
    answer = without_docker(tmp_path, ci="")
    assert (0, True) == (answer.returncode, "needs Docker: there is no docker command" in answer.stdout)
    assert "1 skipped" in answer.stdout


def test_in_ci_it_fails(tmp_path: Path) -> None:
    """Where CI=true a missing Docker fails the run instead of passing it silently."""
    answer = without_docker(tmp_path, ci="true")
    assert (1, True) == (answer.returncode, "the container tests must run in CI" in answer.stdout)


@pytest.mark.docker
def test_docker_answers() -> None:
    """The rule itself is met here: the engine names its version."""
    answer = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip()
