"""Releases being installed on real files, and what must hold of a device after any fault: one valid model serves.

The model store, the install store and the folder where files are put aside are real; engine and fleet are fakes
that say the same every time. A scenario begins with release 1 serving and settled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support.build_orders import NOW
from tests.support.install_stage import FACTS, TERMS, AtOnce, FakeGate, FakeOrders, FakeServing, FakeShadow, Receipts
from tests.support.manual_clock import ManualClock, run_with
from tests.support.peft_folders import random_factors, write_peft_folder
from tests.support.recorded_journal import RecordedJournal
from tests.support.release_folders import SAID, SPECIALIST, manifest_of, recipe_for, signed, write_release
from tests.support.scripted_source import ScriptedSource
from tests.support.specialists import write_specialist
from tests.support.tiny_gguf import write_tiny_gguf
from typing_extensions import override

from homebred_daemon.adapters.blob_shelf import BlobShelf
from homebred_daemon.adapters.blob_store import Blob, BlobStore, Form
from homebred_daemon.adapters.build_process import BuildBounds
from homebred_daemon.adapters.document_folder import FleetDocumentFolder
from homebred_daemon.adapters.durable_files import make_folder
from homebred_daemon.adapters.recipe_builder import BuilderMeans, RecipeBuilder
from homebred_daemon.adapters.release_assembly import AssemblyFolder
from homebred_daemon.adapters.release_store import ReleaseStore
from homebred_daemon.adapters.staging_folder import StagingFolder
from homebred_daemon.adapters.store.installs import SqliteInstallStore
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import Event, State, Tally
from homebred_daemon.core.pairs import Pair
from homebred_daemon.core.releases import Release
from homebred_daemon.errors import HomebredError, StateError, UnwritableError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.installs import Counted
from homebred_daemon.services.releases.fetching import Fetching, Surroundings, Terms
from homebred_daemon.services.releases.install_acts import InstallMeans
from homebred_daemon.services.releases.installing import LONGEST_PAUSE_S, Installing
from homebred_daemon.services.releases.release_files import TransferredFiles
from homebred_daemon.services.releases.release_sources import ReleaseSources
from homebred_engines.build import BuildOrder, build
from homebred_engines.build_errors import BuildUnwritableError
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.release import canonical_bytes
from homebred_protocol.documents.release_values import ReleaseManifest, Shadow

Tell = Callable[[str], None]
TURNS, TIDYING_TURNS = 200, 600
SHADOWED = {5: Shadow(outcomes=3, longest_s=604_800)}
"""Releases that ask to be compared with what serves."""
BUILT = 6
"""The release whose adapter is built on the device."""
_BOUNDS = BuildBounds(longest_s=60.0, memory_bytes=0, reserve_bytes=0)
TRIES = 12
"""Pauses that a fault may take before the device is given up."""


class StagedFiles(TransferredFiles):
    """The files of releases as a device fetches them, frame by frame, from offers beside."""

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self._offers = root / "offers"
        self._source = ScriptedSource({})
        models = root / "models"
        staging, blobs = StagingFolder(models / "staging"), BlobStore(models / "blobs")
        around = Surroundings(
            staging=staging,
            shelf=BlobShelf(blobs),
            clock=clock or SystemClock(),
            second_of_day=lambda: 0.0,
            chance=lambda: 0.5,
        )
        super().__init__(
            FleetDocumentFolder(models / "manifests"),
            Fetching(around, Terms(reserve_bytes=0)),
            staging,
            AssemblyFolder(models / "assembled"),
            sources=ReleaseSources((self._source,)),
            held=lambda digest: blobs.path(Blob(Form.FILE, digest)),
        )

    @override
    async def fetch(self, release: Release) -> Path | Refusal:
        """As after a look, which keeps the manifest first."""
        offer = self._offers / str(release.number)
        if not await self.has_manifest(release.digest):
            await self.keep(release.digest, canonical_bytes(self._manifest(offer, release)))
        self._source.bodies = {digest_of(path.read_bytes()): path.read_bytes() for path in _files_of(offer)}
        return await super().fetch(release)

    def _manifest(self, offer: Path, release: Release) -> ReleaseManifest:
        (demand,) = release.golden
        return manifest_of(
            offer,
            release.number,
            minimum_ppm=demand.minimum_ppm,
            engine=release.constraints.engine,
            workflow=demand.workflow,
            recipe=release.recipe,
        )


def _files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@dataclass(slots=True)
class ToldShadow(FakeShadow):
    """Tells how many tasks are counted on the disk, each time that it is asked for one more."""

    seen: Callable[[], int] = lambda: 0
    tell: Tell = lambda _: None

    @override
    async def next(self) -> Pair:
        if seen := self.seen():
            self.tell(f"compared {seen}")
        return Pair(serving_is_good=True, newcomer_is_good=True, serving_ms=5, newcomer_ms=7)


@dataclass(slots=True)
class DiskDevice:
    """A device whose stores are files below a folder."""

    root: Path
    clock: ManualClock = field(default_factory=ManualClock)
    gate: FakeGate = field(default_factory=FakeGate)
    store: ReleaseStore = field(init=False)
    installs: SqliteInstallStore = field(init=False)
    installing: Installing = field(init=False)

    def __post_init__(self) -> None:
        self.gate.scores_ppm[3] = 100_000  # release 3 does not pass
        self.gate.device = replace(FACTS, engines=("echo", "llamacpp"), memory_bytes=2**40)
        make_folder(self.root / "models")
        self.store = ReleaseStore(self.root / "models")
        self.installs = SqliteInstallStore(self.root / "installs.sqlite")
        newest_s = max((each.changed_at_s for each in self.installs.history()), default=0)
        if newest_s:  # trusted time does not go back with a restart
            self.clock.pass_s(newest_s - self.clock.now().timestamp())

    def close(self) -> None:
        self.installs.close()

    async def runs(self, number: int, end: State, *, good: int, bad: int, tell: Tell) -> None:
        """Has a release installed, if it is not over already, its answers be counted, and waits for its end.

        Raises:
            HomebredError: it does not come to that.
        """
        asyncio.get_running_loop().set_default_executor(AtOnce())
        means = InstallMeans(
            files=StagedFiles(self.root, self.clock),
            store=self.store,
            installs=self.installs,
            gate=self.gate,
            serving=FakeServing(self.store, SPECIALIST),
            orders=FakeOrders(self.clock),
            receipts=Receipts(),
            journal=RecordedJournal(),
            terms=TERMS,
            shadow=ToldShadow(seen=self._compared, tell=tell),
            builder=RecipeBuilder(
                self.root / "models/building",
                BuilderMeans(python=Path("python3"), facts=self.gate.facts, bounds=_BOUNDS, run=_built_here),
            ),
        )
        defects: list[BaseException] = []
        self.installing = Installing(means, report_defect=defects.append)
        async with self.installing.running():
            release = _release(self.root / "offers" / str(number), number)
            await self._goes_through(release, end, Tally(good=good, seen=good + bad), tell)
            for _ in range(TIDYING_TURNS):
                await asyncio.sleep(0)
        assert not defects, defects

    async def _goes_through(self, release: Release, end: State, outcomes: Tally, tell: Tell) -> None:
        await self.installing.want(release)
        told = ""
        for _ in range(TRIES):
            for _ in range(TURNS):
                await asyncio.sleep(0)
                state = self._state(release.number)
                if state is State.PROBATION and told != "active":
                    told = "active"
                    tell(f"active {release.number}")
                    await self._counts(release.number, outcomes)
                if state is end:
                    tell(f"{end} {release.number}")
                    return
            self.clock.pass_s(max(LONGEST_PAUSE_S, TERMS.soak_s))
        raise StateError(f"release {release.number} is {self._state(release.number)}", hint="wait for room")

    async def _counts(self, number: int, outcomes: Tally) -> None:
        stored = self.store.stored(SPECIALIST, number)
        assert stored is not None
        counted = Counted(specialist=SPECIALIST, version=stored.version, tally=outcomes)
        await self.installing.observe([counted], through=str(number))

    def _compared(self) -> int:
        return max(each.pairs.seen for each in self.installs.unfinished())

    def _state(self, number: int) -> State | None:
        query = "SELECT state FROM installs WHERE number = ? ORDER BY seq DESC LIMIT 1"
        row = self.installs._connection.execute(query, (number,)).fetchone()
        return None if row is None else State(row["state"])


async def _built_here(order: BuildOrder, _: Path) -> Refusal | None:
    """The engine's own builder, in this very process, whose every step is followed."""
    try:
        build(order, now=NOW, hear=lambda _: None)
    except BuildUnwritableError as error:
        raise UnwritableError(error.why) from error
    return None


