from __future__ import annotations

from typing import get_args

from homebred_daemon.core import fleet_steps


def test_what_happens_and_what_is_wanted_are_different_things() -> None:
    assert not set(get_args(fleet_steps.Event)) & set(get_args(fleet_steps.Want))


def test_a_disconnect_says_no_will_unless_it_is_wanted() -> None:
    assert not fleet_steps.Disconnect().with_will
