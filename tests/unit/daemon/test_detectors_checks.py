from __future__ import annotations

import pytest

from homebred_daemon.adapters.detectors import checks


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (checks.kvnr, "A123456780"),
        (checks.rvnr, "15070649C103"),
        (checks.npi, "1234567893"),
        (checks.dea, "AB1234563"),
        (checks.aba_routing, "021000021"),
        (checks.credit_card, "4111111111111111"),
        (checks.credit_card, "378282246310005"),
        (checks.imei, "490154203237518"),
        (checks.vin, "1HGCM82633A004352"),
        (checks.vin, "1M8GDM9AXKP042788"),
        (checks.fr_nir, "295109912611193"),
        (checks.iban, "DE89370400440532013000"),
        (checks.luxembourg, "1960101836693"),
        (checks.nuss, "281234567840"),
        (checks.taj, "111111110"),
        (checks.medicare_australia, "2123456701"),
        (checks.latvian, "16117519997"),
        (checks.stdnum("gb.nhs"), "9434765919"),
    ],
)
def test_a_checksum_holds_and_every_other_last_digit_breaks_it(check: checks.Check, good: str) -> None:
    place = 8 if check in {checks.vin, checks.medicare_australia} else len(good) - 1
    others = [good[:place] + digit + good[place + 1 :] for digit in "0123456789" if digit != good[place]]
    assert check(good)
    assert not any(map(check, others))


def test_a_bitcoin_address_has_the_check_of_its_version() -> None:
    assert checks.bech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")  # BIP 173
    assert checks.bech32("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0")  # BIP 350
    assert not checks.bech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5")


@pytest.mark.parametrize("number", ["000-12-3456", "666-12-3456", "900-12-3456", "536-00-4399", "536-90-0000"])
def test_social_security_numbers_that_are_never_issued_are_none(number: str) -> None:
    assert not checks.us_ssn(number)
    assert checks.us_ssn("536-90-4399")


@pytest.mark.parametrize(
    ("value", "is_date"), [("03/15/1989", True), ("15.03.89", True), ("1.2.13", False), ("15/15/2024", False)]
)
def test_a_date_has_a_month(value: str, is_date: bool) -> None:  # noqa: FBT001 - a table's column
    assert checks.calendar_date(value) is is_date
