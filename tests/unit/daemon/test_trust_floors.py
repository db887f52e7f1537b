from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.trust_floors import (
    MAX_LINES,
    Floors,
    RepositoryFloors,
    Taken,
    Versions,
    fallen,
    refused_number,
    risen,
    with_taken,
    with_versions,
)
from homebred_daemon.core.trust_refusals import Reason

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ROLES = st.sampled_from(["timestamp", "snapshot", "targets", "models-qa"])
VERSIONS = st.builds(
    Versions,
    root=st.integers(1, 5),
    keys=st.sampled_from(["old", "new"]),
    versions=st.dictionaries(ROLES, st.integers(1, 9)),
)


def floors(**versions: int) -> RepositoryFloors:
    return RepositoryFloors(root=2, keys="old", versions=versions)


def test_a_version_below_its_floor_is_a_rollback_and_says_which() -> None:
    refused = fallen("image", floors(timestamp=5), Versions(root=2, keys="old", versions={"timestamp": 4}))
    assert refused is not None
    assert (refused.reason, refused.about) == (Reason.ROLLBACK, "image")
    assert refused.detail == "timestamp 4, 5 was taken"


def test_a_root_below_its_floor_is_a_rollback_whatever_keys_it_names() -> None:
    for keys in ("old", "new"):
        refused = fallen("image", floors(), Versions(root=1, keys=keys))
        assert refused is not None
        assert refused.detail == "root 1, 2 was taken"


def test_the_same_and_higher_versions_are_none() -> None:
    for version in (5, 6):
        assert (
            fallen("image", floors(timestamp=5), Versions(root=2, keys="old", versions={"timestamp": version})) is None
        )


def test_where_root_holders_gave_other_keys_versions_begin_anew() -> None:
    driven_up = floors(timestamp=2**31, targets=2**31)
    recovered = Versions(root=3, keys="new", versions={"timestamp": 7, "targets": 6})
    assert fallen("image", driven_up, recovered) is None
    assert risen(driven_up, recovered) == RepositoryFloors(root=3, keys="new", versions=recovered.versions)


@given(st.lists(VERSIONS, max_size=12))
def test_floors_never_fall_while_the_keys_are_the_same_and_roots_never_do(looks: list[Versions]) -> None:
    held = RepositoryFloors()
    for look in looks:
        if fallen("image", held, look) is not None:
            continue
        before, held = held, risen(held, look)
        assert held.root >= before.root
        if held.keys == before.keys:
            assert all(held.versions[role] >= version for role, version in before.versions.items())


def test_other_keys_of_the_director_take_its_word_on_time_and_stops_back() -> None:
    before = Floors(
        director=RepositoryFloors(root=1, keys="old", versions={"timestamp": 9}),
        stop_epoch=2**40,
        time_s=2**40,
        enrolled_at_s=1000,
        lines={"models/qa/x": Taken(number=3, digest=A)},
    )
    after = with_versions(before, None, Versions(root=2, keys="new"))
    assert (after.stop_epoch, after.time_s) == (0, 1000)
    assert after.director == RepositoryFloors(root=2, keys="new")
    assert after.lines == before.lines
    same = with_versions(before, Versions(root=1, keys="other"), Versions(root=1, keys="old"))
    assert (same.stop_epoch, same.time_s) == (2**40, 2**40)
    assert same.image.keys == "other"


def test_the_first_look_takes_nothing_back() -> None:
    after = with_versions(Floors(time_s=5000, enrolled_at_s=1000), None, Versions(root=1, keys="new"))
    assert after.time_s == 5000


def test_what_was_taken_is_the_least_of_its_line() -> None:
    held = with_taken(Floors(), "models/qa/x", 3, A)
    assert refused_number(held, "models/qa/x", 3, A) is None
    assert refused_number(held, "models/qa/x", 4, B) is None
    assert refused_number(held, "models/qa/x", 2, A) is Reason.NUMBER_FELL
    assert refused_number(held, "models/qa/x", 3, B) is Reason.NUMBER_REUSED
    assert refused_number(held, "models/qa/y", 1, B) is None


def test_a_device_remembers_so_many_lines_and_takes_no_more() -> None:
    held = Floors(lines={f"models/qa/n{number}": Taken(number=1, digest=A) for number in range(MAX_LINES)})
    assert refused_number(held, "models/qa/new", 1, A) is Reason.TOO_MANY_LINES
    assert refused_number(held, "models/qa/n1", 2, A) is None
