from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol.ids import CONTROLLER, is_boot_id, is_command_id, is_device_id, is_label, is_site


@pytest.mark.parametrize("name", ["clinic-3f9a", "a", "0", "a" * 63])
def test_names_of_lower_case_letters_digits_and_dashes_are_devices(name: str) -> None:
    assert is_device_id(name)


@pytest.mark.parametrize("name", ["", "+", "#", "a/b", "a+", "-a", "a-", "A", "ä", "a b", "a\n", "a" * 64, CONTROLLER])
def test_what_a_broker_could_read_as_a_pattern_or_as_another_is_no_device(name: str) -> None:
    assert not is_device_id(name)


@given(name=st.text())
def test_no_text_is_a_name_that_would_leave_its_level_of_a_topic(name: str) -> None:
    for is_name in (is_device_id, is_site, is_label, is_boot_id, is_command_id):
        assert not is_name(name) or not set(name) & set("+#/\x00 ")


def test_boots_and_commands_are_128_bits_in_hexadecimal() -> None:
    assert is_boot_id("0" * 32)
    assert is_command_id("f" * 32)
    assert not is_boot_id("0" * 31)
    assert not is_command_id("F" * 32)


def test_labels_may_have_dots_and_underscores_and_sites_may_not() -> None:
    assert is_label("ward_3.east")
    assert not is_site("ward_3.east")
    assert is_site("clinic-east")
