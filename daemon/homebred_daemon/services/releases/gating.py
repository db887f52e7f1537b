"""Measures a release for the gate, through a real engine worker of its own, and keeps the figures as its fitness.

What serves goes on meanwhile, in its own worker. It passes no verdict: `core.gate` does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.core.compatibility import DeviceFacts, Refusal
from homebred_daemon.core.gate import MILLION, Found, Trial
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import RequestError
from homebred_daemon.services.evaluating import Bench, tried
from homebred_protocol.documents.golden import GoldenSet
from homebred_protocol.documents.specialist import SpecialistManifest


@dataclass(frozen=True, slots=True, kw_only=True)
class GateMeans:
    """What the gate works with."""

    bench: Bench
    read_golden: Callable[[Path, SpecialistManifest, str], GoldenSet]
    """Raises RequestError where it is none."""
    keep: Callable[[StoredSpecialist, Mapping[str, Measurement]], None]
    """Beside the release. Raises StateError."""
    facts: Callable[[str], Awaitable[DeviceFacts]]
    """Of this device and one engine."""


class ReleaseGate:
    """Fulfils `ports.installs.Gate`."""

    def __init__(self, means: GateMeans) -> None:
        self._means = means

    async def facts(self, engine: str) -> DeviceFacts:
        """As the port says."""
        return await self._means.facts(engine)

    async def try_out(self, stored: StoredSpecialist, golden: Mapping[str, Path]) -> Trial | Refusal:
        """As the port says."""
        means = self._means
        try:
            sets = {name: means.read_golden(path, stored.manifest, name) for name, path in golden.items()}
            found = await tried(stored, sets, means.bench)
        except RequestError as error:
            return Refusal(code="gate_unfit", sentence=error.message)
        measured = {name: measurement for name, (_, measurement) in found.measured.items()}
        means.keep(stored, measured)
        return Trial(
            found={name: found_of(measurement) for name, measurement in measured.items()},
            memory_bytes=found.resident_bytes,
        )


def found_of(measurement: Measurement) -> Found:
    """A measurement as the gate compares it, in integers."""
    return Found(
        golden_digest=measurement.golden_digest,
        score_ppm=round(measurement.fitness * MILLION),
        samples=measurement.samples,
        p95_ms=round((measurement.p95_s or 0.0) * 1000),
    )
