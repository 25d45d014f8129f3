"""What every test may ask for: a real broker (`broker`), topic names of its own (`prefix`), Docker, a browser."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap servers of a real Apache Kafka, one for the whole session, started by the first test that asks."""
    from streams.local.broker import LocalBroker  # noqa: PLC0415 - fast tests need no Java

    with LocalBroker(tmp_path_factory.mktemp("broker"), say=print) as local:
        yield local.bootstrap_servers


@pytest.fixture
def prefix() -> str:
    """A prefix that makes the names of this test's topics, groups and transactional ids its own."""
    return f"t{os.getpid()}-{next(_numbers)}-"


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of the shell that it was started from."""
    for name in [name for name in os.environ if name.upper().startswith("EWS_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """A process's command that ran in a test sets up logs; they would write to what the next test has closed."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def docker() -> None:
    """Docker answers. At home the test is skipped without it, with the reason; where CI=true it fails."""
    reason = _why_no_docker()
    if reason is None:
        return
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"the container tests must run in CI, and {reason}", pytrace=False)
    pytest.skip(f"needs Docker: {reason}")


@pytest.fixture(scope="session")
def chromium() -> str:
    """A Chromium: CHROMIUM, or one on the PATH. Without one as with Docker: skipped at home, a failure in CI."""
    named = os.environ.get("CHROMIUM", "")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is not None:
        return found
    reason = f"CHROMIUM={named} is no program" if named else f"there is none of {', '.join(BROWSERS)} on the PATH"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"the browser tests must run in CI, and {reason}", pytrace=False)
    pytest.skip(f"needs Chromium: {reason}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for the broker is an integration test; a mark `docker` or `browser` asks for what it needs."""
    for item in items:
        fixtures = getattr(item, "fixturenames", [])
        if "broker" in fixtures:
            item.add_marker("integration")
        for mark, fixture in (("docker", "docker"), ("browser", "chromium")):
            if item.get_closest_marker(mark) and fixture not in fixtures:
                fixtures.insert(0, fixture)
            elif fixture in fixtures:
                item.add_marker(mark)


def _why_no_docker() -> str | None:
    if shutil.which("docker") is None:
        return "there is no docker command"
    try:
        answer = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "docker does not answer"
    return None if answer.returncode == 0 else f"docker says: {answer.stderr.strip().splitlines()[-1:]}"
