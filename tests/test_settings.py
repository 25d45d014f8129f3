from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from streams.bootstrap.settings_page import FILE, SECTIONS, page
from streams.errors import Misconfigured
from streams.settings import MASK, SECRET, Settings, from_file, load, shown, variable

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = {
    "EWS_SASL_PASSWORD": "hunter2",
    "EWS_SSL_KEY_PASSWORD": "hunter3",
    "EWS_WEBHOOK_SECRET": "whsec_hunter4",
    "EWS_WEBHOOK_URL": "https://user:hunter5@chat.example/hooks/hunter6",
    "EWS_DATABASE_URL": "postgresql+psycopg://ews:hunter7@db.example:5432/ews?sslmode=require",
}


def test_nothing_set_is_a_working_installation() -> None:
    """Without any variable the settings are those of one machine with a local broker."""
    assert "127.0.0.1:9092" == load().bootstrap_servers


def test_a_variable_sets_and_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read, an option that was given goes before it, and None stands for not given."""
    monkeypatch.setenv("EWS_PARTITIONS", "16")
    assert 16 == load(partitions=None).partitions
    assert 4 == load(partitions=4).partitions


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files hand over empty variables for what is not set; they count as absent."""
    monkeypatch.setenv("EWS_LIVE_FROM", "")
    assert load().live_from is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("EWS_PARTITION", "did you mean EWS_PARTITIONS?"),
        ("ews_bootstrap_server", "did you mean EWS_BOOTSTRAP_SERVERS?"),
        ("EWS_ZZZ", "see `ews config show`"),
    ],
)
def test_an_unknown_variable_refuses_to_start(monkeypatch: pytest.MonkeyPatch, name: str, hint: str) -> None:
    """A misspelt setting is named, with the one that was probably meant, instead of being passed over."""
    monkeypatch.setenv(name, "4")
    with pytest.raises(Misconfigured) as refused:
        load()
    assert f"there is no setting {name}, {hint}" == str(refused.value)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"EWS_PARTITIONS": "many"}, "EWS_PARTITIONS: Input should be a valid integer"),
        ({"EWS_PARTITIONS": "0"}, "EWS_PARTITIONS: Input should be greater than or equal to 1"),
        ({"EWS_CLOCK": "sun"}, "EWS_CLOCK: Input should be 'wall' or 'event'"),
        (
            {"EWS_BOOTSTRAP_SERVERS": "kafka"},
            "EWS_BOOTSTRAP_SERVERS: not in the form that is asked for: Kafka's brokers, as host:port",
        ),
        ({"EWS_LIVE_FROM": "2026-01-01T00:00:00"}, "EWS_LIVE_FROM: Input should have timezone info"),
        ({"EWS_CLOCK_UNTIL": "2026-01-01T00:00:00Z"}, "EWS_CLOCK_UNTIL needs EWS_CLOCK=event"),
        ({"EWS_MIN_ISR": "2"}, "EWS_MIN_ISR is more than EWS_REPLICATION"),
        ({"EWS_SECURITY_PROTOCOL": "SASL_SSL"}, "needs EWS_SASL_USERNAME and EWS_SASL_PASSWORD"),
        ({"EWS_WEBHOOK_URL": "https://a.example/"}, "EWS_WEBHOOK_URL needs EWS_WEBHOOK_SECRET"),
        (
            {"EWS_POLICY_FILE": "/nowhere/policy.toml"},
            "EWS_POLICY_FILE: there is no readable file /nowhere/policy.toml",
        ),
    ],
)
def test_every_mistake_is_one_line_with_its_name(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    """A wrong value names its variable and what is wrong with it, in a single line."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured) as refused:
        load()
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_mistakes_are_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to start twice to learn of two mistakes."""
    monkeypatch.setenv("EWS_PARTITIONS", "x")
    monkeypatch.setenv("EWS_TICK_SECONDS", "0")
    with pytest.raises(Misconfigured, match=r"EWS_PARTITIONS.*; EWS_TICK_SECONDS"):
        load()


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords, webhook paths and the passwords in URLs are masked wherever the settings are printed."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    settings = load()
    values = shown(settings)
    assert "hunter" not in str(values) + repr(settings) + str(settings)
    assert MASK == values["EWS_SASL_PASSWORD"]
    assert f"postgresql+psycopg://ews:{MASK}@db.example:5432/ews?sslmode=require" == values["EWS_DATABASE_URL"]
    assert f"https://chat.example/{MASK}" == values["EWS_WEBHOOK_URL"]


def test_a_secret_is_not_quoted_in_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is refused is not repeated: it may be a secret that went into the wrong variable."""
    monkeypatch.setenv("EWS_WEBHOOK_URL", "hunter2")
    with pytest.raises(Misconfigured) as refused:
        load()
    assert "hunter2" not in str(refused.value)


def test_a_readable_policy_file_is_taken(tmp_path: Path) -> None:
    """The file of the policy is found when it is there."""
    file = tmp_path / "policy.toml"
    file.touch()
    assert file == load(policy_file=file).policy_file


def test_every_setting_says_what_it_is_for() -> None:
    """`ews config show` has a sentence for each of them."""
    assert not [name for name, field in Settings.model_fields.items() if not (field.description or "").strip()]


def test_the_page_of_settings_is_up_to_date() -> None:
    """`poe settings` was run after the last change: docs/settings.md is made from the model."""
    assert FILE.read_text(encoding="utf-8") == page(), "run `uv run poe settings`"


def test_the_page_names_every_setting_once_and_every_file_of_a_secret() -> None:
    """In the order of the model, in sections that begin with a setting that is there."""
    told = re.findall(r"^\| `(EWS_\w+)` \|", page(), re.MULTILINE)
    assert [variable(name) for name in Settings.model_fields] == told
    assert set(SECTIONS) <= set(Settings.model_fields)
    assert {from_file(name) for name in SECRET} == set(re.findall(r"Or `(\w+_FILE)`", page()))


def test_every_setting_says_what_it_is() -> None:
    """One sentence or more, with an end."""
    unsaid = [name for name, field in Settings.model_fields.items() if not (field.description or "").endswith(".")]
    assert [] == unsaid
