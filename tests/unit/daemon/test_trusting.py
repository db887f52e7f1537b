from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest
from tests.support.trust_stage import HERE, NOW_S, FixedSource, MemoryTrust, ScriptedChecker, SettableClock
from typing_extensions import override

from homebred_daemon.core.trust import Described, Seen
from homebred_daemon.core.trust_floors import Floors, RepositoryFloors, Taken, Versions
from homebred_daemon.core.trust_refusals import Reason, Refusal
from homebred_daemon.errors import StateError, UntrustedError
from homebred_daemon.ports.trust import Checked, CheckedTrust, HeldRepository, HeldTrust, TrustSource
from homebred_daemon.services.releases.trusting import Trusting
from homebred_protocol.digests import digest_of
from homebred_protocol.trusted_files import image_target

PATH, BODY = "models/qa/intake/7.json", b'{"number":7}'
LINE, DIGEST = "models/qa/intake", digest_of(BODY)
NAME = image_target(PATH, DIGEST)
DAY_S = 86_400


def held(**floors: Any) -> HeldTrust:
    image = HeldRepository(pinned=b"i", files={"timestamp.json": b"old"})
    director = HeldRepository(pinned=b"d", files={"timestamp.json": b"old", "root_history/1.root.json": b"1"})
    base = Floors(
        image=RepositoryFloors(keys="i", versions={"timestamp": 5}),
        director=RepositoryFloors(keys="d", versions={"timestamp": 5}),
        time_s=NOW_S - 1000,
    )
    return HeldTrust(image=image, director=director, floors=replace(base, **floors))


def checked(keys: str, *, version: int = 6, device: str = "", refusal: Refusal | None = None, root: int = 1) -> Checked:
    """A repository that holds one release, verified whole unless it was refused."""
    versions = Versions(root=root, keys=keys, versions={} if refusal else {"timestamp": version})
    lease = {"stop_epoch": 2, "issued_at_s": NOW_S, "expires_at_s": NOW_S + DAY_S}
    custom = {"device": device, "lease": lease} if device else {"kind": "release", "site": "", "number": 7}
    release = Described(length=len(BODY), hashes={"sha256": DIGEST[7:]}, custom=custom, role="models-qa")
    seen = Seen(versions=versions, expires_at_s=NOW_S + DAY_S, targets={PATH: release}, device=device)
    return Checked(
        files={"timestamp.json": b"new", f"root_history/{root}.root.json": b"r"},
        versions=versions,
        seen=None if refusal else seen,
        refusal=refusal,
    )


def look_of(image: Checked | None = None, director: Checked | None = None) -> CheckedTrust:
    return CheckedTrust(image=image or checked("i"), director=director or checked("d", device=HERE.device))


def trusting(*found: CheckedTrust | UntrustedError, trust: HeldTrust | None = None) -> tuple[Trusting, MemoryTrust]:
    memory = MemoryTrust(trust or held())
    return Trusting(memory, ScriptedChecker(*found), SettableClock(), HERE), memory


async def test_what_was_verified_is_kept_with_its_floors_before_anything_is_agreed_upon() -> None:
    one, memory = trusting(look_of())
    looked = await one.look(FixedSource({}))
    assert [agreed.target.path for agreed in looked.agreed] == [PATH]
    assert looked.refused == ()
    assert memory.trust.image.files["timestamp.json"] == b"new"
    assert memory.trust.floors.image.versions == {"timestamp": 6}
    assert (memory.trust.floors.stop_epoch, memory.trust.floors.time_s) == (2, NOW_S)
    assert memory.trust.floors.lines == {}


async def test_where_the_disk_takes_nothing_nothing_is_agreed_upon() -> None:
    one, memory = trusting(look_of())
    memory.fails = True
    with pytest.raises(StateError):
        await one.look(FixedSource({}))
    assert memory.trust == held()


async def test_what_another_process_took_up_during_a_look_is_not_overwritten() -> None:
    newer = held(image=RepositoryFloors(keys="i", versions={"timestamp": 99}))

    class Beside(ScriptedChecker):
        @override
        async def check(self, held: HeldTrust, source: TrustSource, *, device: str, now_s: int) -> CheckedTrust:
            memory.trust = newer
            return await super().check(held, source, device=device, now_s=now_s)

    memory = MemoryTrust(held())
    one = Trusting(memory, Beside(look_of(), look_of()), SettableClock(), HERE)
    with pytest.raises(StateError, match="another program"):
        await one.look(FixedSource({}))
    assert memory.trust == newer
    looked = await one.look(FixedSource({}))
    assert [refused.reason for refused in looked.refused] == [Reason.ROLLBACK]
    assert memory.trust.floors.image.versions == {"timestamp": 99}


