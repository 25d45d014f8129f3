"""What Alembic runs for the contact store, on the connection and in the transaction of `streams.stores.database`."""

from __future__ import annotations

from alembic import context

from streams.stores.contact_tables import metadata

context.configure(**context.config.attributes, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
