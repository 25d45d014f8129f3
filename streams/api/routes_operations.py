"""Faults of the system itself: Alertmanager reports them to its webhook, operators look at them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from streams.api.answers import answer
from streams.api.auth import Monitor, Viewer
from streams.api.operations import OperationsCase, OperationsCases, Report, Reported
from streams.api.paging import LIMIT_DEFAULT, Limit
from streams.api.problems import documented
from streams.api.reading import StrictRoute
from streams.api.rooms import TheRooms
from streams.stores.operations import Became

router = APIRouter(prefix="/v1/operations", tags=["operations"], route_class=StrictRoute)


@router.post("/alerts", summary="Alertmanager's webhook", response_model=Reported, responses=documented(413, 415))
def report(actor: Monitor, rooms: TheRooms, body: Report) -> Response:
    """Open an operations case for each firing alert that has none open; close those that are over."""
    firing = [one.fault() for one in body.alerts if one.status == "firing"]
    over = [one.fault() for one in body.alerts if one.status == "resolved"]
    became = rooms.operations.report(firing, over, at=rooms.now(), by=actor.account)
    return answer(Reported.model_validate({one.value: became[one] for one in Became}))


@router.get("/cases", summary="Faults of the system", response_model=OperationsCases, responses=documented())
def list_cases(
    _actor: Viewer,
    rooms: TheRooms,
    closed: Annotated[bool, Query(description="Those that are over, in place of those that are open.")] = False,
    limit: Limit = LIMIT_DEFAULT,
) -> Response:
    """What the monitoring has reported, the latest first."""
    found = rooms.operations.listed(closed=closed, limit=limit)
    return answer(OperationsCases(items=tuple(map(OperationsCase.model_validate, found))))
