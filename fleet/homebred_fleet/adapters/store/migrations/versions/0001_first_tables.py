"""The first tables: identities, desired and reported, telemetry, commands, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Makes them."""
    _identities()
    _intents()
    _orders()
    _telemetry()
    _routes()
    _events()


def _identities() -> None:
    """Who may speak."""
    op.create_table(
        "devices",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("site", sa.String(length=32), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("enrolled_at_s", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_s", sa.BigInteger(), nullable=True),
        sa.Column("revoke_reason", sa.String(length=200), server_default="", nullable=False),
        sa.Column("replaced_by", sa.String(length=63), server_default="", nullable=False),
        sa.CheckConstraint("state IN ('enrolled', 'revoked', 'replaced')", name=op.f("ck_devices_state")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_devices")),
        sa.UniqueConstraint("id", name=op.f("uq_devices_id")),
    )
    op.create_index("ix_devices_site", "devices", ["site"], unique=False)
    op.create_table(
        "certificates",
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("device", NUMBER, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("not_before_s", sa.BigInteger(), nullable=False),
        sa.Column("not_after_s", sa.BigInteger(), nullable=False),
        sa.Column("issued_at_s", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_s", sa.BigInteger(), nullable=True),
        sa.Column("out_at_s", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["device"], ["devices.number"], name=op.f("fk_certificates_device_devices")),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_certificates")),
    )
    op.create_index(op.f("ix_certificates_device"), "certificates", ["device"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=32), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("device", sa.String(length=63), server_default="", nullable=False),
        sa.Column("replaces", sa.String(length=63), server_default="", nullable=False),
        sa.Column("created_at_s", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("expires_at_s", sa.BigInteger(), nullable=False),
        sa.Column("used_at_s", sa.BigInteger(), nullable=True),
        sa.Column("used_by", sa.String(length=63), server_default="", nullable=False),
        sa.Column("used_key", sa.String(length=64), server_default="", nullable=False),
        sa.Column("withdrawn_at_s", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_tokens_hash")),
    )
    op.create_table(
        "admins",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created_at_s", sa.BigInteger(), nullable=False),
        sa.Column("removed_at_s", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'publisher', 'admin')", name=op.f("ck_admins_role")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_admins")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_admins_fingerprint")),
    )
    op.create_table(
        "cohorts",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("selector", sa.String(length=500), nullable=False),
        sa.Column("created_at_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cohorts")),
    )


def _intents() -> None:
    """What devices should be like, and what they say that they are."""
    op.create_table(
        "documents",
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("site", sa.String(length=32), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("added_at_s", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_documents")),
    )
    op.create_table(
        "desired",
        sa.Column("device", NUMBER, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("policy_digest", sa.String(length=71), server_default="", nullable=False),
        sa.Column("policy_length", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("gazetteer_digest", sa.String(length=71), server_default="", nullable=False),
        sa.Column("gazetteer_length", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("set_at_s", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.Column("published_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.number"], name=op.f("fk_desired_device_devices")),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_desired")),
    )
    op.create_table(
        "assignments",
        sa.Column("device", NUMBER, nullable=False),
        sa.Column("line", sa.String(length=160), nullable=False),
        sa.Column("path", sa.String(length=180), nullable=False),
        sa.Column("set_at_s", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.number"], name=op.f("fk_assignments_device_devices")),
        sa.PrimaryKeyConstraint("device", "line", name=op.f("pk_assignments")),
    )
    op.create_table(
        "directions",
        sa.Column("device", NUMBER, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.String(length=71), nullable=False),
        sa.Column("issued_at_s", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_s", sa.BigInteger(), nullable=False),
        sa.Column("targets", sa.LargeBinary(), nullable=False),
        sa.Column("snapshot", sa.LargeBinary(), nullable=False),
        sa.Column("timestamp", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.number"], name=op.f("fk_directions_device_devices")),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_directions")),
    )
    op.create_table(
        "reported",
        sa.Column("device", NUMBER, nullable=False),
        sa.Column("boot_number", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("desired_version", sa.BigInteger(), nullable=False),
        sa.Column("highest_version", sa.BigInteger(), nullable=False),
        sa.Column("stop_epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("received_at_s", sa.BigInteger(), nullable=False),
        sa.Column("software_version", sa.String(length=64), server_default="", nullable=False),
        sa.Column("policy_digest", sa.String(length=71), server_default="", nullable=False),
        sa.Column("standing", sa.String(length=16), server_default="applied", nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.number"], name=op.f("fk_reported_device_devices")),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_reported")),
    )
    op.create_table(
        "presence",
        sa.Column("device", NUMBER, nullable=False),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("boot_id", sa.String(length=32), nullable=False),
        sa.Column("boot_number", sa.BigInteger(), nullable=False),
        sa.Column("connection", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("changed_at_s", sa.BigInteger(), nullable=False),
        sa.Column("heard_at_s", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.number"], name=op.f("fk_presence_device_devices")),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_presence")),
    )
    op.create_index("ix_presence_online", "presence", ["online"], unique=False)


def _orders() -> None:
    """What devices are told to do, and who said so."""
    op.create_table(
        "commands",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("device", NUMBER, nullable=False),
        sa.Column("op", sa.String(length=32), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("issued_at_s", sa.BigInteger(), nullable=False),
        sa.Column("issued_by", sa.String(length=64), nullable=False),
        sa.Column("deadline_s", sa.BigInteger(), nullable=False),
        sa.Column("published_at_s", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("answered_at_s", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("attachment", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["device"], ["devices.number"], name=op.f("fk_commands_device_devices")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commands")),
    )
    op.create_index(op.f("ix_commands_device"), "commands", ["device"], unique=False)
    op.create_table(
        "stop_orders",
        sa.Column("epoch", NUMBER, autoincrement=True, nullable=False),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.Column("reason_code", sa.String(length=32), nullable=False),
        sa.Column("issued_at_s", sa.BigInteger(), nullable=False),
        sa.Column("issued_by", sa.String(length=64), nullable=False),
        sa.Column("published_at_s", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("epoch", name=op.f("pk_stop_orders")),
    )
    op.create_table(
        "audit",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("at_s", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=128), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )


def _telemetry() -> None:
    """How far each stream has been taken, and what could not be."""
    op.create_table(
        "boots",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("device", NUMBER, nullable=False),
        sa.Column("boot_id", sa.String(length=32), nullable=False),
        sa.Column("boot_number", sa.BigInteger(), nullable=False),
        sa.Column("first_heard_at_s", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.number"], name=op.f("fk_boots_device_devices")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_boots")),
        sa.UniqueConstraint("device", "boot_id", name=op.f("uq_boots_device")),
    )
    op.create_table(
        "watermarks",
        sa.Column("boot", NUMBER, nullable=False),
        sa.Column("stream", sa.Integer(), nullable=False),
        sa.Column("up_to_seq", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("forgotten", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("changed_at_s", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["boot"], ["boots.number"], name=op.f("fk_watermarks_boot_boots")),
        sa.PrimaryKeyConstraint("boot", "stream", name=op.f("pk_watermarks")),
    )
    op.create_table(
        "controller_gaps",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("boot", NUMBER, nullable=False),
        sa.Column("stream", sa.Integer(), nullable=False),
        sa.Column("after_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Integer(), nullable=False),
        sa.Column("noted_at_s", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["boot"], ["boots.number"], name=op.f("fk_controller_gaps_boot_boots")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_controller_gaps")),
    )
    op.create_index("ix_controller_gaps_boot", "controller_gaps", ["boot"], unique=False)
    op.create_table(
        "route_hours",
        sa.Column("device", NUMBER, nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("reason_code", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("routes", sa.BigInteger(), nullable=False),
        sa.Column("weak", sa.BigInteger(), nullable=False),
        sa.Column("slow", sa.BigInteger(), nullable=False),
        sa.Column("total_ms", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.number"], name=op.f("fk_route_hours_device_devices")),
        sa.PrimaryKeyConstraint("device", "hour", "workflow", "reason_code", "status", name=op.f("pk_route_hours")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bygone_events",
        sa.Column("device", NUMBER, nullable=False),
        sa.Column("stream", sa.Integer(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.number"], name=op.f("fk_bygone_events_device_devices")),
        sa.PrimaryKeyConstraint("device", "stream", name=op.f("pk_bygone_events")),
    )
    op.create_table(
        "bygone_gaps",
        sa.Column("device", NUMBER, nullable=False),
        sa.Column("stream", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Integer(), nullable=False),
        sa.Column("is_of_device", sa.Boolean(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("last_at_s", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.number"], name=op.f("fk_bygone_gaps_device_devices")),
        sa.PrimaryKeyConstraint("device", "stream", "reason", "is_of_device", name=op.f("pk_bygone_gaps")),
    )
    op.create_table(
        "quarantine",
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("first_at_s", sa.BigInteger(), nullable=False),
        sa.Column("last_at_s", sa.BigInteger(), nullable=False),
        sa.Column("sample", sa.LargeBinary(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", "kind", "cause", name=op.f("pk_quarantine")),
    )


def _routes() -> None:
    """One row per task."""
    op.create_table(
        "route_events",
        sa.Column("boot", NUMBER, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at_s", sa.BigInteger(), nullable=False),
        sa.Column("received_at_s", sa.BigInteger(), nullable=False),
        sa.Column("selected_runtime", sa.Integer(), nullable=False),
        sa.Column("selected_model_or_stack", sa.String(), nullable=False),
        sa.Column("redaction_required", sa.Boolean(), nullable=False),
        sa.Column("evidence_required", sa.Boolean(), nullable=False),
        sa.Column("fallback_target", sa.Integer(), nullable=False),
        sa.Column("route_created_at_s", sa.BigInteger(), nullable=False),
        sa.Column("guarded", sa.Boolean(), nullable=False),
        sa.Column("reason_code", sa.Integer(), nullable=False),
        sa.Column("route_id", sa.String(length=64), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answered_by", sa.String(), nullable=False),
        sa.Column("classes", sa.Integer(), nullable=False),
        sa.Column("findings", sa.Integer(), nullable=False),
        sa.Column("link", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("first_token_ms", sa.BigInteger(), nullable=True),
        sa.Column("total_ms", sa.BigInteger(), nullable=False),
        sa.Column("confidence_ppm", sa.Integer(), nullable=True),
        sa.Column("policy_digest", sa.String(length=71), nullable=False),
        sa.ForeignKeyConstraint(["boot"], ["boots.number"], name=op.f("fk_route_events_boot_boots")),
        sa.PrimaryKeyConstraint("boot", "seq", name=op.f("pk_route_events")),
        sqlite_with_rowid=False,
    )


def _events() -> None:
    """One row per event of the other streams."""
    op.create_table(
        "evidence_events",
        sa.Column("boot", NUMBER, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at_s", sa.BigInteger(), nullable=False),
        sa.Column("received_at_s", sa.BigInteger(), nullable=False),
        sa.Column("guarded", sa.Boolean(), nullable=False),
        sa.Column("created_at_s", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("route_id", sa.String(length=64), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("specialist", sa.String(), nullable=False),
        sa.Column("reason_code", sa.Integer(), nullable=False),
        sa.Column("classes", sa.Integer(), nullable=False),
        sa.Column("findings", sa.Integer(), nullable=False),
        sa.Column("occurrences", sa.BigInteger(), nullable=False),
        sa.Column("total_ms", sa.BigInteger(), nullable=False),
        sa.Column("confidence_ppm", sa.Integer(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("has_correction", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["boot"], ["boots.number"], name=op.f("fk_evidence_events_boot_boots")),
        sa.PrimaryKeyConstraint("boot", "seq", name=op.f("pk_evidence_events")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "receipt_events",
        sa.Column("boot", NUMBER, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at_s", sa.BigInteger(), nullable=False),
        sa.Column("received_at_s", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.String(length=32), nullable=False),
        sa.Column("problem_code", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["boot"], ["boots.number"], name=op.f("fk_receipt_events_boot_boots")),
        sa.PrimaryKeyConstraint("boot", "seq", name=op.f("pk_receipt_events")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "install_receipts",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("device", NUMBER, nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at_s", sa.BigInteger(), nullable=False),
        sa.Column("specialist", sa.String(length=128), nullable=False),
        sa.Column("release_number", sa.BigInteger(), nullable=False),
        sa.Column("release_digest", sa.String(length=71), nullable=False),
        sa.Column("result", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("built", sa.String(length=71), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.Column("received_at_s", sa.BigInteger(), nullable=False),
        sa.Column("came_by", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.number"], name=op.f("fk_install_receipts_device_devices")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_install_receipts")),
        sa.UniqueConstraint("device", "digest", name=op.f("uq_install_receipts_device")),
    )
    op.create_table(
        "health_events",
        sa.Column("boot", NUMBER, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at_s", sa.BigInteger(), nullable=False),
        sa.Column("received_at_s", sa.BigInteger(), nullable=False),
        sa.Column("uptime_s", sa.BigInteger(), nullable=False),
        sa.Column("resident_bytes", sa.BigInteger(), nullable=False),
        sa.Column("free_disk_bytes", sa.BigInteger(), nullable=False),
        sa.Column("outbox_events", sa.BigInteger(), nullable=False),
        sa.Column("outbox_bytes", sa.BigInteger(), nullable=False),
        sa.Column("loaded_models", sa.Integer(), nullable=False),
        sa.Column("worker_failures", sa.Integer(), nullable=False),
        sa.Column("reviews_waiting", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["boot"], ["boots.number"], name=op.f("fk_health_events_boot_boots")),
        sa.PrimaryKeyConstraint("boot", "seq", name=op.f("pk_health_events")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "gap_events",
        sa.Column("boot", NUMBER, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at_s", sa.BigInteger(), nullable=False),
        sa.Column("received_at_s", sa.BigInteger(), nullable=False),
        sa.Column("lost_boot_id", sa.String(length=32), nullable=False),
        sa.Column("stream", sa.Integer(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["boot"], ["boots.number"], name=op.f("fk_gap_events_boot_boots")),
        sa.PrimaryKeyConstraint("boot", "seq", name=op.f("pk_gap_events")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """There is no way back: an older version would not know what a newer one wrote. Restore the copy instead."""
    raise NotImplementedError
