"""One row of a contact file: a borrower's record with at most one address, and every rule that a row must keep.

No sentence here repeats what a row says, which may be a number or an address.
"""

from __future__ import annotations

import difflib
import re
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Self

import pycountry
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from schemas.fields import Time, Token, Zone  # noqa: TC001 - pydantic reads the annotations at run time
from streams.stores.contact import Channel, IncomingRecord, NewAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

CLOCKS_APART = timedelta(minutes=5)
"""How far a consent may lie ahead of our clock before it is a mistake."""
PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
PHONE_PUNCTUATION = str.maketrans("", "", " -.()/\u00a0")
MAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
MAIL_CHARS_MAX = 254
ONE_WORD = re.compile(r"[\x21-\x7e]{1,4096}")
LINES_CHARS_MAX = 500
LANGUAGE = re.compile(r"([a-z]{2,3})(-[A-Z][a-z]{3})?(-(?:[A-Z]{2}|[0-9]{3}))?")
HOURS = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
PACKS_MAX = 8
CODES_MAX = 10_000
"""Codes whose look-up is remembered."""
OURS = "contact"
"""The type of our own mistakes, whose sentences are shown as they are."""


def _wrong(sentence: str) -> PydanticCustomError:
    return PydanticCustomError(OURS, sentence)


def _language(value: object) -> object:
    found = LANGUAGE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not (_listed("languages", alpha_2=found[1]) or _listed("languages", alpha_3=found[1])):
        raise _wrong("is no language of BCP 47 such as en, zh or pt-BR")
    return value


def _country(value: object) -> object:
    known = isinstance(value, str) and (
        _listed("subdivisions", code=value) if "-" in value else _listed("countries", alpha_2=value)
    )
    if not known:
        raise _wrong("is no country of ISO 3166-1 such as CN, or subdivision of ISO 3166-2 such as US-CA")
    return value


@lru_cache(maxsize=CODES_MAX)
def _listed(table: str, **code: str) -> bool:
    """Whether one of pycountry's tables knows a code."""
    return getattr(pycountry, table).get(**code) is not None


def _hour(value: object) -> time:
    if not (isinstance(value, str) and HOURS.fullmatch(value)):
        raise _wrong("is no time of day such as 18:30")
    return time.fromisoformat(value)


def _packs(value: object, info: ValidationInfo) -> tuple[str, ...]:
    """From a list, or from text with spaces between the names."""
    names = value.split() if isinstance(value, str) else value
    known = (info.context or {}).get("packs")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > PACKS_MAX:
        raise _wrong("is no list of packs such as cn us")
    if known is not None and not set(names) <= set(known):
        raise _wrong("names a pack of contact rules that there is not: see `ews contacts packs`")
    return tuple(dict.fromkeys(names))


def _flag(value: object) -> bool:
    flags = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    found = value if isinstance(value, bool) else flags.get(str(value).lower())
    if found is None:
        raise _wrong("is neither true nor false")
    return found


