from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tests.support.fleet_journal import KeptJournal

from homebred_fleet.errors import StateError
from homebred_fleet.services.renewing import Renewing


@dataclass
class FakeCertificates:
    due: list[tuple[str, ...] | StateError] = field(default_factory=list)

    def renew_due(self, *, now_s: int) -> tuple[str, ...]:
        assert now_s == 7
        if not self.due:
            return ()
        found = self.due.pop(0)
        if isinstance(found, StateError):
            raise found
        return found


async def test_what_was_renewed_is_shown_from_then_on_and_a_failure_is_tried_again() -> None:
    told: list[str] = []
    certificates, journal = FakeCertificates([("https", "broker"), StateError("full"), ("client",)]), KeptJournal()
    renewing = Renewing(certificates, journal, renewed=lambda: told.append("x"), now_s=lambda: 7, every_s=0.0)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(renewing.run())
        while len(told) < 2:  # noqa: ASYNC110  # until it has looked often enough
            await asyncio.sleep(0)
        task.cancel()
    assert journal.names == ["certificates_renewed", "certificates_not_renewed", "certificates_renewed"]
    assert journal.entries[0].fields == {"certificates": "https,broker"}
