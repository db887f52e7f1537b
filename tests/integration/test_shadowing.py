"""A newcomer beside what serves, on real engines in real worker processes: callers come first."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.answering_stage import accepted_task, review_desk
from tests.support.fake_ledger import FakeLedger
from tests.support.fake_reviews import FakeReviewStore
from tests.support.install_scenarios import StagedFiles
from tests.support.install_stage import FACTS, TERMS, FakeOrders, Receipts
from tests.support.keyword_detector import KeywordDetector
from tests.support.manual_clock import ManualClock
from tests.support.recorded_journal import RecordedJournal
from tests.support.release_folders import SPECIALIST, WORKFLOW, signed, write_release
from tests.support.stored_specialists import measured

from homebred_daemon.adapters.engine_launcher import ProcessLauncher
from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.adapters.release_store import ReleaseStore
from homebred_daemon.adapters.specialist_folder import read_golden_file
from homebred_daemon.adapters.store.installs import SqliteInstallStore
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.core.activation import Activation
from homebred_daemon.core.compatibility import DeviceFacts
from homebred_daemon.core.deployment import Install, State
from homebred_daemon.core.link import Link, SeenLink
from homebred_daemon.core.releases import Release
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.inbound.answering import AnswerEvent, Outcome
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.evaluating import Bench
from homebred_daemon.services.loading import Room
from homebred_daemon.services.models import Site, standing_of
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.releases.gating import GateMeans, ReleaseGate
from homebred_daemon.services.releases.install_acts import InstallMeans
from homebred_daemon.services.releases.installing import Installing
from homebred_daemon.services.releases.release_serving import ReleaseServing
from homebred_daemon.services.releases.shadowing import ONE_IN, Shadowing
from homebred_daemon.services.sessions import Sessions
from homebred_daemon.services.standing import Means
from homebred_protocol.documents.policy import read_policy
from homebred_protocol.documents.release_values import Shadow

WITHIN_S = 20.0
CONTEXT_TOKENS = 512
CANARY = "KANARIENVOGEL-7431"
LONG = " ".join(["word"] * 40)
ROWS = ({"input": "a", "expected": "a"}, {"input": "b", "expected": "b"}, {"input": "c", "expected": "c"})
SLOW = {"format": "homebred-echo", "token_delay_s": 0.05}
SITE = Site(
    policy=read_policy({}, "sha256:policy"),
    documents=(),
    detector=KeywordDetector(),
    link=lambda _: SeenLink(Link.DOWN),
    context_tokens=CONTEXT_TOKENS,
)


@dataclass
class Machine:
    """What answers and installs on one device, as the daemon puts it together."""

    root: Path
    launcher: ProcessLauncher
    ledger: FakeLedger = field(default_factory=FakeLedger)
    receipts: Receipts = field(default_factory=Receipts)
    journal: RecordedJournal = field(default_factory=RecordedJournal)

    def __post_init__(self) -> None:
        self.store = ReleaseStore(self.root / "models")
        self.installs = SqliteInstallStore(self.root / "installs.sqlite")
        self.orders = FakeOrders(ManualClock())
        self.pool: WorkerPool
        self.answering: Answering
        self.installing: Installing
        self.recorder: Recorder
        self.shadowing: Shadowing

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        clock, self.recorder = SystemClock(), Recorder(self.ledger)
        room = Room(max_models=2, slots=2, threads=1, load_timeout_s=30, ram_bytes=1 << 30)
        self.pool = WorkerPool(self.launcher, clock, room, self.journal)
        desk = review_desk(FakeReviewStore(), ManualClock())
        means = Means(
            recorder=self.recorder,
            pool=self.pool,
            schemas=JsonSchemaChecker(),
            reviews=desk,
            clock=clock,
            sessions=Sessions(clock),
            new_route_id=lambda: f"r{len(self.ledger.entries)}",
        )
        async with self.pool.running(), self.recorder.running(), desk.running():
            self.answering = Answering(await standing_of(SITE, self.store, self.recorder), means)
            self.shadowing = self.answering.shadowed(self.pool.guest, context_tokens=CONTEXT_TOKENS)
            defects: list[BaseException] = []
            self.installing = Installing(self._means(clock), report_defect=defects.append)
            async with self.installing.running():
                yield
            assert not defects, defects

    def _means(self, clock: SystemClock) -> InstallMeans:
        bench = Bench(launcher=self.launcher, clock=clock, context_tokens=CONTEXT_TOKENS)

        async def told(_: str) -> DeviceFacts:
            return replace(FACTS, memory_bytes=1 << 40)

        gate = ReleaseGate(
            GateMeans(
                bench=bench,
                read_golden=read_golden_file,
                keep=self.store.record_release_fitness,
                facts=told,
            )
        )
        return InstallMeans(
            files=StagedFiles(self.root),
            store=self.store,
            installs=self.installs,
            gate=gate,
            serving=ReleaseServing(self.reload, self.pool),
            orders=self.orders,
            receipts=self.receipts,
            journal=self.journal,
            terms=TERMS,
            shadow=self.shadowing,
        )

    async def reload(self) -> None:
        self.answering.standing = await standing_of(SITE, self.store, self.recorder)
        self.pool.keep_only(self.answering.standing.adapters())

    def serves(self, number: int, **further: Any) -> None:
        """Has a release serve, well measured, as if it had settled long ago."""
        release = write_release(self.root / "offers" / str(number), number, rows=ROWS, **further)
        assert self.store.take(self.root / "offers" / str(number), release) is None
        stored = self.store.stored(SPECIALIST, number)
        assert stored is not None
        self.store.record_release_fitness(stored, {WORKFLOW: replace(measured(stored), samples=100)})
        new = Activation(number=number, digest=release.digest, activated_at_s=1, lease_expires_at_s=2)
        self.store.activate(SPECIALIST, self.store.in_force(SPECIALIST).activated(new))

    async def offers(self, number: int, *, outcomes: int = 20, **further: Any) -> Release:
        """Has a release wanted that asks to be compared."""
        write_release(self.root / "offers" / str(number), number, rows=ROWS, **further)
        release = signed(self.root / "offers" / str(number), number)
        release = replace(release, shadow=Shadow(outcomes=outcomes, longest_s=86_400))
        await self.installing.want(release)
        return release

    async def comes_to(self, condition: Callable[[], bool]) -> None:
        """Returns once it holds."""
        ends_s = time.monotonic() + WITHIN_S
        while time.monotonic() < ends_s:
            if condition():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("it never came to that")

    async def until(self, *states: State) -> Install:
        async with asyncio.timeout(WITHIN_S):
            while True:
                install = self.installs.history()[0]
                if install.state in states:
                    return install
                await asyncio.sleep(0.01)

    async def ask(self, text: str = "one two three", heard: list[AnswerEvent] | None = None) -> list[AnswerEvent]:
        """What a caller hears."""
        events: list[AnswerEvent] = [] if heard is None else heard

        async def emit(event: AnswerEvent) -> None:
            events.append(event)

        task = {"workflow": WORKFLOW, "data_classes": ["patient"]}
        await self.answering.answer(accepted_task(task, text=text), emit)
        assert isinstance(events[-1], Outcome)
        assert events[-1].record.status == "answer", events[-1].problem
        return events

    async def asks_until_compared(self, seen: int, text: str = "one two three") -> Install:
        """Callers come and go until so many tasks were compared, or it is decided."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                install = self.installs.history()[0]
                if install.state is not State.SHADOWING or install.pairs.seen >= seen:
                    return install
                await self.ask(text)
                await self.comes_to(lambda: self.shadowing._offered is None)  # no caller comes meanwhile


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as folder:  # a socket's path may have 107 bytes
        made = Machine(
            tmp_path, ProcessLauncher(interpreter=Path(sys.executable), runtime_dir=Path(folder), queue_limit=8)
        )
        with closing(made.installs):
            yield made


