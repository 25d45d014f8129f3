"""`ews api`: the process and the keys, as somebody at a shell has them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from streams.api.console import ROOT
from streams.bootstrap.api import listening
from streams.cli import main
from streams.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())", "api"]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Databases of one's own."""
    own = {
        "EWS_DATABASE_URL": f"sqlite:///{tmp_path}/cases.db",
        "EWS_CONTACTS_URL": f"sqlite:///{tmp_path}/contacts.db",
        "EWS_API_PORT": "0",
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    return own


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """One command under `ews api`."""
    code = main(["api", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_key_is_shown_once(settings: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Alone on standard output, so that a script can take it; never in the list."""
    assert settings
    code, key, _ = run(capsys, "keys", "create", "anna", "--role", "collector", "--takes-cases")
    _, renewed, _ = run(capsys, "keys", "rotate", "anna", "--json")
    _, listed, _ = run(capsys, "keys", "list", "--json")
    ended, _, _ = run(capsys, "keys", "revoke", "anna")

    assert (0, 0) == (code, ended)
    assert key.strip().startswith("ews_")
    assert json.loads(renewed)["key"].startswith("ews_")
    assert [("anna", "collector", True)] == [
        (one["account"], one["role"], one["takes_cases"]) for one in json.loads(listed)
    ]
    assert "ews_" not in listed


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (1, ("keys", "create", "Anna B", "--role", "viewer")),
        (2, ("keys", "create", "anna", "--role", "boss")),
        (1, ("keys", "revoke", "nobody")),
        (1, ("keys", "rotate", "nobody")),
        (2, ("serve", "--port", "99999")),
        (2, ("serve", "--host", "256.0.0.1")),
    ],
)
def test_a_mistake_is_one_line(
    settings: dict[str, str], capsys: pytest.CaptureFixture[str], code: int, arguments: tuple[str, ...]
) -> None:
    """What to do, without a traceback."""
    assert settings
    found, out, err = run(capsys, *arguments)

    assert (code, "") == (found, out)
    assert 1 == len(err.strip().splitlines())


def test_a_port_that_is_taken_is_said_so() -> None:
    """With the settings that change it."""
    with (
        listening("127.0.0.1", 0) as taken,
        pytest.raises(Misconfigured, match="set EWS_API_HOST"),
        listening("127.0.0.1", taken.getsockname()[1]),
    ):
        pass


def test_the_process_serves_and_ends_when_it_is_told(
    settings: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It says where it listens; API, console and probes answer; SIGTERM ends it with 0, a listener's stream too."""
    _, key, _ = run(capsys, "keys", "create", "anna", "--role", "viewer")
    process = subprocess.Popen([*COMMAND, "serve"], env=os.environ | settings, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        at = next(line for line in map(json.loads, process.stderr) if line["event"] == "api.listening")
        drained: list[Any] = []
        with httpx.Client(base_url=f"http://127.0.0.1:{at['port']}", timeout=30) as http:
            headers = {"Authorization": f"Bearer {key.strip()}"}
            answers = [
                http.get(path, headers=headers).status_code
                for path in ("/v1/me", "/healthz", f"{ROOT}/sign-in", "/", ROOT)
            ]
            with http.stream("GET", "/v1/events", headers=headers) as stream:
                lines = stream.iter_lines()
                next(line for line in lines if line.startswith("id:"))
                process.send_signal(signal.SIGTERM)
                drained = list(lines)
        code = process.wait(30)
        log = process.stderr.read()
    finally:
        process.kill()
        process.stderr.close()

    assert [200, 200, 200, 307, 307] == answers
    assert 0 == code
    assert isinstance(drained, list)
    assert key.strip() not in log
