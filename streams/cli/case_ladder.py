"""`ews cases ladder`: which stage a case stands at from when on, and which hard steps are switched on."""

from __future__ import annotations

import typer

from streams.bootstrap.cases import ladder_of
from streams.cli.options import AsJson
from streams.cli.tables import print_json, print_rows
from streams.settings import load
from streams.stores.work import HardStep

app = typer.Typer(no_args_is_help=True)


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show the ladder as this installation has it.

    Example:
        ews cases ladder show
        EWS_HARD_STEPS=lawyers_letter ews cases ladder show --json
    """
    ladder = ladder_of(load())
    if as_json:
        print_json(ladder.model_dump(mode="json"))
        return
    print_rows(("stage", "from days past due#"), list(ladder.stages.items()))
    print_rows(("severity", "hours to act#"), list(ladder.due_hours.items()))
    steps = [(step, "on, with a supervisor's approval" if ladder.is_on(step) else "off") for step in HardStep]
    print_rows(("hard step", "switched"), steps)


@app.command()
def check() -> None:
    """Check that the hard steps that are switched on (EWS_HARD_STEPS) exist. Exit 2 if one does not.

    Example:
        EWS_HARD_STEPS=lawyers_letter,litigation ews cases ladder check
    """
    on = sorted(ladder_of(load()).hard_steps.on)
    typer.echo(f"{', '.join(on)}: each needs a supervisor's approval" if on else "every hard step is off")
