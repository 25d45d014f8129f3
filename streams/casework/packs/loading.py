"""From TOML files to packs. Every mistake of every file is named with its file and key; values are not repeated."""

from __future__ import annotations

import difflib
import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from streams.casework.packs.model import Pack
from streams.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from streams.casework.contact import ContactRecord, Kind

NAME = re.compile(r"[a-z_]{1,32}", re.ASCII)
KEY = re.compile(r"[\w-]{1,40}")
FILE_BYTES_MAX = 256 * 1024
PACKS_MAX = 200
"""Files that a directory of packs may hold."""


def load_packs(names: Sequence[str], directory: Path | None = None) -> tuple[Pack, ...]:
    """The packs of these names, built in or from the house's directory. Raises Misconfigured, naming every mistake."""
    known = known_packs(directory)
    wanted = tuple(dict.fromkeys(names))
    if not wanted:
        raise Misconfigured("no pack of contact rules is named: EWS_CONTACT_PACKS=default is the strictest")
    unknown = [f"no pack of contact rules is called {name}{_near(name, known)}" for name in wanted if name not in known]
    if unknown:
        raise Misconfigured("; ".join(unknown))
    return tuple(known[name] for name in wanted)


def known_packs(directory: Path | None = None) -> dict[str, Pack]:
    """Every pack there is, by name. Raises Misconfigured, naming every mistake."""
    return _built_in() | (_of_directory(directory) if directory is not None else {})


def pack_names(directory: Path | None = None) -> frozenset[str]:
    """The names that a contact record may give. Raises Misconfigured."""
    return frozenset(known_packs(directory))


def packs_for(
    record: ContactRecord | None, installation: Iterable[Pack], known: Mapping[str, Pack]
) -> tuple[Pack, ...]:
    """The packs that hold for a borrower: the installation's and the record's. `check` refuses what is not known."""
    of_record = () if record is None else record.packs
    packs = {pack.name: pack for pack in installation}
    packs |= {name: known[name] for name in of_record if name in known}
    return tuple(packs.values())


def support_owed(packs: Iterable[Pack], kind: Kind) -> bool:
    """Whether a message of this kind has to say what support there is."""
    return any(pack.support is not None and kind in pack.support.kinds for pack in packs)


@cache
def _built_in() -> dict[str, Pack]:
    found = {}
    for file in sorted(files(__package__).iterdir(), key=lambda one: one.name):
        if file.name.endswith(".toml"):
            name = file.name.removesuffix(".toml")
            found[name] = _pack(name, file.read_bytes(), file.name)
    return found


def _of_directory(directory: Path) -> dict[str, Pack]:
    paths = _files_of(directory)
    found, mistakes = {}, []
    for path in paths:
        try:
            found[path.stem] = _of_file(path)
        except Misconfigured as wrong:
            mistakes.append(str(wrong))
    if mistakes:
        raise Misconfigured("; ".join(mistakes))
    return found


def _files_of(directory: Path) -> list[Path]:
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix == ".toml")
    except OSError as error:
        raise Misconfigured(f"cannot read EWS_CONTACT_PACKS_DIR {directory}: {error.strerror}") from None
    if len(paths) > PACKS_MAX:
        raise Misconfigured(f"EWS_CONTACT_PACKS_DIR {directory} holds more than {PACKS_MAX} packs")
    return paths


def _of_file(path: Path) -> Pack:
    if not NAME.fullmatch(path.stem):
        raise Misconfigured(f"{path}: a pack's name is 1 to 32 small letters and _; rename the file")
    if path.stem in _built_in():
        raise Misconfigured(f"{path}: there is a built-in pack of this name; rename the file")
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from None
    return _pack(path.stem, raw, str(path))


def _pack(name: str, raw: bytes, where: str) -> Pack:
    if len(raw) > FILE_BYTES_MAX:
        raise Misconfigured(f"{where}: is larger than {FILE_BYTES_MAX // 1024} KiB")
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise Misconfigured(f"{where}: is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        detail = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a value that cannot be read"
        raise Misconfigured(f"{where}: is not TOML: {detail}") from None
    if "name" in document:
        raise Misconfigured(f"{where}: name: a pack is called like its file; leave the key out")
    try:
        return Pack.model_validate(document | {"name": name})
    except ValidationError as invalid:
        mistakes = [_mistake(error) for error in invalid.errors(include_url=False, include_input=False)]
        raise Misconfigured("; ".join(f"{where}: {mistake}" for mistake in mistakes)) from None


def _mistake(error: ErrorDetails) -> str:
    place = ".".join(map(_key, error["loc"])) or "the file"
    if error["type"] == "string_pattern_mismatch":
        return f"{place}: is one line of text"
    if error["type"] == "extra_forbidden":
        return f"{place}: there is no such key{_near(str(error['loc'][-1]), _keys(error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"{place}: is missing"
    return f"{place}: {error['msg'].removeprefix('Value error, ')}"


def _key(part: int | str) -> str:
    """A key as it may be shown: what does not look like one is not repeated."""
    return str(part) if isinstance(part, int) or KEY.fullmatch(part) else "(a key that is none)"


def _keys(path: tuple[int | str, ...]) -> list[str]:
    """The keys that there are at a place of a pack."""
    model: type[BaseModel] = Pack
    for name in path:
        if isinstance(name, str) and name in model.model_fields:
            inner = _model_in(model.model_fields[name].annotation)
            if inner is None:
                return []
            model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _near(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f", did you mean {near[0]}?" if near else f"; there are {', '.join(names)}"
