"""Retained telemetry in memory, held to the suite of that in the controller's database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class FakeRetained:
    """Rows as the moments that they are from, by device; `step` go at a time."""

    rows: dict[str, list[int]] = field(default_factory=dict)
    step: int = 3

    def held(self) -> Mapping[str, int]:
        return {device: len(moments) for device, moments in self.rows.items() if moments}

    def oldest_s(self) -> Mapping[str, int]:
        return {device: min(moments) for device, moments in self.rows.items() if moments}

    def forget_before(self, device: str, before_s: int) -> int:
        return self._forget(device, [at_s for at_s in sorted(self.rows.get(device, [])) if at_s < before_s])

    def forget_oldest(self, device: str, at_most: int) -> int:
        return self._forget(device, sorted(self.rows.get(device, []))[:at_most])

    def _forget(self, device: str, wanted: Sequence[int]) -> int:
        gone = wanted[: self.step]
        for at_s in gone:
            self.rows[device].remove(at_s)
        return len(gone)
