"""Clocks that are years off, metadata that expired, keys that were rotated, stolen and revoked: refused or accepted as
The Update Framework's specification says, and never bricked.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.signed_repositories import ROLES, Repository, SignedFleet, new_signer
from tests.support.trust_stage import DAY_S, HERE, NOW_S, Device, RequestsCarrier

from homebred_daemon.adapters.trust.files import FOLDER
from homebred_daemon.core.trust_floors import Floors
from homebred_daemon.core.trust_refusals import Reason
from homebred_daemon.ports.trust import TrustSource
from homebred_protocol.trusted_files import director_metadata, image_metadata

PATH, NEXT, POLICY = "models/qa/intake/7.json", "models/qa/intake/8.json", "policies/clinic-east/default/3.toml"
BODIES = {PATH: b'{"number":7}', NEXT: b'{"number":8}', POLICY: b"version = 1\n"}
TEN_YEARS_S = 3652 * DAY_S


@cache
def founded() -> SignedFleet:
    fleet = SignedFleet(now_s=NOW_S)
    fleet.offer(PATH, BODIES[PATH])
    fleet.offer(POLICY, BODIES[POLICY])
    fleet.assign(HERE.device, PATH)
    return fleet


@pytest.fixture
def fleet() -> SignedFleet:
    return deepcopy(founded())


@pytest.fixture
def device(fleet: SignedFleet, tmp_path: Path) -> Device:
    return Device(fleet, tmp_path / "state")


def source(fleet: SignedFleet) -> TrustSource:
    return RequestsCarrier().source(fleet.files)


async def takes(device: Device, fleet: SignedFleet) -> set[str]:
    taken = await device.takes(source(fleet))
    assert all(BODIES[path] == body for path, body in taken.items())
    return set(taken)


async def reasons(device: Device, fleet: SignedFleet) -> dict[str, Reason]:
    return {one.about: one.reason for one in (await device.look(source(fleet))).refused}


def sign_next(fleet: SignedFleet, now_s: int) -> None:
    """All that people and controller do at a later time."""
    fleet.at(now_s)
    fleet.image.publish("targets", *fleet.image.roles)
    fleet.assign(HERE.device, PATH)


# -- clocks


async def test_a_clock_ten_years_ahead_refuses_all_and_leaves_nothing_behind(
    device: Device, fleet: SignedFleet
) -> None:
    assert await takes(device, fleet) == {PATH}
    before = device.files.held()
    device.clock.wall_s += TEN_YEARS_S
    assert await reasons(device, fleet) == {"director": Reason.EXPIRED, "image": Reason.EXPIRED}
    assert device.files.held() == before
    device.clock.wall_s -= TEN_YEARS_S
    sign_next(fleet, NOW_S + 100)
    device.clock.pass_s(100)
    device.restart()
    assert await takes(device, fleet) == {PATH}


@pytest.mark.parametrize("wall_s", [0, NOW_S - TEN_YEARS_S, 2**33])
async def test_a_device_that_begins_with_a_wrong_clock_goes_on_once_it_is_right(
    device: Device, fleet: SignedFleet, wall_s: int
) -> None:
    device.clock.wall_s = wall_s
    looked = await device.look(source(fleet))
    assert bool(looked.agreed) == (wall_s < NOW_S)  # a clock behind is not believed: enrolment told a later time
    device.clock.wall_s = NOW_S
    assert await takes(device, fleet) == {PATH}


async def test_a_clock_behind_keeps_no_expired_metadata_alive(device: Device, fleet: SignedFleet) -> None:
    assert await takes(device, fleet) == {PATH}
    device.clock.wall_s = NOW_S - TEN_YEARS_S
    device.clock.passed_s += DAY_S - 10
    assert await takes(device, fleet) == {PATH}
    device.restart()  # what had passed by then was kept
    device.clock.passed_s += 20
    assert await reasons(device, fleet) == {"director": Reason.EXPIRED}
    sign_next(fleet, NOW_S + DAY_S)
    assert await takes(device, fleet) == {PATH}
    assert device.files.held().floors.time_s >= NOW_S + DAY_S


async def test_a_clock_that_runs_20_days_ahead_under_a_bundle_of_60_days_does_not_refuse_tomorrows_word(
    device: Device, fleet: SignedFleet
) -> None:
    director = fleet.director(HERE.device)
    usual = director.lives
    director.lives = {role: timedelta(days=60) for role in ROLES}
    fleet.assign(HERE.device, PATH)
    device.clock.wall_s += 20 * DAY_S
    assert await takes(device, fleet) == {PATH}
    device.clock.wall_s = NOW_S + DAY_S
    director.lives = usual
    sign_next(fleet, NOW_S + DAY_S)
    assert await takes(device, fleet) == {PATH}


# -- expiry, role by role


def image_of(fleet: SignedFleet) -> Repository:
    return fleet.image


def director_of(fleet: SignedFleet) -> Repository:
    return fleet.director(HERE.device)


def let_expire(repository: Repository, role: str) -> None:
    """Has one role's metadata end in an hour, all else as ever."""
    lives = repository.lives
    hour = timedelta(hours=1)
    if role == "root":
        repository.lives = {**lives, "root": hour}
        repository.rotate()
        repository.lives = lives
        return
    if role in {"snapshot", "timestamp"}:
        repository.lives = {**lives, role: hour}
        repository.publish_snapshot()
    else:
        repository.lives = {**lives, "targets": hour}
        repository.publish(role)
    repository.lives = lives


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("repository_of", [image_of, director_of])
async def test_what_has_expired_is_refused_and_renewed_it_is_taken(
    device: Device, fleet: SignedFleet, repository_of: Callable[[SignedFleet], Repository], role: str
) -> None:
    repository = repository_of(fleet)
    let_expire(repository, role)
    device.clock.pass_s(2 * 3600)
    about = "image" if repository is fleet.image else "director"
    assert await reasons(device, fleet) == {about: Reason.EXPIRED}
    fleet.at(int(device.clock.wall_s))
    if role == "root":
        repository.rotate()
    sign_next(fleet, int(device.clock.wall_s))
    assert await takes(device, fleet) == {PATH}


