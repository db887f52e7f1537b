"""What a command may say; the device, by its own table, would refuse anything else."""

from __future__ import annotations

import pytest

from homebred_daemon.core import commands as device
from homebred_fleet.core.command_orders import MAX_WAIT_S, MIN_WAIT_S, PARAMETERS, problems_of


def test_controller_and_device_know_the_same_commands_and_words() -> None:
    assert {op.value: dict(words) for op, words in device.PARAMETERS.items()} == PARAMETERS


@pytest.mark.parametrize(
    ("op", "parameters", "wait_s", "problem"),
    [
        ("ping", {}, 60, ""),
        ("log-level", {"level": "debug"}, MIN_WAIT_S, ""),
        ("drain", {}, MAX_WAIT_S, ""),
        ("shell", {}, 60, "no command: there are ping, diagnostics"),
        ("log-level", {}, 60, "needs 'level': one of debug"),
        ("log-level", {"level": "loud"}, 60, "level is 'loud'"),
        ("ping", {"level": "debug"}, 60, "has no parameter 'level'"),
        ("ping", {}, MIN_WAIT_S - 1, "may wait from"),
        ("ping", {}, MAX_WAIT_S + 1, "may wait from"),
    ],
)
def test_an_order_is_checked(op: str, parameters: dict[str, str], wait_s: int, problem: str) -> None:
    found = problems_of(op, parameters, wait_s)
    assert bool(found) == bool(problem)
    assert problem in "; ".join(found)
