"""The twelve attacks on a device's updates, over each carrier: refused by name, and what was trusted before still is.

Classes: arbitrary software, rollback, freeze, fast-forward, mix-and-match, endless data, slow retrieval, extraneous
dependency, wrong software, malicious mirror, key compromise by role, replay of another device's director metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from tests.support.reported_looks import made_of
from tests.support.signed_repositories import ROLES, SignedFleet, described, new_signer
from tests.support.trust_server import Fault
from tests.support.trust_stage import (
    DAY_S,
    HERE,
    NOW_S,
    Carrier,
    Device,
    RequestsCarrier,
    SettableClock,
    carried_by,
)
from tuf.api.metadata import MetaFile, TargetFile

from homebred_daemon.core.trust_refusals import Reason
from homebred_daemon.errors import UntrustedError
from homebred_daemon.ports.trust import ROOTS, HeldTrust
from homebred_protocol.digests import digest_of
from homebred_protocol.trusted_files import director_metadata, image_metadata, image_target

RELEASE, NEXT, POLICY = "models/qa/intake/7.json", "models/qa/intake/8.json", "policies/clinic-east/default/3.toml"
OTHERS = "policies/clinic-west/default/9.toml"
BODY, NEXT_BODY, POLICY_BODY, EVIL = b'{"number":7}', b'{"number":8}', b"version = 1\n", b'{"number":666}'
CARRIERS = ("https", "folder", "mqtt")
IMAGE, DIRECTOR = image_metadata(), director_metadata(HERE.device)


@dataclass(frozen=True)
class Scene:
    """What a thief has: all files, and, of the keys, those that the attack is about."""

    fleet: SignedFleet
    clock: SettableClock
    faults: dict[str, Fault] = field(default_factory=dict)
    """By the name of a file."""


@cache
def honest_fleet() -> SignedFleet:
    fleet = SignedFleet(now_s=NOW_S)
    fleet.offer(RELEASE, BODY)
    fleet.offer(POLICY, POLICY_BODY)
    fleet.offer(OTHERS, b"not for here")
    fleet.assign(HERE.device, RELEASE, POLICY)
    return fleet


@pytest.fixture(scope="module")
def carrier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carrier]:
    with carried_by(request.param, tmp_path_factory.mktemp("carrier")) as carrier:
        yield carrier


@pytest.fixture
async def device(tmp_path: Path) -> Device:
    """One that has taken a release and a policy."""
    made, fleet = Device(honest_fleet(), tmp_path / "state"), honest_fleet()
    assert await made.takes(RequestsCarrier().source(fleet.files)) == {RELEASE: BODY, POLICY: POLICY_BODY}
    return made


def publish_next(fleet: SignedFleet) -> None:
    """What honest people do next."""
    fleet.offer(NEXT, NEXT_BODY)
    fleet.assign(HERE.device, NEXT, POLICY)


def without_roots(trust: HeldTrust) -> list[dict[str, bytes]]:
    parts = (trust.image.files, trust.director.files)
    return [{name: body for name, body in files.items() if not name.startswith(ROOTS)} for files in parts]


# -- attacks: each changes what is served, and says by which reasons the device must refuse

Expected = dict[str, set[Reason]]
"""Reasons by what they are about."""


def software_that_nobody_signed(scene: Scene) -> Expected:
    """Arbitrary software: the role's metadata, forged with a key of the thief's own."""
    fleet, thief = scene.fleet, [new_signer()]
    publish_next(fleet)
    role = fleet.image.roles["models-qa"]
    role.targets[NEXT] = described(NEXT, EVIL, role.targets[NEXT].custom)
    body = fleet.image.put(f"{role.version}.models-qa.json", role, thief)
    fleet.image.snapshot.meta["models-qa.json"] = MetaFile.from_data(role.version, body, ["sha256"])
    fleet.image.publish_snapshot()  # even if snapshot and timestamp went along
    return {NEXT: {Reason.UNSIGNED}}


def metadata_that_nobody_signed(scene: Scene) -> Expected:
    fleet = scene.fleet
    fleet.image.signers["timestamp"] = [new_signer()]
    publish_next(fleet)
    return {"image": {Reason.UNSIGNED}}


def an_older_image_repository(scene: Scene) -> Expected:
    """Rollback."""
    fleet = scene.fleet
    fleet.image.timestamp.version -= 2
    fleet.image.publish_timestamp()
    return {"image": {Reason.ROLLBACK}}


def an_older_director(scene: Scene) -> Expected:
    fleet = scene.fleet
    director = fleet.director(HERE.device)
    director.timestamp.version -= 2
    director.publish_timestamp()
    return {"director": {Reason.ROLLBACK}}


def a_role_of_an_older_day(scene: Scene) -> Expected:
    """Rollback of one role, by whoever has the keys of snapshot and timestamp."""
    fleet = scene.fleet
    publish_next(fleet)
    fleet.image.snapshot.meta["policies.json"].version = 1
    fleet.image.publish_snapshot()
    return {"image": {Reason.ROLLBACK}}


def nothing_new_for_two_days(scene: Scene) -> Expected:
    """Freeze: the same files for longer than the director's word holds."""
    scene.clock.pass_s(2 * DAY_S)
    return {"director": {Reason.EXPIRED}}