def _release(folder: Path, number: int) -> Release:
    if number != BUILT:
        return replace(signed(folder, number), shadow=SHADOWED.get(number))
    return signed(folder, number, engine="llamacpp", recipe=recipe_for(folder, "model.gguf", "peft", engine="llamacpp"))


def prepare_built(root: Path) -> None:
    """As `prepare`, with a release beside whose adapter is to be built on the device."""
    prepare(root)
    folder = root / "offers" / str(BUILT)
    write_specialist(
        folder,
        SPECIALIST,
        title=SAID.format(number=BUILT),
        engine="llamacpp",
        base='file = "model.gguf"',
        further='[adapter]\nfile = "adapter.gguf"',
        model=None,
    )
    write_tiny_gguf(folder / "model.gguf")
    write_peft_folder(folder / "peft", random_factors(rank=1), config={"r": 1, "lora_alpha": 2})


def prepare(root: Path) -> None:
    """Release 1 serves and has settled; others are offered."""
    for number in (1, 2, 3, 4, 5):
        write_release(root / "offers" / str(number), number)
    with closing(DiskDevice(root)) as device:
        run_with(device.clock, device.runs(1, State.SETTLED, good=60, bad=0, tell=lambda _: None))


def act_settled(root: Path, tell: Tell) -> None:
    """Release 2 passes, serves and settles; release 4 after it, so that release 1 is collected."""
    with closing(DiskDevice(root)) as device:
        run_with(device.clock, device.runs(2, State.SETTLED, good=60, bad=0, tell=tell))
        run_with(device.clock, device.runs(4, State.SETTLED, good=60, bad=0, tell=tell))


