from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, NamedTuple

import orjson
import pytest

from schemas.alerts import Alert, Points, Risk
from schemas.codec import encode
from schemas.events import BorrowerSnoozed
from streams.bootstrap.explain import Question, explain_from_files
from streams.bootstrap.history import replay_files
from streams.cli import main
from streams.cli.explain_text import bar_text, print_story
from streams.cli.explain_timeline import drawn
from streams.engine.calendar import DAY_MS, day_of, ms_of
from streams.engine.policy import Policy
from streams.errors import Misconfigured, Rejected
from streams.history.explain.files import gather
from streams.history.explain.life import days_past_due, loans_of
from streams.history.explain.material import Told, Wanted
from streams.history.explain.page import page_of
from streams.history.explain.story import Bar, as_json
from streams.history.explain.timeline import Kind, Mark, Row, Timeline
from streams.history.explain.words import name_text, number_text, window_days, window_text
from tests.builders import at, booked, event, heartbeat, in_order, inquired, on, opened, paid, returned

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.events import Event

PERSON = "Zhang San"


class Case(NamedTuple):
    """Files as a replay leaves them: paid on day 10, missed on day 40, paid on day 60; another lender's inquiries."""

    alerts: Path
    events: Path

    @property
    def told(self) -> list[Alert]:
        """The alerts of the file."""
        return [Alert.model_validate_json(line) for line in self.alerts.read_bytes().splitlines()]

    def alert(self, detector: str, status: str = "opened") -> Alert:
        """The first alert of a detector with a status."""
        return next(a for a in self.told if (a.data.detector, a.data.status) == (detector, status))

    def explain(self, identity: object, *more: str) -> list[str]:
        """The command line that explains an alert of these files."""
        return ["explain", str(identity), "--alerts", str(self.alerts), "--events", str(self.events), *more]


def life() -> list[Event]:
    """What happens to the borrower."""
    return [
        opened([10, 40, 70], identity="open-1", product="<script>alert(1)</script>"),
        paid(9, identity="pay-1"),
        booked(35, -500, 200),
        *(inquired(36 + n, f"lender-{n}", identity=f"ask-{n}") for n in range(3)),
        paid(60, identity="pay-2", payment="p-2"),
        returned(63, "p-2", identity="back-2"),
    ]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """The files. Each event holds a field that no schema knows, with a person in it."""
    return replayed(tmp_path, life())


def replayed(folder: Path, facts: list[Event]) -> Case:
    """Write events to a file and replay it."""
    own = Case(folder / "alerts.jsonl", folder / "events.jsonl")
    lines = [orjson.loads(encode(fact)) for fact in in_order(facts)]
    for line in lines:
        line["data"]["customer_name"] = PERSON
    own.events.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    replay_files([own.events], alerts=own.alerts, until=at(80))
    return own


