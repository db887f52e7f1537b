"""Shelves of a model store, without files; `FakeStore` fulfils `ports.SpecialistStore`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import Shelf, StoredSpecialist
from homebred_daemon.errors import StateError
from homebred_protocol.documents.specialist import ServedWorkflow, SpecialistManifest

WORKFLOW = "intake.normalise"


def stored(
    specialist_id: str,
    *,
    fitness: float = 0.9,
    engine: str = "echo",
    max_context: int | None = None,
    base_digest: str = "sha256:base",
    base_is_intact: bool = True,
    adapter: str = "",
    kv_bytes_per_token: int = 0,
) -> StoredSpecialist:
    """A specialist, measured on one workflow."""
    manifest = SpecialistManifest(
        digest=f"sha256:manifest of {specialist_id}",
        id=specialist_id,
        title=specialist_id,
        engine=engine,
        workflows={WORKFLOW: ServedWorkflow()},
        max_context=max_context,
    )
    measurement = Measurement(
        fitness=fitness,
        samples=100,
        golden_digest="sha256:golden",
        manifest_digest=manifest.digest,
        base_digest=base_digest,
        measured_at_utc=datetime(2026, 11, 23, tzinfo=UTC),
        engine=engine,
        engine_version="1",
    )
    return StoredSpecialist(
        manifest=manifest,
        base_digest=base_digest,
        base_bytes=9,
        base_path=f"/models/{base_digest}",
        base_is_intact=base_is_intact,
        kv_bytes_per_token=kv_bytes_per_token,
        adapter_digest=adapter,
        adapter_path=f"/models/{adapter}" if adapter else "",
        adapter_bytes=3 if adapter else 0,
        measurements={WORKFLOW: measurement},
    )


@dataclass(slots=True)
class FakeStore:
    """A store that holds a shelf."""

    shelf: Shelf = field(default_factory=Shelf)
    is_unreadable: bool = False

    def contents(self) -> Shelf:
        if self.is_unreadable:
            raise StateError("the model store cannot be read")
        return self.shelf
