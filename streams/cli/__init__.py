"""The command `ews`: parses, calls, and turns what went wrong into one line and an exit code.

A command is a row of `COMMANDS` in `streams.cli.lazy`: its name, its module in this package, one line of help. The
module holds either a Typer called `app` (a group: `ews topics create`), or a function of its own name (`ews broker`).
Modules are imported only when their command is called, so what they import costs the others nothing. Rules for them:

- The docstring of a command ends with a section `Example:` whose indented lines are shown as they stand.
- Options that several commands share come from `streams.cli.options`.
- Nothing is caught: an `EarlyWarningError` becomes `ews: <its text>` and its exit code here.

Exit codes: 0 done, 1 failed, 2 usage or a setting, 3 too many dead letters, 130 interrupted; a worker has more, in
`streams.agents.exits`.
"""

from __future__ import annotations

import logging
import tempfile
import traceback
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import TyperException

from streams.cli.lazy import LazyGroup, keep_examples
from streams.errors import DeadLetterLimit, EarlyWarningError, Misconfigured, ProcessEnded

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = 1
MISUSED = 2
DEAD_LETTERS = 3


class _Run:
    """What is known of one run of the command before any part of it has begun."""

    debug = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `ews` with these arguments (those of the process if None). The exit code."""
    run = _Run()
    try:
        code = _root().main(args=arguments, prog_name="ews", standalone_mode=False, obj=run)
    except TyperException as misuse:
        return _misused(misuse)
    except typer.Abort:
        return FAILED
    except EarlyWarningError as error:
        _complain(str(error))
        if run.debug:
            traceback.print_exc()
        return exit_code(error)
    except Exception as crash:  # noqa: BLE001 - the last line of defence: whatever it is, a person gets one line
        _crashed(crash, debug=run.debug)
        return FAILED
    return code if isinstance(code, int) else 0


def exit_code(error: EarlyWarningError) -> int:
    """The exit code that an error stands for."""
    if isinstance(error, Misconfigured):
        return MISUSED
    if isinstance(error, ProcessEnded) and error.code in {MISUSED, DEAD_LETTERS}:
        return error.code
    return DEAD_LETTERS if isinstance(error, DeadLetterLimit) else FAILED


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and rarely asked

        typer.echo(f"ews {version('delinquency-early-warning')}")
        raise typer.Exit


def _root() -> Any:
    root = typer.Typer(cls=LazyGroup, add_completion=False, rich_markup_mode=None, no_args_is_help=True)
    root.callback()(ews)
    command = typer.main.get_command(root)
    keep_examples(command)
    return command


def ews(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show logs and tracebacks on standard error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Early warning of loan delinquency: Kafka in, explained alerts and cases out.

    Example:
        ews demo
        ews topics create --bootstrap kafka-1:9092
        ews worker --help
    """
    del version  # Its callback has answered.
    context.obj.debug = debug
    _log(debug=debug)


def _log(*, debug: bool) -> None:
    """Logs of the libraries go nowhere unless asked for: what matters reaches a person as an error of ours."""
    if debug:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    elif not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())


def _misused(misuse: TyperException) -> int:
    sentence = misuse.format_message().replace("Value error, ", "")
    if sentence.lstrip().startswith("Usage:"):  # The help of a group that was called without a command.
        typer.echo(sentence, err=True)
    else:
        context: Any = getattr(misuse, "ctx", None)
        _complain(f"{sentence.rstrip('.')}; see `{context.command_path if context else 'ews'} --help`")
    return misuse.exit_code


def _crashed(crash: Exception, *, debug: bool) -> None:
    if debug:
        traceback.print_exc()
        return
    with tempfile.NamedTemporaryFile("w", prefix="ews-", suffix=".log", delete=False) as file:
        traceback.print_exception(crash, file=file)
    _complain(f"this should not have happened: {type(crash).__name__}: {crash}; the details are in {file.name}")


def _complain(sentence: str) -> None:
    typer.secho(f"ews: {' '.join(sentence.split())}", fg="red", err=True)
