"""What a person hears who has carried a folder here, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.support.install_stage import release
from tests.support.manual_clock import ManualClock
from tests.support.recorded_journal import RecordedJournal
from tests.support.release_files_stage import RELEASE
from tests.support.scripted_source import ScriptedSource
from tests.support.trust_stage import FixedSource

from homebred_daemon.core.deployment import Event, Install, State
from homebred_daemon.core.releasing import NotTaken
from homebred_daemon.core.trust import Agreed, Lease
from homebred_daemon.errors import HomebredError, RequestError, StateError
from homebred_daemon.inbound.importing import ImportedRelease, ImportState
from homebred_daemon.ports.carrying import Carried
from homebred_daemon.ports.installs import Step
from homebred_daemon.ports.transfer import Progress
from homebred_daemon.ports.trust import TrustSource
from homebred_daemon.services.releases.importing import LOOK_EVERY_S, PATIENCE_S, Importing, ImportMeans
from homebred_daemon.services.releases.release_sources import ReleaseSources
from homebred_daemon.services.releases.releasing import Report
from homebred_protocol.targets import read_target

NOW_S = 1_796_000_000
PATH = "models/qa/intake/7.json"
STICK = Path("/media/stick")


def agreed(number: int = 7) -> Agreed:
    target = read_target(f"models/qa/intake/{number}.json")
    assert target is not None
    digest = release(number).digest
    lease = Lease(device="kiosk-1", digest=digest, stop_epoch=0, issued_at_s=NOW_S, expires_at_s=NOW_S + 1)
    return Agreed(target=target, digest=digest, length=100, lease=lease)


def install(state: State, *, code: str = "", reason: str = "") -> Install:
    return Install(
        seq=1, release=release(7), state=state, begun_at_s=NOW_S, changed_at_s=NOW_S, code=code, reason=reason
    )


@dataclass
class Device:
    """Installs by a script: the state that its one release is in at each look."""

    report: Report = field(default_factory=lambda: Report(wanted=(agreed(),), is_whole=True))
    states: list[Install | None] = field(default_factory=list)
    fails: HomebredError | None = None
    progress: dict[str, Progress] = field(default_factory=dict)
    declined: list[tuple[str, str]] = field(default_factory=list)
    looked_at: list[TrustSource] = field(default_factory=list)
    woken: int = 0
    closed: int = 0

    def __post_init__(self) -> None:
        self.clock, self.journal = ManualClock(), RecordedJournal()
        self.fleet, self.stick = ScriptedSource({}), ScriptedSource({})
        self.sources = ReleaseSources([self.fleet])
        self.trust = FixedSource({})
        means = ImportMeans(
            open_folder=self.open,
            looks=self,
            installs=self,
            sources=self.sources,
            progress=self.progress,
            journal=self.journal,
            clock=self.clock,
            sleep=self.sleep,
        )
        self.importing = Importing(means)

    def open(self, folder: Path) -> Carried:
        if folder != STICK:
            raise RequestError("it is no such folder")
        return Carried(trust=self.trust, blobs=self.stick, close=self.close)

    def close(self) -> None:
        self.closed += 1

    async def sleep(self, seconds: float) -> None:
        self.clock.pass_s(seconds)
        if len(self.states) > 1:
            self.states.pop(0)

    async def look_at(self, source: TrustSource) -> Report:
        assert self.stick in self.sources.of(release(7).digest)
        self.looked_at.append(source)
        if self.fails is not None:
            raise self.fails
        return self.report

    async def known(self) -> Sequence[Install]:
        return [one for one in self.states[:1] if one is not None]

    async def steps(self, install: Install) -> Sequence[Step]:
        measured = Step(
            seq=5, install=1, at_s=NOW_S, event=Event.PASSED, state=State.ACTIVATING, facts={"score_ppm": 900_000}
        )
        return [measured] if install.state not in {State.DOWNLOADING, State.GATING} else []

    async def decline(self, about: str, code: str, digest: str) -> None:
        self.declined.append((about, code))

    def news(self) -> None:
        self.woken += 1

    async def told(self, *, wait_s: float = 1000.0, folder: Path = STICK) -> list[ImportState]:
        return [state async for state in self.importing.imported(folder, wait_s=wait_s)]


async def test_it_is_told_from_its_first_state_until_it_serves() -> None:
    device = Device(states=[install(State.DOWNLOADING), install(State.GATING), None, install(State.PROBATION)])
    device.states[2] = install(State.GATING)
    told = await device.told()
    assert [one.releases[0].state for one in told] == ["downloading", "gating", "probation"]
    assert told[-1] == ImportState(
        releases=(
            ImportedRelease(target=PATH, state="probation", facts={"score_ppm": 900_000}, has_ended=True, is_good=True),
        ),
        not_taken=(),
    )
    assert device.looked_at == [device.trust]
    assert device.woken == 1
    assert device.clock.elapsed_s == 3 * LOOK_EVERY_S


async def test_without_waiting_it_is_told_once_and_the_folder_gives_its_bytes_on() -> None:
    device = Device(states=[install(State.DOWNLOADING)])
    device.progress[release(7).digest] = Progress(
        held_bytes=5, total_bytes=10, fetched_bytes=5, waits_for="source", wait_s=1.0, sentence="no source answers"
    )
    (told,) = await device.told(wait_s=0.0)
    (one,) = told.releases
    assert (one.held_bytes, one.total_bytes, one.waits_for) == (5, 10, "no source answers")
    assert not told.has_ended
    assert device.sources.of(release(7).digest) == (device.stick, device.fleet)
    assert device.sources.of(RELEASE.digest) == (device.fleet,)
    assert device.closed == 0


async def test_waiting_ends_with_its_time() -> None:
    device = Device(states=[install(State.DOWNLOADING)])
    assert len(await device.told(wait_s=3.0)) == 1
    assert device.clock.elapsed_s == 3.0


@pytest.mark.parametrize(
    ("state", "is_good"), [(State.REFUSED, False), (State.SUPERSEDED, False), (State.SETTLED, True)]
)
async def test_an_install_that_has_ended_is_waited_for_no_longer(state: State, is_good: bool) -> None:  # noqa: FBT001
    device = Device(states=[install(state, code="gate_quality", reason="too bad")])
    (told,) = await device.told()
    assert (told.releases[0].has_ended, told.releases[0].is_good) == (True, is_good)
    assert told.releases[0].reason == "too bad"


async def test_one_that_serves_already_is_said_to_serve() -> None:
    (told,) = await Device(states=[None]).told()
    assert told.releases == (ImportedRelease(target=PATH, state="serves", has_ended=True, is_good=True),)


async def test_a_lease_that_does_not_hold_is_all_that_comes_of_a_folder_but_a_new_one_is_given_time() -> None:
    waits = install(State.ACTIVATING, code="lease_expired", reason="its lease has expired")
    told = await Device(states=[waits]).told()
    assert [one.has_ended for one in told] == [False, True]
    assert told[-1].releases[0].code == "lease_expired"
    device = Device(states=[waits, install(State.PROBATION)])
    assert (await device.told())[-1].releases[0].is_good
    assert device.clock.elapsed_s < PATIENCE_S


async def test_what_is_not_taken_is_told_in_the_words_of_trust_and_such_a_folder_is_let_go() -> None:
    codes = ["other_device", "expired", "unreachable", "older", "a_newer_word"]
    not_taken = tuple(NotTaken(about=PATH, code=code) for code in codes)
    device = Device(report=Report(not_taken=not_taken), states=[])
    (told,) = await device.told()
    assert [one.code for one in told.not_taken] == codes
    assert [code for _, code in device.declined] == ["other_device", "expired", "older", "a_newer_word"]
    assert device.journal.names == ["release_not_taken"] * 4
    assert told.not_taken[0].problem == "the director signed this for another device"
    assert all(one.problem and one.hint for one in told.not_taken)
    assert told.has_ended
    assert device.closed == 1
    assert device.sources.of(release(7).digest) == (device.fleet,)


async def test_a_look_that_fails_lets_the_folder_go() -> None:
    device = Device(fails=StateError("the disk is full"))
    with pytest.raises(StateError):
        await device.told()
    assert device.closed == 1
    with pytest.raises(RequestError):
        await device.told(folder=Path("/etc"))
    assert device.closed == 1


async def test_another_folder_takes_the_place_of_the_one_before() -> None:
    device = Device(states=[install(State.DOWNLOADING)])
    await device.told(wait_s=0.0)
    device.report = replace(device.report, at_s=5)
    await device.told(wait_s=0.0)
    assert device.closed == 1
    assert device.sources.of(release(7).digest) == (device.stick, device.fleet)
