from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.trust import (
    LATEST_S,
    MAX_WANTED,
    Agreed,
    Described,
    Here,
    Lease,
    Seen,
    highest_epoch,
    judge,
    misdirected,
    raised_time_s,
    refused_lease,
    trusted_time_s,
)
from homebred_daemon.core.trust_floors import Floors, Taken, Versions
from homebred_daemon.core.trust_refusals import Reason
from homebred_protocol.targets import MAX_TARGET_BYTES, Kind, Target, read_target

HERE = Here(device="kiosk-1", site="clinic-east")
HASHES = {"sha256": "a" * 64}
RELEASE = Target(kind=Kind.RELEASE, group="qa", name="intake", number=7)
POLICY = Target(kind=Kind.POLICY, group="clinic-east", name="default", number=3)
NOW_S, LATER_S = 1_796_000_000, 1_796_086_400
LEASE = {"stop_epoch": 0, "issued_at_s": NOW_S, "expires_at_s": LATER_S}


def wanted(device: str = "kiosk-1", **more: Any) -> Described:
    made = Described(length=100, hashes=HASHES, custom={"device": device, "lease": LEASE})
    return replace(made, **more)


def offered(target: Target = RELEASE, site: str = "", role: str = "models-qa", **more: Any) -> Described:
    custom = {"kind": target.kind.name.lower(), "site": site, "number": target.number}
    return replace(Described(length=100, hashes=HASHES, custom=custom, role=role), **more)


def seen(targets: dict[str, Described], *, device: str = "", expires_at_s: int = LATER_S) -> Seen:
    return Seen(versions=Versions(root=1, keys="k"), expires_at_s=expires_at_s, targets=targets, device=device)


def reason(
    want: Described | None = None,
    offer: Described | None = None,
    path: str = RELEASE.path,
    floors: Floors | None = None,
) -> Reason | None:
    """Why it is refused; None: it is agreed upon."""
    image = seen({} if offer is None else {path: offer})
    judged = judge(image, seen({path: want or wanted()}, device="kiosk-1"), floors or Floors(), HERE)
    assert len(judged.agreed) + len(judged.refused) == 1
    return judged.refused[0].reason if judged.refused else None


def test_what_both_hold_for_this_device_is_agreed_upon() -> None:
    judged = judge(seen({RELEASE.path: offered()}), seen({RELEASE.path: wanted()}), Floors(), HERE)
    assert judged.refused == ()
    (agreed,) = judged.agreed
    assert (agreed.target, agreed.digest, agreed.length) == (RELEASE, "sha256:" + "a" * 64, 100)
    assert agreed.lease == Lease(device="kiosk-1", digest=agreed.digest, **LEASE)


def test_what_the_image_repository_does_not_hold_is_refused() -> None:
    assert reason() is Reason.NOT_IN_IMAGE


@pytest.mark.parametrize("path", ["models/qa/intake/07.json", "etc/passwd", "", "models/qa/intake/7.json.sig"])
def test_a_path_of_no_kind_that_is_known_is_refused(path: str) -> None:
    assert reason(offer=offered(), path=path) is Reason.UNKNOWN_PATH


@pytest.mark.parametrize(
    "offer",
    [
        offered(length=101),
        offered(hashes={"sha256": "b" * 64}),
        offered(hashes={}),
        offered(hashes={**HASHES, "sha512": "c" * 128}),
    ],
)
def test_other_bytes_than_the_director_means_are_refused(offer: Described) -> None:
    assert reason(offer=offer) is Reason.DISAGREEMENT


@pytest.mark.parametrize("hashes", [{}, {"sha512": "c" * 128}, {"sha256": "a" * 63}, {"sha256": "../" + "a" * 61}])
def test_without_a_whole_sha256_nothing_is_agreed_upon(hashes: dict[str, str]) -> None:
    assert reason(wanted(hashes=hashes), offered(hashes=hashes)) is Reason.DISAGREEMENT


@pytest.mark.parametrize("custom", [{}, {"kind": "policy"}, {"kind": "release", "site": "", "number": 8}])
def test_a_target_whose_signed_facts_are_not_its_names_is_refused(custom: dict[str, Any]) -> None:
    assert reason(offer=offered(custom=custom)) is Reason.DISAGREEMENT


def test_what_is_signed_for_another_device_is_refused() -> None:
    assert reason(wanted("kiosk-2"), offered()) is Reason.OTHER_DEVICE
    assert reason(wanted(custom={"lease": LEASE}), offered()) is Reason.OTHER_DEVICE


