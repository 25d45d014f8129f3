"""What Alembic runs: the migrations, on the connection and in the transaction of `streams.stores.database`."""

from __future__ import annotations

from alembic import context

from streams.stores import work_tables  # noqa: F401 - its tables belong to the metadata too
from streams.stores.tables import metadata

context.configure(**context.config.attributes, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
