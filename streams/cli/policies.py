"""`ews policies`: the detectors' settings as documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.bootstrap.policies import as_toml, effective, mistakes
from streams.bootstrap.policy import load_policy
from streams.cli.options import AsJson, PolicyFile
from streams.cli.tables import print_json
from streams.settings import load

WRONG = 2

app = typer.Typer(no_args_is_help=True)


@app.command()
def show(policy: PolicyFile = None, as_json: AsJson = False) -> None:
    """Show the policy in force with every default filled in: save it, change it, and use it as a file.

    Example:
        ews policies show > policy.toml
        ews policies show --policy stricter.toml --json
    """
    in_force = load_policy(load(policy_file=policy).policy_file)
    if as_json:
        print_json(effective(in_force))
    else:
        typer.echo(as_toml(in_force), nl=False)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A policy, as TOML.")], as_json: AsJson = False
) -> None:
    """Check a policy file: a line for each mistake with its place, and exit code 2 if there is one.

    Example:
        ews policies check stricter.toml
    """
    found = mistakes(file)
    if as_json:
        print_json({"file": str(file), "mistakes": found})
    elif found:
        for mistake in found:
            typer.echo(f"{file}: {mistake}", err=True)
    else:
        policy = load_policy(file)
        typer.echo(f"{file} is in order: policy {policy.version}")
    if found:
        raise typer.Exit(WRONG)
