from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from homebred_daemon.core.measurements import Measurement, measurements_record, read_measurements
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.specialist import ServedWorkflow, SpecialistManifest

MANIFEST = SpecialistManifest(digest="sha256:m", id="a", title="A", engine="echo", workflows={"w": ServedWorkflow()})
MEASURED = Measurement(
    fitness=0.875,
    samples=64,
    golden_digest="sha256:g",
    manifest_digest="sha256:m",
    base_digest="sha256:b",
    measured_at_utc=datetime(2026, 11, 23, 9, tzinfo=UTC),
    engine="echo",
    engine_version="1",
    tokens_per_s=123.4,
    p95_s=0.5,
    reference_fitness=0.9,
    reference_samples=64,
)
SPARSE = replace(MEASURED, tokens_per_s=None, p95_s=None, reference_fitness=None, reference_samples=None)


@pytest.mark.parametrize("measurement", [MEASURED, SPARSE])
def test_a_measurement_comes_back_from_its_json_text(measurement: Measurement) -> None:
    text = json.dumps(measurements_record({"w": measurement, "*": MEASURED}))
    assert read_measurements(json.loads(text)) == {"w": measurement, "*": MEASURED}


def test_what_was_not_measured_is_left_out_of_the_file() -> None:
    assert None not in measurements_record({"w": SPARSE})["workflows"]["w"].values()


def test_a_measurement_is_void_once_manifest_base_or_adapter_is_another() -> None:
    assert MEASURED.holds_for(MANIFEST, "sha256:b")
    assert not MEASURED.holds_for(MANIFEST, "sha256:b", "sha256:a")
    with_adapter = replace(MEASURED, adapter_digest="sha256:a")
    assert with_adapter.holds_for(MANIFEST, "sha256:b", "sha256:a")
    assert not with_adapter.holds_for(MANIFEST, "sha256:b", "sha256:other")
    assert not with_adapter.holds_for(MANIFEST, "sha256:b")
    assert not MEASURED.holds_for(MANIFEST, "sha256:other")
    assert not MEASURED.holds_for(replace(MANIFEST, digest="sha256:other"), "sha256:b")


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("fitness", 1.5, "fitness"),
        ("samples", -1, "samples"),
        ("engine", None, "engine: is missing"),
        ("measured_at_utc", None, "measured_at_utc: is missing"),
        ("measured_at_utc", "yesterday", "measured_at_utc: is 'yesterday'"),
        ("measured_at_utc", "2026-11-23T09:00:00", "with its offset from UTC"),
        ("note", "x", "is not a known key"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(field: str, value: Any, complaint: str) -> None:
    document = measurements_record({"w": MEASURED})
    document["workflows"]["w"][field] = value
    with pytest.raises(DocumentError, match=complaint):
        read_measurements(document)


def test_a_file_from_before_there_were_adapters_is_of_the_base_alone() -> None:
    document = measurements_record({"w": MEASURED})
    del document["workflows"]["w"]["adapter_digest"]
    assert read_measurements(document) == {"w": MEASURED}


def test_a_moment_with_any_offset_is_the_same_moment() -> None:
    document = measurements_record({"w": MEASURED})
    document["workflows"]["w"]["measured_at_utc"] = "2026-11-23T11:00:00+02:00"
    moment = read_measurements(document)["w"].measured_at_utc
    assert moment == MEASURED.measured_at_utc
    assert moment.utcoffset() == timedelta(hours=2)