def nothing_new_from_the_image_repository_for_two_months(scene: Scene) -> Expected:
    scene.clock.pass_s(60 * DAY_S)
    scene.fleet.at(NOW_S + 60 * DAY_S)
    scene.fleet.assign(HERE.device, RELEASE, POLICY)
    return {"image": {Reason.EXPIRED}}


def another_devices_higher_versions(scene: Scene) -> Expected:
    """Fast-forward by a mirror, which holds no key: what was signed for another device has higher versions."""
    fleet = scene.fleet
    other = fleet.director("kiosk-2")
    other.targets.version = other.snapshot.version = other.timestamp.version = 2**31
    other.publish("targets")
    replayed = {name.replace("kiosk-2", HERE.device): body for name, body in fleet.files.items() if "kiosk-2" in name}
    fleet.files.update(replayed)
    return {"director": {Reason.OTHER_DEVICE}}


def another_devices_timestamp_alone(scene: Scene) -> Expected:
    another_devices_higher_versions(scene)
    for name in [name for name in scene.fleet.files if name.startswith(DIRECTOR) and str(2**31 + 1) in name]:
        del scene.fleet.files[name]
    return {"director": {Reason.ABSENT}}


def another_devices_assignments(scene: Scene) -> Expected:
    """Replay of another device's director metadata."""
    fleet = scene.fleet
    fleet.offer(NEXT, NEXT_BODY)
    for _ in range(4):
        fleet.assign("kiosk-2", NEXT)
    replayed = {name.replace("kiosk-2", HERE.device): body for name, body in fleet.files.items() if "kiosk-2" in name}
    fleet.files.update(replayed)
    return {"director": {Reason.OTHER_DEVICE}}


def files_of_two_days(scene: Scene) -> Expected:
    """Mix-and-match: the newest timestamp and snapshot, with a role's metadata of another state."""
    fleet = scene.fleet
    publish_next(fleet)
    version = fleet.image.roles["models-qa"].version
    fleet.files[f"{IMAGE}{version}.models-qa.json"] = fleet.files[f"{IMAGE}{version - 1}.models-qa.json"]
    return {NEXT: {Reason.MISMATCHED, Reason.TOO_LONG}}


def a_snapshot_of_another_day(scene: Scene) -> Expected:
    fleet = scene.fleet
    publish_next(fleet)
    version = fleet.image.snapshot.version
    fleet.files[f"{IMAGE}{version}.snapshot.json"] = fleet.files[f"{IMAGE}{version - 1}.snapshot.json"]
    return {"image": {Reason.MISMATCHED, Reason.TOO_LONG}}


def endless_metadata(scene: Scene) -> Expected:
    publish_next(scene.fleet)
    scene.faults[IMAGE + "timestamp.json"] = Fault.ENDLESS
    return {"image": {Reason.TOO_LONG}}


def an_endless_root(scene: Scene) -> Expected:
    publish_next(scene.fleet)
    scene.fleet.files[DIRECTOR + "2.root.json"] = b"x"
    scene.faults[DIRECTOR + "2.root.json"] = Fault.ENDLESS
    return {"director": {Reason.TOO_LONG}}


def metadata_byte_by_byte(scene: Scene) -> Expected:
    """Slow retrieval."""
    publish_next(scene.fleet)
    scene.faults[DIRECTOR + "timestamp.json"] = Fault.SLOW
    return {"director": {Reason.TOO_SLOW, Reason.SOURCE_FAULT}}  # a pipe in a folder is not even read


