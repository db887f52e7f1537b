"""A bundle gathered from parts that are full of canaries: none of them is in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.support.manual_clock import ManualClock

from homebred_daemon.core.diagnostics import EventMemory
from homebred_daemon.errors import StateError
from homebred_daemon.inbound.caretaking import DaemonState, PolicyChange, ReviewsState, SpecialistState, WorkerState
from homebred_daemon.messages import REVIEW_CLAIMED, WORKER_NOT_STARTED
from homebred_daemon.ports.policies import PolicyInForce
from homebred_daemon.services.fleet.diagnosing import Diagnosing, Sources

CANARY = "canary-4711"
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Caretaker:
    """Fulfils as much of `inbound.caretaking.Caretaker` as a bundle asks for."""

    async def state(self) -> DaemonState:
        reviews = ReviewsState(
            capacity=100, waiting=5, claimed=0, answered=9, declined=0, expired=0, oldest_filed_at_utc=NOW
        )
        return DaemonState(
            started_at_utc=NOW,
            policy_digest="sha256:1",
            ceiling_digest="",
            registry_digest="sha256:2",
            link="down",
            specialists=(SpecialistState(id="intake", engine="echo", note=CANARY, available=True),),
            workers=(WorkerState(pid=7, stats=None),),
            streams=3,
            outcomes={"answer": 1000},
            reviews=reviews,
            policy_origin="default",
            is_draining=False,
        )

    async def reload_models(self) -> DaemonState:
        raise NotImplementedError

    def policy(self) -> PolicyInForce:
        raise NotImplementedError

    async def set_policy(self, body: bytes, *, check_only: bool = False) -> PolicyChange:
        raise NotImplementedError

    def drain(self, *, resume: bool = False) -> int:
        raise NotImplementedError


async def checks() -> Sequence[Mapping[str, Any]]:
    return [{"check": "gazetteer", "status": "warning", "what": CANARY, "why": CANARY, "next": CANARY}]


async def no_checks() -> Sequence[Mapping[str, Any]]:
    raise StateError(CANARY)


def collected(doctor: Any = checks) -> dict[str, Any]:
    memory = EventMemory()
    memory.note(WORKER_NOT_STARTED.entry({"engine": "echo", "cause": "no_start"}), 99)
    memory.note(REVIEW_CLAIMED.entry({"route_id": CANARY, "principal": f"uid:{CANARY}"}), 99)
    sources = Sources(
        device=lambda: {"version": "0.1.0"},
        settings=lambda: {"paths.state_dir": f"/{CANARY}", "engine.threads": 4, "cloud.endpoints": {CANARY: CANARY}},
        doctor=doctor,
        fleet=lambda: {"site": "clinic-east"},
        memory=memory,
    )
    body = asyncio.run(Diagnosing(Caretaker(), sources, ManualClock()).collect(command_id="a" * 32))
    assert CANARY.encode() not in body
    document: dict[str, Any] = json.loads(body)
    return document


def test_a_bundle_holds_what_helps_and_no_canary() -> None:
    document = collected()
    assert document["device"] == {"version": "0.1.0"}
    assert document["state"]["specialists"][0]["id"] == "intake"
    assert document["tasks"]["outcomes"] == {"answer": 512}
    assert document["settings"] == {"paths.state_dir": "set", "engine.threads": 4, "cloud.endpoints": 1}
    assert document["checks"] == [{"check": "gazetteer", "status": "warning"}]
    assert document["events"] == {
        "counts": {"review_claimed": 1, "worker_not_started": 1},
        "newest": [{"event": "worker_not_started", "at_s": 99, "cause": "no_start"}],
    }


def test_a_part_that_cannot_be_had_is_named_and_the_rest_is_there() -> None:
    document = collected(no_checks)
    assert document["checks"] == {"error": "bad_state"}
    assert document["state"]["link"] == "down"
