"""A policy as a document: whole with all defaults, and every mistake of a file at once."""

from __future__ import annotations

import difflib
import tomllib
from enum import Enum
from typing import TYPE_CHECKING, Any

import tomli_w
from pydantic import BaseModel, ValidationError

from streams.bootstrap.policy import detector_class, detector_keys, load_detectors
from streams.engine.policy import Policy
from streams.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails

HEADER = """\
# A policy: every setting that decides an alert, with its value. Written by `ews policies show`; leave out what you do
# not change. `ews detectors NAME` says what a setting means, `ews policies check FILE` what is wrong with a file.

"""


def effective(policy: Policy) -> dict[str, Any]:
    """All settings of a policy, those of every detector included, as plain values. Raises Misconfigured."""
    whole: dict[str, Any] = plain(policy)
    return whole | {"detectors": {detector.key: plain(detector) for detector in load_detectors(policy)}}


def as_toml(policy: Policy) -> str:
    """The whole policy as a file that loads to the same engine. Raises Misconfigured."""
    return HEADER + tomli_w.dumps(effective(policy), indent=2)


def plain(value: Any) -> Any:
    """Settings as TOML and JSON have them: sets in order, since theirs changes from run to run, and without None."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, frozenset | set):
        return sorted(map(plain, value))
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def mistakes(file: Path) -> list[str]:
    """Everything that is wrong with a policy file, a line each with its place; none if it can be used."""
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        return [f"cannot be read: {error.strerror}"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return [f"is not TOML: {error}"]
    return [*_of_model(Policy, raw, ()), *_of_detectors(raw.get("detectors", {}))]


def _of_detectors(raw: object) -> Iterator[str]:
    for key, settings in raw.items() if isinstance(raw, dict) else ():
        if key in detector_keys():
            yield from _of_model(detector_class(key), settings, ("detectors", key))
        else:
            yield f"detectors.{key}: no detector is called so{_near(key, detector_keys())}"


def _of_model(model: type[BaseModel], raw: object, place: tuple[str, ...]) -> Iterator[str]:
    try:
        model.model_validate(raw)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False):
            if place or error["loc"][:1] != ("detectors",) or len(error["loc"]) == 1:
                yield _mistake(model, error, place)
    except Misconfigured as invalid:
        yield f"{'.'.join(place)}: {invalid}"


def _mistake(model: type[BaseModel], error: ErrorDetails, place: tuple[str, ...]) -> str:
    where = ".".join(map(str, (*place, *error["loc"])))
    if error["type"] != "extra_forbidden":
        return f"{where or 'the file'}: {error['msg'].removeprefix('Value error, ')}"
    return f"{where}: there is no such setting{_near(str(error['loc'][-1]), _names(model, error['loc'][:-1]))}"


def _names(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The settings that there are at a place of a model."""
    for name in path:
        field = model.model_fields.get(str(name))
        inner = None if field is None else field.annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]}?" if near else ""