def act_refused(root: Path, tell: Tell) -> None:
    """Release 3 does not pass its gate."""
    with closing(DiskDevice(root)) as device:
        run_with(device.clock, device.runs(3, State.REFUSED, good=0, bad=0, tell=tell))


def act_shadowed(root: Path, tell: Tell) -> None:
    """Release 5 answers beside release 1 until as many tasks were counted as it demands, serves and settles."""
    with closing(DiskDevice(root)) as device:
        run_with(device.clock, device.runs(5, State.SETTLED, good=60, bad=0, tell=tell))


def act_built(root: Path, tell: Tell) -> None:
    """Of release 6 the adapter is built, measured and served; it settles."""
    with closing(DiskDevice(root)) as device:
        run_with(device.clock, device.runs(BUILT, State.SETTLED, good=60, bad=0, tell=tell))


def act_rolled_back(root: Path, tell: Tell) -> None:
    """Release 2 passes and degrades in use."""
    with closing(DiskDevice(root)) as device:
        run_with(device.clock, device.runs(2, State.ROLLED_BACK, good=2, bad=28, tell=tell))


def serving_of(root: Path) -> int:
    """The one release that serves, every byte of it read; no service has run since the fault."""
    shelf = ReleaseStore(root / "models").contents(verifies=True)
    assert not shelf.damaged, shelf.damaged
    (only,) = shelf.specialists
    assert only.is_intact
    assert only.manifest.title == SAID.format(number=only.release)
    return only.release