REFUSED = Refusal(reason=Reason.EXPIRED, about="image")


@pytest.mark.parametrize(
    ("found", "about", "reason"),
    [
        (look_of(image=checked("i", refusal=REFUSED, root=2)), "image", Reason.EXPIRED),
        (look_of(image=checked("i", version=4, root=2)), "image", Reason.ROLLBACK),
        (look_of(director=checked("d", version=4, device=HERE.device, root=2)), "director", Reason.ROLLBACK),
        (look_of(director=checked("d", device="kiosk-2", root=2)), "director", Reason.OTHER_DEVICE),
    ],
)
async def test_of_a_repository_that_is_refused_roots_alone_are_kept(
    found: CheckedTrust, about: str, reason: Reason
) -> None:
    one, memory = trusting(found)
    looked = await one.look(FixedSource({}))
    assert looked.agreed == ()
    assert [(refused.about, refused.reason) for refused in looked.refused] == [(about, reason)]
    kept = memory.trust.image if about == "image" else memory.trust.director
    floors = memory.trust.floors.image if about == "image" else memory.trust.floors.director
    assert kept.files["timestamp.json"] == b"old"
    assert kept.files["root_history/2.root.json"] == b"r"
    assert (floors.root, floors.versions) == (2, {"timestamp": 5})


async def test_a_root_below_its_floor_leaves_everything_as_it_was() -> None:
    trust = held(image=RepositoryFloors(root=3, keys="i"))
    one, memory = trusting(look_of(image=checked("other", root=2)), trust=trust)
    looked = await one.look(FixedSource({}))
    assert [refused.reason for refused in looked.refused] == [Reason.ROLLBACK]
    assert memory.trust.image == trust.image
    assert memory.trust.floors.image == trust.floors.image


async def test_other_keys_of_the_director_are_remembered_though_nothing_else_was_verified() -> None:
    refused = Refusal(reason=Reason.EXPIRED, about="director")
    trust = held(time_s=NOW_S + 30 * DAY_S, stop_epoch=2**40, enrolled_at_s=1000)
    one, memory = trusting(look_of(director=checked("new", root=2, refusal=refused)), trust=trust)
    await one.look(FixedSource({}))
    assert (memory.trust.floors.time_s, memory.trust.floors.stop_epoch) == (1000, 0)


async def test_where_nobody_could_look_all_is_as_it_was() -> None:
    one, memory = trusting(Refusal(reason=Reason.CHECK_FAILED, detail="killed").error())
    looked = await one.look(FixedSource({}))
    assert looked.refused == (Refusal(reason=Reason.CHECK_FAILED, detail="killed"),)
    assert memory.kept == 0


async def test_why_a_role_could_not_be_verified_is_told_of_its_targets() -> None:
    why = Refusal(reason=Reason.UNSIGNED, about=PATH)
    image = checked("i")
    assert image.seen is not None
    image = replace(image, seen=replace(image.seen, targets={}), withheld={PATH: why})
    one, _ = trusting(look_of(image=image))
    assert (await one.look(FixedSource({}))).refused == (why,)


async def test_a_target_is_handed_out_once_its_number_is_a_floor() -> None:
    one, memory = trusting(look_of())
    (agreed,) = (await one.look(FixedSource({}))).agreed
    taken = await one.take(agreed, FixedSource({NAME: BODY}))
    assert (taken.body, taken.lease) == (BODY, agreed.lease)
    assert memory.trust.floors.lines == {LINE: Taken(number=7, digest=DIGEST)}


@pytest.mark.parametrize("body", [b"", BODY[:-1], BODY[:-1] + b" "])
async def test_other_bytes_are_not_handed_out(body: bytes) -> None:
    one, memory = trusting(look_of())
    (agreed,) = (await one.look(FixedSource({}))).agreed
    with pytest.raises(UntrustedError) as refused:
        await one.take(agreed, FixedSource({NAME: body}))
    assert refused.value.reason == Reason.MISMATCHED
    assert memory.trust.floors.lines == {}


