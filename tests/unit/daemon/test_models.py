from __future__ import annotations

import json
import tomllib

import pytest
from tests.support.fake_ledger import FakeLedger
from tests.support.keyword_detector import KeywordDetector
from tests.support.ledger_entries import CEILING_BODY, NOW, POLICY_BODY
from tests.support.shelves import WORKFLOW, FakeStore, stored

from homebred_daemon.core.link import Link, SeenLink
from homebred_daemon.core.shelf import DamagedSpecialist, Shelf
from homebred_daemon.errors import StateError
from homebred_daemon.ports.engines import ServedAdapter, ServedModel
from homebred_daemon.ports.ledger import LedgerEntry
from homebred_daemon.services.models import Site, standing_of
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.replaying import replay
from homebred_daemon.services.standing import Standing
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.policy import bounded, read_ceiling, read_policy
from homebred_protocol.documents.registry import read_registry
from homebred_protocol.documents.task import Task

SITE = Site(
    policy=bounded(
        read_policy(tomllib.loads(POLICY_BODY.decode()), digest_of(POLICY_BODY)),
        read_ceiling(tomllib.loads(CEILING_BODY.decode()), digest_of(CEILING_BODY)),
    ),
    documents=(
        ("policy", digest_of(POLICY_BODY), POLICY_BODY),
        ("ceiling", digest_of(CEILING_BODY), CEILING_BODY),
    ),
    detector=KeywordDetector(),
    link=lambda _: SeenLink(Link.METERED),
    context_tokens=2048,
)
SHELF = Shelf(
    specialists=(
        stored("a", max_context=512),
        stored("b", engine="llamacpp", base_digest="sha256:other"),
        stored("gone", base_is_intact=False),
    ),
    damaged=(DamagedSpecialist(id="torn", why="its manifest cannot be read"),),
)


async def made(store: FakeStore, ledger: FakeLedger) -> Standing:
    recorder = Recorder(ledger)
    async with recorder.running():
        return await standing_of(SITE, store, recorder)


async def test_what_can_be_served_is_served_from_its_base_in_its_context() -> None:
    standing = await made(FakeStore(SHELF), FakeLedger())
    assert {name: served.model for name, served in standing.specialists.items()} == {
        "a": ServedModel(engine="echo", path="/models/sha256:base", digest="sha256:base", context_tokens=512),
        "b": ServedModel(engine="llamacpp", path="/models/sha256:other", digest="sha256:other", context_tokens=2048),
    }
    assert (standing.link.link, standing.shelf) == (Link.METERED, SHELF)


async def test_specialists_on_one_base_share_a_model_with_the_largest_context_that_any_of_them_needs() -> None:
    shelf = Shelf(
        specialists=(
            stored("long", max_context=8192),
            stored("short", max_context=512),
            stored("unsaid"),
            stored("elsewhere", base_digest="sha256:other"),
            stored("otherwise", engine="llamacpp", max_context=1024),
            stored("gone", max_context=65536, base_is_intact=False),
        )
    )
    standing = await made(FakeStore(shelf), FakeLedger())
    assert {name: served.model.context_tokens for name, served in standing.specialists.items()} == {
        "long": 8192,
        "short": 8192,
        "unsaid": 8192,
        "elsewhere": 2048,
        "otherwise": 1024,
    }
    assert standing.specialists["short"].model == standing.specialists["long"].model


async def test_specialists_on_one_base_bring_their_adapters_to_it() -> None:
    shelf = Shelf(
        specialists=(
            stored("a", adapter="sha256:one", kv_bytes_per_token=4),
            stored("b", adapter="sha256:other", kv_bytes_per_token=4),
            stored("base", kv_bytes_per_token=4),
            stored("c", adapter="sha256:one", kv_bytes_per_token=4),
        )
    )
    standing = await made(FakeStore(shelf), FakeLedger())
    (model,) = {served.model for served in standing.specialists.values()}
    assert (model.weights_bytes, model.kv_bytes_per_token, model.title) == (9, 4, "a, b, base, c")
    one, other = (
        ServedAdapter(digest=digest, path=f"/models/{digest}", size_bytes=3)
        for digest in ("sha256:one", "sha256:other")
    )
    assert [standing.specialists[name].adapter for name in ("a", "b", "base", "c")] == [one, other, None, one]
    assert standing.adapters() == {model: (one, other)}


async def test_a_specialist_is_routed_by_the_context_it_was_promised() -> None:
    standing = await made(FakeStore(SHELF), FakeLedger())
    assert [one.max_context for one in standing.decider.registry.specialists] == [512, 2048, 2048]


async def test_the_router_knows_all_that_is_stored_and_what_is_not_available() -> None:
    standing = await made(FakeStore(SHELF), FakeLedger())
    assert [(one.id, one.available) for one in standing.decider.registry.specialists] == [
        ("a", True),
        ("b", True),
        ("gone", False),
    ]
    assert [one.id for one, _ in standing.decider.registry.measured_for(WORKFLOW)] == ["a", "b"]


async def test_the_registry_that_decides_is_the_one_in_the_ledger() -> None:
    ledger = FakeLedger()
    registry = (await made(FakeStore(SHELF), ledger)).decider.registry
    body = ledger.document("registry", registry.digest)
    assert body is not None
    assert read_registry(json.loads(body), registry.digest) == registry


async def test_decisions_under_a_standing_replay_from_the_ledger_alone() -> None:
    ledger = FakeLedger()
    standing = await made(FakeStore(SHELF), ledger)
    task = Task(task_id="t", workflow=WORKFLOW)
    inputs, decision = standing.decider.consider(task, "hello", link=standing.link.link, now=NOW)
    ledger.record_decisions([LedgerEntry(route_id="r1", inputs=inputs, decision=decision)])
    report = replay(ledger)
    assert (decision.selected_model_or_stack, report.decisions, report.mismatches) == ("a", 1, ())


async def test_the_same_store_gives_the_same_registry_and_another_fitness_another() -> None:
    digests = [
        (
            await made(FakeStore(Shelf(specialists=(stored("a", fitness=fitness),))), FakeLedger())
        ).decider.registry.digest
        for fitness in (0.9, 0.9, 0.8)
    ]
    assert digests[0] == digests[1] != digests[2]


async def test_an_empty_store_stands_too() -> None:
    standing = await made(FakeStore(), FakeLedger())
    assert (standing.specialists, standing.decider.registry.specialists) == ({}, ())


async def test_a_standing_whose_documents_cannot_be_kept_does_not_come_to_hold() -> None:
    ledger = FakeLedger()
    ledger.is_full = True
    with pytest.raises(StateError, match="full"):
        await made(FakeStore(SHELF), ledger)


async def test_a_store_that_cannot_be_read_says_so() -> None:
    with pytest.raises(StateError, match="model store"):
        await made(FakeStore(is_unreadable=True), FakeLedger())
