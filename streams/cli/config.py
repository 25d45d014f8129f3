"""`ews config`: the settings as they are in force."""

from __future__ import annotations

import typer

from streams.bootstrap.policy import load_policy
from streams.cli.options import AsJson
from streams.settings import Settings, load, shown, variable

app = typer.Typer(no_args_is_help=True)


@app.command()
def show(*, json: AsJson = False) -> None:
    """Show every setting: its variable and value, what it is for. Secrets are masked.

    Example:
        ews config show
        EWS_PARTITIONS=32 ews config show --json
    """
    values = shown(load())
    if json:
        import orjson  # noqa: PLC0415 - only here

        typer.echo(orjson.dumps(values, option=orjson.OPT_INDENT_2).decode())
        return
    for name, field in Settings.model_fields.items():
        typer.echo(f"{variable(name)}={values[variable(name)]}\n    {field.description}")


@app.command()
def check() -> None:
    """Check the settings, the policy file, the packs of contact rules and the hard steps.

    Exit code 2 and one line that names what is wrong, if anything is.

    Example:
        ews config check && ews worker
    """
    from streams.bootstrap.cases import ladder_of  # noqa: PLC0415 - only here
    from streams.casework.packs import load_packs  # noqa: PLC0415 - only here

    settings = load()
    load_policy(settings.policy_file)
    load_packs(settings.contact_packs.split(","), settings.contact_packs_dir)
    ladder_of(settings)
    typer.echo("the settings are in order")