async def test_an_expired_family_keeps_no_policy_back(device: Device, fleet: SignedFleet) -> None:
    let_expire(fleet.image, "models-qa")
    fleet.assign(HERE.device, PATH, POLICY)
    device.clock.pass_s(2 * 3600)
    looked = await device.look(source(fleet))
    assert [(one.about, one.reason) for one in looked.refused] == [(PATH, Reason.EXPIRED)]
    assert [one.target.path for one in looked.agreed] == [POLICY]


# -- rotation and revocation


async def test_a_device_that_was_off_walks_from_root_to_root_whatever_changed(
    device: Device, fleet: SignedFleet
) -> None:
    assert await takes(device, fleet) == {PATH}
    fleet.image.lives = {**fleet.image.lives, "root": timedelta(hours=1)}
    fleet.image.rotate("root")  # each of these expires before the device sees it
    fleet.image.rotate("root", "timestamp", threshold=3)
    fleet.image.lives = {**fleet.image.lives, "root": timedelta(days=365)}
    fleet.at(NOW_S + 90 * DAY_S)
    fleet.image.rotate("targets", "snapshot", threshold=1)
    fleet.director(HERE.device).rotate("root", "targets", "snapshot", "timestamp")
    sign_next(fleet, NOW_S + 90 * DAY_S)
    device.clock.pass_s(90 * DAY_S)
    device.restart()
    assert await takes(device, fleet) == {PATH}
    floors = device.files.held().floors
    assert (floors.image.root, floors.director.root) == (4, 2)


async def test_a_root_that_too_few_of_the_old_holders_signed_is_refused(device: Device, fleet: SignedFleet) -> None:
    root, mine = fleet.image.root, [new_signer() for _ in range(3)]
    for signer in fleet.image.signers["root"]:
        root.revoke_key(signer.public_key.keyid, "root")
    for signer in mine:
        root.add_key(signer.public_key, "root")
    root.version = 2
    fleet.image.put("2.root.json", root, [*mine, fleet.image.signers["root"][0]])
    assert await reasons(device, fleet) == {"image": Reason.UNSIGNED}
    assert device.files.held().floors.image.root == 1


async def test_a_key_that_was_revoked_signs_for_nothing_any_more(device: Device, fleet: SignedFleet) -> None:
    assert await takes(device, fleet) == {PATH}
    stolen = fleet.image.signers["models-qa"]
    delegations = fleet.image.targets.delegations
    assert delegations is not None
    fleet.image.targets.revoke_key(stolen[0].public_key.keyid, "models-qa")
    fleet.image.signers["models-qa"] = [new_signer()]
    fleet.image.targets.add_key(fleet.image.signers["models-qa"][0].public_key, "models-qa")
    fleet.image.publish("targets", "models-qa")
    revoked = deepcopy(fleet)
    revoked.image.signers["models-qa"] = stolen
    revoked.offer(NEXT, BODIES[NEXT])
    revoked.assign(HERE.device, NEXT)
    assert await reasons(device, revoked) == {NEXT: Reason.UNSIGNED}
    for _ in range(3):
        fleet.image.publish("models-qa")
    fleet.offer(NEXT, BODIES[NEXT])
    for _ in range(3):
        fleet.assign(HERE.device, NEXT)
    assert await takes(device, fleet) == {NEXT}


