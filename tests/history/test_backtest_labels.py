from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from streams.engine.calendar import HOUR_MS
from streams.errors import Misconfigured
from streams.history.backtest.labels import decisions, read_labels, tasks_of
from streams.history.files import available_ms

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "task,borrower,loan,at,t,label,observed_from,observed_until,segment"
MADE = "trouble,b-1,,,2025-03-10T00:00:00Z,1,2025-01-01T00:00:00Z,2025-12-31T00:00:00Z,job_loss"
LENT = "late7,b-2,l-1,2025-01-05T09:00:00,2025-02-10T00:00:00,0,,,"


def labels(folder: Path, *rows: str, header: str = HEADER) -> Path:
    """A file of these rows."""
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def ms(text: str) -> int:
    """The instant of a text."""
    found = available_ms({"time": text})
    assert found is not None
    return found


def test_both_shapes_of_rows_are_read(tmp_path: Path) -> None:
    """A simulator's row has offsets and no `at`, a lender's has an `at` in the zone that is named."""
    trouble, late = read_labels(labels(tmp_path, MADE, LENT), "Africa/Lagos")
    assert (trouble.task, trouble.borrower, trouble.loan, trouble.label, trouble.segment) == (
        "trouble", "b-1", None, True, "job_loss",
    )  # fmt: skip
    assert trouble.t_ms == ms("2025-03-10T00:00:00Z")
    assert (late.loan, late.label, late.at_ms) == ("l-1", False, ms("2025-01-05T08:00:00Z"))


def test_packed_labels_with_columns_in_another_order_are_the_same(tmp_path: Path) -> None:
    """A .gz is unpacked; columns are found by name, others are passed over, and so is a byte order mark."""
    plain = read_labels(labels(tmp_path, MADE))
    names, cells = HEADER.split(","), MADE.split(",")
    text = f"\ufeffnote,{','.join(names[::-1])}\nx,{','.join(cells[::-1])}\n"
    packed = tmp_path / "labels.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert plain == read_labels(packed)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (MADE.replace("trouble", ""), "task: is empty"),
        (MADE.replace("b-1", ""), "borrower: is empty"),
        (MADE.replace(",1,", ",yes,"), "label: is 'yes', must be 0 or 1"),
        (MADE.replace("2025-03-10T00:00:00Z", "soon"), "t: 'soon' is not a time such as 2026-03-01T09:30:00Z"),
        (MADE.replace("2025-03-10T00:00:00Z", ""), "t: is empty, and so is `at`: when did it become true?"),
        (MADE.replace("2025-01-01T00:00:00Z", ""), "observed_from: is empty, and so is `at`: when should be decided?"),
        (MADE.replace("2025-12-31", "2024-12-31"), "observed_until: lies before observed_from"),
        (LENT.replace("2025-02-10", "2024-02-10"), "t: lies before `at`: what is known is no decision"),
        (MADE + ",more", "10 cells, the header has 9"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, row: str, said: str) -> None:
    """File, line, column, and what is wrong."""
    path = labels(tmp_path, LENT, row)
    with pytest.raises(Misconfigured) as error:
        read_labels(path)
    assert str(error.value).startswith(f"{path}:3: {said}")


def test_a_bad_time_names_the_zone_it_would_be_read_in(tmp_path: Path) -> None:
    """Or nobody would find out that the zone was the mistake."""
    with pytest.raises(Misconfigured, match=r"without an offset: Africa/Lagos"):
        read_labels(labels(tmp_path, LENT.replace("2025-01-05T09:00:00", "5 Jan")), "Africa/Lagos")


def test_every_mistake_is_counted_and_the_first_ones_are_named(tmp_path: Path) -> None:
    """Who mends a file wants to know how much there is to do."""
    path = labels(tmp_path, *[MADE.replace(",1,", ",2,")] * 8)
    with pytest.raises(Misconfigured, match=r":2: label.*:6: label.*; and 3 more$"):
        read_labels(path)


