"""Which forms a case's page offers to whom, and when. What it leaves out is refused by the desk all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from streams.api.console import forms
from streams.stores.case import Pause
from streams.stores.roles import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from streams.api.console.forms import Form, Ground


def forms_for(ground: Ground) -> Iterator[Form]:
    """The forms that make sense now, and that the role may send."""
    if not ground.actor.role.reaches(Role.COLLECTOR):
        return
    closed = ground.file.case.closed_at is not None
    for applies, make in _OPEN if not closed else _CLOSED:
        if applies(ground):
            yield make(ground)


def form_of(kind: str, ground: Ground, typed: Mapping[str, str]) -> Form | None:
    """The form of one action, whether or not it is offered, to be filled in again."""
    for _, make in (*_OPEN, *_CLOSED, *_SINGLE):
        form = make(ground)
        if form.kind == kind:
            return _kept(form, typed)
    return None


def _kept(form: Form, typed: Mapping[str, str]) -> Form:
    """With what a person had typed in place of what the form would suggest."""
    return replace(form, fields=tuple(replace(f, value=typed.get(f.name, "")) for f in form.fields))


def _always(_ground: Ground) -> bool:
    return True


def _free(ground: Ground) -> bool:
    return ground.file.case.owner is None


def _has_loans(ground: Ground) -> bool:
    return bool(ground.file.case.loans)


def _supervises(ground: Ground) -> bool:
    return ground.actor.role.reaches(Role.SUPERVISOR)


def _paused(pause: Pause) -> Callable[[Ground], bool]:
    return lambda ground: pause in ground.file.case.pauses


def _not_paused(pause: Pause) -> Callable[[Ground], bool]:
    return lambda ground: pause not in ground.file.case.pauses


def _wants_decision(ground: Ground) -> bool:
    case = ground.file.case
    return _supervises(ground) and Pause.HARDSHIP in case.pauses and not case.hardship_granted


def _some_step_is_on(ground: Ground) -> bool:
    return bool(ground.ladder.hard_steps.on)


def _has_episodes(ground: Ground) -> bool:
    return bool(ground.file.episodes)


_Make = tuple["Callable[[Ground], bool]", "Callable[[Ground], Form]"]
_OPEN: tuple[_Make, ...] = (
    (_free, forms.take),
    (_wants_decision, forms.decide_hardship),
    (_paused(Pause.DISPUTE), forms.end_dispute),
    (_paused(Pause.HOLD), forms.resume),
    (_always, forms.note),
    (_always, forms.contact),
    (_has_loans, forms.promise),
    (_has_loans, forms.plan),
    (_not_paused(Pause.HARDSHIP), forms.hardship),
    (_not_paused(Pause.DISPUTE), forms.dispute),
    (_not_paused(Pause.HOLD), forms.hold),
    (_some_step_is_on, forms.request_approval),
    (_has_episodes, forms.judge),
    (_always, forms.assign),
    (_supervises, forms.close),
)
_CLOSED: tuple[_Make, ...] = ((_always, forms.note), (_has_episodes, forms.judge), (_supervises, forms.reopen))
_SINGLE: tuple[_Make, ...] = ((_always, forms.cancel_promise), (_always, forms.decide_approval))
"""Forms about one promise or one request, which stand beside it."""