def check_settled(root: Path, told: Sequence[str]) -> None:
    """One valid model at once; what was told holds; then all comes to its end."""
    serving = serving_of(root)
    assert serving in {1, 2, 4}
    assert serving == 4 or "active 4" not in told, told
    assert serving in {2, 4} or "active 2" not in told, told
    _finish(root, lambda: act_settled(root, lambda _: None))
    _check_end(root, serving=4, kept={2, 4})


def check_refused(root: Path, told: Sequence[str]) -> None:
    """What served serves on, at every moment."""
    assert serving_of(root) == 1
    _finish(root, lambda: act_refused(root, lambda _: None))
    _check_end(root, serving=1, kept={1})


def check_shadowed(root: Path, told: Sequence[str]) -> None:
    """The old one, until what was demanded is counted; nothing that was counted is lost."""
    serving = serving_of(root)
    assert serving in {1, 5}
    assert serving == 5 or "active 5" not in told, told
    counted = max((int(line.removeprefix("compared ")) for line in told if line.startswith("compared ")), default=0)
    with closing(SqliteInstallStore(root / "installs.sqlite")) as installs:
        kept = max((each.pairs.seen for each in installs.history()), default=0)
    assert kept >= counted, (kept, told)
    assert serving == 1 or kept == SHADOWED[5].outcomes
    _finish(root, lambda: act_shadowed(root, lambda _: None))
    _check_end(root, serving=5, kept={1, 5})


def check_built(root: Path, told: Sequence[str]) -> None:
    """The old one, or what was built, by the digest that its gate measured, every byte of it; in the end that."""
    serving = serving_of(root)
    assert serving in {1, BUILT}
    assert serving == BUILT or f"active {BUILT}" not in told, told
    _check_built(root)
    _finish(root, lambda: act_built(root, lambda _: None))
    _check_end(root, serving=BUILT, kept={1, BUILT})
    assert _check_built(root)


def _check_built(root: Path) -> bool:
    """Whether what was built serves; then record, slot and the install that passed name the same digest."""
    store = ReleaseStore(root / "models")
    current = store.in_force(SPECIALIST).current
    if current is None or current.number != BUILT:
        return False
    stored = store.stored(SPECIALIST, BUILT)
    assert stored is not None
    with closing(SqliteInstallStore(root / "installs.sqlite")) as installs:
        install = next(each for each in installs.history() if each.release.number == BUILT)
        passed = [step.built for step in installs.steps(install) if step.event is Event.PASSED]
    assert current.built == stored.built == stored.adapter_digest == install.built.digest == passed[-1]
    return True


def check_rolled_back(root: Path, told: Sequence[str]) -> None:
    """The old one, or the new one before it was found bad; in the end the old one."""
    serving = serving_of(root)
    assert serving in {1, 2}
    assert serving == 1 or "rolled_back 2" not in told, told
    _finish(root, lambda: act_rolled_back(root, lambda _: None))
    _check_end(root, serving=1, kept={1})


def _finish(root: Path, act: Callable[[], None]) -> None:
    try:
        act()
    except HomebredError as error:
        raise AssertionError(f"it does not go on: {error.message}") from error


def _check_end(root: Path, *, serving: int, kept: set[int]) -> None:
    assert serving_of(root) == serving
    store = ReleaseStore(root / "models")
    assert {number for numbers in store.released().values() for number in numbers} == kept
    found = [each for number in kept if (each := store.stored(SPECIALIST, number)) is not None]
    needed = {Path(path).name for each in found for path in (each.base_path, each.adapter_path) if path}
    blobs = root / "models/blobs/sha256"
    assert {path.name for path in blobs.iterdir()} == needed
    strays = [path for path in root.rglob(".*") if path.name != ".lock"]
    assert not strays, strays
    for name in ("staging", "assembled", "manifests", "building", "blobs/sha256-folders"):
        place = root / "models" / name
        assert not place.exists() or not list(place.iterdir()), name
    with closing(SqliteInstallStore(root / "installs.sqlite")) as installs:
        assert not installs.unfinished()
        assert not installs.untold()
