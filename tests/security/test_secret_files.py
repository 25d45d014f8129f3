from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streams.cli import main
from streams.errors import Misconfigured
from streams.settings import MASK, SECRET, Settings, load, shown

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-4711"
VALUES = {
    "sasl_password": CANARY,
    "ssl_key_password": CANARY,
    "database_url": f"postgresql://ews:{CANARY}@127.0.0.1:9/ews?sslmode=require&sslpassword={CANARY}",
    "contacts_url": f"postgresql://ews:{CANARY}@127.0.0.1:9/contacts",
    "webhook_url": f"https://user:{CANARY}@chat.example/hooks/{CANARY}",
    "webhook_secret": f"whsec_{CANARY}",
    "staff_urls": f"slack://{CANARY}",
    "contacts_key": CANARY,
    "token_keys": f"1:{CANARY * 4}",
    "sms_url": f"https://sms.example/{CANARY}",
    "push_url": f"https://push.example/{CANARY}",
    "call_url": f"https://call.example/{CANARY}",
    "provider_token": CANARY,
    "smtp_url": f"smtp://user:{CANARY}@mail.example:587",
}
COMMANDS = (
    ("config", "show"),
    ("config", "show", "--json"),
    ("config", "check"),
    ("cases", "list"),
    ("cases", "serve"),
    ("notifier",),
    ("api", "serve"),
    ("contacts", "show", "b-1"),
    ("contacts", "export", "b-1"),
    ("topics", "check"),
    ("worker",),
    ("import", "--map", "there-is-none.toml", "--out", "x", "y"),
)
"""Commands that meet a database, a broker and a key that cannot be used."""


def test_every_secret_has_a_value_to_look_for() -> None:
    """A new secret setting is looked for in the outputs too."""
    assert set(SECRET) == set(VALUES)


@pytest.mark.parametrize("name", SECRET)
def test_a_secret_comes_out_of_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EWS_NAME_FILE stands for the content of a file, without the line's end; so secrets are mounted."""
    file = tmp_path / name
    file.write_text(VALUES[name] + "\n")
    monkeypatch.setenv("EWS_WEBHOOK_SECRET", "whsec_x")
    monkeypatch.delenv(f"EWS_{name.upper()}", raising=False)
    monkeypatch.setenv(f"EWS_{name.upper()}_FILE", str(file))
    value = getattr(load(), name)
    assert VALUES[name] == (value if isinstance(value, str) else value.get_secret_value())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "is no readable text file"), (b"\n", "is empty"), (b"\xff\xfe", "is no readable text file")],
)
def test_a_file_that_holds_no_secret_is_named(
    content: bytes | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing, empty or unreadable file refuses to start, with its variable and path."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("EWS_SASL_PASSWORD_FILE", str(file))
    with pytest.raises(Misconfigured, match=f"EWS_SASL_PASSWORD_FILE: {file} {sentence}"):
        load()


def test_a_secret_that_is_given_twice_refuses_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of the two counts would be a guess; neither is told."""
    (tmp_path / "secret").write_text("one")
    monkeypatch.setenv("EWS_SASL_PASSWORD", CANARY)
    monkeypatch.setenv("EWS_SASL_PASSWORD_FILE", str(tmp_path / "secret"))
    with pytest.raises(Misconfigured, match="say the same thing twice") as refused:
        load()
    assert CANARY not in str(refused.value)


def test_what_is_no_secret_has_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable is told apart from a secret's file."""
    monkeypatch.setenv("EWS_PARTITIONS_FILE", "x")
    with pytest.raises(Misconfigured, match="there is no setting EWS_PARTITIONS_FILE"):
        load()


def test_no_secret_is_shown() -> None:
    """Neither `shown`, which `ews config show` prints, nor the settings' own text has any of them."""
    settings = Settings(**VALUES)
    assert CANARY not in str(shown(settings))
    assert CANARY not in repr(settings)
    assert MASK in shown(settings)["EWS_DATABASE_URL"]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
def test_no_command_tells_a_secret(
    command: tuple[str, ...],
    debug: bool,  # noqa: FBT001 - a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Whatever fails for a wrong or unreachable secret, output, log and traceback have none of them."""
    monkeypatch.setenv("EWS_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    for name, value in VALUES.items():
        monkeypatch.setenv(f"EWS_{name.upper()}", value)
    main([*(["--debug"] if debug else []), *command])
    said = "".join(capfd.readouterr())
    assert said
    assert CANARY not in said
