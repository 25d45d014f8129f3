"""The demo as a newcomer and the issue's tests run it: whole, killed, interrupted, on a cluster of somebody's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from streams import clock
from streams.bootstrap.history import replay_files
from streams.history.simulator import Plan, simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.integration

EWS = (sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())")
RESULTS = ("alerts.jsonl", "dead-letters.jsonl", "episodes.jsonl", "portfolio.jsonl")
DEMO_SECONDS_MAX = 240


class Done(NamedTuple):
    """A demo that has ended."""

    directory: Path
    summary: dict[str, Any]

    def results(self) -> dict[str, bytes]:
        """What came of it, byte for byte."""
        return {name: (self.directory / name).read_bytes() for name in RESULTS}


def demo(*arguments: str | Path) -> subprocess.Popen[str]:
    """A demo that has just been started."""
    command = [*EWS, "demo", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str], directory: Path) -> Done:
    """The demo when it has ended well."""
    out, err = process.communicate(timeout=DEMO_SECONDS_MAX)
    assert 0 == process.returncode, err
    return Done(directory, orjson.loads(out))


def until(condition: Callable[[], object], seconds_max: float = 60.0) -> None:
    """Poll a condition until it holds."""
    deadline = clock.monotonic() + seconds_max
    while not condition():
        assert clock.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def processes(text: str) -> dict[int, str]:
    """The running processes with a text in their command line or environment."""
    answer = subprocess.run(["ps", "-A", "-E", "-o", "pid=,args="], capture_output=True, text=True, check=False)
    if answer.returncode:
        answer = subprocess.run(["ps", "axeww", "-o", "pid=,args="], capture_output=True, text=True, check=True)
    rows = (line.split(None, 1) for line in answer.stdout.splitlines())
    return {int(row[0]): row[1] for row in rows if len(row) > 1 and text in row[1] and int(row[0]) != os.getpid()}


def worker_of(directory: Path) -> int | None:
    """The process id of a demo's worker."""
    running = processes(str(directory)).items()
    found = [pid for pid, args in running if "streams.cli:main worker" in args and "--stage" not in args]
    return found[0] if found else None


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small portfolio with some of everything."""
    path = tmp_path_factory.mktemp("portfolio") / "events.jsonl"
    simulate(Plan(borrowers=60, days=100, seed=3, malformed=0.002), path)
    return path


@pytest.fixture(scope="module")
def undisturbed(events: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A demo of it in which nothing happened."""
    directory = tmp_path_factory.mktemp("undisturbed") / "demo"
    return ended(demo("--events", events, "--dir", directory, "--json"), directory)


def test_a_demo_ends_where_a_replay_of_its_file_ends(undisturbed: Done, events: Path, tmp_path: Path) -> None:
    """The same alerts and episodes come out of broker, lanes and transactions as of the engine alone."""
    files = {name: tmp_path / f"{name}.jsonl" for name in ("alerts", "episodes", "dead_letters", "portfolio")}
    replayed = replay_files([str(events)], **files)
    said = undisturbed.summary
    ours = [orjson.loads(line) for line in undisturbed.results()["episodes.jsonl"].splitlines()]
    theirs = [orjson.loads(line) for line in files["episodes"].read_bytes().splitlines()]
    assert ours == theirs
    assert sorted(undisturbed.results()["alerts.jsonl"].splitlines()) == sorted(
        files["alerts"].read_bytes().splitlines()
    )
    assert sorted(undisturbed.results()["portfolio.jsonl"].splitlines()) == sorted(
        files["portfolio"].read_bytes().splitlines()
    )
    assert replayed.portfolio == said["portfolio"]["total"]
    assert said["dead_letters"]["by_reason"] == dict(replayed.dead_letters)
    assert said["events"]["total"] == len(events.read_bytes().splitlines())
    assert min(said["alerts"]["total"], said["dead_letters"]["total"], said["cases"]["total"]) > 0
    assert said["messages"] == {"sent": len(list((undisturbed.directory / "outbox").glob("*.json")))}
    assert {"case_creator": 0, "notifier": 0, "worker": 0, "portfolio": 0} == said["restarts"]
    assert not processes(str(undisturbed.directory))


