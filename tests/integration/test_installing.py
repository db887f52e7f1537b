"""Releases through the gate on real engines in real worker processes, and out again where they do worse in use."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.build_orders import NOW, order_in
from tests.support.install_scenarios import StagedFiles
from tests.support.install_stage import FACTS, TERMS, FakeOrders, FakeServing, Receipts
from tests.support.manual_clock import ManualClock
from tests.support.peft_folders import random_factors, write_peft_folder
from tests.support.recorded_journal import RecordedJournal
from tests.support.release_folders import SPECIALIST, WORKFLOW, recipe_for, signed, write_release
from tests.support.specialists import write_specialist
from tests.support.tiny_gguf import write_tiny_gguf

from homebred_daemon.adapters.build_process import BuildBounds
from homebred_daemon.adapters.engine_launcher import ProcessLauncher
from homebred_daemon.adapters.recipe_builder import BuilderMeans, RecipeBuilder
from homebred_daemon.adapters.release_store import ReleaseStore
from homebred_daemon.adapters.specialist_folder import read_golden_file
from homebred_daemon.adapters.store.installs import SqliteInstallStore
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.core.compatibility import DeviceFacts
from homebred_daemon.core.deployment import Event, Install, State, Tally
from homebred_daemon.core.releases import Release
from homebred_daemon.ports.installs import Counted
from homebred_daemon.services.evaluating import Bench, measure
from homebred_daemon.services.releases.gating import GateMeans, ReleaseGate
from homebred_daemon.services.releases.install_acts import InstallMeans
from homebred_daemon.services.releases.installing import Installing
from homebred_engines.build import build

WITHIN_S = 60.0
SAME = ({"input": "a", "expected": "a"}, {"input": "b", "expected": "b"}, {"input": "c", "expected": "c"})
BOUNDS = BuildBounds(longest_s=120.0, memory_bytes=0, reserve_bytes=0)
OTHER = tuple({**row, "expected": "something else"} for row in SAME)


class RealGateDevice:
    """A device whose gate runs the real engine."""

    def __init__(self, root: Path, bench: Bench) -> None:
        self.root, self.bench = root, bench
        self.store = ReleaseStore(root / "models")
        self.installs = SqliteInstallStore(root / "installs.sqlite")
        self.clock, self.receipts = ManualClock(), Receipts()
        self.serving = FakeServing(self.store, SPECIALIST)
        self.orders = FakeOrders(self.clock)
        self.installing: Installing

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        facts = replace(FACTS, engines=("echo", "llamacpp"))

        async def told(_: str) -> DeviceFacts:
            return facts

        gate = ReleaseGate(
            GateMeans(
                bench=self.bench,
                read_golden=read_golden_file,
                keep=self.store.record_release_fitness,
                facts=told,
            )
        )
        means = InstallMeans(
            files=StagedFiles(self.root),
            store=self.store,
            installs=self.installs,
            gate=gate,
            serving=self.serving,
            orders=self.orders,
            receipts=self.receipts,
            journal=RecordedJournal(),
            terms=TERMS,
            builder=RecipeBuilder(
                self.root / "models/building",
                BuilderMeans(python=Path(sys.executable), facts=told, bounds=BOUNDS),
            ),
        )
        defects: list[BaseException] = []
        self.installing = Installing(means, report_defect=defects.append)
        async with self.installing.running():
            yield
        assert not defects, defects

    async def want(self, release: Release, *ends: State) -> Install:
        """Has a release installed; the install once it is in one of these states."""
        await self.installing.want(release)
        return await self.until(release, *ends)

    async def until(self, release: Release, *ends: State) -> Install:
        async with asyncio.timeout(WITHIN_S):
            while True:
                found = next(each for each in self.installs.history() if each.release.digest == release.digest)
                if found.state in ends:
                    return found
                await asyncio.sleep(0.02)

    async def until_told(self, word: str) -> None:
        """The fleet has heard of it."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                if word in [told for _, told, _ in self.receipts.told]:
                    return
                await asyncio.sleep(0.02)

    async def count(self, number: int, *, good: int, bad: int) -> None:
        stored = self.store.stored(SPECIALIST, number)
        assert stored is not None
        tally = Tally(good=good, seen=good + bad)
        await self.installing.observe(
            [Counted(specialist=SPECIALIST, version=stored.version, tally=tally)], through=str(number)
        )

    def offer(self, number: int, **further: Any) -> Release:
        return write_release(self.root / "offers" / str(number), number, **further)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as folder:  # a socket's path may have 107 bytes
        launcher = ProcessLauncher(interpreter=Path(sys.executable), runtime_dir=Path(folder), queue_limit=4)
        yield Bench(launcher=launcher, clock=SystemClock(), context_tokens=512)


