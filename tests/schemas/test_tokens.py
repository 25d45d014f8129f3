from __future__ import annotations

import hashlib
import hmac

import pytest

from schemas.events import LoanClosed
from schemas.tokens import TokenKey, parse_keys, token, version_of

KEY = TokenKey(1, bytes(range(32)))


def test_a_token_is_what_the_guide_says() -> None:
    """Whoever writes it anew, in another language, by the formula of docs/producers.md gets the same."""
    digest = hmac.new(KEY.secret, b"borrower:1002003", hashlib.sha256).hexdigest()
    assert f"b1-{digest[:32]}" == token("1002003", KEY)


def test_the_same_person_has_the_same_token_however_it_is_typed() -> None:
    """Blanks and Unicode forms make no difference; case and other ids do."""
    assert token("Zoë-7", KEY) == token("  Zoe\u0308-7 ", KEY)
    assert token("a-1", KEY) != token("A-1", KEY)


def test_kinds_and_keys_keep_tokens_apart() -> None:
    """A phone number that reads like a customer number has another token; so has everybody under another key."""
    other = TokenKey(2, bytes(32))
    made = {token("1002003", KEY), token("1002003", KEY, "phone"), token("1002003", other)}
    assert 3 == len(made)
    assert {1, 2} == {version_of(one) for one in made}
    assert version_of("b-7f3a91c2") is None


def test_a_token_is_a_subject() -> None:
    """It has the form that events ask for."""
    event = {
        "specversion": "1.0", "id": "c-1", "source": "core", "type": "ews.loan.closed.v1", "subject": token("x", KEY),
        "time": "2026-03-01T00:00:00Z", "data": {"loan": "l-1"},
    }  # fmt: skip
    assert event["subject"] == LoanClosed.model_validate(event).subject


@pytest.mark.parametrize("natural", ["", "   "])
def test_nobody_has_no_token(natural: str) -> None:
    """An empty id would put all of its kind under one token."""
    with pytest.raises(ValueError, match="cannot be empty"):
        token(natural, KEY)


def test_keys_are_read_with_their_versions_and_never_shown() -> None:
    """The newest stands first; neither the text of a key nor an error has it."""
    keys = parse_keys(f"2:{'ab' * 32}, 1:{'cd' * 32}")
    assert [2, 1] == [key.version for key in keys]
    assert "ab" not in repr(keys)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("canary", "key 1 is not in the form"),
        ("1:abcd", "has 2 bytes, fewer than 32"),
        (f"1:{'ab' * 32},1:{'cd' * 32}", "same version"),
        ("", "not in the form"),
    ],
)
def test_a_wrong_key_is_named_by_its_place(text: str, sentence: str) -> None:
    """The sentence says which key and what is wrong, and quotes nothing of it."""
    with pytest.raises(ValueError, match=sentence) as refused:
        parse_keys(text)
    assert not text or text not in str(refused.value)
