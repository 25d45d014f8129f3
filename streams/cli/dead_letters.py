"""`ews dead-letters`: what was refused and why, and how it is sent back."""

from __future__ import annotations

import asyncio
import base64
import heapq
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import AsJson, Bootstrap, TopicPrefix
from streams.cli.tables import print_json, print_rows
from streams.errors import Misconfigured
from streams.kafka.letters import Choice, Letter, Place, letters, marks, parse_reason, parse_topic
from streams.kafka.requeue import Return, requeue
from streams.settings import Settings, load

if TYPE_CHECKING:
    from streams.kafka.requeue import Requeued

app = typer.Typer(no_args_is_help=True)

COLUMNS = ("refused", "topic/partition/offset", "reason", "detail", "bytes#", "sent back#")
Row = dict[str, Any]


@app.command("list")
def list_letters(  # noqa: PLR0917 - Typer passes them by name
    topic: Annotated[str | None, typer.Option(metavar="TOPIC", help="Only what was refused in this topic.")] = None,
    reason: Annotated[str | None, typer.Option(metavar="REASON", help="Only what was refused for this reason.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the latest.")] = 50,
    raw: Annotated[bool, typer.Option("--bytes", help="Show key and value too. They may hold persons.")] = False,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """List the latest dead letters: when, where from, why. What they say only with --bytes.

    Example:
        ews dead-letters list
        ews dead-letters list --topic repayments --reason not_json --limit 10 --bytes
    """
    choice = Choice(topic and parse_topic(topic), None if reason is None else parse_reason(reason))
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    rows, total = asyncio.run(_latest(settings, choice, limit, raw=raw))
    if as_json:
        print_json({"total": total, "letters": rows})
        return
    shown = [[row[name] for name in ("refused_at", "place", "reason", "detail", "bytes", "sent_back")] for row in rows]
    extra = ("key", "value") if raw else ()
    print_rows((*COLUMNS, *extra), [[*cells, *(row[x] for x in extra)] for cells, row in zip(shown, rows, strict=True)])
    if total > len(rows):
        typer.echo(f"the latest {len(rows)} of {total}; more with --limit", err=True)


@app.command("requeue")
def send_back(  # noqa: PLR0917 - Typer passes them by name
    everything: Annotated[bool, typer.Option("--all", help="Every letter.")] = False,
    reason: Annotated[str | None, typer.Option(metavar="REASON", help="Those refused for this reason.")] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="TOPIC/PARTITION/OFFSET", help="This one alone.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Those that were sent back before, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to their topics: original key, bytes and timestamp, each once.

    Mend what refused them first. One that is refused again is a new letter.

    Example:
        ews dead-letters requeue --reason unknown_type --dry-run
        ews dead-letters requeue --at repayments/3/1712 --yes
    """
    choice = _choice(everything, reason, at)
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    if not (yes or dry_run):
        _ask(asyncio.run(requeue(settings, choice, again=again, dry_run=True)))
    say = None if as_json else _said(dry_run=dry_run)
    done = asyncio.run(requeue(settings, choice, again=again, dry_run=dry_run, on_return=say))
    if as_json:
        print_json(_counts(done, dry_run=dry_run))
    else:
        typer.echo(_summary(done, dry_run=dry_run))


async def _latest(settings: Settings, choice: Choice, limit: int, *, raw: bool) -> tuple[list[Row], int]:
    """The latest rows, oldest of them first, and how many there are in all. Holds no more than the limit."""
    times = await marks(settings)
    held: list[tuple[float, Place, Row]] = []
    total = 0
    async for letter in letters(settings, choice):
        total += 1
        entry = (letter.written_at.timestamp(), letter.at, _row(letter, times[letter.source], raw=raw))
        (heapq.heappush if len(held) < limit else heapq.heappushpop)(held, entry)
    return [row for _, _, row in sorted(held, key=lambda entry: entry[:2])], total


def _row(letter: Letter, sent_back: int, *, raw: bool) -> Row:
    row = {
        "refused_at": f"{letter.written_at:%Y-%m-%dT%H:%M:%SZ}",
        "place": str(letter.source),
        "reason": letter.headers.reason.value,
        "detail": letter.headers.detail,
        "bytes": letter.size,
        "sent_back": sent_back,
    }
    return row | {"key": _text(letter.key), "value": _text(letter.value)} if raw else row


def _text(raw: bytes | None) -> str | None:
    """Text if it is any, else base64."""
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(raw).decode()}"


def _choice(everything: bool, reason: str | None, at: str | None) -> Choice:
    if [everything, reason is not None, at is not None].count(True) != 1:
        raise Misconfigured("say which letters: one of --all, --reason REASON, --at TOPIC/PARTITION/OFFSET")
    if at is not None:
        return Choice(place=Place.parse(at))
    return Choice(reason=None if reason is None else parse_reason(reason))


def _ask(planned: Requeued) -> None:
    if not planned.sent:
        return
    if not sys.stdin.isatty():
        raise Misconfigured("nobody is there to be asked: look with --dry-run, then add --yes")
    typer.confirm(f"{_summary(planned, dry_run=True)}. Send them?", abort=True, err=True)


def _said(*, dry_run: bool) -> Any:
    verb = "would send" if dry_run else "sent"

    def say(one: Return) -> None:
        letter = one.letter
        typer.echo(f"{verb} {letter.source} ({letter.headers.reason}) to {letter.headers.topic}/{one.partition}")

    return say


def _summary(done: Requeued, *, dry_run: bool) -> str:
    verb = "would send" if dry_run else "sent"
    parts = [f"{verb} {done.sent.total()} back"]
    parts += [f"{done.before} sent back before are left alone (--again takes them too)"] if done.before else []
    parts += [f"{done.not_ours} alerts that a consumer refused stay: `alerts` has them"] if done.not_ours else []
    parts += [f"{done.restamped} with the present as timestamp, their own lies ahead"] if done.restamped else []
    return "; ".join(parts)


def _counts(done: Requeued, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "sent": done.sent.total(),
        "by_topic": dict(done.sent),
        "sent_before": done.before,
        "not_returnable": done.not_ours,
        "restamped": done.restamped,
    }
