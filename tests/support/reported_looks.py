"""What a device that serves makes of a look: what it would install, and what it tells its fleet."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.support.recorded_journal import RecordedJournal
from tests.support.release_files_stage import RELEASE
from tests.support.releasing_stage import Intake, Leases, Manifests
from tests.support.trust_stage import HERE, NOW_S, Device, FixedSource
from typing_extensions import override

from homebred_daemon.core.deployment import Install, State
from homebred_daemon.core.releases import Release
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.ports.trust import TrustSource
from homebred_daemon.services.releases.looking import Looking
from homebred_daemon.services.releases.releasing import Releasing, ReleasingMeans
from homebred_daemon.services.releases.trusting import Looked, Trusting

PATIENCE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of a look."""

    wanted: list[int]
    """Numbers of the releases that were to be installed."""
    withdrawn: list[int]
    told: set[str]
    """Codes that the fleet hears."""


class _Seen(Trusting):
    """Somebody has looked already."""

    looked = Looked()

    @override
    async def look(self, source: TrustSource) -> Looked:
        return self.looked


async def made_of(looked: Looked, device: Device, *, target: str, digest: str) -> Made:
    """What it makes of a look while the release of that target serves."""
    trusting = _Seen(device.memory, device.check, device.clock, HERE)
    trusting.looked = looked
    await trusting.recall()
    serving = Release(
        id=RELEASE.id,
        number=RELEASE.number,
        title=RELEASE.title,
        target=target,
        digest=digest,
        files=RELEASE.files,
        constraints=RELEASE.constraints,
        golden=RELEASE.golden,
    )
    install = Install(seq=1, release=serving, state=State.SETTLED, begun_at_s=NOW_S, changed_at_s=NOW_S)
    intake, defects = Intake(installs=[install]), list[BaseException]()

    async def ready() -> bool:
        return True

    releasing = Releasing(
        ReleasingMeans(
            looking=Looking(trusting, ready=ready, source=lambda: FixedSource({}), gather_s=0),
            manifests=Manifests(),
            leases=Leases(),
            stopping=Stopping,
            clock=device.clock,
            journal=RecordedJournal(),
            report_defect=defects.append,
        )
    )
    async with releasing.running(intake):
        for _ in range(PATIENCE):
            if releasing.report.at_s:
                break
            await asyncio.sleep(0.001)
        assert releasing.report.at_s
    assert not defects, defects
    return Made(wanted=intake.wanted, withdrawn=intake.withdrawn, told={code for _, code in intake.declined})
