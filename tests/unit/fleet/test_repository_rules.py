"""The rules of what is signed: lives and warnings, numbers that rise, targets that devices would take."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_fleet.core.lifetimes import DAY_S
from homebred_fleet.core.repository_rules import (
    Freshness,
    check_addition,
    custom_of,
    freshness,
    life_s,
    next_version,
    raised,
    site_of,
    target_at,
)
from homebred_fleet.errors import ConflictError, RequestError
from homebred_protocol.targets import MAX_TARGET_BYTES, MAX_TARGETS

RELEASE = target_at("models/qa/intake-3/7.json")
POLICY = target_at("policies/clinic-east/main/2.toml")
MANIFEST = {"kind": "release", "family": "qa", "id": "intake-3", "number": 7}


def manifest(**other: object) -> bytes:
    return json.dumps(MANIFEST | other).encode()


def test_what_is_signed_often_lives_short_and_what_lies_in_a_safe_long() -> None:
    lives = {role: life_s(role) // DAY_S for role in ("root", "targets", "models-qa", "snapshot", "timestamp")}
    assert lives == {"root": 365, "targets": 365, "models-qa": 365, "snapshot": 90, "timestamp": 30}


@pytest.mark.parametrize(
    ("left_days", "found"),
    [
        (30, Freshness.GOOD),
        (11, Freshness.GOOD),
        (10, Freshness.ENDING),
        (4, Freshness.ENDING),
        (3, Freshness.URGENT),
        (1, Freshness.URGENT),
        (0, Freshness.EXPIRED),
        (-400, Freshness.EXPIRED),
    ],
)
def test_a_timestamp_warns_in_its_last_third_and_loudly_in_its_last_tenth(left_days: int, found: Freshness) -> None:
    assert freshness("timestamp", 1000 * DAY_S, (1000 - left_days) * DAY_S) is found


def test_versions_begin_at_one_and_rise_by_one() -> None:
    assert (next_version(None), next_version(1), next_version(41)) == (1, 2, 42)


@pytest.mark.parametrize("path", ["", "models/qa/x/0.json", "models/qa/x/1.toml", "../x", "models/QA/x/1.json"])
def test_what_is_no_targets_name_is_refused_with_the_form_of_one(path: str) -> None:
    with pytest.raises(RequestError) as refused:
        target_at(path)
    assert "models/FAMILY/NAME/NUMBER.json" in refused.value.hint


def test_a_policy_is_bound_to_the_site_of_its_name_and_a_release_to_the_one_that_was_named() -> None:
    assert custom_of(POLICY, "") == {"kind": "policy", "site": "clinic-east", "number": 2}
    assert custom_of(RELEASE, "") == {"kind": "release", "site": "", "number": 7}
    assert custom_of(RELEASE, "clinic-east")["site"] == "clinic-east"


@pytest.mark.parametrize("site", ["Clinic", "a b", "-", "x" * 40])
def test_what_cannot_be_a_site_is_refused(site: str) -> None:
    with pytest.raises(RequestError, match="no site's name"):
        custom_of(RELEASE, site)


def test_nobody_signs_what_no_device_would_take() -> None:
    gazetteer = target_at("gazetteers/clinic-east/names/2.toml")
    digest = "sha256:" + "a" * 64
    check_addition(POLICY, b"version = 1\n", held=0, floor=0)
    check_addition(gazetteer, f'version = 1\ndigest = "{digest}"\nlength = 7\n'.encode(), held=0, floor=0)
    for target, body, problem in (
        (POLICY, b"verson = 1\n", "verson: is not a known key"),
        (gazetteer, b'{"text": "Ada Nilsson", "class": "patient"}\n', "gazetteer add"),
    ):
        with pytest.raises(RequestError, match=problem) as refused:
            check_addition(target, body, held=0, floor=0)
        assert "Nilsson" not in str(refused.value)


def test_a_policy_is_not_signed_for_another_site_than_its_name_says() -> None:
    with pytest.raises(RequestError, match="for the site clinic-east, not for clinic-west"):
        custom_of(POLICY, "clinic-west")


@pytest.mark.parametrize("floor", [7, 8, 100])
def test_a_number_that_does_not_rise_is_refused_with_the_next_one(floor: int) -> None:
    with pytest.raises(ConflictError) as refused:
        check_addition(RELEASE, manifest(), held=0, floor=floor)
    assert f"number it {floor + 1}" in refused.value.hint


def test_a_role_that_is_full_takes_no_more() -> None:
    check_addition(RELEASE, manifest(), held=MAX_TARGETS - 1, floor=6)
    with pytest.raises(ConflictError, match="at most 200"):
        check_addition(RELEASE, manifest(), held=MAX_TARGETS, floor=6)


@pytest.mark.parametrize("body", [b"", b"#" * (MAX_TARGET_BYTES + 1)])
def test_a_target_that_no_device_takes_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError, match="1,048,576 bytes"):
        check_addition(POLICY, body, held=0, floor=0)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (manifest(number=8), "`number` is 8, not 7"),
        (manifest(family="ocr"), "`family` is 'ocr', not 'qa'"),
        (manifest(kind="policy"), "`kind`"),
        (manifest(sites="clinic-east"), "`sites` are no names"),
        (manifest(sites=["Clinic East"]), "`sites` are no names"),
        (manifest(sites=None), "`sites` are no names"),
        (manifest(fitness=0.91), "0.91 is a fraction"),
        (manifest(fitness=float("inf")), "Infinity is a fraction"),
        (b"[]", "no JSON object"),
        (b"version = 1", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_a_manifest_that_is_not_what_its_name_says_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        check_addition(RELEASE, body, held=0, floor=0)


def test_a_release_is_signed_for_the_only_site_of_its_manifest_and_never_for_another() -> None:
    two, one = manifest(sites=["clinic-east", "clinic-west"]), manifest(sites=["clinic-east"])
    assert site_of(RELEASE, one, "") == "clinic-east"
    assert site_of(RELEASE, two, "") == ""
    assert site_of(RELEASE, two, "clinic-west") == "clinic-west"
    assert site_of(RELEASE, manifest(), "clinic-north") == "clinic-north"
    assert site_of(POLICY, b"no JSON", "") == ""
    for bound in (one, two):
        with pytest.raises(RequestError, match="and not to clinic-north"):
            site_of(RELEASE, bound, "clinic-north")


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 50)), max_size=20))
def test_the_numbers_of_lines_never_fall(added: list[tuple[str, int]]) -> None:
    floors: dict[str, int] = {}
    for name, number in added:
        before = dict(floors)
        floors = raised(floors, [target_at(f"models/qa/{name}/{number}.json")])
        assert all(floors[line] >= before[line] for line in before)
    assert floors == {
        f"models/qa/{name}": max(number for other, number in added if other == name) for name, _ in sorted(added)
    }
