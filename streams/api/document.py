"""The OpenAPI document of the API. `uv run poe openapi` writes it to docs/openapi.json; a test finds it stale."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Final

from fastapi.openapi.utils import get_openapi

from streams.api import routes_borrowers, routes_cases, routes_events, routes_operations, routes_work
from streams.api.problems import Problem

TITLE: Final = "Early warning: cases"
VERSION: Final = "1.0.0"
"""Of the API: the first number is the one in /v1."""
ABOUT: Final = """Cases that early warnings open, and what people do to them.

Every request needs `Authorization: Bearer ews_...`. Every error is a problem (RFC 9457). A change needs `If-Match`."""
ROUTERS: Final = (
    routes_cases.router,
    routes_work.router,
    routes_borrowers.router,
    routes_operations.router,
    routes_events.router,
)
FILE: Final = Path(__file__).parents[2] / "docs" / "openapi.json"
_NEVER: Final = ("HTTPValidationError", "ValidationError")
"""FastAPI's own form of errors, which is never answered."""


@functools.cache
def document() -> dict[str, Any]:
    """The document, with the form of errors in it."""
    routes = [route for router in ROUTERS for route in router.routes]
    found = get_openapi(title=TITLE, version=VERSION, description=ABOUT, routes=routes)
    schemas = {name: schema for name, schema in found["components"]["schemas"].items() if name not in _NEVER}
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    found["components"]["schemas"] = dict(sorted((schemas | schema.pop("$defs") | {"Problem": schema}).items()))
    return found


def text() -> str:
    """The document as it is written."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
