from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from streams import clock
from streams.errors import Misconfigured, Unavailable
from streams.local import jars
from streams.local.broker import LocalBroker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.integration

STARTS_ONE_AND_WAITS = """
import sys, time
from pathlib import Path
from streams.local.broker import LocalBroker
with LocalBroker(Path(sys.argv[1])) as broker:
    print(broker.port, flush=True)
    time.sleep(600)
"""


def listens(port: int) -> bool:
    """Whether anything accepts connections on a port of loopback."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def until(condition: Callable[[], bool], seconds_max: float = 30.0) -> bool:
    """Poll a condition until it holds or the bound has passed."""
    deadline = clock.monotonic() + seconds_max
    while not condition() and clock.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_it_answers_keeps_its_data_and_stops(tmp_path: Path) -> None:
    """A broker answers when `start` returns, is gone when `stop` returns, and starts again on the same data."""
    broker = LocalBroker(tmp_path)
    for _ in range(2):
        with broker:
            assert broker.running
            assert listens(broker.port)
        assert not broker.running
        assert not listens(broker.port)
    assert {"broker.log", "kafka", "lock", "server.properties"} == {entry.name for entry in tmp_path.iterdir()}


def test_two_cannot_share_a_directory(tmp_path: Path) -> None:
    """The second broker in a directory is refused with the process that has it, and the first lives on."""
    with LocalBroker(tmp_path) as first:
        with pytest.raises(Misconfigured, match=f"{tmp_path} is in use by the broker of process {os.getpid()}"):
            LocalBroker(tmp_path).start()
        assert first.running
        assert listens(first.port)


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    """A port that somebody listens on is named, before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"port {port} of 127.0.0.1 cannot be used \(Address already in use\)"):
            LocalBroker(tmp_path, port).start()


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """A directory that is a file is a mistake of whoever named it."""
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match=r"cannot write into .*file"):
        LocalBroker(tmp_path / "file").start()


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    """Data that Kafka refuses ends in one line with Kafka's complaint and where its log is; the directory is freed."""
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "meta.properties").write_text("version=1\ncluster.id=another\nnode.id=7\n")
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"Apache Kafka did not start: .*node.*its log is .*broker.log"):
            LocalBroker(tmp_path).start()


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """When the process that started it is killed outright, the broker ends too and frees its directory."""
    command = [sys.executable, "-c", STARTS_ONE_AND_WAITS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        assert listens(port)
        parent.send_signal(signal.SIGKILL)
    assert until(lambda: not listens(port))
    with LocalBroker(tmp_path) as broker:
        assert broker.running


def test_without_a_network_and_a_cache_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first start on a machine that reaches nothing says so and what else can be done, and leaves no half cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # The port of `discard`: nothing answers.
    said: list[str] = []
    with pytest.raises(Unavailable, match=r"could not be downloaded .*--bootstrap") as failed:
        LocalBroker(tmp_path / "broker", say=said.append).start()
    assert "\n" not in str(failed.value)
    assert 1 == len(said)
    assert [] == list(jars.cache_folder().iterdir())