@pytest.fixture
def device(tmp_path: Path, bench: Bench) -> Iterator[RealGateDevice]:
    made = RealGateDevice(tmp_path, bench)
    with closing(made.installs):
        yield made


async def test_a_worse_release_is_refused_at_the_gate_and_one_that_degrades_in_use_is_rolled_back(
    device: RealGateDevice,
) -> None:
    async with device.running():
        first = await device.want(device.offer(1, rows=SAME), State.PROBATION)
        facts = device.installs.steps(first)[-2].facts
        assert facts[f"{WORKFLOW}:score_ppm"] == 1_000_000
        assert facts[f"{WORKFLOW}:samples"] == 3
        assert facts["memory_bytes"] > 1_000_000
        device.clock.pass_s(TERMS.soak_s)
        await device.count(1, good=60, bad=0)
        await device.until(first.release, State.SETTLED)

        worse = await device.want(device.offer(2, rows=OTHER), State.REFUSED, State.PROBATION)
        assert (worse.state, worse.code) == (State.REFUSED, "gate_quality")
        assert device.store.in_force(SPECIALIST).serves(1)

        third = await device.want(device.offer(3, rows=SAME), State.PROBATION)
        started_s = time.monotonic()
        await device.count(3, good=3, bad=27)
        back = await device.until(third.release, State.ROLLED_BACK)
        assert time.monotonic() - started_s < 1.0
        assert back.code == "degraded"
        await device.until_told("rolled_back")
    assert device.serving.serves == [1, 3, 1]
    assert device.store.get(SPECIALIST).measurements[WORKFLOW].fitness == 1.0
    assert [word for _, word, _ in device.receipts.told] == [
        "gate_passed",
        "activated",
        "settled",
        "refused",
        "gate_passed",
        "activated",
        "rolled_back",
    ]


async def test_a_gguf_model_passes_by_what_it_says_on_this_device_and_other_weights_do_not(
    device: RealGateDevice, bench: Bench
) -> None:
    async with device.running():
        offers = device.root / "offers"
        said = await _said_by(offers / "1", seed=1, bench=bench)
        rows = tuple({"input": row["input"], "expected": answer} for row, answer in zip(SAME, said, strict=True))
        good = _gguf_release(offers / "1", 1, seed=1, rows=rows)
        passed = await device.want(good, State.PROBATION, State.REFUSED)
        assert passed.state is State.PROBATION, passed.reason
        other = await device.want(_gguf_release(offers / "2", 2, seed=2, rows=rows), State.REFUSED, State.PROBATION)
        assert (other.state, other.code) == (State.REFUSED, "gate_quality")
        large = replace(_gguf_release(offers / "3", 3, seed=1, rows=rows), maximum_memory_bytes=1)
        refused = await device.want(large, State.REFUSED, State.PROBATION)
        assert (refused.state, refused.code) == (State.REFUSED, "gate_memory")
    assert device.store.get(SPECIALIST).release == 1


async def test_a_model_that_its_engine_cannot_load_is_refused_and_what_serves_goes_on(device: RealGateDevice) -> None:
    async with device.running():
        await device.want(device.offer(1, rows=SAME), State.PROBATION)
        broken = device.offer(2, rows=SAME, model={"format": "of another engine"})
        refused = await device.want(broken, State.REFUSED, State.PROBATION)
        assert refused.state is State.REFUSED
    assert device.store.in_force(SPECIALIST).serves(1)


async def test_an_adapter_that_is_built_here_passes_by_what_it_says_and_no_other_form_of_it_ever_serves(
    device: RealGateDevice, bench: Bench
) -> None:
    offers = device.root / "offers"
    expected = await _said_by_built(device.root / "maker", seed=1, bench=bench)
    rows = tuple({"input": row["input"], "expected": answer} for row, answer in zip(SAME, expected, strict=True))
    assert expected != await _said_by(offers / "1", seed=1, bench=bench)
    device.orders.gives_leases = False
    async with device.running():
        release = _built_release(offers / "1", 1, seed=1, rows=rows)
        passed = await device.want(release, State.ACTIVATING, State.REFUSED)
        assert passed.state is State.ACTIVATING, passed.reason
        stored = device.store.stored(SPECIALIST, 1)
        assert stored is not None
        assert stored.adapter_digest == stored.built == passed.built.digest
        assert not list((device.root / "models/building").iterdir())
        blobs = {path.name for path in (device.root / "models/blobs/sha256").iterdir()}
        assert blobs == {Path(stored.base_path).name, Path(stored.adapter_path).name}  # what it was built of has left
        assert not list((device.root / "models/blobs/sha256-folders").iterdir())

        _flip_last_byte(Path(stored.adapter_path))  # of the same size, after it was measured
        device.orders.gives_leases = True
        device.installing.news()
        served = await device.until(release, State.PROBATION, State.REFUSED)
        assert served.state is State.PROBATION, served.reason
        events = [step.event for step in device.installs.steps(served)]
        assert events.count(Event.BUILT) == 2
        assert events.count(Event.PASSED) == 2
        again = next(s for s in device.installs.steps(served)[::-1] if s.event is Event.BUILT)
        assert again.facts["same_bytes"] == 1
    current = device.store.in_force(SPECIALIST).current
    assert current is not None
    assert current.built == served.built.digest == passed.built.digest
    assert ReleaseStore(device.root / "models").get(SPECIALIST).is_intact

    _flip_last_byte(Path(stored.adapter_path))  # of what serves
    found = ReleaseStore(device.root / "models").get(SPECIALIST)
    assert found.base_is_intact
    assert not found.adapter_is_intact


