"""The reference job on stock Faust, as its tutorial writes it: JSON values, a table write for each event.

`python -m streams.local.stock BOOTSTRAP PREFIX PARTITIONS EVENTS` prints one line of JSON when it has seen all events.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter
from typing import Any

import faust
import orjson

from streams.local.reference import apply


def main(bootstrap: str, prefix: str, partitions: int, expected: int) -> None:
    """Run the worker until it has seen the expected number of events. JSON is the app's default, the table's too."""
    app = faust.App(
        f"{prefix}stock", broker=f"kafka://{bootstrap}", store="memory://", topic_partitions=partitions,
        web_enabled=False, consumer_auto_offset_reset="earliest", topic_disable_leader=True,
        value_serializer="json", key_serializer="raw",
    )  # fmt: skip
    source = app.topic(*(f"{prefix}{name}" for name in ("repayments", "transactions", "bureau")), value_type=None)
    alerts = app.topic(f"{prefix}stock-alerts", partitions=partitions)
    table: Any = app.Table(f"{prefix}stock-states", partitions=partitions, key_type=bytes)
    seen, began = 0, 0.0

    @app.agent(source)
    async def judge(stream: Any) -> None:
        nonlocal seen, began
        async for key, event in stream.items():
            began = began or perf_counter()
            state = table.get(key) or {}
            rule = apply(state, event)
            table[key] = state
            if rule is not None:
                await alerts.send(key=key, value={"alert": rule, "event": event["event_id"]})
            seen += 1
            if seen == expected:
                seconds = perf_counter() - began
                sys.stdout.write(orjson.dumps({"events": seen, "seconds": seconds}).decode() + "\n")
                sys.stdout.flush()
                os._exit(0)

    app.finalize()
    app.worker_init()
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