def silence(scene: Scene) -> Expected:
    publish_next(scene.fleet)
    scene.faults[IMAGE + "timestamp.json"] = Fault.SILENT
    return {"image": {Reason.TOO_SLOW, Reason.SOURCE_FAULT}}


def something_that_comes_along(scene: Scene) -> Expected:
    """Extraneous dependency: a target that the image repository does not hold, beside one that it does."""
    fleet = scene.fleet
    held = {**fleet.image.roles["models-qa"].targets, **fleet.image.roles["policies"].targets}
    extra = "models/qa/helper/1.json"
    wanted = {RELEASE: held[RELEASE], POLICY: held[POLICY], extra: described(extra, EVIL, {})}
    fleet.files[image_target(extra, digest_of(EVIL))] = EVIL
    fleet.direct(HERE.device, wanted)
    return {extra: {Reason.NOT_IN_IMAGE}}


def something_that_a_role_lets_another_sign(scene: Scene) -> Expected:
    """Extraneous dependency: the family's holders let a stranger's role sign for what is theirs."""
    fleet = scene.fleet
    fleet.image.delegate("stranger", "models/qa/*/*.json", by="models-qa")
    fleet.image.roles["models-qa"].targets.pop(RELEASE)
    fleet.image.publish("models-qa", "stranger")
    fleet.offer(NEXT, EVIL, role="stranger")
    fleet.assign(HERE.device, NEXT, POLICY)
    return {NEXT: {Reason.WRONG_ROLE}}


def software_for_another_device(scene: Scene) -> Expected:
    """Wrong software."""
    fleet = scene.fleet
    fleet.offer(NEXT, NEXT_BODY)
    held = {**fleet.image.roles["models-qa"].targets, **fleet.image.roles["policies"].targets}
    fleet.direct(HERE.device, {NEXT: held[NEXT]}, whose="kiosk-2")
    return {NEXT: {Reason.OTHER_DEVICE}}


def a_policy_of_another_site(scene: Scene) -> Expected:
    scene.fleet.assign(HERE.device, RELEASE, OTHERS)
    return {OTHERS: {Reason.OTHER_SITE}}


def a_mirror_that_has_lost_a_file(scene: Scene) -> Expected:
    """Malicious mirror."""
    publish_next(scene.fleet)
    del scene.fleet.files[f"{IMAGE}{scene.fleet.image.snapshot.version}.snapshot.json"]
    return {"image": {Reason.ABSENT}}


def a_mirror_that_tells_tales(scene: Scene) -> Expected:
    publish_next(scene.fleet)
    scene.fleet.files[DIRECTOR + "timestamp.json"] = b"<html>please pay</html>"
    return {"director": {Reason.MALFORMED}}


def a_mirror_that_nests_without_end(scene: Scene) -> Expected:
    publish_next(scene.fleet)
    scene.fleet.files[IMAGE + "timestamp.json"] = b"[" * 16_000
    return {"image": {Reason.MALFORMED}}


def a_mirror_that_breaks_off(scene: Scene) -> Expected:
    publish_next(scene.fleet)
    scene.faults[IMAGE + "timestamp.json"] = Fault.BROKEN
    return {"image": {Reason.UNREACHABLE, Reason.SOURCE_FAULT}}


def a_mirror_that_leads_elsewhere(scene: Scene) -> Expected:
    """A redirect, a symbolic link, an answer that is none."""
    publish_next(scene.fleet)
    scene.faults[DIRECTOR + "timestamp.json"] = Fault.ODD
    return {"director": {Reason.UNREACHABLE, Reason.SOURCE_FAULT}}


def a_stolen_timestamp_key(scene: Scene) -> Expected:
    """Key compromise: a timestamp that names a snapshot which the thief cannot sign."""
    fleet = scene.fleet
    fleet.image.signers = {**fleet.image.signers, "snapshot": [new_signer()]}
    publish_next(fleet)
    return {"image": {Reason.UNSIGNED}}


def a_stolen_snapshot_key(scene: Scene) -> Expected:
    """With the timestamp's: a snapshot that names targets which the thief cannot sign."""
    fleet = scene.fleet
    fleet.image.signers = {**fleet.image.signers, "targets": [new_signer()]}
    fleet.image.publish("targets")
    return {"image": {Reason.UNSIGNED}}


