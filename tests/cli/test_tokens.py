"""`ews tokens`, and tokens that an import makes."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from schemas.tokens import parse_keys, token
from streams.cli import main

if TYPE_CHECKING:
    from pathlib import Path

KEYS = f"2:{'ab' * 32},1:{'cd' * 32}"
MAPPING = """
source = "core/export"
zone = "Asia/Shanghai"
currency = "CNY"
[tokens]
subject = "borrower"
[[rows]]
type = "ews.loan.closed.v1"
subject = "customer"
time = "at"
columns = { loan = "loan" }
"""
ROW = "customer,loan,at\n1002003,l-1,2026-03-01T09:30:00\n"


def said(capfd: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Standard output and error."""
    return capfd.readouterr()


def test_ids_come_by_a_pipe_and_tokens_go_out(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A line in is a line out, by the newest key or the one that is asked for."""
    monkeypatch.setenv("EWS_TOKEN_KEYS", KEYS)
    newest, older = parse_keys(KEYS)
    for arguments, key in (((), newest), (("--key-version", "1"), older)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1002003\nx\n")))
        assert 0 == main(["tokens", "make", *arguments])
        assert [token("1002003", key), token("x", key)] == said(capfd)[0].split()


def test_a_key_is_made_that_is_taken(capfd: pytest.CaptureFixture[str]) -> None:
    """What `ews tokens key` prints is a value of EWS_TOKEN_KEYS."""
    assert 0 == main(["tokens", "key", "--version", "3"])
    made = said(capfd)[0].strip()
    assert [3] == [key.version for key in parse_keys(made)]


@pytest.mark.parametrize(("keys", "sentence"), [(None, "there is no key"), ("canary", "key 1 is not in the form")])
def test_without_a_key_nothing_is_made(
    keys: str | None, sentence: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line, which does not quote what is set."""
    if keys:
        monkeypatch.setenv("EWS_TOKEN_KEYS", keys)
    assert 2 == main(["tokens", "make"])
    error = said(capfd)[1]
    assert sentence in error
    assert "canary" not in error


def test_an_import_makes_tokens_and_keeps_natural_ids_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The subject is the token that producers make of the same id; the id is nowhere in the file, nor to be guessed."""
    monkeypatch.setenv("EWS_TOKEN_KEYS", KEYS)
    (tmp_path / "map.toml").write_text(MAPPING)
    (tmp_path / "rows.csv").write_text(ROW)
    out = tmp_path / "events.jsonl"
    assert 0 == main(["import", "--map", str(tmp_path / "map.toml"), "--out", str(out), str(tmp_path / "rows.csv")])
    event = json.loads(out.read_text())
    assert token("1002003", parse_keys(KEYS)[0]) == event["subject"]
    assert "1002003" not in out.read_text()
    monkeypatch.setenv("EWS_TOKEN_KEYS", f"1:{'00' * 32}")
    assert 0 == main(["import", "--map", str(tmp_path / "map.toml"), "--out", str(out), str(tmp_path / "rows.csv")])
    assert json.loads(out.read_text())["id"] != event["id"], "an id of the row's content would be guessed without a key"
    said(capfd)


def test_an_import_without_its_key_refuses_before_it_reads(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Natural ids are never let through for want of a key."""
    (tmp_path / "map.toml").write_text(MAPPING)
    (tmp_path / "rows.csv").write_text(ROW)
    out = tmp_path / "events.jsonl"
    assert 2 == main(["import", "--map", str(tmp_path / "map.toml"), "--out", str(out), str(tmp_path / "rows.csv")])
    assert "the mapping makes tokens: set EWS_TOKEN_KEYS" in said(capfd)[1]
    assert not out.exists()
