"""Signed constraints against what a device is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.install_stage import FACTS, release

from homebred_daemon.core.compatibility import refusal_of, refusal_of_base
from homebred_protocol.documents.release_values import Constraints


def code_of(constraints: Constraints) -> str:
    refusal = refusal_of(replace(release(1), constraints=constraints), FACTS)
    return "" if refusal is None else refusal.code


def test_a_release_that_asks_for_nothing_but_its_engine_fits() -> None:
    assert code_of(Constraints(engine="echo")) == ""


@pytest.mark.parametrize(
    ("constraints", "code"),
    [
        (Constraints(engine="trtllm"), "engine_missing"),
        (Constraints(engine="echo", architecture="x86_64"), "architecture"),
        (Constraints(engine="echo", gpu_architecture="sm_87"), "gpu_architecture"),
        (Constraints(engine="echo", memory_bytes=1_000_001), "memory"),
        (Constraints(engine="echo", memory_bytes=1_000_000), ""),
        (Constraints(engine="echo", architecture="aarch64"), ""),
    ],
)
def test_each_constraint_speaks_for_itself(constraints: Constraints, code: str) -> None:
    assert code_of(constraints) == code


@pytest.mark.parametrize(
    ("found", "wanted", "fits"),
    [
        ("1.2.0", "1.2", True),
        ("1.2.0", "1.2.1", False),
        ("1.10.0", "1.9", True),
        ("2.0.0", "1.2", False),
        ("1.2.0rc1", "1.2", True),
        ("1.3.dev1", "1.3", True),
        ("", "1", False),
        ("unknown", "1", False),
    ],
)
def test_an_engine_serves_by_itself_or_newer_within_its_major_version(found: str, wanted: str, *, fits: bool) -> None:
    facts = replace(FACTS, engine_version=found)
    wants = replace(release(1), constraints=Constraints(engine="echo", engine_version=wanted))
    refusal = refusal_of(wants, facts)
    assert (refusal is None) is fits
    assert refusal is None or refusal.code == "engine_version"


def test_an_adapter_is_void_on_another_base() -> None:
    assert refusal_of_base(Constraints(engine="echo"), "sha256:a") is None
    assert refusal_of_base(Constraints(engine="echo", base_digest="sha256:a"), "sha256:a") is None
    refusal = refusal_of_base(Constraints(engine="echo", base_digest="sha256:a"), "sha256:b")
    assert refusal is not None
    assert refusal.code == "base_digest"
