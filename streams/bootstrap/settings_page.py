"""Writes docs/settings.md from the settings themselves. Run it as `uv run poe settings`."""

from __future__ import annotations

import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

from pydantic import AwareDatetime

from streams.settings import SECRET, Settings, from_file, variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

FILE: Final = Path(__file__).parents[2] / "docs" / "settings.md"
SECTIONS: Final = {
    "bootstrap_servers": "Kafka",
    "instance_id": "The worker",
    "log_level": "Logs, metrics, health",
    "database_url": "Cases and messages to staff",
    "contacts_url": "Contacts with borrowers",
    "api_host": "The API and the console",
}
"""The field that each section begins with: the fields stand in this order."""
_INTRODUCTION: Final = """# Settings

This page is made from `streams/settings.py` by `uv run poe settings`.

A setting is an environment variable, read once when a process starts. All processes take the same ones and leave alone
what they do not need. One that is empty counts as not set. Whatever is wrong is said in one line with the variable's
name, exit code 2, before anything starts; so is a variable that begins with `EWS_` and is no setting, with the nearest
one that is.

    ews config check     # settings, policy file, packs of contact rules, hard steps: what is wrong, or that nothing is
    ews config show      # every setting with its value; secrets and passwords in URLs are masked; --json for machines

A *secret* can stand in a file instead: `EWS_SASL_PASSWORD_FILE=/run/secrets/kafka` in place of `EWS_SASL_PASSWORD`, as
containers have them mounted. Both at once, a missing and an empty file are refused. [security.md](security.md) says who
needs which. Thresholds of detectors are no settings: they are policy ([policies.md](policies.md))."""
_KINDS: Final = {
    str: "text",
    int: "number",
    float: "number",
    Path: "path",
    bool: "true or false",
    AwareDatetime: "time",
}


def page() -> str:
    """The page."""
    lines = [_INTRODUCTION]
    for name, field in Settings.model_fields.items():
        if name in SECTIONS:
            lines += ["", f"## {SECTIONS[name]}", "", "| variable | value | default | what it is |"]
            lines.append("| --- | --- | --- | --- |")
        row = f"| `{variable(name)}` | {_value(name, field)} | {_default(field)} | {_meaning(name, field)} |"
        lines.append(row)
    return "\n".join([*lines, ""])


def _meaning(name: str, field: FieldInfo) -> str:
    text = (field.description or "").replace("|", "\\|").replace("\n", " ")
    return f"{text} Or `{from_file(name)}`." if name in SECRET else text


def _default(field: FieldInfo) -> str:
    if field.default is None or field.default == "":
        return "-"
    return f"`{getattr(field.default, 'value', field.default)}`"


def _value(name: str, field: FieldInfo) -> str:
    kinds = [kind for kind in _parts(field.annotation) if kind is not types.NoneType]
    choices = [choice for kind in kinds for choice in _choices(kind)]
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    if name in SECRET:
        return "URL, secret" if name.endswith("_url") else "secret"
    return _KINDS.get(kinds[0], "text") + _range(field)


def _choices(kind: Any) -> Iterator[str]:
    if get_origin(kind) is Literal:
        yield from map(str, get_args(kind))
    elif isinstance(kind, type) and hasattr(kind, "__members__"):
        yield from (member.value for member in kind)  # type: ignore[attr-defined]


def _parts(annotation: Any) -> list[Any]:
    """What a value may be: the members of a union, without what annotates them."""
    if get_origin(annotation) is Literal or isinstance(annotation, type):
        return [annotation]
    parts = get_args(annotation)
    if hasattr(annotation, "__metadata__"):  # Annotated: the first argument is the type.
        return _parts(parts[0])
    return [kind for part in parts for kind in _parts(part)] or [annotation]


def _range(field: FieldInfo) -> str:
    low = next((each.ge for each in field.metadata if hasattr(each, "ge")), None)
    high = next((each.le for each in field.metadata if hasattr(each, "le")), None)
    return "" if low is None or high is None else f", {low:,} to {high:,}"


def write(file: Path = FILE) -> None:
    """Write it."""
    file.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write()
