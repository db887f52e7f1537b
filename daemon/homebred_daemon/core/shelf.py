"""What a device's model store holds, as values, and the registry document that the router reads of it.

It opens no file: the store's adapter fills these values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from homebred_daemon.core.measurements import Measurement
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.specialist import SpecialistManifest

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSpecialist:
    """A specialist of the store."""

    manifest: SpecialistManifest
    base_digest: str
    """`sha256:` of its base model, as its engine is told."""
    base_bytes: int
    """Size of the base model's file, or of all files of its folder."""
    base_path: str
    """Where that file or folder stands, if it does."""
    base_is_intact: bool
    """Whether it is there in its full size, and of its digest where that was checked."""
    kv_bytes_per_token: int = 0
    """What one token of context costs in a 16-bit cache of the base; 0: not known."""
    trained_context: int = 0
    """Tokens that the base was trained for; 0: not known."""
    gpu_architecture: str = ""
    """The only one that the base runs on, such as `sm_87`; empty: it was not built for one."""
    adapter_digest: str = ""
    """`sha256:` of the adapter that it is asked with; empty: the base alone."""
    adapter_bytes: int = 0
    """Size of the adapter's file, or of all files of its folder."""
    adapter_path: str = ""
    """Where that file or folder stands, if it does."""
    adapter_is_intact: bool = True
    """As `base_is_intact`; without an adapter nothing is missing."""
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    """By workflow; those that hold for this manifest, base and adapter."""
    note: str = ""
    """What a person should know of its files, such as a fitness that cannot be read; empty: nothing."""
    release: int = 0
    """Number of the release that brought it; 0: it was put in by hand."""
    built: str = ""
    """`sha256:` of its base or its adapter, where this device built that by the release's recipe; empty: it did not."""

    @property
    def version(self) -> str:
        """Of all that its answers depend on: `sha256:` of manifest, base and adapter."""
        return digest_of(f"{self.manifest.digest}\n{self.base_digest}\n{self.adapter_digest}".encode())

    @property
    def is_intact(self) -> bool:
        """Whether it can be served: all that it runs on is there."""
        return self.base_is_intact and self.adapter_is_intact

    def context_tokens(self, default: int) -> int:
        """Context that it is promised, in tokens: its manifest's, or the device's `default` where that names none."""
        return self.manifest.max_context or default


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedSpecialist:
    """A specialist's folder that cannot be read."""

    id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """All that a store holds."""

    specialists: tuple[StoredSpecialist, ...] = ()
    """By id."""
    damaged: tuple[DamagedSpecialist, ...] = ()
    """By id; none of them can be served."""


def registry_document(shelf: Shelf, *, default_context_tokens: int | None = None) -> Record:
    """The registry: one entry a specialist by id, alike for the same shelf.

    Args:
        shelf: what the store holds.
        default_context_tokens: context of a specialist that names none; None: not known, and not written.
    """
    return {"specialists": [_entry(each, default_context_tokens) for each in shelf.specialists]}


def _entry(stored: StoredSpecialist, default_context_tokens: int | None) -> Record:
    manifest, measured = stored.manifest, stored.measurements.values()
    entry: Record = {
        "id": manifest.id,
        "engine": manifest.engine,
        "workflows": {name: _fitness(stored.measurements.get(name)) for name in sorted(manifest.workflows)},
        "size_rank": manifest.size_rank,
        "capabilities": sorted(set(manifest.capabilities)),
        "available": stored.is_intact,
        "version": stored.version,  # so that each outcome in the ledger tells of what it is
    }
    optional = {
        # What it is served with, so that the router sends it nothing longer.
        "max_context": manifest.max_context or default_context_tokens,
        # One figure stands for all workflows: the slowest, since the router holds it against deadlines.
        "tokens_per_s": min(_known(each.tokens_per_s for each in measured), default=None),
        "p95_s": max(_known(each.p95_s for each in measured), default=None),
    }
    return entry | _without_unknown(optional)


def _fitness(measurement: Measurement | None) -> Record:
    if measurement is None:
        return {"fitness": 0.0, "samples": 0}
    optional = {
        "reference_fitness": measurement.reference_fitness,
        "reference_samples": measurement.reference_samples,
    }
    return {"fitness": measurement.fitness, "samples": measurement.samples} | _without_unknown(optional)


def _without_unknown(record: Record) -> Record:
    return {key: value for key, value in record.items() if value is not None}


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