def test_a_role_signs_for_its_own_kind_and_family_alone() -> None:
    assert reason(offer=offered(role="models-vision")) is Reason.WRONG_ROLE
    assert reason(offer=offered(role="targets")) is Reason.WRONG_ROLE
    assert reason(offer=offered(role="")) is Reason.WRONG_ROLE


def test_a_target_is_small() -> None:
    length = MAX_TARGET_BYTES + 1
    assert reason(wanted(length=length), offered(length=length)) is Reason.TOO_LARGE


def test_a_release_may_be_for_every_site_or_for_this_one() -> None:
    assert reason(offer=offered(site="clinic-east")) is None
    assert reason(offer=offered(site="clinic-west")) is Reason.OTHER_SITE


@pytest.mark.parametrize("site", ["", "clinic-west"])
def test_a_policy_is_for_its_own_site_and_says_so(site: str) -> None:
    assert reason(offer=offered(POLICY, "clinic-east", "policies"), path=POLICY.path) is None
    assert reason(offer=offered(POLICY, site, "policies"), path=POLICY.path) is Reason.OTHER_SITE


def test_a_policy_of_another_site_is_refused_though_its_facts_name_this_one() -> None:
    other = replace(POLICY, group="clinic-west")
    assert reason(offer=offered(other, "clinic-east", "policies"), path=other.path) is Reason.OTHER_SITE


def test_what_is_below_the_floor_of_its_line_is_refused() -> None:
    for number, why in ((6, None), (7, None), (8, Reason.NUMBER_FELL)):
        floors = Floors(lines={RELEASE.line: Taken(number=number, digest="sha256:" + "a" * 64)})
        assert reason(offer=offered(), floors=floors) is why
    floors = Floors(lines={RELEASE.line: Taken(number=7, digest="sha256:" + "b" * 64)})
    assert reason(offer=offered(), floors=floors) is Reason.NUMBER_REUSED


@pytest.mark.parametrize(
    "lease",
    [None, [], {}, {**LEASE, "stop_epoch": -1}, {**LEASE, "stop_epoch": True}, {**LEASE, "issued_at_s": 2**60},
     {**LEASE, "expires_at_s": "never"}],
)  # fmt: skip
def test_without_a_lease_that_can_be_read_nothing_is_agreed_upon(lease: object) -> None:
    assert reason(wanted(custom={"device": "kiosk-1", "lease": lease}), offered()) is Reason.NO_LEASE


def test_one_that_is_refused_keeps_no_other_back() -> None:
    other = replace(RELEASE, name="other")
    director = seen({RELEASE.path: wanted(), other.path: wanted()})
    judged = judge(seen({RELEASE.path: offered()}), director, Floors(), HERE)
    assert [one.target for one in judged.agreed] == [RELEASE]
    assert [(one.about, one.reason) for one in judged.refused] == [(other.path, Reason.NOT_IN_IMAGE)]


FIELDS = st.sampled_from(["device", "lease", "kind", "site", "number"])
VALUES = st.sampled_from(
    ["kiosk-1", "kiosk-2", "release", "policy", "", "clinic-east", "clinic-west", 3, 7, None, LEASE]
)
DESCRIBED = st.builds(
    Described,
    length=st.sampled_from([0, 100, MAX_TARGET_BYTES + 1]),
    hashes=st.sampled_from([HASHES, {}, {"sha256": "b" * 64}]),
    custom=st.one_of(
        st.sampled_from([wanted().custom, offered().custom, offered(POLICY, "clinic-east").custom]),
        st.dictionaries(FIELDS, VALUES),
    ),
    role=st.sampled_from(["models-qa", "policies", "", "targets"]),
)
PATHS = st.sampled_from([RELEASE.path, POLICY.path, "policies/clinic-west/default/3.toml", "models/qa/x/0.json"])
FLOORS = st.builds(
    Floors,
    lines=st.dictionaries(
        st.sampled_from([RELEASE.line, POLICY.line]),
        st.builds(
            Taken, number=st.integers(1, 9), digest=st.sampled_from(["sha256:" + "a" * 64, "sha256:" + "b" * 64])
        ),
    ),
)


