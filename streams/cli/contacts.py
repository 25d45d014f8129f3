"""`ews contacts`: how borrowers may be reached. Addresses are encrypted at rest and masked on the screen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from streams import clock
from streams.bootstrap.contact_people import erase, export, judge, token_of
from streams.bootstrap.contacts import contact_store
from streams.casework.contact import Attempt, Channel, Kind, Refusal
from streams.casework.packs import describe, known_packs, load_packs
from streams.cli.contact_files import import_file
from streams.cli.contact_tables import print_erasure, print_record, record_shown, told_erasure
from streams.cli.options import AsJson
from streams.cli.replay import MOMENTS
from streams.cli.tables import print_json, print_rows
from streams.errors import Misconfigured, NotFound
from streams.settings import load
from streams.stores.cipher import new_key

if TYPE_CHECKING:
    from streams.stores.contacts import ContactStore

app = typer.Typer(no_args_is_help=True)
app.command("import")(import_file)

Borrower = Annotated[str, typer.Argument(metavar="BORROWER", help="The borrower's token.")]
At = Annotated[
    datetime | None,
    typer.Option(
        formats=MOMENTS, metavar="TIME", help="When: 2026-11-02T21:30:00Z or with an offset; without it, now."
    ),
]
OfChannel = Annotated[Channel | None, typer.Option("--channel", help="Of this channel alone.")]
BY_HAND = "ews contacts"
"""The source of what is said here."""


@app.command()
def key() -> None:
    """Make a key for EWS_CONTACTS_KEY. Keep it apart from the database and its backups.

    Example:
        export EWS_CONTACTS_KEY=$(ews contacts key)
    """
    typer.echo(new_key())


@app.command()
def migrate() -> None:
    """Make the tables of the contact store, or bring them up to this release. Each process does so when it starts.

    Example:
        EWS_CONTACTS_URL=postgresql://contacts:secret@db:5432/contacts ews contacts migrate
    """
    with contact_store(load()):
        typer.echo("the tables of the contact store are those of this release")


@app.command()
def rekey(as_json: AsJson = False) -> None:
    """Encrypt every address with the first key of EWS_CONTACTS_KEY. Exit 1 if one could not be read.

    Put the new key in front of the old one everywhere first; when this is done, the old one may go.

    Example:
        EWS_CONTACTS_KEY="$new,$old" ews contacts rekey
    """
    with contact_store(load(), needs_key=True) as store:
        done = store.rekey()
    if as_json:
        print_json({"addresses": done.addresses, "unreadable": done.unreadable})
    else:
        typer.echo(f"{done.addresses:,} addresses are encrypted with the newest key")
        for address_id in done.unreadable:
            typer.echo(f"the address {address_id} cannot be read: it was changed, or its key is missing", err=True)
    if done.unreadable:
        raise typer.Exit(1)


@app.command()
def show(
    borrower: Borrower,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the addresses themselves; needs the key.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how a borrower may be reached: zone, language, hours, packs, consents, opt-outs, masked addresses.

    Example:
        ews contacts show b-000042
        ews contacts show b-000042 --reveal --json
    """
    settings = load()
    with contact_store(settings, needs_key=reveal) as store:
        record = store.record(token_of(borrower))
        if record is None:
            raise NotFound(_nothing(store.erased_at(borrower)))
        held = store.revealed(borrower) if settings.contacts_key else None
    if as_json:
        print_json(record_shown(record, held, reveal=reveal))
    else:
        print_record(record, held, reveal=reveal)


@app.command("opt-out")
def opt_out(borrower: Borrower, channel: OfChannel = None, at: At = None, as_json: AsJson = False) -> None:
    """Note that a borrower is not to be contacted on a channel any more; without --channel, on none.

    Example:
        ews contacts opt-out b-000042 --channel sms
        ews contacts opt-out b-000042
    """
    when = _moment(at)
    with contact_store(load()) as store:
        store.opt_out(token_of(borrower), channel, when, source=BY_HAND)
        _say_opt_outs(borrower, _standing(store, borrower), as_json=as_json)


