"""Measured fitness as it is kept beside a specialist (`fitness.json`).

A measurement holds only for the very manifest, base model and adapter that it was made with: for any other it is void.
Nothing here measures, reads or writes a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from homebred_protocol.documents.fields import DocumentError, Fields
from homebred_protocol.documents.specialist import SpecialistManifest

Record = dict[str, Any]
_UNKNOWN_MOMENT = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The fitness of one specialist on one workflow, and what it was measured with."""

    fitness: float
    """Mean score on the golden set, in [0, 1]."""
    samples: int
    """Rows of that golden set."""
    golden_digest: str
    """`sha256:` of the golden set's bytes."""
    manifest_digest: str
    """`sha256:` of the manifest's bytes."""
    base_digest: str
    """`sha256:` of the base model."""
    adapter_digest: str = ""
    """`sha256:` of the adapter; empty: the base alone."""
    measured_at_utc: datetime
    """When it ended; aware."""
    engine: str
    """The engine's name."""
    engine_version: str
    """Version of the library that computed."""
    tokens_per_s: float | None = None
    """Tokens per second of one stream; None: too few tokens to tell."""
    p95_s: float | None = None
    """95th percentile of the seconds from asking to the last token; None: not measured."""
    reference_fitness: float | None = None
    """Mean score of a reference model on the same golden set."""
    reference_samples: int | None = None
    """Rows behind it."""

    def holds_for(self, manifest: SpecialistManifest, base_digest: str, adapter_digest: str = "") -> bool:
        """Whether manifest, base and adapter are still those that were measured."""
        measured_with = (self.manifest_digest, self.base_digest, self.adapter_digest)
        return measured_with == (manifest.digest, base_digest, adapter_digest)


def measurements_record(measurements: Mapping[str, Measurement]) -> Record:
    """The measurements by workflow as a JSON value; what is unknown is left out."""
    return {"workflows": {name: _record(each) for name, each in sorted(measurements.items())}}


def read_measurements(document: object) -> dict[str, Measurement]:
    """The measurements by workflow in one parsed `fitness.json`.

    Raises:
        DocumentError: with every problem found.
    """
    fields = Fields(document)
    measurements = {name: _measurement(entry) for name, entry in fields.tables("workflows")}
    fields.finish()
    if fields.problems:
        raise DocumentError("fitness", fields.problems)
    return measurements


def _record(measurement: Measurement) -> Record:
    record = asdict(measurement) | {"measured_at_utc": measurement.measured_at_utc.isoformat()}
    return {key: value for key, value in record.items() if value is not None}


def _measurement(fields: Fields) -> Measurement:
    measurement = Measurement(
        fitness=fields.number("fitness", 0.0, low=0, high=1, required=True) or 0.0,
        samples=fields.integer("samples", 0, required=True) or 0,
        golden_digest=fields.text("golden_digest", required=True) or "",
        manifest_digest=fields.text("manifest_digest", required=True) or "",
        base_digest=fields.text("base_digest", required=True) or "",
        adapter_digest=fields.text("adapter_digest", "") or "",
        measured_at_utc=_moment(fields),
        engine=fields.text("engine", required=True) or "",
        engine_version=fields.text("engine_version", required=True) or "",
        tokens_per_s=fields.number("tokens_per_s", low=0),
        p95_s=fields.number("p95_s", low=0),
        reference_fitness=fields.number("reference_fitness", low=0, high=1),
        reference_samples=fields.integer("reference_samples"),
    )
    fields.finish()
    return measurement


def _moment(fields: Fields) -> datetime:
    text = fields.text("measured_at_utc", required=True)
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        moment = _UNKNOWN_MOMENT
    if text is not None and (moment is _UNKNOWN_MOMENT or moment.tzinfo is None):
        fields.complain(("measured_at_utc",), f"is {text!r}", "write a date and time with its offset from UTC")
    return moment