async def test_where_a_newer_one_was_taken_since_the_older_is_not() -> None:
    one, memory = trusting(look_of())
    (agreed,) = (await one.look(FixedSource({}))).agreed
    newer = replace(memory.trust.floors, lines={LINE: Taken(number=8, digest=DIGEST)})
    memory.trust = replace(memory.trust, floors=newer)
    with pytest.raises(UntrustedError) as refused:
        await one.take(agreed, FixedSource({NAME: BODY}))
    assert refused.value.reason == Reason.NUMBER_FELL


async def test_where_its_floor_cannot_be_kept_a_target_is_not_handed_out() -> None:
    one, memory = trusting(look_of())
    (agreed,) = (await one.look(FixedSource({}))).agreed
    memory.fails = True
    with pytest.raises(StateError):
        await one.take(agreed, FixedSource({NAME: BODY}))


async def test_time_goes_on_by_the_devices_own_seconds_while_its_clock_is_wrong() -> None:
    memory, clock = MemoryTrust(held()), SettableClock()
    checker = ScriptedChecker(look_of(), look_of(), look_of())
    one = Trusting(memory, checker, clock, HERE)
    clock.wall_s = 0.0
    await one.look(FixedSource({}))
    clock.passed_s += 5000.5
    await one.look(FixedSource({}))
    assert memory.trust.floors.time_s == NOW_S + 5000
    clock.passed_s += 5000.5
    await one.look(FixedSource({}))
    assert memory.trust.floors.time_s == NOW_S + 10_001
    assert checker.asked_at_s == [NOW_S - 1000, NOW_S + 5000, NOW_S + 10_001]


async def test_a_clock_ahead_is_asked_by_and_leaves_nothing_behind() -> None:
    memory, clock = MemoryTrust(held()), SettableClock()
    checker = ScriptedChecker(look_of(image=checked("i", refusal=REFUSED)), look_of())
    one = Trusting(memory, checker, clock, HERE)
    clock.wall_s = NOW_S + 3650 * DAY_S
    await one.look(FixedSource({}))
    clock.wall_s = NOW_S
    await one.look(FixedSource({}))
    assert checker.asked_at_s == [NOW_S + 3650 * DAY_S, NOW_S]


async def test_others_ask_for_trusted_time_and_for_the_highest_stop_that_is_known() -> None:
    memory, clock = MemoryTrust(held(stop_epoch=2)), SettableClock()
    one = Trusting(memory, ScriptedChecker(), clock, HERE)
    await one.recall()
    assert (one.now_s(), one.stop_epoch) == (NOW_S, 2)
    clock.wall_s = 0.0
    assert one.now_s() == memory.trust.floors.time_s
    clock.passed_s += DAY_S
    assert one.now_s() == memory.trust.floors.time_s + DAY_S


async def test_time_is_told_while_somebody_looks_slowly() -> None:
    looks, goes_on = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedChecker):
        @override
        async def check(self, held: HeldTrust, source: TrustSource, *, device: str, now_s: int) -> CheckedTrust:
            looks.set()
            await goes_on.wait()
            return await super().check(held, source, device=device, now_s=now_s)

    one = Trusting(MemoryTrust(held()), Slow(look_of()), SettableClock(), HERE)
    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(one.look(FixedSource({})))
        await looks.wait()
        assert one.now_s() == NOW_S
        goes_on.set()
    assert looking.result().refused == ()


async def test_who_gives_up_on_a_look_while_it_is_kept_does_not_count_time_twice() -> None:
    keeps, goes_on = threading.Event(), threading.Event()

    class SlowDisk(MemoryTrust):
        @override
        def keep(self, trust: HeldTrust, *, follows: HeldTrust) -> None:
            keeps.set()
            goes_on.wait(20)
            super().keep(trust, follows=follows)

    memory, clock = SlowDisk(held()), SettableClock()
    one = Trusting(memory, ScriptedChecker(look_of(), look_of()), clock, HERE)
    clock.wall_s = 0.0
    clock.passed_s += 5000
    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(one.look(FixedSource({})))
        await asyncio.to_thread(keeps.wait, 20)
        looking.cancel()
    goes_on.set()
    await one.look(FixedSource({}))
    assert memory.trust.floors.time_s == NOW_S - 1000 + 5000
    assert memory.kept == 2