@app.command()
def consent(  # noqa: PLR0917 - Typer passes them by name
    borrower: Borrower,
    given_in: Annotated[str, typer.Option("--from", metavar="TEXT", help="Where it was given: a form, a call.")],
    channel: OfChannel = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Take back the opt-out from everything; no channel's own.")
    ] = False,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Note that a borrower agrees to be contacted on a channel, at the addresses of their own that are known.

    Example:
        ews contacts consent b-000042 --channel sms --from "call of 2 November"
        ews contacts consent b-000042 --all --from "form F-12"
    """
    if (channel is None) == (not everything):
        raise Misconfigured("say to what: one of --channel NAME, --all")
    when, source = _moment(at), _source(given_in)
    with contact_store(load()) as store:
        addresses = store.consent(token_of(borrower), channel, when, source=source)
        if channel is not None and not addresses:
            raise NotFound(f"{borrower} has no address of their own for {channel}: import one with this consent")
        _say_opt_outs(borrower, _standing(store, borrower), as_json=as_json)


@app.command("erase")
def erase_person(
    borrower: Borrower,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a borrower: record, addresses, texts of notes; end messages that wait. Tokens, cases and audit stay.

    Example:
        ews contacts erase b-000042
        ews contacts erase b-000042 --yes --json
    """
    token = token_of(borrower)
    if not yes:
        typer.confirm(f"Erase all addresses and notes of {token} for good?", abort=True, err=True)
    done = erase(load(), token, clock.now())
    if as_json:
        print_json(told_erasure(token, done))
    else:
        print_erasure(token, done)


@app.command("export")
def export_person(borrower: Borrower) -> None:
    """Write all that is held of a borrower as JSON, for a request of access. Needs the key.

    Example:
        ews contacts export b-000042 > b-000042.json
    """
    print_json(export(load(), token_of(borrower)))


@app.command("check")
def check_contact(  # noqa: PLR0917 - Typer passes them by name
    borrower: Borrower,
    channel: Annotated[Channel, typer.Option(help="How the borrower would be contacted.")],
    kind: Annotated[Kind, typer.Option(help="What for: collection caps and holds do not bind service.")] = (
        Kind.COLLECTION
    ),
    loan: Annotated[str | None, typer.Option(metavar="TOKEN", help="About this loan.")] = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Say whether the contact rules allow a contact, at a moment in the borrower's own zone. Exit 1 if not.

    Example:
        ews contacts check b-000042 --channel sms
        ews contacts check b-000042 --channel call --at 2026-11-02T21:30:00Z --json
    """
    when = _moment(at)
    with judge(load()) as rules:
        answer = rules.says(Attempt(borrower=token_of(borrower), loan=loan, channel=channel, kind=kind), when)
    if isinstance(answer, Refusal):
        _say_refusal(answer, as_json=as_json)
        raise typer.Exit(1)
    if as_json:
        print_json({"allowed": True, "at": when, "address_id": answer.address_id})
    else:
        typer.echo(f"allowed at {when:%Y-%m-%d %H:%M} UTC")


@app.command()
def packs(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Of these alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the packs of contact rules: what each rule says, and where it is written.

    Example:
        ews contacts packs
        ews contacts packs cn us --json
    """
    where = load().contact_packs_dir
    found = load_packs(names, where) if names else tuple(known_packs(where).values())
    rows = describe(found)
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    print_rows(
        ("pack", "rule", "says", "source", "as we read it"),
        [(r.pack, r.rule, r.says, r.source + (" [unverified]" if r.unverified else ""), r.reading) for r in rows],
    )


def _moment(at: datetime | None) -> datetime:
    if at is None:
        return clock.now()
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _source(text: str) -> str:
    if not (text.isprintable() and text.strip() and len(text) <= SOURCE_CHARS_MAX):
        raise Misconfigured(f"--from takes 1 to {SOURCE_CHARS_MAX} printable characters, such as a form's number")
    return text.strip()


SOURCE_CHARS_MAX = 128


def _nothing(erased_at: datetime | None) -> str:
    if erased_at is not None:
        return f"the borrower was erased on {erased_at:%Y-%m-%d}: nothing is held but opt-outs"
    return "nothing is known of how to reach this borrower: `ews contacts import` adds records"


def _standing(store: ContactStore, borrower: str) -> dict[str, datetime]:
    """Since when a borrower is out of everything, and of each channel that they have not agreed to since."""
    outs, record = store.opt_outs(borrower), store.record(borrower)
    if record is None:
        return outs
    closed = {channel.value for channel in record.opted_out}
    return {name: at for name, at in outs.items() if not name or name in closed}


def _say_opt_outs(borrower: str, outs: dict[str, datetime], *, as_json: bool) -> None:
    if as_json:
        print_json({"borrower": borrower, "opt_outs": {name or "all": at for name, at in outs.items()}})
    elif outs:
        for name, at in sorted(outs.items()):
            typer.echo(f"{borrower} is out of {name or 'everything'} since {at:%Y-%m-%d %H:%M} UTC")
    else:
        typer.echo(f"{borrower} is out of nothing")


def _say_refusal(refusal: Refusal, *, as_json: bool) -> None:
    if as_json:
        told = {name: getattr(refusal, name) for name in ("rule", "pack", "detail", "next_at")}
        print_json({"allowed": False, **told})
        return
    again = f"{refusal.next_at:%Y-%m-%d %H:%M} UTC" if refusal.next_at else "not before something changes"
    typer.echo(f"refused by {refusal.rule} of {refusal.pack}: {refusal.detail}\nnext: {again}")
