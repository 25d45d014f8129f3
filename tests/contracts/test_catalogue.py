"""The catalogue in docs/detectors.md names every detector once, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from streams.bootstrap.policy import detector_class, detector_keys

DOCS = Path(__file__).parents[2] / "docs" / "detectors.md"


def test_the_catalogue_is_complete() -> None:
    """Each detector has one line in the tables; the composite has a part of its own."""
    text = DOCS.read_text(encoding="utf-8")
    catalogue = text.partition("## The catalogue")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `([a-z_]+)` \|", catalogue, flags=re.MULTILINE)
    assert sorted(set(detector_keys()) - {"borrower_risk"}) == sorted(listed)
    assert "\n`borrower_risk` adds up" in text


def test_who_is_held_by_default_is_named() -> None:
    """The text says for each detector which others hold it."""
    text = " ".join(DOCS.read_text(encoding="utf-8").partition("Held by default:")[2].split())
    for key in detector_keys():
        held = detector_class(key)().held_while
        if held:
            named = " or ".join(f"`{other}`" for other in sorted(held))
            assert re.search(rf"`{key}` while {named}", text), key
