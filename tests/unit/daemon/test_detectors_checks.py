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
        (checks.stdnum("iban"), "DE89370400440532013000"),
        (checks.stdnum("gb.nhs"), "9434765919"),
    ],
)
def test_a_checksum_holds_and_every_other_last_digit_breaks_it(check: checks.Check, good: str) -> None:
    place = 8 if check is checks.vin else len(good) - 1
    others = [good[:place] + digit + good[place + 1 :] for digit in "0123456789" if digit != good[place]]
    assert check(good)
    assert not any(map(check, others))


@pytest.mark.parametrize("number", ["000-12-3456", "666-12-3456", "900-12-3456", "536-00-4399", "536-90-0000"])
def test_social_security_numbers_that_are_never_issued_are_none(number: str) -> None:
    assert not checks.us_ssn(number)
    assert checks.us_ssn("536-90-4399")


@pytest.mark.parametrize(
    "value", ["********", "<password>", "${DB_PASS}", "get_password()", "config.password", "required", "null"]
)
def test_placeholders_and_references_are_no_passwords(value: str) -> None:
    assert not checks.password(value)


@pytest.mark.parametrize("value", ["hunter2", "S3cure-Pa55", "correct-horse-7", "Sommer2024!", "hunterkey"])
def test_what_somebody_chose_is_a_password(value: str) -> None:
    assert checks.password(value)


def test_digests_identifiers_and_words_are_no_bare_keys() -> None:
    assert checks.bare_key("q8Qb7f3K9x2LmN4pR6sT8vW0yZ1aC3eG5h")
    for value in (
        "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "550e8400-e29b-41d4-a716-446655440000",
        "A" * 40,
        "CamelCaseWords2024InOneVeryLongName",
    ):
        assert not checks.bare_key(value)


def test_entropy_is_in_bits_a_character() -> None:
    assert checks.entropy_bits("aaaa") == 0.0
    assert checks.entropy_bits("abab") == 1.0
    assert checks.entropy_bits("0123456789abcdef") == 4.0


@pytest.mark.parametrize(
    ("value", "is_date"), [("03/15/1989", True), ("15.03.89", True), ("1.2.13", False), ("15/15/2024", False)]
)
def test_a_date_has_a_month(value: str, is_date: bool) -> None:  # noqa: FBT001 - a table's column
    assert checks.calendar_date(value) is is_date
