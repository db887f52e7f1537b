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

from tests.support.install_stage import TERMS, AtOnce, FakeGate, FakeOrders, FakeServing, FakeShadow, Receipts
from tests.support.manual_clock import ManualClock, run_with
from tests.support.recorded_journal import RecordedJournal
from tests.support.release_folders import SAID, SPECIALIST, manifest_of, signed, write_release
from tests.support.scripted_source import ScriptedSource
from typing_extensions import override

from homebred_daemon.adapters.blob_shelf import BlobShelf
from homebred_daemon.adapters.blob_store import Blob, BlobStore, Form
from homebred_daemon.adapters.document_folder import FleetDocumentFolder
from homebred_daemon.adapters.durable_files import make_folder
from homebred_daemon.adapters.release_assembly import AssemblyFolder
from homebred_daemon.adapters.release_store import ReleaseStore
from homebred_daemon.adapters.staging_folder import StagingFolder
from homebred_daemon.adapters.store.installs import SqliteInstallStore
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import State, Tally
from homebred_daemon.core.pairs import Pair
from homebred_daemon.core.releases import Release
from homebred_daemon.errors import HomebredError, StateError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.installs import Counted
from homebred_daemon.services.releases.fetching import Fetching, Surroundings, Terms
from homebred_daemon.services.releases.install_acts import InstallMeans
from homebred_daemon.services.releases.installing import LONGEST_PAUSE_S, Installing
from homebred_daemon.services.releases.release_files import TransferredFiles
from homebred_daemon.services.releases.release_sources import ReleaseSources
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.release import canonical_bytes
from homebred_protocol.documents.release_values import ReleaseManifest, Shadow

Tell = Callable[[str], None]
TURNS, TIDYING_TURNS = 200, 600
SHADOWED = {5: Shadow(outcomes=3, longest_s=604_800)}
"""Releases that ask to be compared with what serves."""
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
        )
        defects: list[BaseException] = []
        self.installing = Installing(means, report_defect=defects.append)
        async with self.installing.running():
            release = replace(signed(self.root / "offers" / str(number), number), shadow=SHADOWED.get(number))
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
    bases = [store.stored(SPECIALIST, number) for number in sorted(kept)]
    needed = {Path(each.base_path).name for each in bases if each is not None}
    blobs = root / "models/blobs/sha256"
    assert {path.name for path in blobs.iterdir()} == needed
    strays = [path for path in root.rglob(".*") if path.name != ".lock"]
    assert not strays, strays
    for name in ("staging", "assembled", "manifests"):
        assert not list((root / "models" / name).iterdir()), name
    with closing(SqliteInstallStore(root / "installs.sqlite")) as installs:
        assert not installs.unfinished()
        assert not installs.untold()
