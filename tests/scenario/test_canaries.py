"""I4: no byte of a local-only task leaves the device, whatever its lane and whatever fails.

Every task holds a canary of its own; what was handed to the cloud, the ledger, the caller and whoever reads the
figures or the traces is searched for it.
Detectors are the real ones; engines and the cloud follow scripts, so that each failure can be forced.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

import pytest
from tests.support.answering_stage import WORKFLOW, Actor, Stage
from tests.support.canaries import LOCAL_ONLY, SAYS_SO, known_patient
from tests.support.manual_clock import ManualClock, run_with
from tests.support.scripted_cloud import ScriptedCloud
from tests.support.scripted_pool import Ends, Play, says
from typing_extensions import override

from homebred_daemon.adapters.detectors.gazetteer import Gazetteer
from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.adapters.detectors.tiers import Tiers
from homebred_daemon.adapters.otlp import encoded
from homebred_daemon.core.exposition import exposition
from homebred_daemon.core.link import Link
from homebred_daemon.core.measures import Given
from homebred_daemon.core.traces import Trace
from homebred_daemon.inbound.answering import Outcome
from homebred_daemon.ports.cloud import CloudError, CloudFinish, CloudUnreachableError, CutOffError
from homebred_daemon.services.tallying import Tally
from homebred_daemon.services.tracing import Tracing
from homebred_engines import api

CANARIES = 6000
SHARES = 12  # so that a failure is found in one of them, and they can run beside each other
SHARES_IN_TEST = 4
BROKEN = api.EngineFailedError("It broke.")
PLAYS: tuple[Play, ...] = (says("ok"), (BROKEN,), ("o", BROKEN), says(" "), ("o", Ends(api.FinishReason.LENGTH)))
CLOUDS: tuple[tuple[str | CloudError | CloudFinish, ...], ...] = (
    ("fine", CloudFinish.STOP),
    (CloudUnreachableError(),),
    ("so", CutOffError()),
    ("\u27e6person:000000000\u27e7", CloudFinish.STOP),
)


@cache
def site() -> Tiers:
    return Tiers([default_detector(), Gazetteer([known_patient()], "sha256:" + "0" * 64)])


def canary_of(source: random.Random) -> str:
    return "".join(source.choices("bcdfghjklmnpqrstvwxyz", k=12))


@pytest.mark.parametrize(
    "share",
    [
        *range(SHARES_IN_TEST),
        *(
            pytest.param(share, marks=pytest.mark.thorough("a third of the canaries goes with every `make test`"))
            for share in range(SHARES_IN_TEST, SHARES)
        ),
    ],
)
def test_no_canary_of_a_local_only_task_leaves(share: int) -> None:
    source = random.Random(f"canaries {share}")
    for _ in range(CANARIES // SHARES):
        canary = canary_of(source)
        text = source.choice(SAYS_SO).format(canary=canary, number=source.randrange(10**6, 10**7))
        declared = ["public"]
        if source.random() < 0.5:
            text, declared = f"please look after {canary}", [source.choice(LOCAL_ONLY), "public"]
        if source.random() < 0.1:
            text, declared = f"please look after {canary}", []  # unlabelled: the policy's default class, `client`
        traces: list[Trace] = []
        stage = _plays_out(source, text, declared, traces)
        assert _cloud(stage).asked == []
        assert isinstance(stage.outcomes[-1], Outcome)
        assert canary not in repr((stage.ledger.entries, stage.ledger.outcomes, stage.heard, stage.outcomes))
        assert canary not in _figures(stage)
        assert canary.encode() not in encoded(traces, version="1")
        assert traces, "every task has one"


def test_public_tasks_leave_from_the_same_stages() -> None:
    source = random.Random("public")
    stages = [_plays_out(source, "please weigh it", ["public"], []) for _ in range(300)]
    assert sum(len(_cloud(stage).asked) for stage in stages) > 30


def _figures(stage: Stage) -> str:
    assert isinstance(stage.measures, Tally)
    stage.measures.know(Given.SPECIALIST, stage.actors.keys)
    return exposition(stage.measures.series())


def _cloud(stage: Stage) -> ScriptedCloud:
    assert isinstance(stage.cloud, ScriptedCloud)
    return stage.cloud


class Kept(Tracing):
    """Keeps what would be sent."""

    def __init__(self, clock: ManualClock, kept: list[Trace]) -> None:
        super().__init__(Nobody(), clock)
        self._kept = kept

    @override
    def take(self, trace: Trace) -> None:
        self._kept.append(trace)


class Nobody:
    """Is asked for nothing."""

    async def send(self, traces: Sequence[Trace]) -> None:
        raise AssertionError(traces)


def _plays_out(source: random.Random, text: str, declared: list[str], traces: list[Trace]) -> Stage:
    actors = {
        name: Actor(plays=[source.choice(PLAYS)], fitness=source.choice((0.3, 0.7, 0.95)), size_rank=rank)
        for rank, name in enumerate("ab"[: source.randrange(3)])
    }
    cloud = ScriptedCloud(source.choice(CLOUDS))
    stage = Stage(actors, link=source.choice(list(Link)), cloud=cloud, looks=site(), measures=Tally())
    stage.traces = Kept(stage.clock, traces)
    task = {
        "workflow": source.choice((WORKFLOW, None)),
        "kind": source.choice(("repeat", "tool_loop", "synthesis", "drafting", "other")),
        "data_classes": declared,
        "allows_escalation": True,
        "minimum_margin": source.choice((-1.0, 0.0, 1.0)),
    }
    run_with(stage.clock, stage.answer({name: value for name, value in task.items() if value is not None}, text=text))
    return stage
