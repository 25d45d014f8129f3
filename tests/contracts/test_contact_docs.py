"""What docs/contacts.md says of the list is what the import takes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from streams.casework.contact_row import FIELDS
from streams.history.contact_file import ContactFile, Line

TEXT = (Path(__file__).parents[2] / "docs" / "contacts.md").read_text(encoding="utf-8")


def test_the_example_is_a_good_list(tmp_path: Path) -> None:
    """Whoever copies it has a list that is taken whole."""
    found = re.search(r"```csv\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    path = tmp_path / "contacts.csv"
    path.write_text(found[1], encoding="utf-8")

    rows = list(ContactFile(path, now=datetime(2026, 11, 2, tzinfo=UTC), packs=frozenset({"cn"})).rows())

    assert 2 == len(rows)
    assert all(isinstance(row, Line) for row in rows)


def test_every_column_is_described() -> None:
    """The table of columns names each that there is, and no other."""
    table = TEXT.split("| column |")[1].split("```")[0]
    named = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }

    assert set(FIELDS) == named
