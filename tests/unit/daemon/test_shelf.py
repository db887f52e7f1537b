from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import DamagedSpecialist, Shelf, StoredSpecialist, registry_document
from homebred_protocol.documents.registry import Fitness, read_registry
from homebred_protocol.documents.specialist import ServedWorkflow, SpecialistManifest

MEASURED = Measurement(
    fitness=0.875,
    samples=64,
    golden_digest="sha256:g",
    manifest_digest="sha256:m",
    base_digest="sha256:b",
    measured_at_utc=datetime(2026, 11, 23, 9, tzinfo=UTC),
    engine="echo",
    engine_version="1",
    tokens_per_s=100.0,
    p95_s=0.5,
)
STORED = StoredSpecialist(
    manifest=SpecialistManifest(
        digest="sha256:m",
        id="intake",
        title="Intake",
        engine="echo",
        workflows={"b": ServedWorkflow(), "a": ServedWorkflow()},
        size_rank=135,
        capabilities=("tools",),
        max_context=2048,
    ),
    base_digest="sha256:b",
    base_bytes=9,
    base_path="/models/b",
    base_is_intact=True,
)


def test_a_measured_specialist_is_listed_with_its_figures() -> None:
    document = registry_document(Shelf(specialists=(replace(STORED, measurements={"a": MEASURED}),)))
    (specialist,) = read_registry(json.loads(json.dumps(document)), "").specialists
    assert (specialist.id, specialist.engine, specialist.available) == ("intake", "echo", True)
    assert (specialist.size_rank, specialist.max_context, specialist.capabilities) == (135, 2048, ("tools",))
    assert (specialist.tokens_per_s, specialist.p95_s) == (100.0, 0.5)
    assert specialist.workflows["a"] == Fitness(fitness=0.875, samples=64)


def test_a_workflow_that_was_never_measured_has_no_samples_and_so_is_never_a_candidate() -> None:
    registry = read_registry(registry_document(Shelf(specialists=(STORED,))), "")
    assert registry.specialists[0].workflows == {
        "a": Fitness(fitness=0.0, samples=0),
        "b": Fitness(fitness=0.0, samples=0),
    }
    assert registry.measured_for("a") == ()


def test_the_slowest_workflow_speaks_for_the_specialist() -> None:
    slow = replace(MEASURED, tokens_per_s=20.0, p95_s=None)
    slower = replace(MEASURED, tokens_per_s=None, p95_s=3.0)
    stored = replace(STORED, measurements={"a": slow, "b": slower})
    (entry,) = registry_document(Shelf(specialists=(stored,)))["specialists"]
    assert (entry["tokens_per_s"], entry["p95_s"]) == (20.0, 3.0)


def test_a_reference_measured_beside_it_is_passed_on() -> None:
    measured = replace(MEASURED, reference_fitness=0.9, reference_samples=60)
    document = registry_document(Shelf(specialists=(replace(STORED, measurements={"a": measured}),)))
    fitness = read_registry(document, "").specialists[0].workflows["a"]
    assert fitness == Fitness(fitness=0.875, samples=64, reference_fitness=0.9, reference_samples=60)


def test_a_specialist_without_its_base_or_adapter_is_listed_as_not_available() -> None:
    for broken in (replace(STORED, base_is_intact=False), replace(STORED, adapter_is_intact=False)):
        (entry,) = registry_document(Shelf(specialists=(broken,)))["specialists"]
        assert entry["available"] is False


def test_a_specialist_that_names_no_context_is_listed_with_the_devices() -> None:
    bare = replace(STORED, manifest=replace(STORED.manifest, max_context=None))
    own, default = (
        registry_document(Shelf(specialists=(stored,)), default_context_tokens=512)["specialists"][0]["max_context"]
        for stored in (STORED, bare)
    )
    assert (own, default) == (2048, 512)
    assert (STORED.context_tokens(512), bare.context_tokens(512)) == (2048, 512)


def test_unknown_figures_are_left_out_and_damaged_folders_too() -> None:
    bare = replace(STORED, manifest=replace(STORED.manifest, max_context=None))
    document = registry_document(Shelf(specialists=(bare,), damaged=(DamagedSpecialist(id="x", why="gone"),)))
    (entry,) = document["specialists"]
    assert {"max_context", "tokens_per_s", "p95_s"}.isdisjoint(entry)
