"""What a borrower reads or hears: templates by language, step and channel, with amounts and days as there written.

    texts = load_texts(outreach, lender="North Bank", house=None)
    texts.words("overdue_reminder", Channel.SMS, "zh-CN", parameters, opt_out=True)

A template is `templates/<language>/<step>.<channel>.txt`. Those of e-mail, push and calls have two parts with a line
`---` between them: subject or title, or what is said before it is known who has answered. Whatever somebody else may
read or hear (a push message, the opening of a call) can use no parameter that tells of a debt; this and everything
else about a template is checked when the process starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency
from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import SandboxedEnvironment

from schemas.currencies import exponent
from streams.casework.contact import Channel
from streams.casework.figures import Figures
from streams.casework.outreach import StepName
from streams.casework.segments import segments
from streams.errors import Misconfigured, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from importlib.resources.abc import Traversable

    from jinja2 import Template

    from streams.casework.outreach import Outreach

PARTS = "\n---\n"
"""What stands between the two parts of a template."""
SMS_SEGMENTS_MAX = 3
PUSH_CHARACTERS_MAX = 178
"""What the lock screens of phones show of a push message."""
EMAIL_CHARACTERS_MAX = 10_000
CALL_CHARACTERS_MAX = 1_500
"""About a minute and a half, spoken."""
OPT_OUT = "opt_out"
"""The file with the words by which a borrower opts out: `opt_out.<channel>.txt`."""
OPENLY = frozenset({"lender"})
"""What a part that others may read or hear can say."""
OF_A_DEBT = frozenset({"amount", "due", "days"})


_LONGEST = Figures(amount_minor=99_999_999_999, currency="IDR", due=date(2026, 9, 28), days=14)
"""What a text must have room for."""


@dataclass(frozen=True, slots=True)
class Words:
    """What is sent: a subject, a title or the opening of a call (none for a text message), and the text."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class _Entry:
    title: Template | None
    text: Template


class Texts:
    """Every text of every language. Comes from `load_texts`, which has checked them."""

    def __init__(
        self,
        entries: Mapping[tuple[str, str, Channel], _Entry],
        opt_outs: Mapping[tuple[str, Channel], str],
        *,
        lender: str,
        fallback: str,
    ) -> None:
        self._entries = entries
        self._opt_outs = opt_outs
        self._lender = lender
        self._fallback = fallback
        self.languages = tuple(sorted({language for language, _, _ in entries}))

    def language(self, wanted: str) -> str:
        """The language that a borrower of this one is written to: itself, its base, or the one for all others."""
        tag = wanted.replace("_", "-").lower()
        while tag:
            found = next((one for one in self.languages if one.lower() == tag), None)
            if found:
                return found
            tag = tag.rpartition("-")[0]
        return self._fallback

    def words(self, step: str, channel: Channel, language: str, figures: Figures | None, *, opt_out: bool) -> Words:
        """The words of a step on a channel. Figures go in as the borrower's own language and region write them.

        Raises Rejected for a text of the house that cannot be filled in with these.
        """
        found = self.language(language)
        entry = self._entries[found, step, channel]
        said = self._opt_outs.get((found, channel), "") if opt_out else ""
        values = {"lender": self._lender, "opt_out": said}
        if figures is not None:
            values |= _written(figures, _locale(language, found))
        try:
            title = entry.title.render(values).strip() if entry.title else ""
            text = entry.text.render(values).strip()
        except Exception as fault:  # A template computes, so it can fail in any way.
            raise Rejected(f"the text {found}/{step}.{channel}.txt cannot be filled in: {fault}") from fault
        return Words(title, _plain(text) if channel is Channel.SMS else text)


def load_texts(outreach: Outreach, *, lender: str, house: Traversable | None = None) -> Texts:
    """The built-in texts with the house's own in their place, all checked. Raises Misconfigured, naming the file."""
    files = _files(resources.files("streams.casework").joinpath("templates"))
    if house is not None:
        if not house.is_dir():
            raise Misconfigured("EWS_TEMPLATES_DIR is not a directory that can be read")
        files |= _files(house)
    languages = sorted({language for language, _ in files})
    if outreach.fallback_language not in languages:
        raise Misconfigured(f"there are no texts in {outreach.fallback_language}, the language for all others")
    entries: dict[tuple[str, str, Channel], _Entry] = {}
    opt_outs: dict[tuple[str, Channel], str] = {}
    for language in languages:
        for step, channel in _wanted(outreach):
            entries[language, step, channel] = _entry(files, language, step, channel)
        for channel in (Channel.SMS, Channel.EMAIL):
            opt_outs[language, channel] = _file(files, language, OPT_OUT, channel).strip()
    texts = Texts(entries, opt_outs, lender=lender, fallback=outreach.fallback_language)
    for key in entries:
        _check_length(texts, *key)
    return texts


