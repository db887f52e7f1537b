"""The Control service over the daemon's caretaker."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path

import grpc
from typing_extensions import override

from homebred_daemon.adapters.grpc_api.bundles import BundleFace, BundleRpcs
from homebred_daemon.adapters.grpc_api.imports import ImportRpcs
from homebred_daemon.adapters.grpc_api.models import ModelsServicer, worker_message
from homebred_daemon.adapters.grpc_api.reviews import ReviewFace, ReviewRpcs
from homebred_daemon.inbound.caretaking import (
    Caretaker,
    DaemonState,
    FleetState,
    LogLevels,
    ReviewsState,
    SpecialistState,
)
from homebred_daemon.inbound.importing import FolderImports
from homebred_daemon.inbound.residency import ModelKeeper
from homebred_protocol.v1 import control_pb2 as wire

KILOBYTE = 1024


class ControlServicer(ReviewRpcs, BundleRpcs, ImportRpcs, ModelsServicer):
    """`homebred.v1.Control`."""

    def __init__(
        self,
        caretaker: Caretaker,
        models: ModelKeeper,
        reviews: ReviewFace,
        log_levels: LogLevels,
        bundles: BundleFace,
        *,
        imports: FolderImports | None,
    ) -> None:
        """`imports`: None on a device that is in no fleet."""
        ReviewRpcs.__init__(self, reviews)
        BundleRpcs.__init__(self, bundles)
        ImportRpcs.__init__(self, imports)
        ModelsServicer.__init__(self, models)
        self._caretaker = caretaker
        self._log_levels = log_levels

    @override
    async def GetStatus(
        self,
        request: wire.GetStatusRequest,
        context: grpc.aio.ServicerContext[wire.GetStatusRequest, wire.GetStatusResponse],
    ) -> wire.GetStatusResponse:
        """The state of every part."""
        return _state(await self._caretaker.state(), log_level=self._log_levels.level)

    @override
    async def ReloadModels(
        self,
        request: wire.ReloadModelsRequest,
        context: grpc.aio.ServicerContext[wire.ReloadModelsRequest, wire.ReloadModelsResponse],
    ) -> wire.ReloadModelsResponse:
        """Takes up what has changed in the model store."""
        state = await self._caretaker.reload_models()
        return wire.ReloadModelsResponse(registry_digest=state.registry_digest, specialists=len(state.specialists))

    @override
    async def GetPolicy(
        self,
        request: wire.GetPolicyRequest,
        context: grpc.aio.ServicerContext[wire.GetPolicyRequest, wire.GetPolicyResponse],
    ) -> wire.GetPolicyResponse:
        """The policy in force, as it was written."""
        held = self._caretaker.policy()
        policy = held.site.policy
        return wire.GetPolicyResponse(
            digest=policy.digest, document=held.site.body, origin=held.origin, ceiling_digest=policy.ceiling_digest
        )

    @override
    async def SetPolicy(
        self,
        request: wire.SetPolicyRequest,
        context: grpc.aio.ServicerContext[wire.SetPolicyRequest, wire.SetPolicyResponse],
    ) -> wire.SetPolicyResponse:
        """Takes another policy, or says what is wrong with it."""
        change = await self._caretaker.set_policy(request.document, check_only=request.check_only)
        return wire.SetPolicyResponse(
            digest=change.digest, previous_digest=change.previous_digest, warnings=change.warnings
        )

    @override
    async def Drain(
        self, request: wire.DrainRequest, context: grpc.aio.ServicerContext[wire.DrainRequest, wire.DrainResponse]
    ) -> wire.DrainResponse:
        """Takes no more tasks, or takes them again."""
        streams = self._caretaker.drain(resume=request.resume)
        return wire.DrainResponse(draining=not request.resume, streams=streams)

    @override
    async def SetLogLevel(
        self,
        request: wire.SetLogLevelRequest,
        context: grpc.aio.ServicerContext[wire.SetLogLevelRequest, wire.SetLogLevelResponse],
    ) -> wire.SetLogLevelResponse:
        """Writes more or less about the daemon itself."""
        return wire.SetLogLevelResponse(previous=self._log_levels.set_level(request.level))


def _state(state: DaemonState, *, log_level: str) -> wire.GetStatusResponse:
    response = wire.GetStatusResponse(
        version=_version(),
        policy_digest=state.policy_digest,
        ceiling_digest=state.ceiling_digest,
        registry_digest=state.registry_digest,
        link=state.link,
        specialists=[_specialist(one) for one in state.specialists],
        workers=[worker_message(one) for one in state.workers],
        streams=state.streams,
        outcomes=state.outcomes,
        resident_bytes=_resident_bytes(),
        draining=state.is_draining,
        log_level=log_level,
        policy_origin=state.policy_origin,
        reviews=_reviews(state.reviews),
    )
    response.started_at_utc.FromDatetime(state.started_at_utc)
    if state.fleet is not None:
        response.fleet.CopyFrom(_fleet(state.fleet))
    if state.membership is not None:
        response.membership.CopyFrom(wire.MembershipStatus(**asdict(state.membership)))
    return response


def _fleet(fleet: FleetState) -> wire.FleetStatus:
    return wire.FleetStatus(
        device_id=fleet.device_id,
        connected=fleet.is_connected,
        since_s=fleet.since_s,
        problem=fleet.problem,
        desired_version=fleet.desired_version,
        parts=[
            wire.FleetPart(
                name=part.name,
                digest=part.digest,
                state=part.state.value,
                problem_code=part.problem_code,
                problem=part.problem,
            )
            for part in fleet.parts
        ],
        stopped=fleet.stopped,
        waiting_events=fleet.waiting_events,
        lost_events=fleet.lost_events,
    )


def _specialist(specialist: SpecialistState) -> wire.SpecialistStatus:
    return wire.SpecialistStatus(
        id=specialist.id,
        engine=specialist.engine,
        base_digest=specialist.base_digest,
        adapter_digest=specialist.adapter_digest,
        available=specialist.available,
        loaded=specialist.loaded,
        note=specialist.note,
        pinned=specialist.pinned,
        parked=specialist.parked,
    )


@cache
def _version() -> str:
    """Looked up once: it reads the installed package's files, and status is asked several times a second."""
    return version("homebred")


def _resident_bytes() -> int:
    """Memory of this process that is in RAM (proc(5), VmRSS)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * KILOBYTE for line in lines if line.startswith("VmRSS:"))


def _reviews(reviews: ReviewsState) -> wire.ReviewStatus:
    message = wire.ReviewStatus(
        waiting=reviews.waiting,
        claimed=reviews.claimed,
        capacity=reviews.capacity,
        answered=reviews.answered,
        declined=reviews.declined,
        expired=reviews.expired,
    )
    if reviews.oldest_filed_at_utc is not None:
        message.oldest_filed_at_utc.FromDatetime(reviews.oldest_filed_at_utc)
    return message