def test_an_alert_is_explained_from_files(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence, the measure with its threshold, the events, the whole episode, a timeline, and the same bytes."""
    alert = case.alert("missed_installment")
    assert 0 == main(case.explain(str(alert.id)[:8]))
    out = capsys.readouterr().out
    assert out.startswith("missed_installment opened (info) for loan l-1 of borrower b-1: Installment 2 is unpaid")
    assert "Days past due are the measure of trouble" in out
    assert re.search(r"days past due +1 +1 +█+│", out)
    assert re.search(r"open-1 .*ews\.loan\.opened\.v1 +events\.jsonl line 1", out)
    assert re.search(r"▶ +1 .* opened ", out)
    assert re.search(r"resolved \(cured\)", out)
    assert "this episode" in out
    assert "▲ this alert" in out
    assert "byte for byte" in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_an_episode_is_explained_by_its_last_alert(case: Case) -> None:
    """Whoever has only the id of the episode gets where it stood in the end."""
    alert = case.alert("missed_installment")
    story = explain_from_files(case.alerts, [str(case.events)], Question(id=str(alert.data.episode_id)))
    assert story.alert.data.episode_id == alert.data.episode_id
    assert [r.revision for r in story.episode] == list(range(1, len(story.episode) + 1))
    assert [False] * (len(story.episode) - 1) + [True] == [r.asked for r in story.episode]


@pytest.mark.parametrize("status", ["opened", "escalated", "resolved"])
def test_every_revision_comes_out_of_the_files_again(case: Case, status: str) -> None:
    """Alerts of ticks, of events, and of the last tick of all are made again up to their moment."""
    alerts = [alert for alert in case.told if alert.data.status == status]
    assert alerts
    for alert in alerts:
        story = explain_from_files(case.alerts, [str(case.events)], Question(id=str(alert.id), check=True))
        assert story.rebuilt.equal, story.rebuilt.said


def test_another_alert_than_the_log_gives_is_noticed(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that was changed after the fact makes the exit code 1, and its field is named."""
    changed = case.alerts.read_bytes().replace(b"Installment 2 is unpaid 1 days", b"Installment 2 is unpaid 9 days")
    case.alerts.write_bytes(changed)
    alert = case.alert("missed_installment")
    assert 1 == main(case.explain(alert.id))
    assert "with other bytes: data.reason differ" in capsys.readouterr().out


def test_an_alert_that_the_files_do_not_give_is_noticed(case: Case) -> None:
    """Events of another portfolio do not make the alert."""
    alert = case.alert("missed_installment")
    case.events.write_bytes(b"\n".join(case.events.read_bytes().splitlines()[1:2]) + b"\n")
    story = explain_from_files(case.alerts, [str(case.events)], Question(id=str(alert.id)))
    assert story.rebuilt.equal is False
    assert "does not give this alert" in story.rebuilt.said


def test_evidence_that_is_gone_is_said_to_be(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """The id stays, what it said does not; a sentence says where it was looked for."""
    alert = case.alert("missed_installment")
    kept = [line for line in case.events.read_bytes().splitlines() if b'"pay-1"' not in line]
    case.events.write_bytes(b"\n".join(kept) + b"\n")
    main(case.explain(alert.id, "--no-check"))
    out = capsys.readouterr().out
    assert re.search(r"pay-1 +not there", out)
    assert "1 of 2 events are not among those that were searched." in out


def test_alerts_alone_are_enough_for_what_they_say(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """Without event files the alert is explained as far as it explains itself; asked for, the check is refused."""
    alert = case.alert("missed_installment")
    only = ["explain", str(alert.id), "--alerts", str(case.alerts)]
    assert 0 == main(only)
    out = capsys.readouterr().out
    assert "No event file was given" in out
    assert "could not be made again from the log: give the event files" in out
    assert 2 == main([*only, "--check"])
    assert "ews: give the event files that it came of (--events)\n" == capsys.readouterr().err


def test_the_policy_must_be_that_of_the_alert(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under another policy nothing is made again, and the reader is told that what is in force is another one."""
    policy = tmp_path / "policy.toml"
    policy.write_text('version = "other-2"\n')
    alert = case.alert("missed_installment")
    assert 0 == main(case.explain(alert.id, "--policy", str(policy)))
    out = capsys.readouterr().out
    assert "in force here is other-2" in out
    assert "was made under the policy default-1" in " ".join(out.split())
    assert 2 == main(case.explain(alert.id, "--policy", str(policy), "--check"))


def test_warm_up_alerts_are_made_again_as_the_replay_had_it(tmp_path: Path) -> None:
    """An alert with mode `history` needs the instant at which the replay went live."""
    case = replayed(tmp_path, life())
    replay_files([case.events], alerts=case.alerts, until=at(80), live_from=at(70))
    alert = case.alert("missed_installment")
    story = explain_from_files(case.alerts, [str(case.events)], Question(id=str(alert.id)), at(70))
    assert story.rebuilt.equal
    assert any("mode is history" in note for note in story.notes)
    assert not explain_from_files(case.alerts, [str(case.events)], Question(id=str(alert.id))).rebuilt.equal


def test_what_the_second_hop_raised_is_made_again_from_files(tmp_path: Path) -> None:
    """A borrower who shares a phone with one in arrears: the replay goes through the second hop to make it again."""
    shared = {"phone_token": "ph-1"}
    facts = [opened([10, 40, 70], **shared), opened([10, 40], loan="l-2", subject="b-2", **shared)]
    facts += [paid(9), paid(39), paid(60, 1, loan="l-2", subject="b-2")]
    case = replayed(tmp_path, facts)
    portfolio = tmp_path / "portfolio.jsonl"
    replay_files([case.events], alerts=None, portfolio=portfolio)
    first = Alert.model_validate_json(portfolio.read_bytes().splitlines()[0])
    story = explain_from_files(portfolio, [str(case.events)], Question(id=str(first.id), check=True))
    assert ("shared_contact", "b-1") == (first.data.detector, first.data.borrower)
    assert story.rebuilt.equal, story.rebuilt.said
    assert "Trouble and fraud travel along contacts" in story.about.why


def test_a_silent_source_is_explained_by_its_heartbeats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An operator alert has no borrower: its events are the heartbeats of the source."""
    case = replayed(tmp_path, [opened([10, 40]), heartbeat(3), heartbeat(4), paid(9), paid(39)])
    alert = case.alert("feed_stale")
    assert 0 == main(case.explain(alert.id))
    out = capsys.readouterr().out
    assert "feed_stale opened (high) for " in out
    assert re.search(r"feeds +.*'", out)
    assert "byte for byte" in out


def test_calm_is_drawn_as_long_as_it_lasted(tmp_path: Path) -> None:
    """A later request about the same detector ends the earlier one; one about another detector does not."""
    asked = [
        event(BorrowerSnoozed, at(day), until=at(end).isoformat(), detector=detector, by="c-17")
        for day, end, detector in ((5, 30, None), (7, 12, "income_missing"), (9, 9, None))
    ]
    case = replayed(tmp_path, [*life(), *asked])
    story = explain_from_files(case.alerts, [str(case.events)], Question(id=str(case.told[0].id), check=False))
    (row,) = [row for row in story.timeline.rows if row.name == "calm asked for"]
    assert [(5, 9), (7, 12)] == [tuple(round((ms - ms_of(at(0))) / DAY_MS) for ms in span[:2]) for span in row.spans]


def test_what_stood_open_beside_it_is_named(case: Case) -> None:
    """Other episodes of the borrower that were open at that moment, each as it then was."""
    alert = case.alert("missed_installment")
    story = explain_from_files(case.alerts, [str(case.events)], Question(id=str(alert.id), check=False))
    assert "multi_lending_spike" in [x.detector for x in story.standing]
    before = case.alert("multi_lending_spike")
    story = explain_from_files(case.alerts, [], Question(id=str(before.id), check=False))
    assert not {"multi_lending_spike", "missed_installment"} & {x.detector for x in story.standing}


@pytest.mark.parametrize(
    ("identity", "code", "sentence"),
    [
        ("0123456789", 1, "there is no alert or episode 0123456789 in "),
        ("012345", 2, "'012345' is no id of an alert or episode: give at least its first 8 characters"),
        ("nonsense", 2, "'nonsense' is no id"),
        ("0" * 37, 2, f"'{'0' * 37}' is no id"),
    ],
)
def test_an_id_that_there_is_not_is_one_line(
    case: Case, capsys: pytest.CaptureFixture[str], identity: str, code: int, sentence: str
) -> None:
    """An unknown id fails with a hint where ids stand; what is no id is a misuse."""
    assert code == main(case.explain(identity))
    captured = capsys.readouterr()
    assert "" == captured.out
    assert captured.err.startswith(f"ews: {sentence}")
    assert 1 == captured.err.count("\n")


def test_a_beginning_that_several_ids_have_names_them(case: Case) -> None:
    """Nothing is guessed: the ids that begin so are shown."""
    one, two = case.told[:2]
    twin = two.model_copy(
        update={"data": two.data.model_copy(update={"alert_id": one.id, "episode_id": one.data.episode_id})}
    )
    wanted = Wanted(str(one.id)[:8])
    wanted.offer(Told(one, b"", ""))
    wanted.offer(Told(twin, b"", ""))
    assert wanted.found("here").alert is one
    near = str(one.id)[:-1] + ("0" if str(one.id)[-1] != "0" else "1")
    wanted.offer(Told(one.model_copy(update={"data": one.data.model_copy(update={"alert_id": near})}), b"", ""))
    with pytest.raises(Rejected, match=r"is the beginning of several ids: .*, .*: give more"):
        wanted.found("here")


@pytest.mark.parametrize("content", [b"no json\n", b"[1]\n", b"{}\n", b'{"subject": "b-1", "data": {}}\n'])
def test_a_file_that_holds_no_alerts_is_one_line(
    case: Case, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    """A broken file is named with its line, and nothing is shown."""
    case.alerts.write_bytes(content)
    assert 2 == main(case.explain("01234567"))
    assert capsys.readouterr().err.startswith(f"ews: {case.alerts} line 1 is no alert: ")


def test_files_that_cannot_be_read_or_written_are_one_line(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is missing or damaged, or a page that cannot be written, is named."""
    alert = case.alert("missed_installment")
    assert 2 == main(["explain", str(alert.id), "--alerts", str(case.alerts.with_name("none.jsonl"))])
    assert "cannot read" in capsys.readouterr().err
    damaged = case.events.with_suffix(".gz")
    damaged.write_bytes(b"nothing packed")
    assert 2 == main(["explain", str(alert.id), "--alerts", str(case.alerts), "--events", str(damaged)])
    assert "damaged" in capsys.readouterr().err
    assert 2 == main(case.explain(alert.id, "--html", str(case.events.parent / "none" / "a.html")))
    assert "cannot write" in capsys.readouterr().err
    assert 2 == main(["explain", str(alert.id), "--events", str(case.events)])
    assert "--events and --live-from go with --alerts" in capsys.readouterr().err


def test_the_json_holds_all_of_it(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """Machines get the alert, the events, the episode, the timeline and the verdict."""
    alert = case.alert("missed_installment")
    assert 0 == main(case.explain(alert.id, "--json"))
    told = orjson.loads(capsys.readouterr().out)
    assert str(alert.id) == told["alert"]["id"]
    assert told["rebuilt"]["equal"] is True
    assert ["open-1", "pay-1"] == [piece["id"] for piece in told["evidence"]]
    assert [1, 2, 3, 4] == [r["revision"] for r in told["episode"]][:4]
    kinds = {mark["kind"] for row in told["timeline"]["rows"] for mark in row["marks"]}
    assert {"evidence", "opened", "paid", "received", "returned", "event"} <= kinds


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag and what it points to."""
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]


def test_the_page_needs_nothing_else(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file with a drawing in it, without scripts or links; what events say is text, whatever it looks like."""
    alert = case.alert("missed_installment")
    file = tmp_path / "alert.html"
    assert 0 == main(case.explain(alert.id, "--html", str(file)))
    assert f"written to {file}" in capsys.readouterr().out
    text = file.read_text("utf-8")
    tags = _Tags()
    tags.feed(text)
    assert {"svg", "polygon", "table", "title"} <= set(tags.tags)
    assert not {"script", "link", "img", "iframe"} & set(tags.tags)
    assert [] == tags.links
    assert "url(" not in text
    assert "&lt;script&gt;" in text
    assert "byte for byte" in text


def test_no_person_is_shown(case: Case) -> None:
    """Fields that no schema knows reach neither terminal nor page nor JSON, whoever put them there."""
    assert PERSON.encode() in case.events.read_bytes()
    story = explain_from_files(case.alerts, [str(case.events)], Question(id=str(case.told[0].id)))
    assert PERSON not in page_of(story)
    assert PERSON.encode() not in orjson.dumps(as_json(story))


def test_risk_is_shown_with_its_reasons(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    """Score, tier, stance, recovery and what added points."""
    story = explain_from_files(case.alerts, [str(case.events)], Question(id=str(case.told[0].id), check=False))
    risk = Risk(
        score=61, tier="high", reasons=(Points(name="days_past_due", value=31, points=40),), stance="unwilling",
        stance_evidence=("drain_after_miss",), recovery=0.35,
    )  # fmt: skip
    alert = story.alert.model_copy(update={"data": story.alert.data.model_copy(update={"risk": risk})})
    story = replace(story, alert=alert)
    print_story(story)
    out = capsys.readouterr().out
    assert "Risk: 61 points, tier high; unwilling, 35% of what is owed may come back" in out
    assert "unwilling because of drain_after_miss" in out
    assert re.search(r"days_past_due +31 +\+40", out)
    assert "Risk: 61 points" in page_of(story)


def test_days_past_due_are_the_engines_own(case: Case) -> None:
    """The curve counts from the due day, and goes on where the payment that ended it was returned."""
    facts = gather(Wanted.parse(str(case.told[0].id)), case.alerts, [str(case.events)]).facts
    (loan,) = loans_of(facts, Policy())
    assert [0, 0, 1, 30] == [days_past_due(loan, day_of(on(day))) for day in (39, 40, 41, 70)]


def test_the_timeline_puts_marks_where_their_days_are() -> None:
    """A column is a share of the axis; where marks fall together the more telling one is seen."""
    day = int(timedelta(days=1).total_seconds() * 1000)
    marks = (Mark(0, Kind.EVENT, ""), Mark(0, Kind.EVIDENCE, ""), Mark(50 * day, Kind.UNPAID, ""))
    rows = (Row("one", marks), Row("late", values=tuple((n * day, n) for n in range(100))))
    lines = [line.plain for line in drawn(Timeline(0, 100 * day, 50 * day, rows, ("2 more loans are not drawn",)), 127)]
    name = len("one".ljust(26))
    assert ("◆", "○") == (lines[1][name], lines[1][name + 50])
    assert lines[1].rstrip().endswith("○")
    assert lines[2].endswith("█ 99")
    assert lines[3].index("▲") == name + 50
    assert "2 more loans are not drawn" in lines[-1]


@pytest.mark.parametrize(
    ("bar", "filled", "mark"),
    [(Bar(1.0, 0.5), 23, 12), (Bar(0.5, 1.0), 12, 23), (None, 0, -1), (Bar(1.0, 1.0), 23, 23)],
)
def test_a_bar_shows_the_value_and_its_threshold(bar: Bar | None, filled: int, mark: int) -> None:
    """Whichever of the two is larger fills the bar."""
    assert (filled, mark) == (bar_text(bar).plain.count("█"), bar_text(bar).plain.find("│"))


@pytest.mark.parametrize(
    ("window", "days", "text"),
    [
        ("P30D", 30, "30 days"), ("PT72H", 3, "72 hours"), ("P1D", 1, "1 day"), ("P2W", 14, "2 weeks"),
        ("P3M", 91.32, "3 months"), (None, 0, ""), ("whenever", 0, "whenever"),
    ],
)  # fmt: skip
def test_windows_are_said_in_words(window: str | None, days: float, text: str) -> None:
    """ISO 8601 durations, and what is none as it stands."""
    assert (pytest.approx(days), text) == (window_days(window), window_text(window))


def test_numbers_and_names_are_said_in_words() -> None:
    """Thousands apart, four digits of a fraction, units behind."""
    assert ["1,234,567", "0.6667", "M1", ""] == [number_text(x) for x in (1_234_567, 2 / 3, "M1", None)]
    assert ["balance at miss (minor units)", "days past due"] == [
        name_text(x) for x in ("balance_at_miss_minor", "days_past_due")
    ]


def test_an_alert_of_another_release_is_named(case: Case) -> None:
    """An alert whose fields this release cannot read is no reason for a traceback."""
    first = orjson.loads(case.alerts.read_bytes().splitlines()[0])
    first["data"]["severity"] = "purple"
    case.alerts.write_bytes(orjson.dumps(first) + b"\n")
    with pytest.raises(Misconfigured, match=r"line 1 is no alert that this release reads: data\.severity"):
        explain_from_files(case.alerts, [], Question(id=first["id"]))
