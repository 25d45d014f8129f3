"""What the worker's integration tests ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.integration.system import System

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture
async def system(broker: str, prefix: str, tmp_path: Path) -> AsyncIterator[System]:
    """Topics of its own on the broker; every worker that the test started is ended."""
    own = System(broker, prefix, tmp_path)
    await own.create()
    try:
        yield own
    finally:
        own.end()
