"""Looks at a model store from outside: what it holds, every byte read, and what belongs to nobody."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import StoredSpecialist


def leftovers_in(root: Path) -> list[Path]:
    """What belongs to no specialist that can be read."""
    stored = ModelStore(root).contents()
    assert not stored.damaged
    paths = [(specialist.base_path, specialist.adapter_path) for specialist in stored.specialists]
    needed = {Path(path) for both in paths for path in both if path}
    folders = {root / "specialists" / specialist.manifest.id for specialist in stored.specialists}
    blobs = [path for path in (root / "blobs").rglob("*") if path.is_file()]
    unneeded = [path for path in blobs if not needed & {path, *path.parents}]
    strays = [path for path in root.rglob(".*") if path.name != ".lock"]
    placed = root / "specialists"
    return unneeded + strays + [path for path in (placed.iterdir() if placed.is_dir() else ()) if path not in folders]


def specialists_of(store: ModelStore) -> tuple[StoredSpecialist, ...]:
    """The store's specialists, every byte of them read."""
    shelf = store.contents(verifies=True)
    assert not shelf.damaged, shelf.damaged
    assert all(specialist.is_intact for specialist in shelf.specialists)
    return shelf.specialists


def titles_of(store: ModelStore) -> list[str]:
    """Their titles."""
    return [specialist.manifest.title for specialist in specialists_of(store)]


def measured(stored: StoredSpecialist) -> Measurement:
    """A measurement that holds for a stored specialist."""
    return Measurement(
        fitness=1.0,
        samples=3,
        golden_digest="sha256:g",
        manifest_digest=stored.manifest.digest,
        base_digest=stored.base_digest,
        adapter_digest=stored.adapter_digest,
        measured_at_utc=datetime(2026, 11, 23, tzinfo=UTC),
        engine="echo",
        engine_version="1",
    )