async def test_a_recipe_that_does_not_fit_its_base_is_refused_in_the_builders_words(device: RealGateDevice) -> None:
    folder = device.root / "offers/1"
    _built_release(folder, 1, seed=1, rows=SAME)
    config = folder / "peft/adapter_config.json"
    config.write_text(config.read_text().replace('"use_dora": false', '"use_dora": true'))
    async with device.running():
        refused = await device.want(_signed_with_recipe(folder, 1), State.REFUSED, State.PROBATION)
    assert (refused.state, refused.code) == (State.REFUSED, "recipe_unfit")
    assert "DoRA" in refused.reason
    assert device.store.in_force(SPECIALIST).current is None


def _flip_last_byte(path: Path) -> None:
    body = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))


def _built_release(folder: Path, number: int, *, seed: int, rows: tuple[dict[str, Any], ...]) -> Release:
    """One whose PEFT adapter each device makes a GGUF adapter of."""
    _write_with_adapter(folder, seed=seed, rows=rows)
    write_peft_folder(folder / "peft", random_factors(seed, size=2.0))
    return _signed_with_recipe(folder, number)


def _signed_with_recipe(folder: Path, number: int) -> Release:
    recipe = recipe_for(folder, "model.gguf", "peft", engine="llamacpp")
    return signed(folder, number, engine="llamacpp", recipe=recipe)


def _write_with_adapter(folder: Path, *, seed: int, rows: tuple[dict[str, Any], ...]) -> None:
    write_specialist(
        folder,
        SPECIALIST,
        title=f"Babbles {seed}",
        engine="llamacpp",
        base='file = "model.gguf"',
        rows=rows,
        further='[adapter]\nfile = "adapter.gguf"\n[prompt]\nmax_tokens = 12',
        model=None,
    )
    write_tiny_gguf(folder / "model.gguf", seed=seed)


async def _said_by_built(folder: Path, *, seed: int, bench: Bench) -> list[str]:
    """What the model says with its adapter, as its maker builds it by hand."""
    _write_with_adapter(folder, seed=seed, rows=SAME)
    peft = write_peft_folder(folder.parent / "peft", random_factors(seed, size=2.0))
    order = order_in(folder.parent, "llamacpp", source=folder / "model.gguf", adapter=peft, out=folder.parent / "built")
    build(order, now=NOW, hear=lambda _: None)
    (folder.parent / "built/adapter.gguf").rename(folder / "adapter.gguf")
    return await _answers(folder, bench)


def _gguf_release(folder: Path, number: int, *, seed: int, rows: tuple[dict[str, Any], ...]) -> Release:
    folder.mkdir(parents=True, exist_ok=True)
    write_specialist(
        folder,
        SPECIALIST,
        title=f"Babbles {seed}",
        engine="llamacpp",
        base='file = "model.gguf"',
        rows=rows,
        further="[prompt]\nmax_tokens = 12",
        model=None,
    )
    write_tiny_gguf(folder / "model.gguf", seed=seed)
    return signed(folder, number, engine="llamacpp")


async def _said_by(folder: Path, *, seed: int, bench: Bench) -> list[str]:
    """What the model says to the rows: what its golden set is then made of."""
    _gguf_release(folder, 1, seed=seed, rows=SAME)
    return await _answers(folder, bench)


async def _answers(folder: Path, bench: Bench) -> list[str]:
    store = ReleaseStore(folder.parent / f"{folder.name}-alone")
    store.add(folder)
    stored = store.get(SPECIALIST)
    golden = read_golden_file(folder / f"golden/{WORKFLOW}.jsonl", stored.manifest, WORKFLOW)
    ((evaluation, _),) = (await measure(stored, {WORKFLOW: golden}, bench)).values()
    return [row.answer for row in evaluation.rows]
