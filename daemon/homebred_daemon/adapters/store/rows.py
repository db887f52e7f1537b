"""The ledger's rows: how values become columns, and whether a row is as it was written. It reads and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from homebred_daemon.core.records import DECISION_FIELDS, canonical, decision_record, inputs_record
from homebred_daemon.ports.ledger import FeedbackRecord, LedgerEntry, OutcomeRecord
from homebred_protocol.digests import digest_of


def _row_digest(values: Mapping[str, Any]) -> str:
    """Over every other column; a document's body has a digest of its own among them."""
    covered = {name: value for name, value in values.items() if name not in {"row_digest", "body"}}
    return digest_of(canonical(covered).encode())


def is_intact(values: Mapping[str, Any]) -> bool:
    """Whether a row is as it was written."""
    try:
        is_itself = "body" not in values or digest_of(values["body"]) == values["digest"]
        return bool(is_itself and values["row_digest"] == _row_digest(values))
    except ValueError:
        return False  # someone put an infinity in, which no JSON text can hold


def document_row(kind: str, digest: str, body: bytes, *, position: int, kept_after: int) -> dict[str, Any]:
    """A row of `documents`."""
    row: dict[str, Any] = {"position": position, "kind": kind, "digest": digest, "kept_after": kept_after}
    return row | {"row_digest": _row_digest(row), "body": body}


def gap_row(now: datetime, *, last_seq: int, decisions: int) -> dict[str, Any]:
    """A row of `gaps`: decisions dropped at the bound, up to this one."""
    row: dict[str, Any] = {"last_seq": last_seq, "decisions": decisions}
    row |= {"recorded_at_utc": now.isoformat(), "reason": "ledger bound reached"}
    return row | {"row_digest": _row_digest(row)}


def mark_row(seq: int) -> dict[str, Any]:
    """A row of `marks`: every decision up to this one has its outcome."""
    row: dict[str, Any] = {"name": "finished", "seq": seq}
    return row | {"row_digest": _row_digest(row)}


def decision_row(entry: LedgerEntry, seq: int, previous_digest: str) -> dict[str, Any]:
    """A row of `decisions`, chained to the one before."""
    row = decision_record(entry.decision)
    row["classes"] = canonical(row["classes"])
    row["trace"] = canonical(row["trace"])
    row["redaction_required"] = int(row["redaction_required"])
    row["evidence_required"] = int(row["evidence_required"])
    row |= {
        "seq": seq,
        "route_id": entry.route_id,
        "supersedes": entry.supersedes,
        "inputs": canonical(inputs_record(entry.inputs)),
        "previous_digest": previous_digest,
    }
    row["row_digest"] = _row_digest(row)
    return row


def stored_decision(values: Mapping[str, Any]) -> dict[str, Any]:
    """The row's decision in the form of `decision_record`, as far as it still has that form."""
    decision = {name: values[name] for name in DECISION_FIELDS}
    decision["classes"] = parsed(decision["classes"])
    decision["trace"] = parsed(decision["trace"])
    decision["redaction_required"] = bool(decision["redaction_required"])
    decision["evidence_required"] = bool(decision["evidence_required"])
    return decision


def outcome_row(outcome: OutcomeRecord) -> dict[str, Any]:
    """A row of `outcomes`."""
    row = asdict(outcome)
    row["recorded_at_utc"] = outcome.recorded_at_utc.isoformat()
    row["findings"] = canonical(list(outcome.findings))
    row["row_digest"] = _row_digest(row)
    return row


def feedback_row(feedback: FeedbackRecord) -> dict[str, Any]:
    """A row of `feedback`."""
    row = asdict(feedback)
    row["recorded_at_utc"] = feedback.recorded_at_utc.isoformat()
    row["has_correction"] = int(feedback.has_correction)
    row["row_digest"] = _row_digest(row)
    return row


def parsed(text: object) -> Any:
    """A stored JSON value; None where someone made it unreadable."""
    try:
        return json.loads(str(text))
    except (ValueError, RecursionError):
        return None
