"""From a policy file to an engine. A key of `[detectors]` is a module of streams.detectors with one Detector in it."""

from __future__ import annotations

import pkgutil
import tomllib
from importlib import import_module
from typing import TYPE_CHECKING

from pydantic import ValidationError

import streams.detectors
from schemas.codec import describe
from streams.engine.detector import Detector
from streams.engine.engine import Engine
from streams.engine.policy import Policy
from streams.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path


def detector_keys() -> list[str]:
    """The keys of all detectors there are."""
    return sorted(module.name for module in pkgutil.iter_modules(streams.detectors.__path__))


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
    """The policy of a TOML file, or the default one: every detector with its defaults. Raises Misconfigured."""
    if file is None:
        return Policy()
    try:
        policy = Policy.model_validate(tomllib.loads(file.read_text("utf-8")))
    except OSError as error:
        raise Misconfigured(f"cannot read the policy {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the policy {file} is not TOML: {error}") from None
    except ValidationError as error:
        raise Misconfigured(f"the policy {file}: {describe(error)}") from None
    try:
        load_detectors(policy)
    except Misconfigured as error:
        raise Misconfigured(f"the policy {file}: {error}") from None
    return policy


def load_detectors(policy: Policy) -> list[Detector]:
    """Every detector with the settings of the policy, in the order of their keys. Raises Misconfigured."""
    for key in policy.detectors:
        detector_class(key)
    return [_configured(key, policy) for key in detector_keys()]


def _configured(key: str, policy: Policy) -> Detector:
    try:
        return detector_class(key).model_validate(policy.detectors.get(key, {}))
    except ValidationError as error:
        raise Misconfigured(f"detectors.{key}: {describe(error)}") from None


def load_engine(file: Path | None, live_from_ms: int | None = None) -> Engine:
    """The engine of a policy file."""
    policy = load_policy(file)
    return Engine(policy, load_detectors(policy), live_from_ms)
