"""The state of every part, gathered for `Control.GetStatus`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.ports import EngineWorker
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.task_flow import Served, Standing
from homebred_engines import api
from homebred_protocol.v1 import control_pb2 as wire

KILOBYTE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """Asks every part how it stands."""

    answering: Answering
    pool: WorkerPool
    recorder: Recorder
    started_at_utc: datetime

    async def message(self) -> wire.GetStatusResponse:
        """The whole state; a worker that does not answer is left out."""
        standing = self.answering.standing
        response = wire.GetStatusResponse(
            version=version("homebred"),
            policy_digest=standing.decider.policy.digest,
            ceiling_digest=standing.decider.policy.ceiling_digest,
            registry_digest=standing.decider.registry.digest,
            link=standing.link.value,
            specialists=[
                *(self._specialist(stored, standing) for stored in standing.shelf.specialists),
                *(wire.SpecialistStatus(id=damaged.id, note=damaged.why) for damaged in standing.shelf.damaged),
            ],
            workers=[await _worker(worker) for worker in self.pool.workers()],
            streams=self.answering.streams,
            outcomes=await self.recorder.status_counts(),
            resident_bytes=_resident_bytes(),
        )
        response.started_at_utc.FromDatetime(self.started_at_utc)
        return response

    def _specialist(self, stored: StoredSpecialist, standing: Standing) -> wire.SpecialistStatus:
        served = standing.specialists.get(stored.manifest.id)
        return wire.SpecialistStatus(
            id=stored.manifest.id,
            engine=stored.manifest.engine,
            base_digest=stored.base_digest,
            available=served is not None,
            loaded=served is not None and self.pool.is_loaded(served.model),
            note=self._note(stored, served),
        )

    def _note(self, stored: StoredSpecialist, served: Served | None) -> str:
        if served is None:
            return "its base model is missing or cut short: add it again"
        failure = self.pool.last_failure(served.model)
        return f"its engine failed: {failure}" if failure else stored.note


async def _worker(worker: EngineWorker) -> wire.WorkerStatus:
    try:
        stats = await worker.describe()
    except api.EngineFailedError:
        return wire.WorkerStatus(process_id=worker.pid)  # ending as we ask: its pid is all there is to say
    return wire.WorkerStatus(
        engine=stats.engine.engine,
        engine_version=stats.engine.engine_version,
        model_digest=stats.engine.model_digest,
        process_id=worker.pid,
        running=stats.running,
        queued=stats.queued,
        slots=stats.engine.slots,
        threads=stats.engine.threads,
        resident_bytes=stats.resident_bytes,
        generated_tokens=stats.generated_tokens,
    )


def _resident_bytes() -> int:
    """Memory of this process that is in RAM (proc(5), VmRSS)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * KILOBYTE for line in lines if line.startswith("VmRSS:"))
