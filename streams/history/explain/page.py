"""An explanation as one page of HTML that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from streams.history.explain.svg import RADIUS, drawing_of

if TYPE_CHECKING:
    from streams.history.explain.story import Story

LEGEND = (
    ("evidence", "evidence"), ("paid", "due, paid in time"), ("late", "due, paid late"), ("unpaid", "due and unpaid"),
    ("ahead", "not yet due"), ("received", "payment"), ("returned", "payment returned"), ("opened", "opened"),
    ("escalated", "escalated"), ("withdrawn", "withdrawn"), ("resolved", "resolved"), ("event", "other event"),
)  # fmt: skip


def page_of(story: Story) -> str:
    """The page. Everything in it is escaped: what events and alerts hold comes from outside."""
    environment = Environment(
        loader=PackageLoader("streams.history.explain", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawing = drawing_of(story.timeline)
    used = {dot.kind for line in drawing.lines for dot in line.dots}
    return environment.get_template("page.html.j2").render(
        story=story,
        data=story.alert.data,
        drawing=drawing,
        radius=RADIUS,
        legend=[(kind, words) for kind, words in LEGEND if kind in used],
    )
