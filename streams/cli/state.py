"""`ews state`: the borrowers' states as the changelog holds them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

import orjson
import typer

from streams.cli.options import AsJson, Bootstrap, TopicPrefix
from streams.cli.state_tables import print_borrower
from streams.cli.tables import print_json
from streams.engine.drain import LANE_KEY
from streams.errors import Misconfigured
from streams.history.ordering import replacing
from streams.history.states import Digest, inspect, plain, read_states, readable
from streams.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.history.states import Inspected

app = typer.Typer(no_args_is_help=True)


@app.command()
def export(  # noqa: PLR0917 - Typer passes them by name
    out: Annotated[Path | None, typer.Option(help="Into this file (.gz packs it) instead of standard output.")] = None,
    digest: Annotated[bool, typer.Option("--digest", help="Only a digest of all, to compare two systems.")] = False,
    partition: Annotated[int | None, typer.Option(min=0, help="Only this partition.")] = None,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """Export the latest state of each borrower as JSON lines, or a digest of all of them.

    Equal digests mean equal states, however many partitions there are.

    Example:
        ews state export --out states.jsonl.gz
        ews state export --digest
    """
    if digest and out is not None:
        raise Misconfigured("--digest prints one line: leave --out away")
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    if digest:
        _print_digest(asyncio.run(_digest(settings, partition)), as_json=as_json)
        return
    with _output(out) as stream:
        written = asyncio.run(_export(settings, partition, stream))
    if as_json and out is not None:
        print_json({"borrowers": written, "out": str(out)})
    else:
        typer.echo(f"{written:,} borrowers", err=True)


@app.command("inspect")
def inspect_state(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The borrower.")],
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """Show one borrower: loans with what days past due come from, measures, episodes, wake-ups.

    Example:
        ews state inspect b-000042
    """
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    found = asyncio.run(inspect(settings, token))
    if as_json:
        print_json(_content(found))
    else:
        print_borrower(found)


async def _digest(settings: Settings, partition: int | None) -> Digest:
    total = Digest()
    async for _, states in read_states(settings, partition):
        total.add(states)
    return total


def _print_digest(total: Digest, *, as_json: bool) -> None:
    content = {"sha256": total.hexdigest(), "borrowers": total.borrowers, "bytes": total.size}
    if as_json:
        print_json(content)
    else:
        typer.echo(f"{content['sha256']}  {total.borrowers} borrowers, {total.size} bytes")


async def _export(settings: Settings, partition: int | None, stream: BinaryIO) -> int:
    written = 0
    async with contextlib.aclosing(read_states(settings, partition)) as found:
        async for _, states in found:
            for key in sorted(states.keys() - {LANE_KEY}):
                value = plain(readable(key, states[key]))
                stream.write(orjson.dumps({"borrower": key.decode(errors="replace"), "value": value}) + b"\n")
                written += 1
    return written


@contextlib.contextmanager
def _output(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        yield cast("BinaryIO", sys.stdout.buffer)
        sys.stdout.flush()
    else:
        with replacing(out) as stream:
            yield stream


def _content(found: Inspected) -> dict[str, Any]:
    return {
        "borrower": found.token,
        "partition": found.partition,
        "bytes": found.size,
        "now": datetime.fromtimestamp(found.position.now_ms / 1000, UTC),
        "value": plain(found.borrower),
    }
