"""Whether a reader of one JSON Schema can read all that a writer of another may write. Knows what we generate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLOORS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_CEILINGS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_SAME = ("pattern", "format", "if", "then", "prefixItems")
_NOTES = {"title", "description", "default", "examples", "$schema", "$id", "$defs", "x-kafka-topic"}
_KNOWN = {"type", "enum", "const", "anyOf", "properties", "required", "items", *_FLOORS, *_CEILINGS, *_SAME, *_NOTES}

Schema = dict[str, Any]


def breaks(writer: Schema, reader: Schema) -> list[str]:
    """What the writer may write that the reader would refuse: one line for each place and rule; empty if compatible."""
    return list(_breaks(writer, reader, (writer, reader), ""))


def lost(old: Schema, new: Schema) -> list[str]:
    """Fields that the old schema names and the new one no longer does."""
    return sorted(fields(old) - fields(new))


def fields(schema: Schema) -> set[str]:
    """The path of every field that a schema names."""
    return set(_fields(schema, schema, ""))


def _fields(part: Schema, root: Schema, path: str) -> Iterator[str]:
    part = _resolved(part, root)
    for branch in part.get("anyOf", ()):
        yield from _fields(branch, root, path)
    if "items" in part:
        yield from _fields(part["items"], root, path + "[]")
    for name, rule in part.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from _fields(rule, root, f"{path}.{name}")


def _resolved(part: Schema, root: Schema) -> Schema:
    if "$ref" not in part:
        assert not part.keys() - _KNOWN, f"teach this module {part.keys() - _KNOWN}"
        return part
    return _resolved(root["$defs"][part["$ref"].removeprefix("#/$defs/")], root)


def _breaks(writer: Schema, reader: Schema, roots: tuple[Schema, Schema], path: str) -> Iterator[str]:
    writer, reader = _resolved(writer, roots[0]), _resolved(reader, roots[1])
    if "anyOf" in writer:
        for branch in writer["anyOf"]:
            yield from _breaks(branch, reader, roots, path)
    elif "anyOf" in reader:
        tries = [list(_breaks(writer, branch, roots, path)) for branch in reader["anyOf"]]
        if all(tries):
            yield min(tries, key=len)[0]
    elif "enum" in writer or "const" in writer:
        yield from _values_refused(writer, reader, path)
    else:
        yield from _rules_tightened(writer, reader, path)
        yield from _parts_refused(writer, reader, roots, path)


def _values_refused(writer: Schema, reader: Schema, path: str) -> Iterator[str]:
    judge = Draft202012Validator({name: rule for name, rule in reader.items() if not name.startswith("$")})
    for value in writer.get("enum", [writer.get("const")]):
        if not judge.is_valid(value):
            yield f"{path}: {value!r} is refused"


def _rules_tightened(writer: Schema, reader: Schema, path: str) -> Iterator[str]:
    kinds = {writer.get("type"), "number"} if writer.get("type") == "integer" else {writer.get("type")}
    if "type" in reader and reader["type"] not in kinds:
        yield f"{path}: type {writer.get('type')} is refused"
    if "enum" in reader or "const" in reader:
        yield f"{path}: values are limited"
    for name in (*_FLOORS, *_CEILINGS):
        sign = 1 if name in _FLOORS else -1
        if name in reader and (name not in writer or sign * writer[name] < sign * reader[name]):
            yield f"{path}: {name} {reader[name]}"
    for name in _SAME:
        if name in reader and writer.get(name) != reader[name]:
            yield f"{path}: {name} differs"


def _parts_refused(writer: Schema, reader: Schema, roots: tuple[Schema, Schema], path: str) -> Iterator[str]:
    for name in sorted({*reader.get("required", ())} - {*writer.get("required", ())}):
        yield f"{path}.{name}: is required"
    for name, rule in reader.get("properties", {}).items():
        if name in writer.get("properties", {}):
            yield from _breaks(writer["properties"][name], rule, roots, f"{path}.{name}")
    if "items" in reader and "items" in writer:
        yield from _breaks(writer["items"], reader["items"], roots, path + "[]")
