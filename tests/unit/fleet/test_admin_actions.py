"""The table of what admins may do."""

from __future__ import annotations

from homebred_fleet.core.admin_actions import ROLE_OF

ROLES = ("viewer", "operator", "publisher", "admin")


def test_every_action_has_a_known_role_and_whoever_only_looks_may_change_nothing() -> None:
    assert set(ROLE_OF.values()) == set(ROLES)
    assert {name for name, role in ROLE_OF.items() if role == "viewer"} == {
        name for name in ROLE_OF if name.endswith(".read") and name != "token.read"
    }


def test_a_stop_is_easier_than_its_end() -> None:
    assert ROLES.index(ROLE_OF["stop.on"]) < ROLES.index(ROLE_OF["stop.off"])


def test_who_comes_in_and_who_goes_and_what_no_stop_reaches_is_for_admins_alone() -> None:
    assert {name for name, role in ROLE_OF.items() if role == "admin"} == {
        "token.create",
        "token.withdraw",
        "device.revoke",
        "bundle.make",
    }