def a_stolen_key_of_a_family(scene: Scene) -> Expected:
    """Without the snapshot's key nobody is shown what it signs."""
    fleet = scene.fleet
    role = fleet.image.roles["models-qa"]
    role.targets[RELEASE] = described(RELEASE, EVIL, role.targets[RELEASE].custom)
    fleet.image.put(f"{role.version}.models-qa.json", role, fleet.image.signers["models-qa"])
    held = fleet.image.roles["policies"].targets
    fleet.direct(HERE.device, {RELEASE: role.targets[RELEASE], POLICY: held[POLICY]})
    return {RELEASE: {Reason.DISAGREEMENT}}  # the device has the role's real metadata already


def a_stolen_key_of_a_family_and_the_directors(scene: Scene) -> Expected:
    """It signs for its own family alone: no policy, though snapshot and timestamp went along."""
    fleet = scene.fleet
    mine = "policies/clinic-east/default/4.toml"
    custom = {"kind": "policy", "site": "clinic-east", "number": 4}
    fleet.image.roles["models-qa"].targets[mine] = described(mine, EVIL, custom)
    fleet.image.publish("models-qa")
    fleet.files[image_target(mine, digest_of(EVIL))] = EVIL
    fleet.direct(HERE.device, {mine: fleet.image.roles["models-qa"].targets[mine]})
    return {mine: {Reason.NOT_IN_IMAGE}}


def a_stolen_directors_key(scene: Scene) -> Expected:
    """It chooses: an invented release, other bytes for a real one, another site's policy, and something older."""
    fleet = scene.fleet
    older, invented = "models/qa/intake/6.json", "models/qa/evil/1.json"
    fleet.offer(older, b'{"number":6}')
    held: dict[str, TargetFile] = {**fleet.image.roles["models-qa"].targets, **fleet.image.roles["policies"].targets}
    other_bytes = described(RELEASE, EVIL, {})
    wanted = {invented: described(invented, EVIL, {}), RELEASE: other_bytes, OTHERS: held[OTHERS], older: held[older]}
    for path in (invented, RELEASE):
        fleet.files[image_target(path, digest_of(EVIL))] = EVIL
    fleet.direct(HERE.device, wanted)
    return {
        invented: {Reason.NOT_IN_IMAGE},
        RELEASE: {Reason.DISAGREEMENT},
        OTHERS: {Reason.OTHER_SITE},
        older: {Reason.NUMBER_FELL},
    }


def one_stolen_root_key(scene: Scene) -> Expected:
    """Two of three must sign a root."""
    fleet = scene.fleet
    stolen = fleet.image.signers["root"][0]
    root = fleet.image.root
    root.version += 1
    root.add_key(new_signer().public_key, "targets")
    fleet.image.put("2.root.json", root, [stolen])
    publish_next(fleet)
    return {"image": {Reason.UNSIGNED}}


def the_directors_root_as_the_images(scene: Scene) -> Expected:
    """Key compromise: the same people sign both roots, so that the director's next would be a next one of the image's.

    By it the director's key would sign all of the image repository.
    """
    fleet = scene.fleet
    publish_next(fleet)
    director = fleet.director(HERE.device)
    director.rotate("targets", "snapshot", "timestamp")
    fleet.files[IMAGE + "2.root.json"] = fleet.files.pop(DIRECTOR + "2.root.json")
    fleet.image.signers = {**fleet.image.signers, **{role: director.signers[role] for role in ROLES[1:]}}
    fleet.image.publish("targets")
    return {"image": {Reason.WRONG_REPOSITORY}}


ATTACKS: list[Callable[[Scene], Expected]] = [
    software_that_nobody_signed,
    metadata_that_nobody_signed,
    an_older_image_repository,
    an_older_director,
    a_role_of_an_older_day,
    nothing_new_for_two_days,
    nothing_new_from_the_image_repository_for_two_months,
    another_devices_higher_versions,
    another_devices_timestamp_alone,
    another_devices_assignments,
    files_of_two_days,
    a_snapshot_of_another_day,
    endless_metadata,
    an_endless_root,
    metadata_byte_by_byte,
    silence,
    something_that_comes_along,
    something_that_a_role_lets_another_sign,
    software_for_another_device,
    a_policy_of_another_site,
    a_mirror_that_has_lost_a_file,
    a_mirror_that_tells_tales,
    a_mirror_that_nests_without_end,
    a_mirror_that_breaks_off,
    a_mirror_that_leads_elsewhere,
    a_stolen_timestamp_key,
    a_stolen_snapshot_key,
    a_stolen_key_of_a_family,
    a_stolen_key_of_a_family_and_the_directors,
    a_stolen_directors_key,
    one_stolen_root_key,
    the_directors_root_as_the_images,
]
BY_WHO_HAS_KEYS = {software_that_nobody_signed, something_that_a_role_lets_another_sign}
"""Of snapshot and timestamp too: other keys for these shut the thief out."""