class ContactRow(BaseModel):
    """A row. The context gives `now` and the names of the `packs` that there are."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    borrower: Token
    zone: Zone
    language: Annotated[str, BeforeValidator(_language)]
    country: Annotated[str, BeforeValidator(_country)] | None = None
    packs: Annotated[tuple[str, ...], BeforeValidator(_packs)] = ()
    preferred_from: Annotated[time, BeforeValidator(_hour)] | None = None
    preferred_until: Annotated[time, BeforeValidator(_hour)] | None = None
    opted_out_at: Time | None = None
    channel: Channel | None = None
    address: Annotated[str | None, Field(repr=False)] = None
    consented_at: Time | None = None
    consent_source: Annotated[str, Field(max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")] | None = None
    third_party: Annotated[bool, BeforeValidator(_flag)] = False

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> Self:
        if (self.preferred_from is None) != (self.preferred_until is None):
            raise _wrong("preferred_from and preferred_until go together")
        if self.preferred_from is not None and self.preferred_from == self.preferred_until:
            raise _wrong("preferred_from and preferred_until are the same: no hour is left")
        if (self.channel is None) != (self.address is None):
            raise _wrong("channel and address go together")
        if self.address is None and (self.consented_at or self.consent_source or self.third_party):
            raise _wrong("consented_at, consent_source and third_party are about an address, and there is none")
        if self.consented_at is not None and self.consent_source is None:
            raise _wrong("a consent needs its consent_source: the contract, form or call that it was given in")
        now: datetime | None = (info.context or {}).get("now")
        ahead = [
            name
            for name in ("consented_at", "opted_out_at")
            if now and (getattr(self, name) or now) > now + CLOCKS_APART
        ]
        if ahead:
            raise _wrong(f"{ahead[0]} lies ahead of us")
        self.plain_address()
        return self

    def plain_address(self) -> str | None:
        """The address in the one form that it is kept in."""
        if self.address is None or self.channel is None:
            return None
        return _SHAPES[self.channel](self.address)

    def record(self, source: str) -> IncomingRecord:
        """As the store takes it."""
        address = self.plain_address()
        new = None
        if address is not None and self.channel is not None:
            new = NewAddress(
                channel=self.channel,
                address=address,
                consented_at=self.consented_at,
                consent_source=self.consent_source,
                third_party=self.third_party,
            )
        preferred = None
        if self.preferred_from is not None and self.preferred_until is not None:
            preferred = (self.preferred_from, self.preferred_until)
        return IncomingRecord(
            borrower=self.borrower,
            zone=self.zone,
            language=self.language,
            source=source,
            packs=self.packs,
            country=self.country,
            preferred=preferred,
            opted_out_at=self.opted_out_at,
            addresses=() if new is None else (new,),
        )


def _phone(text: str) -> str:
    number = text.translate(PHONE_PUNCTUATION)
    if not PHONE.fullmatch(number):
        raise _wrong("address: is no telephone number with its country code, such as +86 138 0013 8000")
    return number


def _mail(text: str) -> str:
    mail = text.strip()
    if len(mail) > MAIL_CHARS_MAX or not MAIL.fullmatch(mail) or ".." in mail:
        raise _wrong("address: is no e-mail address")
    name, _, domain = mail.rpartition("@")
    return f"{name}@{domain.lower()}"


def _one_word(text: str) -> str:
    if not ONE_WORD.fullmatch(text):
        raise _wrong("address: is no token of a device or account, which is printable and without spaces")
    return text


def _lines(text: str) -> str:
    lines = "\n".join(" ".join(line.split()) for line in text.strip().splitlines())
    if not lines or len(lines) > LINES_CHARS_MAX or not lines.replace("\n", "").isprintable():
        raise _wrong(f"address: is no postal address of at most {LINES_CHARS_MAX} printable characters")
    return lines


_SHAPES = {
    Channel.CALL: _phone,
    Channel.SMS: _phone,
    Channel.EMAIL: _mail,
    Channel.PUSH: _one_word,
    Channel.CHAT: _one_word,
    Channel.LETTER: _lines,
    Channel.VISIT: _lines,
}
FIELDS = tuple(ContactRow.model_fields)


def read_row(columns: Mapping[str, Any], *, now: datetime, packs: frozenset[str]) -> ContactRow:
    """The row that columns say; an empty cell is none. Raises ValueError, one line that quotes nothing."""
    told = {name: value for name, value in columns.items() if value not in (None, "")}
    try:
        return ContactRow.model_validate(told, context={"now": now, "packs": packs})
    except ValidationError as wrong:
        raise ValueError(
            "; ".join(dict.fromkeys(map(_said, wrong.errors(include_url=False, include_input=False))))
        ) from None


def nearest(name: str) -> str:
    """A hint at the field that may have been meant, without the name itself, which may be data."""
    near = difflib.get_close_matches(name.lower(), FIELDS, n=1)
    return f", was {near[0]} meant?" if near else f"; there are {', '.join(FIELDS)}"


_PLAIN = {
    "missing": "is missing",
    "enum": f"is none of {', '.join(Channel)}",
    "string_pattern_mismatch": "is not in the form that is asked for",
    "string_too_long": "is too long",
    "string_too_short": "is empty",
    "string_type": "is no text",
}


def _said(mistake: ErrorDetails) -> str:
    if mistake["type"] == "extra_forbidden":
        return f"a field is not known{nearest(str(mistake['loc'][0]))}"
    field = str(mistake["loc"][0]) if mistake["loc"] else ""
    ours = mistake["type"] in {OURS, "zone", "date-time"}
    sentence = mistake["msg"] if ours else _PLAIN.get(mistake["type"], "is not as it must be")
    return f"{field}: {sentence}" if field else sentence
