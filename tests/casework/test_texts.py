from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from streams.casework.contact import Channel
from streams.casework.figures import Figures
from streams.casework.outreach import Outreach, StepName
from streams.casework.segments import segments
from streams.casework.texts import load_texts
from streams.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

    from streams.casework.texts import Texts

FIGURES = Figures(amount_minor=123_450, currency="CNY", due=date(2026, 3, 1), days=5)
LENDER = "North Bank"


def texts(house: Path | None = None) -> Texts:
    """The texts of one lender."""
    return load_texts(Outreach.standard(), lender=LENDER, house=house)


def override(folder: Path, name: str, text: str, language: str = "en") -> Path:
    """A house with one text of its own."""
    (folder / language).mkdir(exist_ok=True)
    (folder / language / name).write_text(text, "utf-8")
    return folder


def test_every_step_has_its_words_in_every_language() -> None:
    """Four languages at least, each step on each of its channels; all of them are checked by loading."""
    ours, outreach = texts(), Outreach.standard()

    assert {"en", "es", "id", "zh"} <= set(ours.languages)
    for language in ours.languages:
        for name, step in outreach.steps.items():
            for channel in step.channels:
                figures = FIGURES if step.of_loan else None
                assert ours.words(name, channel, language, figures, opt_out=True).text


@pytest.mark.parametrize(
    ("language", "amount", "day"),
    [
        ("en", "CN¥1,234.50", "March 1, 2026"),
        ("en-GB", "CN¥1,234.50", "1 March 2026"),
        ("zh", "¥1,234.50", "2026年3月1日"),
        ("es", "1.234,50 CNY", "1 de marzo de 2026"),
        ("es-MX", "CNY", "1 de marzo de 2026"),
        ("id", "CN¥1.234,50", "1 Maret 2026"),
    ],
)
def test_amounts_and_days_are_written_as_the_language_has_them(language: str, amount: str, day: str) -> None:
    """Also by region, where it is one of the text's language."""
    said = texts().words(StepName.OVERDUE_REMINDER, Channel.SMS, language, FIGURES, opt_out=False).text

    assert amount in said
    assert day in said


@pytest.mark.parametrize(
    ("currency", "minor", "written"),
    [("JPY", 1_234, "¥1,234"), ("KWD", 1_234_567, "1,234.567"), ("AFN", 1_050, "10.5")],
)
def test_no_currency_loses_a_digit(currency: str, minor: int, written: str) -> None:
    """The minor unit is ISO 4217's, whatever a language usually shows."""
    figures = Figures(amount_minor=minor, currency=currency, due=date(2026, 3, 1), days=1)

    assert written in texts().words("overdue_reminder", Channel.SMS, "en", figures, opt_out=False).text


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("zh", "zh"), ("zh-Hant-TW", "zh"), ("ZH_cn", "zh"), ("es-419", "es"), ("sw", "en"), ("", "en"), ("x" * 40, "en")],
)
def test_a_language_without_texts_falls_back(wanted: str, found: str) -> None:
    """To its base, else to the language for all others."""
    assert found == texts().language(wanted)
    assert texts().words("upcoming_reminder", Channel.SMS, wanted, FIGURES, opt_out=True).text


@pytest.mark.parametrize("language", ["en", "zh", "es", "id"])
def test_what_others_may_read_or_hear_tells_of_no_debt(language: str) -> None:
    """A push message, and what a call says before it is known who has answered: no lender, no figure."""
    ours = texts()
    for step in ("upcoming_reminder", "overdue_reminder"):
        push = ours.words(step, Channel.PUSH, language, FIGURES, opt_out=True)
        assert not any(word in push.title + push.text for word in (LENDER, "1", "2026"))
    call = ours.words("automatic_call", Channel.CALL, language, FIGURES, opt_out=True)
    assert not any(word in call.title for word in (LENDER, "2026", "34"))
    assert LENDER in call.text


@pytest.mark.parametrize("language", ["en", "zh", "es", "id"])
def test_text_messages_and_mails_say_how_to_opt_out(language: str) -> None:
    """And fit into three parts."""
    ours = texts()
    for step in ("upcoming_reminder", "overdue_reminder", "offer_plan"):
        figures = None if step == "offer_plan" else FIGURES
        said, silent = (ours.words(step, Channel.SMS, language, figures, opt_out=told).text for told in (True, False))
        assert said.startswith(silent.rstrip())
        assert len(said) > len(silent)
        assert segments(said) <= 3


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("overdue_reminder.sms.txt", "Pay {{ amount }} {{ opt_out", "no template"),
        ("overdue_reminder.sms.txt", "Pay {{ name }} {{ opt_out }}", "uses name"),
        ("overdue_reminder.sms.txt", "Pay {{ amount }}", "opt_out"),
        ("overdue_reminder.sms.txt", "a\n---\nb {{ opt_out }}", "2 parts"),
        ("overdue_reminder.sms.txt", "long " * 200 + "{{ opt_out }}", "at most 3"),
        ("overdue_reminder.push.txt", "You owe\n---\n{{ amount }}", "uses amount"),
        ("overdue_reminder.push.txt", "You owe {{ days }}\n---\nx", "uses days"),
        ("overdue_reminder.push.txt", "one part", "1 parts"),
        ("overdue_reminder.push.txt", "t\n---\n" + "x" * 200, "characters"),
        ("automatic_call.call.txt", "You owe {{ amount }}\n---\nx", "uses amount"),
        ("offer_plan.email.txt", "t\n---\n{{ amount }} {{ opt_out }}", "uses amount"),
        ("overdue_reminder.email.txt", "\n---\nx {{ opt_out }}", "empty"),
        ("overdue_reminder.sms.txt", "{{ lender.upper.__class__.__mro__ }} {{ opt_out }}", "cannot be filled in"),
        ("overdue_reminder.sms.txt", "{{ 1 / 0 }} {{ opt_out }}", "cannot be filled in"),
    ],
)
def test_a_text_of_the_house_is_checked_at_the_start(tmp_path: Path, name: str, text: str, named: str) -> None:
    """The sentence names the file and what is wrong with it."""
    with pytest.raises(Misconfigured, match=named) as fault:
        texts(override(tmp_path, name, text))

    assert f"en/{name}" in str(fault.value)


def test_a_text_of_the_house_stands_in_place_of_ours(tmp_path: Path) -> None:
    """Only that one."""
    ours = texts(override(tmp_path, "overdue_reminder.sms.txt", "{{ lender }}: {{ days }} days. {{ opt_out }}"))

    said = ours.words("overdue_reminder", Channel.SMS, "en", FIGURES, opt_out=True).text
    assert "North Bank: 5 days. Reply STOP to opt out." == said


def test_a_language_of_the_house_needs_every_text(tmp_path: Path) -> None:
    """Half a language would leave borrowers without a message."""
    with pytest.raises(Misconfigured, match="no text fr/"):
        texts(override(tmp_path, "overdue_reminder.sms.txt", "x {{ opt_out }}", "fr"))


def test_a_house_that_is_none_is_named(tmp_path: Path) -> None:
    """The setting, not a traceback."""
    with pytest.raises(Misconfigured, match="EWS_TEMPLATES_DIR"):
        texts(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("您" * 70, 1),
        ("您" * 71, 2),
        ("😀" * 35, 1),
        ("", 1),
    ],
)
def test_parts_of_a_text_message(text: str, parts: int) -> None:
    """160 letters of the GSM alphabet or 70 of any other alone, 153 or 67 each of several."""
    assert parts == segments(text)