def go_on(fleet: SignedFleet, *, now_s: int, with_other_keys: bool) -> None:
    """What honest people do after an attack: the next release, under versions above all that a thief has signed.

    Who had keys of snapshot and timestamp is shut out by other ones.
    """
    fleet.at(now_s)
    if with_other_keys:
        fleet.image.rotate("snapshot", "timestamp")
    fleet.offer(NEXT, NEXT_BODY)
    for _ in range(5):
        fleet.image.publish("targets", *fleet.image.roles)
        fleet.assign(HERE.device, NEXT, POLICY)


OVER_HTTPS = {
    software_that_nobody_signed,
    an_older_image_repository,
    nothing_new_for_two_days,
    another_devices_higher_versions,
    files_of_two_days,
    endless_metadata,
    metadata_byte_by_byte,
    something_that_comes_along,
    software_for_another_device,
    a_mirror_that_breaks_off,
    a_mirror_that_leads_elsewhere,
    a_stolen_directors_key,
    one_stolen_root_key,
    another_devices_assignments,
}
"""One of each class at least: a real server costs most of the time."""
THOROUGH = pytest.mark.thorough("another attack of each class goes over HTTPS every time")
PAIRS = [
    pytest.param(
        carrier,
        attack,
        id=f"{carrier}-{attack.__name__}",
        marks=THOROUGH if carrier == "https" and attack not in OVER_HTTPS else (),
    )
    for carrier in CARRIERS
    for attack in ATTACKS
]


@pytest.mark.parametrize(("carrier", "attack"), PAIRS, indirect=["carrier"], scope="module")
async def test_an_attack_is_refused_by_name_and_told_and_what_was_trusted_and_serves_still_does(
    device: Device, carrier: Carrier, attack: Callable[[Scene], Expected]
) -> None:
    before = device.files.held()
    scene = Scene(fleet=deepcopy(honest_fleet()), clock=device.clock)
    expected = attack(scene)

    looked = await device.look(carrier.source(scene.fleet.files, scene.faults))

    assert {one.about for one in looked.refused} == expected.keys()
    for one in looked.refused:
        assert one.reason in expected[one.about], one.sentence
    after = device.files.held()
    assert after.floors.lines == before.floors.lines
    for about, was, now in zip(("image", "director"), without_roots(before), without_roots(after), strict=True):
        assert about not in expected or now == was, f"something of {about} was taken up"
    may_be_agreed = set() if {"image", "director"} & expected.keys() else {RELEASE, POLICY}
    assert {one.target.path for one in looked.agreed} <= may_be_agreed

    made = await made_of(looked, device, target=RELEASE, digest=digest_of(BODY))  # what serves goes on serving
    assert (set(made.wanted) <= {7}, made.withdrawn) == (True, [])
    assert made.told == {one.reason.value for one in looked.refused} - {Reason.UNREACHABLE.value}

    honest = deepcopy(honest_fleet())
    go_on(honest, now_s=int(device.clock.wall_s), with_other_keys=attack in BY_WHO_HAS_KEYS)
    device.restart()
    assert await device.takes(RequestsCarrier().source(honest.files)) == {NEXT: NEXT_BODY, POLICY: POLICY_BODY}


@pytest.mark.parametrize("carrier", CARRIERS, indirect=True, scope="module")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (None, Reason.MISMATCHED),
        (Fault.ENDLESS, Reason.TOO_LONG),
        (Fault.SILENT, Reason.TOO_SLOW),
        (Fault.BROKEN, Reason.UNREACHABLE),
    ],
)
async def test_other_bytes_than_were_signed_are_never_handed_out(
    device: Device, carrier: Carrier, fault: Fault | None, reason: Reason
) -> None:
    fleet = deepcopy(honest_fleet())
    publish_next(fleet)
    name = image_target(NEXT, digest_of(NEXT_BODY))
    fleet.files[name] = NEXT_BODY[:-2] + b"9}"
    with pytest.raises(UntrustedError) as refused:
        await device.take(NEXT, carrier.source(fleet.files, {} if fault is None else {name: fault}))
    assert refused.value.reason in {reason, Reason.SOURCE_FAULT}
    assert device.files.held().floors.lines["models/qa/intake"].number == 7
