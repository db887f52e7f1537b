from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.callers import ANYONE, Rights, rights_of
from homebred_protocol.documents.policy import CallerProfile, Policy

POLICY = Policy(
    callers={
        "uid:7": CallerProfile(adds_classes=("client",), workflows=("a", "b")),
        "gid:8": CallerProfile(adds_classes=("patient",), may_escalate=False, workflows=("b", "c")),
        "gid:9": CallerProfile(may_escalate=True),
        "uid:0": CallerProfile(workflows=()),
        "token:desk": CallerProfile(may_escalate=True),
        "token:door": CallerProfile(adds_classes=("voice",)),
    }
)


def test_a_user_without_a_profile_may_do_anything() -> None:
    assert rights_of((), POLICY) == rights_of(("uid:1", "gid:2"), POLICY) == ANYONE
    assert ANYONE.allows_workflow("a")
    assert ANYONE.allows_workflow(None)


def test_profiles_that_match_are_merged_classes_by_union_workflows_by_intersection_permission_by_and() -> None:
    assert rights_of(("uid:7", "gid:8", "gid:9"), POLICY) == Rights(
        adds_classes=frozenset({"client", "patient"}), may_escalate=False, workflows=frozenset({"b"})
    )


@pytest.mark.parametrize(
    ("principals", "may_escalate"),
    [
        (("uid:7",), True),
        (("gid:8",), False),
        (("gid:8", "gid:9"), False),
        (("token:desk",), True),
        (("token:door",), False),
        (("token:unknown",), False),
        (("token:unknown", "uid:7"), False),
        (("token:desk", "token:unknown"), False),
    ],
)
def test_a_gateway_token_may_escalate_only_where_its_profile_says_so(
    principals: tuple[str, ...],
    may_escalate: bool,  # noqa: FBT001  # a table's column
) -> None:
    assert rights_of(principals, POLICY).may_escalate is may_escalate


def test_a_token_without_a_profile_keeps_what_others_of_the_caller_say() -> None:
    rights = rights_of(("uid:7", "token:unknown"), POLICY)
    assert (rights.adds_classes, rights.workflows) == (frozenset({"client"}), frozenset({"a", "b"}))


def test_a_limited_caller_may_not_send_a_task_without_a_workflow() -> None:
    assert not rights_of(("uid:7",), POLICY).allows_workflow(None)
    assert not rights_of(("uid:0",), POLICY).allows_workflow("a")


@given(principals=st.lists(st.sampled_from([*POLICY.callers, "uid:1", "token:unknown"])), further=st.integers(0, 7))
def test_a_further_principal_only_ever_narrows_and_their_order_is_nothing(principals: list[str], further: int) -> None:
    one = rights_of(tuple(principals), POLICY)
    more = rights_of((*principals, [*POLICY.callers, "uid:1", "token:unknown"][further]), POLICY)
    assert one == rights_of(tuple(reversed(principals)), POLICY)
    assert one.adds_classes <= more.adds_classes
    assert one.may_escalate or not more.may_escalate
    assert all(one.allows_workflow(name) or not more.allows_workflow(name) for name in ("a", "b", "c", None))
