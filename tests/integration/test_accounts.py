"""Names in [access], resolved on the machine that runs the test."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from homebred_daemon.adapters.accounts import resolve_access
from homebred_daemon.errors import ConfigurationError

USER = pwd.getpwuid(os.geteuid())
GROUP = grp.getgrgid(os.getegid())


def test_by_default_nobody_is_named() -> None:
    access = resolve_access(group="", operators="", reviewers="")
    assert access.socket_gid is None
    assert access.rules.own_uid == os.geteuid()
    assert access.rules.callers == access.rules.operators == access.rules.reviewers == frozenset()


def test_names_become_numbers_and_numbers_stay() -> None:
    access = resolve_access(
        group=GROUP.gr_name, operators=f" user:{USER.pw_name} uid:0042  gid:7", reviewers=f"group:{GROUP.gr_name}"
    )
    assert access.socket_gid == GROUP.gr_gid
    assert access.rules.callers == {f"gid:{GROUP.gr_gid}"}
    assert access.rules.operators == {f"uid:{USER.pw_uid}", "uid:42", "gid:7"}
    assert access.rules.reviewers == {f"gid:{GROUP.gr_gid}"}


def test_a_group_may_be_named_by_its_number() -> None:
    assert resolve_access(group="54321", operators="", reviewers="").rules.callers == {"gid:54321"}


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("group", "no-such-group", "access.group names the group 'no-such-group'"),
        ("operators", "user:no-such-user", "access.operators names the user 'no-such-user'"),
        ("reviewers", "uid:1 group:no-such-group", "access.reviewers names the group 'no-such-group'"),
    ],
)
def test_a_name_that_the_machine_does_not_know_is_refused_with_what_and_next(
    setting: str, value: str, named: str
) -> None:
    given = {"group": "", "operators": "", "reviewers": ""} | {setting: value}
    with pytest.raises(ConfigurationError) as refusal:
        resolve_access(**given)
    assert named in refusal.value.message
    assert "getent" in refusal.value.hint
