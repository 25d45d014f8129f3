"""From a policy file to an engine. A key of `[detectors]` is a module of streams.detectors with one Detector in it."""

from __future__ import annotations

import difflib
import pkgutil
import tomllib
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

import streams.detectors
from streams.engine.detector import Detector
from streams.engine.engine import Engine
from streams.engine.policy import Policy
from streams.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails


def detector_keys() -> list[str]:
    """The keys of all detectors there are."""
    return list(_detector_keys())


@cache
def _detector_keys() -> tuple[str, ...]:
    return tuple(sorted(module.name for module in pkgutil.iter_modules(streams.detectors.__path__)))


@cache
def detector_class(key: str) -> type[Detector]:
    """The detector of a key. Raises Misconfigured for an unknown one."""
    if key not in detector_keys():
        raise Misconfigured(f"no detector is called {key!r}; there are {', '.join(detector_keys())}")
    module = import_module(f"streams.detectors.{key}")
    found = [
        x
        for x in vars(module).values()
        if isinstance(x, type) and issubclass(x, Detector) and x.__module__ == module.__name__
    ]
    assert len(found) == 1, f"{key} must hold one detector"
    return found[0]


def load_policy(file: Path | None) -> Policy:
    """The policy of a TOML file, or the default one: every detector with its defaults.

    Raises Misconfigured, naming every mistake.
    """
    if file is None:
        return Policy()
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise Misconfigured(f"cannot read the policy {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the policy {file} is not TOML: {error}") from None
    return policy_of(raw, f"the policy {file}")


def policy_of(raw: dict[str, Any], name: str) -> Policy:
    """The policy of a document. Raises Misconfigured, naming every mistake."""
    if found := list(mistakes_in(raw)):
        raise Misconfigured(f"{name}: {'; '.join(found)}")
    return Policy.model_validate(raw)


def load_detectors(policy: Policy) -> list[Detector]:
    """Every detector with the settings of the policy, in the order of their keys. Raises Misconfigured."""
    if found := list(_of_detectors(policy.detectors)):
        raise Misconfigured("; ".join(found))
    return [detector_class(key).model_validate(policy.detectors.get(key, {})) for key in detector_keys()]


def load_engine(file: Path | None, live_from_ms: int | None = None) -> Engine:
    """The engine of a policy file."""
    return engine_of(load_policy(file), live_from_ms)


def engine_of(policy: Policy, live_from_ms: int | None = None) -> Engine:
    """The engine of a policy."""
    return Engine(policy, load_detectors(policy), live_from_ms)


def mistakes(file: Path) -> list[str]:
    """Everything that is wrong with a policy file, a line each with its place; none if it can be used."""
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        return [f"cannot be read: {error.strerror}"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return [f"is not TOML: {error}"]
    return list(mistakes_in(raw))


def mistakes_in(raw: dict[str, Any]) -> Iterator[str]:
    """Everything that is wrong with a policy, each with its place."""
    yield from _of_model(Policy, raw, ())
    yield from _of_detectors(raw.get("detectors", {}))


def _of_detectors(raw: object) -> Iterator[str]:
    for key, settings in raw.items() if isinstance(raw, dict) else ():
        if key in detector_keys():
            yield from _of_model(detector_class(key), settings, ("detectors", key))
            yield from _of_held(key, settings)
        else:
            yield f"detectors.{key}: no detector is called so{_near(key, detector_keys())}"


def _of_held(key: str, settings: object) -> Iterator[str]:
    """What a detector waits for is another one: a name that is none would hold nothing, unnoticed."""
    held = settings.get("held_while") if isinstance(settings, dict) else None
    for other in held if isinstance(held, (list, tuple, set, frozenset)) else ():
        if other == key:
            yield f"detectors.{key}.held_while: a detector cannot be held by itself"
        elif isinstance(other, str) and other not in detector_keys():
            yield f"detectors.{key}.held_while: no detector is called {other}{_near(other, detector_keys())}"


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