async def test_a_root_that_takes_a_key_away_holds_though_nothing_else_of_the_look_does(
    device: Device, fleet: SignedFleet
) -> None:
    assert await takes(device, fleet) == {PATH}
    thief = deepcopy(fleet)
    fleet.image.rotate("timestamp")  # and not yet a timestamp by the new key
    assert await reasons(device, fleet) == {"image": Reason.UNSIGNED}
    assert device.files.held().floors.image.root == 2
    thief.image.publish_timestamp()  # with the old key, by a mirror that hides the new root
    assert await reasons(device, thief) == {"image": Reason.UNSIGNED}
    sign_next(fleet, NOW_S)
    assert await takes(device, fleet) == {PATH}


# -- fast-forward by thieves, and recovery from it (TUF 5.3.11)


@pytest.mark.parametrize("repository_of", [image_of, director_of])
async def test_versions_that_a_thief_drove_up_begin_anew_with_other_keys(
    device: Device, fleet: SignedFleet, repository_of: Callable[[SignedFleet], Repository]
) -> None:
    assert await takes(device, fleet) == {PATH}
    honest = deepcopy(fleet)
    stolen = repository_of(fleet)
    for signed in (stolen.timestamp, stolen.snapshot, stolen.targets):
        signed.version = 2**31
    stolen.publish("targets")
    assert await takes(device, fleet) == {PATH}  # it is signed: The Update Framework takes it
    sign_next(honest, NOW_S)
    about = "image" if repository_of is image_of else "director"
    assert await reasons(device, honest) == {about: Reason.ROLLBACK}
    repository_of(honest).rotate("timestamp", "snapshot", "targets")
    sign_next(honest, NOW_S)
    assert await takes(device, honest) == {PATH}
    kept = device.files.held()
    versions = (kept.floors.image if about == "image" else kept.floors.director).versions
    assert max(versions.values()) < 100
    assert (await reasons(device, fleet))[about] is Reason.UNSIGNED


async def test_time_and_stops_that_a_thief_of_the_director_drove_up_begin_anew_with_other_keys(
    device: Device, fleet: SignedFleet
) -> None:
    honest = deepcopy(fleet)
    fleet.director(HERE.device).lives = {role: timedelta(days=3650) for role in ROLES}
    fleet.assign(HERE.device, PATH, issued_at_s=2**50, stop_epoch=2**52)
    assert await takes(device, fleet) == {PATH}
    floors = device.files.held().floors
    assert floors.stop_epoch == 2**52
    assert NOW_S + 29 * DAY_S < floors.time_s < NOW_S + 30 * DAY_S  # no further than the image repository's word holds
    director = honest.director(HERE.device)
    director.rotate("targets", "snapshot", "timestamp")
    sign_next(honest, NOW_S + 1)
    device.clock.pass_s(1)
    assert await reasons(device, honest) == {"director": Reason.EXPIRED}  # by the thief's time, for one last time
    looked = await device.look(source(honest))
    assert looked.refused == ()
    (agreed,) = looked.agreed
    assert agreed.lease.expires_at_s > device.trusting.now_s()
    assert agreed.lease.stop_epoch >= device.trusting.stop_epoch


# -- floors without metadata


async def test_floors_hold_where_the_metadata_was_lost(device: Device, fleet: SignedFleet) -> None:
    old = dict(fleet.files)
    sign_next(fleet, NOW_S)
    assert await takes(device, fleet) == {PATH}
    folder = device.files._folder
    shutil.rmtree(folder / "generations")
    (folder / "current").unlink()
    looked = await device.look(RequestsCarrier().source(old))
    assert {one.about: one.reason for one in looked.refused} == {"image": Reason.ROLLBACK, "director": Reason.ROLLBACK}
    assert await takes(device, fleet) == {PATH}