async def test_one_that_does_as_well_on_the_devices_own_tasks_is_activated(machine: Machine) -> None:
    machine.serves(1)
    async with machine.running():
        await machine.offers(2, outcomes=5)
        await machine.until(State.SHADOWING)
        install = await machine.asks_until_compared(5)
        assert install.pairs.both_good == install.pairs.seen == 5
        assert (await machine.until(State.PROBATION)).release.number == 2
        await machine.comes_to(lambda: len(machine.receipts.told) == 3)
        asked = len(machine.ledger.entries)
        assert asked >= 5 * ONE_IN, "one task in so many is answered again"
    assert len(machine.ledger.outcomes) == asked, "and none is recorded twice"
    assert [word for _, word, _ in machine.receipts.told] == ["gate_passed", "shadow_passed", "activated"]


async def test_one_that_passes_its_gate_and_cuts_real_answers_short_is_refused_before_it_ever_serves(
    machine: Machine,
) -> None:
    machine.serves(1)
    async with machine.running():
        await machine.offers(2, further="[prompt]\nmax_tokens = 1")  # its golden set has answers of one word
        await machine.until(State.SHADOWING)
        assert (await machine.asks_until_compared(20)).pairs.only_serving > 0
        refused = await machine.until(State.REFUSED)
        assert (refused.code, refused.pairs.only_serving) == ("shadow_worse", 11)
        assert [event for event in await machine.ask() if isinstance(event, str)] == ["one ", "two ", "three"]
    assert machine.store.in_force(SPECIALIST).serves(1)


