"""`ews topics acls` and what `ews erase` refuses before it does anything."""

from __future__ import annotations

import json

import pytest

from streams.cli import main
from streams.kafka.acls import ROLES


def test_the_rules_of_a_role_are_commands_of_kafka(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line can be run as it stands, in the names of the installation; no cluster is asked."""
    monkeypatch.setenv("EWS_BOOTSTRAP_SERVERS", "kafka-1:9092")
    assert 0 == main(["topics", "acls", "subscriber", "--topic-prefix", "bank-", "--principal-prefix", "b-"])
    comment, *lines = capsys.readouterr().out.splitlines()
    assert comment.startswith("# subscriber: ")
    assert 2 == len(lines)
    assert all(line.startswith("kafka-acls.sh --bootstrap-server kafka-1:9092 --add ") for line in lines)
    assert all("User:b-subscriber" in line for line in lines)
    assert "--topic bank-alerts " in lines[0]


def test_all_roles_are_told_to_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json every role has its principal and rules, for whoever makes them with other tools."""
    assert 0 == main(["topics", "acls", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert [role.name for role in ROLES] == [one["role"] for one in told]
    assert all(one["principal"].startswith("User:ews-") and one["rules"] for one in told)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("topics", "acls", "nobody"), "there is no role 'nobody'; there are worker, portfolio"),
        (("erase", "b-1", "--yes"), "say who decided it: --by NAME"),
        (("erase", "b 1", "--by", "dpo-1", "--yes"), "that is no borrower's token"),
        (("erase", "b-1", "--by", "two words", "--yes"), "is no account"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 before anything is asked of a cluster or a database."""
    assert 2 == main(list(arguments))
    assert sentence in capsys.readouterr().err