def _wanted(outreach: Outreach) -> Iterable[tuple[StepName, Channel]]:
    return ((name, channel) for name, step in outreach.steps.items() for channel in step.channels)


def _files(folder: Traversable) -> dict[tuple[str, str], str]:
    """The text of each file by language and name."""
    return {
        (language.name, file.name): file.read_text("utf-8")
        for language in folder.iterdir()
        if language.is_dir()
        for file in language.iterdir()
        if file.name.endswith(".txt")
    }


def _file(files: Mapping[tuple[str, str], str], language: str, step: str, channel: Channel) -> str:
    name = f"{step}.{channel}.txt"
    if (language, name) not in files:
        raise Misconfigured(f"there is no text {language}/{name}: a language needs every step on every channel")
    return files[language, name]


def _entry(files: Mapping[tuple[str, str], str], language: str, step: str, channel: Channel) -> _Entry:
    """The templates of a file, their parameters checked."""
    where = f"{language}/{step}.{channel}.txt"
    parts = _file(files, language, step, channel).split(PARTS)
    if len(parts) != (1 if channel is Channel.SMS else 2):
        asked = "one part" if channel is Channel.SMS else "two parts with a line --- between them"
        raise Misconfigured(f"the text {where} has {len(parts)} parts: it needs {asked}")
    *titles, text = parts
    told = OPENLY if step == StepName.OFFER_PLAN else OPENLY | OF_A_DEBT
    for title in titles:
        _check_parameters(title, OPENLY if channel is not Channel.EMAIL else told, where)
    openly = channel is Channel.PUSH
    _check_parameters(text, OPENLY if openly else told | {OPT_OUT}, where)
    if channel in {Channel.SMS, Channel.EMAIL} and OPT_OUT not in _parameters(text, where):
        raise Misconfigured(f"the text {where} has no {{{{ opt_out }}}}: there must be a way to opt out")
    made = [_environment().from_string(part) for part in parts]
    return _Entry(made[0] if titles else None, made[-1])


def _check_parameters(part: str, allowed: frozenset[str], where: str) -> None:
    foreign = sorted(_parameters(part, where) - allowed)
    if foreign:
        raise Misconfigured(
            f"the text {where} uses {', '.join(foreign)} where only {', '.join(sorted(allowed))} can be said"
        )


def _parameters(part: str, where: str) -> set[str]:
    try:
        return meta.find_undeclared_variables(_environment().parse(part))
    except TemplateError as fault:
        raise Misconfigured(f"the text {where} is no template: {fault.message}") from None


def _check_length(texts: Texts, language: str, step: str, channel: Channel) -> None:
    """With the largest figures and the words to opt out."""
    where = f"{language}/{step}.{channel}.txt"
    figures = None if step == StepName.OFFER_PLAN else _LONGEST
    try:
        words = texts.words(step, channel, language, figures, opt_out=True)
    except Rejected as fault:
        raise Misconfigured(str(fault)) from None
    if not words.text or (channel is not Channel.SMS and not words.title):
        raise Misconfigured(f"the text {where} is empty")
    if channel is Channel.SMS and segments(words.text) > SMS_SEGMENTS_MAX:
        raise Misconfigured(
            f"the text {where} takes {segments(words.text)} parts as a text message, at most 3 are sent"
        )
    if "\n" in words.title and channel is not Channel.CALL:
        raise Misconfigured(f"the text {where} has a title of several lines")
    most = _CHARACTERS_MAX.get(channel)
    if most and len(words.title) + len(words.text) > most:
        raise Misconfigured(f"the text {where} has {len(words.title) + len(words.text)} characters, at most {most}")


_CHARACTERS_MAX = {
    Channel.PUSH: PUSH_CHARACTERS_MAX,
    Channel.EMAIL: EMAIL_CHARACTERS_MAX,
    Channel.CALL: CALL_CHARACTERS_MAX,
}


def _written(figures: Figures, locale: Locale) -> dict[str, Any]:
    amount = Decimal(figures.amount_minor).scaleb(-exponent(figures.currency))
    return {
        "amount": format_currency(amount, figures.currency, locale=locale, decimal_quantization=False),
        "due": format_date(figures.due, "long", locale=locale),
        "days": figures.days,
    }


@cache
def _locale(wanted: str, found: str) -> Locale:
    """How the borrower's own language and region write numbers and days, where they are those of the text."""
    try:
        locale = Locale.parse(wanted.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        locale = None
    base = Locale.parse(found.replace("-", "_"))
    return locale if locale is not None and locale.language == base.language else base


@cache
def _environment() -> SandboxedEnvironment:
    return SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


def _plain(text: str) -> str:
    """With spaces that every phone's alphabet has: one that it lacks halves the length of a text message."""
    return " ".join(text.replace("\u00a0", " ").replace("\u202f", " ").split())
