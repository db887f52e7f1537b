from __future__ import annotations

from typing import Literal

import pytest

from homebred_daemon.core.metering import Metering, Saying, metered_cause, saying

MANAGER, INTERFACE = "metered_network_manager", "metered_interface"


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (Saying.UNKNOWN, ""),
        (Saying.YES, MANAGER),
        (Saying.NO, ""),
        (Saying.GUESS_YES, MANAGER),
        (Saying.GUESS_NO, ""),
    ],
)
def test_network_manager_is_believed_and_its_guess_as_well(said: Saying, cause: str) -> None:
    assert metered_cause(Metering(manager=said)) == cause


@pytest.mark.parametrize(
    ("interfaces", "patterns", "cause"),
    [
        ({"wwan0"}, ("ww*",), INTERFACE),
        ({"eth0", "ppp0"}, ("ww*", "ppp*"), INTERFACE),
        ({"eth0"}, ("ww*", "ppp*"), ""),
        ({"WWAN0"}, ("ww*",), ""),
        ({"xwwan0"}, ("ww*",), ""),
        ({"usb0"}, ("usb?",), INTERFACE),
        ({"usb10"}, ("usb?",), ""),
        ({"wwan0"}, (), ""),
        (set(), ("*",), ""),
    ],
)
def test_an_interface_of_a_default_route_counts_by_its_name(
    interfaces: set[str], patterns: tuple[str, ...], cause: str
) -> None:
    assert metered_cause(Metering(interfaces=frozenset(interfaces), patterns=patterns)) == cause


def test_either_that_says_so_is_enough() -> None:
    modem = Metering(patterns=("ww*",), interfaces=frozenset({"wwan0"}), manager=Saying.NO)
    assert metered_cause(modem) == INTERFACE


@pytest.mark.parametrize(("wanted", "cause"), [("yes", "metered_configured"), ("no", "")])
@pytest.mark.parametrize("said", Saying)
def test_the_sites_word_wins(wanted: Literal["yes", "no"], said: Saying, cause: str) -> None:
    metering = Metering(wanted=wanted, manager=said, patterns=("*",), interfaces=frozenset({"wwan0"}))
    assert metered_cause(metering) == cause


@pytest.mark.parametrize(("number", "said"), [*((int(one), one) for one in Saying), (5, Saying.UNKNOWN)])
def test_a_number_that_nobody_knows_says_nothing(number: int, said: Saying) -> None:
    assert saying(number) is said


@pytest.mark.parametrize("value", ["1", None, 1.5, [1]])
def test_what_is_no_number_says_nothing(value: object) -> None:
    assert saying(value) is Saying.UNKNOWN