@given(st.dictionaries(PATHS, DESCRIBED), st.dictionaries(PATHS, DESCRIBED), FLOORS)
def test_whatever_a_stolen_director_says_nothing_is_taken_that_its_owners_did_not_sign_for_this_site(
    image: dict[str, Described], director: dict[str, Described], floors: Floors
) -> None:
    judged = judge(seen(image), seen(director), floors, HERE)
    assert {one.target.path for one in judged.agreed} | {one.about for one in judged.refused} == director.keys()
    for one in judged.agreed:
        held = image[one.target.path]
        assert read_target(one.target.path) == one.target
        assert (one.digest, one.length) == (f"sha256:{held.hashes['sha256']}", held.length)
        assert held.custom["site"] in {"", "clinic-east"}
        assert not one.target.kind.is_for_a_site or one.target.group == "clinic-east"
        taken = floors.lines.get(one.target.line)
        if taken is not None and one.target.number <= taken.number:
            assert (one.target.number, one.digest) == (taken.number, taken.digest)
        assert one.lease.device == "kiosk-1"


def agreed() -> Agreed:
    return judge(seen({RELEASE.path: offered()}), seen({RELEASE.path: wanted()}), Floors(), HERE).agreed[0]


def lease_reason(
    *, device: str = "kiosk-1", digest: str = "sha256:" + "a" * 64, stop_epoch: int = 0, now_s: int = NOW_S
) -> Reason | None:
    refused = refused_lease(agreed().lease, device=device, digest=digest, stop_epoch=stop_epoch, now_s=now_s)
    return refused.reason if refused else None


def test_a_lease_is_in_force_for_its_device_its_bytes_and_its_time() -> None:
    assert lease_reason() is None
    assert lease_reason(now_s=LATER_S - 1) is None
    assert lease_reason(now_s=LATER_S) is Reason.LEASE_EXPIRED
    assert lease_reason(device="kiosk-2") is Reason.OTHER_DEVICE
    assert lease_reason(digest="sha256:" + "b" * 64) is Reason.OTHER_DIGEST


def test_a_stop_beats_a_start() -> None:
    assert lease_reason(stop_epoch=1) is Reason.STOPPED


def test_what_the_director_signed_for_another_device_is_not_taken_up_at_all() -> None:
    assert misdirected(seen({}, device="kiosk-1"), "kiosk-1") is None
    for device in ("kiosk-2", ""):
        refused = misdirected(seen({}, device=device), "kiosk-1")
        assert refused is not None
        assert refused.reason is Reason.OTHER_DEVICE


def test_a_director_that_names_too_much_is_refused() -> None:
    many = {f"models/qa/n{number}/1.json": wanted() for number in range(MAX_WANTED + 1)}
    refused = misdirected(seen(many, device="kiosk-1"), "kiosk-1")
    assert refused is not None
    assert refused.reason is Reason.TOO_MANY


@given(st.integers(0, LATEST_S), st.floats(-1e12, 1e12))
def test_trusted_time_is_never_before_what_has_passed_nor_beyond_all_dates(floor_s: int, wall_s: float) -> None:
    assert floor_s <= trusted_time_s(floor_s, wall_s) <= LATEST_S


def test_a_clock_ahead_is_believed_and_one_behind_is_not() -> None:
    assert trusted_time_s(NOW_S, NOW_S + 50.0) == NOW_S + 50
    assert trusted_time_s(NOW_S, 0.0) == NOW_S


def leased(issued_at_s: int, stop_epoch: int = 0, *, expires_at_s: int = LATER_S) -> Seen:
    lease = {"stop_epoch": stop_epoch, "issued_at_s": issued_at_s, "expires_at_s": LATER_S}
    one = wanted(custom={"device": "kiosk-1", "lease": lease})
    return seen({RELEASE.path: one}, device="kiosk-1", expires_at_s=expires_at_s)


def test_time_rises_with_what_the_director_says_and_no_further_than_to_the_first_expiry() -> None:
    image = seen({}, expires_at_s=NOW_S + 500)
    assert raised_time_s(Floors(time_s=NOW_S - 9), image, leased(NOW_S)) == NOW_S
    assert raised_time_s(Floors(time_s=NOW_S + 9), image, leased(NOW_S)) == NOW_S + 9
    assert raised_time_s(Floors(), image, leased(2**50)) == NOW_S + 499
    assert raised_time_s(Floors(time_s=5), image, seen({})) == 5


def test_the_stop_epoch_rises_with_leases() -> None:
    assert highest_epoch(Floors(stop_epoch=3), leased(NOW_S, 2)) == 3
    assert highest_epoch(Floors(stop_epoch=3), leased(NOW_S, 4)) == 4
