"""Contact records for people and machines. What is shown of an address is settled here alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from streams.bootstrap.contact_people import masked
from streams.cli.tables import print_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from streams.bootstrap.contact_people import Erasure
    from streams.casework.contact import Address, ContactRecord
    from streams.stores.contacts import Revealed

WITHOUT_KEY = "(set EWS_CONTACTS_KEY)"
_ADDRESSES = ("channel", "address", "consent", "given in", "opted out", "third party", "id")


def record_shown(record: ContactRecord, held: Sequence[Revealed] | None, *, reveal: bool) -> dict[str, Any]:
    """A record as JSON."""
    return {
        "borrower": record.borrower,
        "zone": record.zone,
        "language": record.language,
        "country": record.country,
        "packs": record.packs,
        "preferred": record.preferred and [f"{hour:%H:%M}" for hour in record.preferred],
        "opted_out_at": record.opted_out_at,
        "opted_out": record.opted_out,
        "addresses": [_address(*pair, reveal=reveal) for pair in _pairs(record, held)],
    }


def print_record(record: ContactRecord, held: Sequence[Revealed] | None, *, reveal: bool) -> None:
    """A record on the screen."""
    shown = record_shown(record, held, reveal=reveal)
    hours = " to ".join(shown["preferred"] or ())
    facts = {
        "zone": record.zone,
        "language": record.language,
        "country": record.country,
        "packs": " ".join(record.packs),
        "preferred hours": hours,
        "opted out of everything": _time(record.opted_out_at),
        "opted out of": " ".join(record.opted_out),
    }
    typer.echo(f"Borrower {record.borrower}")
    print_rows(("", ""), [(name, value) for name, value in facts.items() if value])
    rows = [
        (
            row["channel"],
            row["address"] or WITHOUT_KEY,
            _time(row["consented_at"]),
            row["consent_source"] or "",
            _time(row["opted_out_at"]),
            "yes" if row["third_party"] else "",
            row["address_id"],
        )
        for row in shown["addresses"]
    ]
    print_rows(_ADDRESSES, rows)


def told_erasure(borrower: str, done: Erasure) -> dict[str, Any]:
    """What was erased, as JSON."""
    return {
        "borrower": borrower,
        "record": done.contacts.record,
        "addresses": done.contacts.addresses,
        "notes": done.texts.notes,
        "messages_ended": done.texts.messages,
        "answers": done.texts.answers,
        "traceless": done.contacts.traceless and done.texts.traceless,
    }


def print_erasure(borrower: str, done: Erasure) -> None:
    """What was erased, and what stays."""
    told = told_erasure(borrower, done)
    record = "the record" if done.contacts.record else "no record"
    typer.echo(
        f"erased of {borrower}: {record}, {told['addresses']} addresses, the texts of {told['notes']} notes; "
        f"{told['messages_ended']} waiting messages ended"
    )
    if not told["traceless"]:
        typer.echo("another process still reads SQLite's log: erase again later to empty it", err=True)
    typer.echo("kept, by token alone: cases, the contact log, opt-outs, the audit trail")


def _pairs(record: ContactRecord, held: Sequence[Revealed] | None) -> list[tuple[Address, Revealed | None]]:
    if held is None:
        return [(address, None) for address in record.addresses]
    return [(one.known, one) for one in held]


def _address(known: Address, held: Revealed | None, *, reveal: bool) -> dict[str, Any]:
    text = None if held is None else held.address if reveal else masked(known.channel, held.address)
    return {
        "address_id": known.address_id,
        "channel": known.channel,
        "address": text,
        "consented_at": known.consented_at,
        "consent_source": held.consent_source if held else None,
        "opted_out_at": known.opted_out_at,
        "third_party": known.third_party,
    }


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