def test_a_killed_worker_changes_nothing(undisturbed: Done, events: Path, tmp_path: Path) -> None:
    """SIGKILL of the worker, recovering and working: the same alerts, dead letters, episodes and cases."""
    directory = tmp_path / "demo"
    running = demo("--events", events, "--dir", directory, "--json")
    log, seen = directory / "worker.log", 0
    for sign in (b"worker.recovered", b"worker.starting", b"worker.recovered"):
        until(lambda sign=sign, seen=seen: log.exists() and sign in log.read_bytes()[seen:])
        pid = worker_of(directory)
        assert pid is not None
        seen = log.stat().st_size
        os.kill(pid, signal.SIGKILL)
    done = ended(running, directory)
    assert 3 == done.summary["restarts"]["worker"]
    assert undisturbed.results() == done.results()
    assert undisturbed.summary["cases"] == done.summary["cases"]


def test_ctrl_c_leaves_nothing_running_and_the_directory_free(events: Path, tmp_path: Path) -> None:
    """A second demo in the directory is refused; Ctrl-C ends the first with code 130, and SIGKILL the next one too."""
    directory = tmp_path / "demo"
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        running = demo("--events", events, "--dir", directory)
        until(lambda: worker_of(directory) is not None)  # It has the directory: its own process may only be starting.
        second = demo("--dir", directory)
        assert "is in use by the demo of process" in second.communicate()[1]
        assert 2 == second.returncode
        running.send_signal(number)
        running.communicate(timeout=60)
        assert code == running.returncode
        until(lambda: not processes(str(directory)))


def test_ctrl_c_while_it_prepares(tmp_path: Path) -> None:
    """Ctrl-C in the middle of the simulation and the broker's start ends both."""
    directory = tmp_path / "demo"
    running = demo("--borrowers", "20000", "--dir", directory)
    until((directory / "broker" / "broker.log").exists)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert 130 == running.returncode
    until(lambda: not processes(str(directory)))


def test_on_a_given_cluster_it_leaves_no_topics(undisturbed: Done, events: Path, broker: str, tmp_path: Path) -> None:
    """With --bootstrap the same comes out, under a prefix of its own, and the topics are deleted."""
    done = ended(
        demo("--events", events, "--dir", tmp_path / "demo", "--json", "--bootstrap", broker), tmp_path / "demo"
    )
    assert undisturbed.results() == done.results()
    assert done.summary["topic_prefix"].startswith("ews-demo-")
    assert not (tmp_path / "demo" / "broker").exists()
    assert not _topics(broker, done)


def test_until_leaves_later_events_out(events: Path, tmp_path: Path, broker: str) -> None:
    """Time ends at --until, what became known later is not loaded, history is not sent; --keep leaves the topics."""
    times = ("--until", "2025-02-15", "--live-from", "2025-03-01")
    directory, arguments = tmp_path / "demo", ("--json", "--bootstrap", broker, "--keep", *times)
    done = ended(demo("--events", events, "--dir", directory, *arguments), directory)
    said = done.summary
    assert "2025-02-15T00:00:00.000Z" == said["events"]["until"]
    assert said["events"]["last"] <= said["events"]["until"]
    assert len(events.read_bytes().splitlines()) == said["events"]["total"] + said["events"]["after_until"]
    assert {"history"} == set(said["alerts"]["by_mode"])
    assert 0 == said["cases"]["total"] == len(said["messages"])
    assert _topics(broker, done)


def _topics(servers: str, done: Done) -> list[str]:
    """The topics of a demo that are still there."""
    return [name for name in asyncio.run(_all_topics(servers)) if name.startswith(done.summary["topic_prefix"])]


async def _all_topics(servers: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()


def test_it_ends_in_the_console(events: Path, tmp_path: Path) -> None:
    """With --console a team has worked the cases; the console shows them to who has a key, and Ctrl-C ends it well."""
    directory = tmp_path / "demo"
    running = demo("--events", events, "--dir", directory, "--json", "--console", "--console-port", "0")
    assert running.stdout is not None
    said = orjson.loads(running.stdout.readline() or running.communicate()[1])
    console = said["console"]
    assert {"c-ana", "c-ben", "s-eve"} == set(console["keys"])
    assert console["acted"]["assign"] > 0
    with httpx.Client(base_url=console["url"], follow_redirects=True) as browser:
        page = browser.get("sign-in").text
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)
        assert csrf is not None
        browser.post("sign-in", data={"csrf": csrf[1], "key": console["keys"]["s-eve"]})
        assert "b00000" in browser.get("board").text
        assert 'class="timeline"' in browser.get(f"borrowers/{_with_a_case(directory)}").text
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert 0 == running.returncode
    until(lambda: not processes(str(directory)))


def _with_a_case(directory: Path) -> str:
    with contextlib.closing(sqlite3.connect(directory / "cases.db")) as database:
        return str(database.execute("SELECT borrower FROM cases LIMIT 1").fetchone()[0])
