"""Roles of peers: who calls, who operates, who reviews."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.access import AccessRules, Peer, Role, roles_of

ALL = frozenset(Role)
RULES = AccessRules(
    own_uid=900,
    callers=frozenset({"gid:50"}),
    operators=frozenset({"uid:1001", "gid:60"}),
    reviewers=frozenset({"gid:70"}),
)


def peer(uid: int, *gids: int) -> Peer:
    return Peer(uid=uid, gids=gids, pid=1)


def test_a_peer_is_known_by_its_user_then_its_groups() -> None:
    assert peer(1000, 1000, 27, 1000).principals == ("uid:1000", "gid:1000", "gid:27")


@pytest.mark.parametrize(
    ("who", "roles"),
    [
        (peer(0, 0), ALL),
        (peer(900, 900), ALL),
        (peer(1000, 50), {Role.CALLER}),
        (peer(1000, 1000, 4, 50), {Role.CALLER}),
        (peer(1001, 1001), {Role.CALLER, Role.OPERATOR}),
        (peer(1000, 1000, 60), {Role.CALLER, Role.OPERATOR}),
        (peer(1000, 70), {Role.CALLER, Role.REVIEWER}),
        (peer(1001, 70), ALL),
        (peer(50, 1000), set()),
        (peer(1000, 1000), set()),
        (peer(1000), set()),
    ],
)
def test_a_role_comes_from_the_user_or_any_group(who: Peer, roles: set[Role]) -> None:
    assert roles_of(who, RULES) == roles


numbers = st.integers(min_value=1, max_value=5)
principals = st.frozensets(st.builds("{}:{}".format, st.sampled_from(("uid", "gid")), numbers), max_size=3)


@given(
    st.builds(peer, numbers, numbers, numbers),
    st.builds(AccessRules, own_uid=st.integers(6, 9), callers=principals, operators=principals, reviewers=principals),
)
def test_whoever_is_named_nowhere_has_no_role_and_whoever_has_one_may_call(who: Peer, rules: AccessRules) -> None:
    roles = roles_of(who, rules)
    named = set(who.principals) & (rules.callers | rules.operators | rules.reviewers)
    assert bool(roles) == bool(named)
    assert not roles or Role.CALLER in roles
    assert (Role.OPERATOR in roles) == bool(set(who.principals) & rules.operators)
    assert (Role.REVIEWER in roles) == bool(set(who.principals) & rules.reviewers)


def test_by_default_only_root_and_the_daemons_own_user_have_a_role() -> None:
    rules = AccessRules(own_uid=900)
    assert [bool(roles_of(peer(uid, 0, 900), rules)) for uid in (0, 900, 1000)] == [True, True, False]
