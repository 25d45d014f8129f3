"""The detectors as people look at them: what each says of itself, and its settings under a policy."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt

from schemas.alerts import Severity
from streams.bootstrap.policies import plain
from streams.bootstrap.policy import detector_class, load_detectors
from streams.errors import Misconfigured, Unavailable
from streams.history.outcomes import from_files, from_topics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic.fields import FieldInfo

    from streams.engine.detector import Detector
    from streams.engine.policy import Policy
    from streams.history.outcomes import Precision
    from streams.settings import Settings

_BOUNDS = {Ge: ("ge", "at least"), Gt: ("gt", "above"), Le: ("le", "at most"), Lt: ("lt", "below")}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a detector."""

    name: str
    value: Any
    default: Any
    kind: str
    bounds: str
    description: str

    @property
    def changed(self) -> bool:
        """Whether the policy sets it to something else."""
        return bool(self.value != self.default)


@dataclass(frozen=True, slots=True)
class Portrait:
    """A detector as a policy sets it."""

    key: str
    version: int
    title: str
    text: str
    """The docstring: why, which way the settings move it, known false alarms, first step, source."""
    first_step: str
    listens: list[str]
    mode: str
    """`live`, `shadow` (its alerts open no case and send nothing) or `off`."""
    severities: list[str]
    settings: list[Setting]


def portraits(policy: Policy) -> list[Portrait]:
    """Every detector. Raises Misconfigured for a bad policy."""
    return [_portrait(detector) for detector in load_detectors(policy)]


def portrait(key: str, policy: Policy) -> Portrait:
    """One detector. Raises Misconfigured for an unknown key or a bad policy."""
    detector_class(key)
    return next(one for one in portraits(policy) if one.key == key)


def live_precision(
    key: str, settings: Settings, files: tuple[Path, Path] | None, *, asked: bool
) -> Precision | str | None:
    """How a detector fared by the outcomes of its alerts: those of two files (alerts, outcomes), else of the cluster.

    None where no cluster is set. One that is set and cannot be reached is a sentence, or if it was `asked` for an
    error: raises Unavailable, Misconfigured.
    """
    if files is not None:
        return from_files(key, *files)
    if "bootstrap_servers" not in settings.model_fields_set:
        return None
    try:
        return asyncio.run(from_topics(key, settings))
    except (Unavailable, Misconfigured) as why:
        if asked:
            raise
        return f"not known: {why}"


def _portrait(detector: Detector) -> Portrait:
    text = inspect.cleandoc(type(detector).__doc__ or "")
    return Portrait(
        detector.key,
        detector.version,
        text.partition("\n")[0],
        text,
        detector.first_step,
        sorted(detector.listens),
        ("shadow" if detector.shadow else "live") if detector.enabled else "off",
        _severities(detector),
        list(_settings(detector)),
    )


def _severities(detector: Detector) -> list[str]:
    """What its alerts can be, lowest first: the severities that its module names, or those of its tiers."""
    module = inspect.getmodule(type(detector))
    assert module is not None, "a detector is defined in one"
    source = inspect.getsource(module)
    named = [severity.value for severity in Severity if f"Severity.{severity.name}" in source]
    tiers = [value for value in vars(module).values() if isinstance(value, tuple)]
    return named or [severity.value for severity in Severity if any(severity.value in names for names in tiers)]


def _settings(detector: Detector) -> Iterator[Setting]:
    for name, field in type(detector).model_fields.items():
        value, default = plain(getattr(detector, name)), plain(field.get_default(call_default_factory=True))
        yield Setting(name, value, default, _kind(field.annotation), _bounds(field), field.description or "")


def _kind(annotation: Any) -> str:
    if get_origin(annotation) in {tuple, frozenset, list}:
        return f"list of {_kind(get_args(annotation)[0])}"
    return {"str": "text", "bool": "true or false", "int": "whole number", "float": "number"}.get(
        name := getattr(annotation, "__name__", str(annotation)), name
    )


def _bounds(field: FieldInfo) -> str:
    found = [(_BOUNDS[type(rule)], rule) for rule in field.metadata if type(rule) in _BOUNDS]
    return ", ".join(f"{words} {getattr(rule, name)}" for (name, words), rule in found)
