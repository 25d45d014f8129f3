from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from streams import clock
from streams.cli import main
from streams.errors import Misconfigured, Unavailable
from streams.local.demo import processes
from streams.local.demo.place import MADE, Place
from streams.local.demo.processes import Child, Crew
from streams.local.demo.progress import Progress
from streams.local.demo.screen import sentence

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ACTS = """
import subprocess, sys, time

def sleep(arguments):
    print("sleeping", flush=True)
    time.sleep(600)

def fail(arguments):
    print("one", "the reason", sep="\\n", flush=True)
    return 7

def refuse(arguments):
    print('{"code": 7, "reason": "the reason"}', flush=True)
    return 7

def breed(arguments):
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(grandchild.pid, flush=True)
    time.sleep(600)
"""
STARTS_ONE_AND_WAITS = """
import os, sys, time
from pathlib import Path
from streams.local.demo.processes import Child
child = Child("breeder", "acts:breed", [], os.environ, Path(sys.argv[1]))
child.start()
while not child.lines():
    time.sleep(0.01)
print(child.pid, int(child.last_line()), flush=True)
time.sleep(600)
"""


def until(condition: Callable[[], bool], seconds_max: float = 20.0) -> bool:
    """Poll a condition until it holds or the bound has passed."""
    deadline = clock.monotonic() + seconds_max
    while clock.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def gone(pid: int) -> bool:
    """Whether no process of this id runs any more (a zombie does not run)."""
    answer = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip()[:1] in {"", "Z"}


@pytest.fixture
def acts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions that children can be told to run."""
    (tmp_path / "acts.py").write_text(ACTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def child(tmp_path: Path, act: str) -> Child:
    """A child that is not started yet."""
    return Child(act, f"acts:{act}", [], os.environ, tmp_path / f"{act}.log")


def test_a_directory_with_foreign_files_is_refused(tmp_path: Path) -> None:
    """A directory that holds something and was never a demo's is left alone."""
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(Misconfigured, match=r"holds files that no demo made"), Place(tmp_path):
        pass
    assert ["thesis.txt"] == [entry.name for entry in tmp_path.iterdir()]


def test_only_what_a_demo_made_is_cleaned(tmp_path: Path) -> None:
    """Cleaning removes what demos write, keeps what they do not, and the file that is to be read."""
    with Place(tmp_path / "demo") as place:
        for name in MADE:
            (place / name).mkdir() if name in {"broker", "outbox"} else (place / name).touch()
        (place.directory / "mine.txt").touch()
        (place.directory / "outbox" / "message.json").touch()
    with Place(tmp_path / "demo") as place:
        place.clean(keep=place / "events.jsonl")
        left = {entry.name for entry in place.directory.iterdir()}
    assert {"events.jsonl", "mine.txt", "ews-demo.lock"} == left


def test_a_link_is_not_followed_when_cleaning(tmp_path: Path) -> None:
    """What a link in the directory points at is foreign: only the link goes."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    with Place(tmp_path / "demo") as place:
        (place / "outbox").symlink_to(tmp_path / "precious")
        place.clean()
        assert not (place / "outbox").is_symlink()
    assert (tmp_path / "precious" / "file").exists()


def test_two_demos_cannot_share_a_directory(tmp_path: Path) -> None:
    """The second one is told who has it."""
    with (
        Place(tmp_path / "demo"),
        pytest.raises(Misconfigured, match=f"in use by the demo of process {os.getpid()}"),
        Place(tmp_path / "demo"),
    ):
        pass


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """A directory below a file is a mistake of whoever named it."""
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match=r"cannot write into .*give another --dir"), Place(tmp_path / "file" / "x"):
        pass


@pytest.mark.usefixtures("acts")
async def test_who_is_killed_is_started_again(tmp_path: Path) -> None:
    """A process that a signal ended runs again at once, and the restart is counted."""
    async with Crew() as crew:
        sleeper = crew.start(child(tmp_path, "sleep"))
        first = sleeper.pid
        os.kill(first, signal.SIGKILL)
        assert until(lambda: crew.look() == [sleeper])
        assert sleeper.pid != first
        assert {"sleep": 1} == crew.restarts()
        second = sleeper.pid
    assert gone(second)


@pytest.mark.usefixtures("acts")
async def test_who_is_killed_for_ever_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarts are bounded."""
    monkeypatch.setattr(processes, "RESTARTS_MAX", 0)
    async with Crew() as crew:
        os.kill(crew.start(child(tmp_path, "sleep")).pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match="the sleep was ended by signal 9 too often"):
            until(lambda: bool(crew.look()))


@pytest.mark.usefixtures("acts")
@pytest.mark.parametrize("act", ["fail", "refuse"])
async def test_who_gives_up_ends_the_demo_with_its_reason(tmp_path: Path, act: str) -> None:
    """A process that ends by itself is named with its exit code, its last line (or that line's reason) and its log."""
    async with Crew() as crew:
        crew.start(child(tmp_path, act))
        with pytest.raises(Unavailable, match=rf"the {act} ended with code 7: the reason; its log is .*{act}.log"):
            until(lambda: bool(crew.look()))


@pytest.mark.usefixtures("acts")
def test_children_and_theirs_end_with_the_demo(tmp_path: Path) -> None:
    """When the demo itself is killed outright, its processes and all that those have started are gone."""
    command = [sys.executable, "-c", STARTS_ONE_AND_WAITS, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert not any(map(gone, pids))
        parent.send_signal(signal.SIGKILL)
    assert until(lambda: all(map(gone, pids)))


def test_progress_is_told_in_one_line() -> None:
    """A log shows events, speed, event time, alerts, dead letters, cases and restarts."""
    progress = Progress(total=2_000, applied=1_500, per_second=750.0, event_time_ms=86_400_000, restarts=1)
    progress.alerts["returned_payment"] = 2
    assert (
        "1,500 of 2,000 events applied; 750/s; event time 1970-01-02 00:00; 2 alerts (returned_payment 2); "
        "0 dead letters; 0 cases; 1 restarts"
    ) == sentence(progress)
    assert 500 == progress.lag


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--events", "nowhere.jsonl"], "cannot read nowhere.jsonl"),
        (["--until", "someday"], "--until 'someday' is no time"),
        (["--live-from", "2025-13-01"], "--live-from '2025-13-01' is no time"),
        (["--borrowers", "0"], "'--borrowers'"),
        (["--bootstrap", "nonsense"], "EWS_BOOTSTRAP_SERVERS"),
    ],
)
def test_a_wrong_option_is_one_line(
    arguments: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is wrong with an option is said in one line, with exit code 2, before anything is started."""
    monkeypatch.chdir(tmp_path)
    assert 2 == main(["demo", *arguments, "--dir", "demo"])
    said = capsys.readouterr().err.splitlines()
    assert complaint in said[-1]
