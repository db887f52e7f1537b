"""Run by Alembic inside the transaction of `Database.upgrade`, on the connection that it hands over."""

from __future__ import annotations

from alembic import context

from homebred_fleet.adapters.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