def test_a_row_that_is_said_twice_is_a_mistake(tmp_path: Path) -> None:
    """It would count twice."""
    with pytest.raises(Misconfigured, match=r":3: says again what line 2 decides"):
        read_labels(labels(tmp_path, MADE, MADE))


def test_a_header_without_a_column_is_one_line(tmp_path: Path) -> None:
    """It says which, and which there must be."""
    path = labels(tmp_path, MADE, header=HEADER.replace("borrower", "customer").replace("segment", "kind"))
    with pytest.raises(Misconfigured, match=r":1: the header lacks borrower, segment; it must have task,borrower,"):
        read_labels(path)


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    """Missing, without rows, not text, not CSV; and a zone that there is not."""
    with pytest.raises(Misconfigured, match=r"^cannot read .*no\.csv"):
        read_labels(tmp_path / "no.csv")
    with pytest.raises(Misconfigured, match="has no labels"):
        read_labels(labels(tmp_path))
    with pytest.raises(Misconfigured, match=r":2: not CSV"):
        read_labels(labels(tmp_path, '"a"b,c'))
    with pytest.raises(Misconfigured, match=r":1: not CSV"):
        read_labels(labels(tmp_path, header='"a"b,c'))
    with pytest.raises(Misconfigured, match="is not an IANA time zone name"):
        read_labels(labels(tmp_path, MADE), "Lagos")
    (tmp_path / "bytes.csv").write_bytes(HEADER.encode() + b"\n\xff\n")
    with pytest.raises(Misconfigured, match=r":2: is not UTF-8"):
        read_labels(tmp_path / "bytes.csv")


def test_tasks_are_all_but_the_beginning_of_trouble(tmp_path: Path) -> None:
    """When trouble began is not foreseen but seen; asked for by name it is measured like any other."""
    rows = read_labels(labels(tmp_path, MADE, LENT))
    assert tasks_of(rows) == ["late7"]
    assert tasks_of(rows, ["trouble"]) == ["trouble"]
    assert tasks_of(rows[:1]) == ["trouble"]
    with pytest.raises(Misconfigured, match=r"no label has the task 'late8'; there are trouble, late7"):
        tasks_of(rows, ["late8"])


def test_a_row_with_a_moment_is_decided_then(tmp_path: Path) -> None:
    """Once."""
    (row,) = read_labels(labels(tmp_path, LENT))
    (decision,) = decisions([row])
    assert (decision.at_ms, decision.month, decision.borrower, decision.loan) == (row.at_ms, None, "b-2", "l-1")


def test_a_row_without_one_is_decided_at_month_ends_until_it_came_true(tmp_path: Path) -> None:
    """An hour after each local month's end, from the first observed one to the last before `t`."""
    row = read_labels(labels(tmp_path, MADE))[0]
    ends = ["2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z", "2025-03-01T00:00:00Z"]
    assert [ms(text) + HOUR_MS for text in ends] == [decision.at_ms for decision in decisions([row])]
    local = [ms(text) + HOUR_MS for text in ("2025-01-31T16:00:00Z", "2025-02-28T16:00:00Z")]
    assert local == [decision.at_ms for decision in decisions([row], "Asia/Shanghai")]


def test_a_row_that_never_comes_true_is_decided_to_the_end(tmp_path: Path) -> None:
    """A harmless trouble has a `t`, and nothing became true then."""
    harmless = MADE.replace(",1,", ",0,").replace("2025-12-31", "2025-06-15")
    row = read_labels(labels(tmp_path, harmless))[0]
    assert len(decisions([row])) == 6
    assert decisions([row])[-1].at_ms == ms("2025-06-01T01:00:00Z")


def test_what_becomes_known_at_the_end_of_a_month_is_not_decided_on_then(tmp_path: Path) -> None:
    """A report as of the first that says it came true leaves the month end before as the last decision."""
    row = read_labels(labels(tmp_path, MADE.replace("2025-03-10", "2025-03-01")))[0]
    assert [decision.at_ms for decision in decisions([row])][-1] == ms("2025-02-01T01:00:00Z")
