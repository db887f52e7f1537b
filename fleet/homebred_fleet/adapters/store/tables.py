"""The controller's tables, for SQLite and PostgreSQL alike; migrations/ makes them, and a test compares the two.

Times are whole Unix seconds (`_at_s`) by the controller's clock, unless a column says that they are a device's. Devices
and boots have small numbers, so that a row per event stays narrow. Words of closed vocabularies are kept as the numbers
of homebred.v1's enums: what a newer device says is kept as it came.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
Number = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up INTEGER alone by itself."""

devices = Table(
    "devices",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", String(63), nullable=False, unique=True),  # common name of its certificates, client id, topic level
    Column("site", String(32), nullable=False),
    Column("labels", JSON, nullable=False),  # text by text
    Column("state", String(16), nullable=False),
    Column("enrolled_at_s", BigInteger, nullable=False),
    Column("revoked_at_s", BigInteger),
    Column("revoke_reason", String(200), nullable=False, server_default=""),
    Column("replaced_by", String(63), nullable=False, server_default=""),  # device that took its place
    CheckConstraint("state IN ('enrolled', 'revoked', 'replaced')", name="state"),
)

certificates = Table(
    "certificates",
    metadata,
    Column("serial", String(40), primary_key=True),  # hexadecimal
    Column("device", ForeignKey("devices.number"), nullable=False, index=True),
    Column("fingerprint", String(64), nullable=False),  # SHA-256 of the DER, hexadecimal
    Column("not_before_s", BigInteger, nullable=False),
    Column("not_after_s", BigInteger, nullable=False),
    Column("issued_at_s", BigInteger, nullable=False),
    Column("revoked_at_s", BigInteger),
    Column("out_at_s", BigInteger),  # revoked, and since then the broker refuses it and has ended its connection
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(12), primary_key=True),  # what people call it by; no part of the secret
    Column("hash", String(64), nullable=False, unique=True),  # SHA-256 of the secret, hexadecimal
    Column("site", String(32), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("device", String(63), nullable=False, server_default=""),  # whom it lets in again; empty: a new device
    Column("replaces", String(63), nullable=False, server_default=""),  # whose place a new device takes
    Column("created_at_s", BigInteger, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("expires_at_s", BigInteger, nullable=False),
    Column("used_at_s", BigInteger),
    Column("used_by", String(63), nullable=False, server_default=""),  # device
    Column("used_key", String(64), nullable=False, server_default=""),  # SHA-256 of its public key, hexadecimal
    Column("withdrawn_at_s", BigInteger),
)

admins = Table(
    "admins",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False, unique=True),  # of its client certificate
    Column("role", String(16), nullable=False),  # viewer, operator, publisher, admin
    Column("created_at_s", BigInteger, nullable=False),
    Column("removed_at_s", BigInteger),
    CheckConstraint("role IN ('viewer', 'operator', 'publisher', 'admin')", name="role"),
)

cohorts = Table(
    "cohorts",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("selector", String(500), nullable=False),  # in the filter language
    Column("created_at_s", BigInteger, nullable=False),
)

documents = Table(  # lists of gazetteers: what is signed names them
    "documents",
    metadata,
    Column("digest", String(71), primary_key=True),  # "sha256:…"; the bytes lie in the blob folder
    Column("site", String(32), nullable=False),  # for whom alone
    Column("length", BigInteger, nullable=False),
    Column("added_at_s", BigInteger, nullable=False),
    Column("added_by", String(64), nullable=False),
)

