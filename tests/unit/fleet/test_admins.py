from __future__ import annotations

from homebred_fleet.core.admins import ROLES, Admin


def test_each_role_may_what_those_before_it_may() -> None:
    allowed = [sum(Admin(name="anna", role=role).may(needed) for needed in ROLES) for role in ROLES]
    assert allowed == [1, 2, 3, 4]
