"""The reference job on stock Faust, as its tutorial writes it: JSON values, a table write for each event.

At least once: Faust commits what its agents have acknowledged, every 2.8 s. Its producer waits for all replicas
(`producer_acks` is -1 by default). The table lies in memory, which is faster than RocksDB; its changelog is in Kafka.
"""

from __future__ import annotations

from typing import Any

import faust
from report import Job, Report

from streams.local.reference import alert, apply


def main(job: Job) -> None:
    """Run the worker until it is killed. JSON is the app's default, the table's too."""
    report = Report(job.events)
    app = faust.App(
        f"{job.prefix}stock", broker=f"kafka://{job.bootstrap}", store="memory://", topic_partitions=job.partitions,
        web_enabled=False, consumer_auto_offset_reset="earliest", topic_disable_leader=True,
        value_serializer="json", key_serializer="raw",
    )  # fmt: skip
    source = app.topic(*job.sources, value_type=None)
    alerts = app.topic(job.alerts, partitions=job.partitions, value_serializer="raw")
    table: Any = app.Table(f"{job.prefix}stock-states", partitions=job.partitions, key_type=bytes)

    @app.agent(source)
    async def judge(stream: Any) -> None:
        async for key, event in stream.items():
            state = table.get(key) or {}
            rule = apply(state, event)
            table[key] = state
            if rule is not None:
                await alerts.send(key=key, value=alert(rule, event["event_id"], state["n"][event["kind"]]))
            report.seen(1)

    app.finalize()
    app.worker_init()
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(Job.of_arguments())