desired = Table(
    "desired",
    metadata,
    Column("device", ForeignKey("devices.number"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("policy_digest", String(71), nullable=False, server_default=""),  # of a target, as `assignments` names it
    Column("policy_length", BigInteger, nullable=False, server_default="0"),
    Column("gazetteer_digest", String(71), nullable=False, server_default=""),
    Column("gazetteer_length", BigInteger, nullable=False, server_default="0"),
    Column("set_at_s", BigInteger, nullable=False),
    Column("set_by", String(64), nullable=False),
    Column("published_version", BigInteger, nullable=False, server_default="0"),  # what the broker has taken
)

assignments = Table(  # what devices should run of what the image repository holds
    "assignments",
    metadata,
    Column("device", ForeignKey("devices.number"), primary_key=True),
    Column("line", String(160), primary_key=True),  # what the target's numbers count in
    Column("path", String(180), nullable=False),  # of the target
    Column("set_at_s", BigInteger, nullable=False),
    Column("set_by", String(64), nullable=False),
)

directions = Table(  # the director's metadata as it was signed last: each device's own
    "directions",
    metadata,
    Column("device", ForeignKey("devices.number"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("content", String(71), nullable=False),  # digest of what was wanted
    Column("issued_at_s", BigInteger, nullable=False),
    Column("expires_at_s", BigInteger, nullable=False),
    Column("targets", LargeBinary, nullable=False),
    Column("snapshot", LargeBinary, nullable=False),
    Column("timestamp", LargeBinary, nullable=False),
)

reported = Table(
    "reported",
    metadata,
    Column("device", ForeignKey("devices.number"), primary_key=True),
    Column("boot_number", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("desired_version", BigInteger, nullable=False),
    Column("highest_version", BigInteger, nullable=False),
    Column("stop_epoch", BigInteger, nullable=False, server_default="0"),
    Column("received_at_s", BigInteger, nullable=False),
    Column("software_version", String(64), nullable=False, server_default=""),
    Column("policy_digest", String(71), nullable=False, server_default=""),  # in force on the device
    Column("standing", String(16), nullable=False, server_default="applied"),  # of all parts: applied, pending, refused
    Column("body", JSON, nullable=False),  # the whole message
)

presence = Table(
    "presence",
    metadata,
    Column("device", ForeignKey("devices.number"), primary_key=True),
    Column("online", Boolean, nullable=False),
    Column("boot_id", String(32), nullable=False),
    Column("boot_number", BigInteger, nullable=False),
    Column("connection", BigInteger, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("changed_at_s", BigInteger, nullable=False),
    Column("heard_at_s", BigInteger, nullable=False),  # of anything at all
)

boots = Table(
    "boots",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("device", ForeignKey("devices.number"), nullable=False),
    Column("boot_id", String(32), nullable=False),
    Column("boot_number", BigInteger, nullable=False),
    Column("first_heard_at_s", BigInteger, nullable=False),
    UniqueConstraint("device", "boot_id"),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("boot", ForeignKey("boots.number"), primary_key=True),
    Column("stream", Integer, primary_key=True),
    Column("up_to_seq", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),  # rows that were stored
    Column("forgotten", BigInteger, nullable=False, server_default="0"),  # of them, deleted again
    Column("changed_at_s", BigInteger, nullable=False),
)


def _event_key() -> tuple[Column[int], ...]:
    return (
        Column("boot", ForeignKey("boots.number"), primary_key=True),
        Column("seq", BigInteger, primary_key=True),
        Column("recorded_at_s", BigInteger, nullable=False),  # by the device's clock
        Column("received_at_s", BigInteger, nullable=False),
    )


route_events = Table(
    "route_events",
    metadata,
    *_event_key(),
    Column("selected_runtime", Integer, nullable=False),
    Column("selected_model_or_stack", String, nullable=False),
    Column("redaction_required", Boolean, nullable=False),
    Column("evidence_required", Boolean, nullable=False),
    Column("fallback_target", Integer, nullable=False),
    Column("route_created_at_s", BigInteger, nullable=False),  # by the device's clock
    Column("guarded", Boolean, nullable=False),
    Column("reason_code", Integer, nullable=False),
    Column("route_id", String(64), nullable=False),
    Column("workflow", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("answered_by", String, nullable=False),
    Column("classes", Integer, nullable=False),  # bit by DataClass
    Column("findings", Integer, nullable=False),  # bit by RouteFinding
    Column("link", Integer, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("first_token_ms", BigInteger),
    Column("total_ms", BigInteger, nullable=False),
    Column("confidence_ppm", Integer),
    Column("policy_digest", String(71), nullable=False),
    sqlite_with_rowid=False,
)

evidence_events = Table(
    "evidence_events",
    metadata,
    *_event_key(),
    Column("guarded", Boolean, nullable=False),
    Column("created_at_s", BigInteger, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("route_id", String(64), nullable=False),
    Column("workflow", String, nullable=False),
    Column("specialist", String, nullable=False),
    Column("reason_code", Integer, nullable=False),
    Column("classes", Integer, nullable=False),
    Column("findings", Integer, nullable=False),
    Column("occurrences", BigInteger, nullable=False),
    Column("total_ms", BigInteger, nullable=False),
    Column("confidence_ppm", Integer),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("has_correction", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

receipt_events = Table(
    "receipt_events",
    metadata,
    *_event_key(),
    Column("kind", Integer, nullable=False),
    Column("subject", String(128), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("result", String(32), nullable=False),
    Column("problem_code", String(64), nullable=False),
    sqlite_with_rowid=False,
)

install_receipts = Table(  # what devices have signed of installs, each once, whoever brought it
    "install_receipts",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("device", ForeignKey("devices.number"), nullable=False),
    Column("digest", String(71), nullable=False),  # of the receipt, without its signature
    Column("seq", BigInteger, nullable=False),  # the step's number on its device
    Column("at_s", BigInteger, nullable=False),  # by the device's trusted time
    Column("specialist", String(128), nullable=False),
    Column("release_number", BigInteger, nullable=False),
    Column("release_digest", String(71), nullable=False),
    Column("result", String(32), nullable=False),
    Column("code", String(64), nullable=False),
    Column("facts", JSON, nullable=False),  # integers by name
    Column("built", String(71), nullable=False),  # of what the device built of the release; empty: nothing
    Column("signed", LargeBinary, nullable=False),  # as it came: anybody can verify it again
    Column("received_at_s", BigInteger, nullable=False),
    Column("came_by", String(8), nullable=False),  # mqtt, file
    UniqueConstraint("device", "digest"),
)

health_events = Table(
    "health_events",
    metadata,
    *_event_key(),
    Column("uptime_s", BigInteger, nullable=False),
    Column("resident_bytes", BigInteger, nullable=False),
    Column("free_disk_bytes", BigInteger, nullable=False),
    Column("outbox_events", BigInteger, nullable=False),
    Column("outbox_bytes", BigInteger, nullable=False),
    Column("loaded_models", Integer, nullable=False),
    Column("worker_failures", Integer, nullable=False),
    Column("reviews_waiting", Integer, nullable=False),
    sqlite_with_rowid=False,
)

gap_events = Table(
    "gap_events",
    metadata,
    *_event_key(),
    Column("lost_boot_id", String(32), nullable=False),
    Column("stream", Integer, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("reason", Integer, nullable=False),
    sqlite_with_rowid=False,
)

controller_gaps = Table(  # what the controller itself lost or refused; a device cannot count it
    "controller_gaps",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("boot", ForeignKey("boots.number"), nullable=False),
    Column("stream", Integer, nullable=False),
    Column("after_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("reason", Integer, nullable=False),
    Column("noted_at_s", BigInteger, nullable=False),
)

route_hours = Table(  # rolled up in the transaction that stores the rows
    "route_hours",
    metadata,
    Column("device", ForeignKey("devices.number"), primary_key=True),
    Column("hour", BigInteger, primary_key=True),  # Unix seconds // 3600 of route_created_at_s
    Column("workflow", String, primary_key=True),
    Column("reason_code", Integer, primary_key=True),
    Column("status", Integer, primary_key=True),
    Column("routes", BigInteger, nullable=False),
    Column("weak", BigInteger, nullable=False),
    Column("slow", BigInteger, nullable=False),
    Column("total_ms", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

bygone_events = Table(  # of boots that are not kept any more
    "bygone_events",
    metadata,
    Column("device", ForeignKey("devices.number"), primary_key=True),
    Column("stream", Integer, primary_key=True),
    Column("events", BigInteger, nullable=False),  # rows that were stored, all of them deleted again
)

bygone_gaps = Table(  # what gaps counted that are not kept any more
    "bygone_gaps",
    metadata,
    Column("device", ForeignKey("devices.number"), primary_key=True),
    Column("stream", Integer, primary_key=True),
    Column("reason", Integer, primary_key=True),
    Column("is_of_device", Boolean, primary_key=True),  # it had counted them; else the controller
    Column("events", BigInteger, nullable=False),
    Column("last_at_s", BigInteger, nullable=False),
)

quarantine = Table(  # what could not be taken: counted by topic and cause, with the newest sample
    "quarantine",
    metadata,
    Column("device", String(63), primary_key=True),  # as its topic says; empty: no device's topic
    Column("kind", String(32), primary_key=True),  # of the topic
    Column("cause", String(64), primary_key=True),
    Column("messages", BigInteger, nullable=False),
    Column("first_at_s", BigInteger, nullable=False),
    Column("last_at_s", BigInteger, nullable=False),
    Column("sample", LargeBinary, nullable=False),  # the first bytes of the newest
    Column("length", BigInteger, nullable=False),  # of the newest, whole
)

commands = Table(
    "commands",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("device", ForeignKey("devices.number"), nullable=False, index=True),
    Column("op", String(32), nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("issued_at_s", BigInteger, nullable=False),
    Column("issued_by", String(64), nullable=False),
    Column("deadline_s", BigInteger, nullable=False),
    Column("published_at_s", BigInteger),
    Column("state", String(16), nullable=False),  # waiting-to-send, sent, accepted, waiting, done, failed, …
    Column("answered_at_s", BigInteger),
    Column("result", JSON, nullable=False),
    Column("attachment", LargeBinary),
)

stop_orders = Table(
    "stop_orders",
    metadata,
    Column("epoch", Number, primary_key=True, autoincrement=True),
    Column("stopped", Boolean, nullable=False),
    Column("reason_code", String(32), nullable=False),
    Column("issued_at_s", BigInteger, nullable=False),
    Column("issued_by", String(64), nullable=False),
    Column("published_at_s", BigInteger),
)

audit = Table(  # append-only; each row holds the digest of the one before
    "audit",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("at_s", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(128), nullable=False),
    Column("details", JSON, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
)

Index("ix_controller_gaps_boot", controller_gaps.c.boot)
Index("ix_presence_online", presence.c.online)
Index("ix_devices_site", devices.c.site)