async def test_a_restart_goes_on_with_what_was_counted_and_a_stop_order_ends_the_newcomers_process(
    machine: Machine,
) -> None:
    machine.serves(1)
    async with machine.running():
        await machine.offers(2, outcomes=6)
        await machine.until(State.SHADOWING)
        assert (await machine.asks_until_compared(3)).pairs.seen == 3
    async with machine.running():
        assert (await machine.until(State.SHADOWING)).pairs.seen == 3
        assert (await machine.asks_until_compared(4)).pairs.seen == 4
        worker = machine.pool.guest._worker
        assert worker is not None
        machine.orders.stop = Stopping(epoch=1, stopped=True)
        machine.installing.news()
        async with asyncio.timeout(WITHIN_S):
            await worker.ended()
        assert machine.pool.guest._worker is None
        assert machine.installs.history()[0].pairs.seen == 4


async def test_a_caller_comes_first_the_newcomer_stops_computing_and_its_half_answer_does_not_count(
    machine: Machine,
) -> None:
    machine.serves(1, model=SLOW)
    async with machine.running():
        await machine.offers(2, model=SLOW | {"token_delay_s": 0.051})
        await machine.until(State.SHADOWING)
        guest = machine.pool.guest
        for _ in range(ONE_IN):
            await machine.ask("short")
        await machine.comes_to(lambda: machine.installs.history()[0].pairs.seen == 1)  # it is loaded
        for _ in range(ONE_IN - 1):
            await machine.ask("short")
        await machine.ask(LONG)  # which takes the newcomer 2 s
        worker = guest._worker
        assert worker is not None
        await machine.comes_to(lambda: guest._visit is not None)
        assert (await worker.describe()).running
        heard: list[AnswerEvent] = []
        async with asyncio.TaskGroup() as group:
            began_s = time.monotonic()
            asking = group.create_task(machine.ask("a b c d e f g h", heard))
            await machine.comes_to(lambda: any(isinstance(event, str) for event in heard))
            assert not (await worker.describe()).running, "once the caller hears a word, the newcomer has stopped"
            first_s = time.monotonic() - began_s
            await asking
        assert first_s < 1.0, "it would have gone on for 2 s"
        assert worker.is_alive, "it waits for the next task that it may have"
        assert machine.installs.history()[0].pairs.seen == 1


async def test_what_is_being_compared_gives_its_memory_to_a_caller_whose_model_must_be_loaded(
    machine: Machine,
) -> None:
    machine.serves(1)
    async with machine.running():
        await machine.offers(2)
        await machine.until(State.SHADOWING)
        assert (await machine.asks_until_compared(1)).pairs.seen == 1
        worker = machine.pool.guest._worker
        assert worker is not None
        served = machine.answering.standing.specialists[SPECIALIST]
        await machine.pool.unload(served.model)
        await machine.ask()  # loads it again
        assert not worker.is_alive
        assert (await machine.asks_until_compared(2)).pairs.seen == 2


async def test_a_newcomers_worker_that_is_killed_failed_its_task_and_is_started_anew(machine: Machine) -> None:
    machine.serves(1)
    async with machine.running():
        await machine.offers(2, model={"format": "homebred-echo", "crash_after": 2})
        await machine.until(State.SHADOWING)
        install = await machine.asks_until_compared(1)
        assert install.pairs.only_serving == 1
        assert machine.pool.failures == 0


async def test_no_word_of_a_task_that_was_answered_again_or_of_its_second_answer_is_left_anywhere(
    machine: Machine,
) -> None:
    """I4."""
    machine.serves(1)
    async with machine.running():
        await machine.offers(2, outcomes=3)
        await machine.until(State.SHADOWING)
        assert (await machine.asks_until_compared(3, CANARY)).pairs.seen == 3
        await machine.until(State.PROBATION)
        kept = [path for root in (machine.root, machine.launcher.runtime_dir) for path in root.rglob("*")]
        holders = [path for path in kept if path.is_file() and CANARY.encode() in path.read_bytes()]
    told = [machine.journal.entries, machine.ledger.entries, machine.ledger.outcomes, machine.receipts.told]
    steps = [machine.installs.steps(each) for each in machine.installs.history()]
    assert holders == []
    assert CANARY not in repr([*told, steps])