@pytest.mark.parametrize("body", [b"", b"{}", b"\x00" * 100, b"["], ids=["empty", "other", "zeros", "cut"])
async def test_metadata_that_rots_on_the_disk_is_fetched_anew(device: Device, fleet: SignedFleet, body: bytes) -> None:
    fleet.image.rotate("timestamp")
    sign_next(fleet, NOW_S)
    assert await takes(device, fleet) == {PATH}
    for path in (device.files._folder / "generations").rglob("*.json"):
        path.write_bytes(body)
    assert await takes(device, fleet) == {PATH}
    assert device.files.held().image.files["timestamp.json"] == fleet.files[image_metadata() + "timestamp.json"]


async def test_a_release_that_was_taken_is_the_least_of_its_line(device: Device, fleet: SignedFleet) -> None:
    fleet.offer(NEXT, BODIES[NEXT])
    fleet.assign(HERE.device, NEXT)
    assert await takes(device, fleet) == {NEXT}
    fleet.assign(HERE.device, PATH)
    assert await reasons(device, fleet) == {PATH: Reason.NUMBER_FELL}


# -- anything, in any order


class Course:
    """One device and all that may happen to it; each step says which files are served next."""

    def __init__(self, folder: Path) -> None:
        self.fleet = deepcopy(founded())
        self.device = Device(self.fleet, folder)
        self.older = [dict(self.fleet.files)]
        self.now_s = NOW_S
        self._trust = folder / FOLDER

    def sign(self) -> Mapping[str, bytes]:
        sign_next(self.fleet, self.now_s)
        self.older.append(dict(self.fleet.files))
        return self.fleet.files

    def rotate_image(self) -> Mapping[str, bytes]:
        self.fleet.image.rotate("timestamp", "snapshot")
        return self.sign()

    def rotate_director(self) -> Mapping[str, bytes]:
        self.fleet.director(HERE.device).rotate("targets", "timestamp", "snapshot")
        return self.sign()

    def replay(self) -> Mapping[str, bytes]:
        return self.older[len(self.older) // 2]

    def mix(self) -> Mapping[str, bytes]:
        return self.fleet.files | {name: body for name, body in self.older[0].items() if "timestamp" in name}

    def forge(self) -> Mapping[str, bytes]:
        forged = {
            base + "timestamp.json": self.fleet.files[base + "timestamp.json"].replace(b'"version": ', b'"version": 9')
            for base in (image_metadata(), director_metadata(HERE.device))
        }
        return self.fleet.files | forged

    def clock_ahead(self) -> Mapping[str, bytes]:
        self.device.clock.wall_s = self.now_s + TEN_YEARS_S
        return self.fleet.files

    def clock_behind(self) -> Mapping[str, bytes]:
        self.device.clock.wall_s = self.now_s - TEN_YEARS_S
        return self.fleet.files

    def a_day(self) -> Mapping[str, bytes]:
        self.now_s += DAY_S
        self.device.clock.pass_s(DAY_S)
        return self.fleet.files

    def restart(self) -> Mapping[str, bytes]:
        self.device.restart()
        return self.fleet.files

    def lose_metadata(self) -> Mapping[str, bytes]:
        shutil.rmtree(self._trust / "generations", ignore_errors=True)
        (self._trust / "current").unlink(missing_ok=True)
        return self.fleet.files


STEPS = st.sampled_from([step for name, step in vars(Course).items() if not name.startswith("_")])


def never_fell(before: Floors, after: Floors) -> None:
    for was, now in ((before.image, after.image), (before.director, after.director)):
        assert now.root >= was.root
        if now.keys == was.keys:
            assert all(now.versions[role] >= version for role, version in was.versions.items())
    if after.director.keys == before.director.keys:
        assert after.time_s >= before.time_s
        assert after.stop_epoch >= before.stop_epoch
    assert all(after.lines[line].number >= taken.number for line, taken in before.lines.items())


@settings(max_examples=8)
@given(st.lists(STEPS, max_size=10))
async def test_whatever_happens_floors_never_fall_and_in_the_end_what_is_honest_is_taken(
    steps: list[Callable[[Course], Mapping[str, bytes]]],
) -> None:
    with TemporaryDirectory() as folder:
        course = Course(Path(folder))
        device = course.device
        for step in steps:
            before = device.files.held().floors
            await device.look(RequestsCarrier().source(step(course)))
            never_fell(before, device.files.held().floors)
        device.clock.wall_s = course.now_s
        course.sign()
        await device.look(source(course.fleet))  # other keys of the director take its time back first
        assert await takes(device, course.fleet) == {PATH}
