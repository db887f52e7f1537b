from __future__ import annotations

import pytest

from homebred_daemon.adapters.detectors import key_checks


@pytest.mark.parametrize(
    "value",
    [
        "parts[",
        "base64.b16encode(random_bytes[8",
        "user_pass",
        "./data/seeds.csv",
        "********",
        "<password>",
        "${DB_PASS}",
        "get_password()",
        "config.password",
        "required",
        "null",
    ],
)
def test_placeholders_and_references_are_no_passwords(value: str) -> None:
    assert not key_checks.password(value)


@pytest.mark.parametrize("value", ["hunter2", "S3cure-Pa55", "correct-horse-7", "Sommer2024!", "hunterkey"])
def test_what_somebody_chose_is_a_password(value: str) -> None:
    assert key_checks.password(value)


def test_digests_identifiers_and_words_are_no_bare_keys() -> None:
    assert key_checks.bare_key("q8Qb7f3K9x2LmN4pR6sT8vW0yZ1aC3eG5h")
    for value in (
        "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "550e8400-e29b-41d4-a716-446655440000",
        "A" * 40,
        "CamelCaseWords2024InOneVeryLongName",
    ):
        assert not key_checks.bare_key(value)


def test_entropy_is_in_bits_a_character() -> None:
    assert key_checks.entropy_bits("aaaa") == 0.0
    assert key_checks.entropy_bits("abab") == 1.0
    assert key_checks.entropy_bits("0123456789abcdef") == 4.0


@pytest.mark.parametrize(
    "value",
    [
        "9f86d081884c7d659a2feaa0c55ad015",
        "hsUAq7YyhlhALSP5",
        "dsywxjphuvp1cji",
        "ApjuiuvcqgsXUNTXUtpy",
        "a8f5f167f44f4964",
    ],
)
def test_random_letters_and_digits_are_a_key_and_so_are_letters_alone(value: str) -> None:
    assert key_checks.key(value)
    assert key_checks.vendor_key(value)


@pytest.mark.parametrize(
    "value",
    [
        *("user_token_v2", "LoadBalancerController", "tokenizer.next_token", "my-secret", "xxxxxxxxxxxx1234"),
        *("your-api-key-1", "1234567890123456", "aaaaaaaaaaaaaaaa1"),
    ],
)
def test_names_references_and_stand_ins_are_no_keys(value: str) -> None:
    assert not key_checks.key(value)


def test_a_plain_number_is_a_key_beside_a_vendor_alone() -> None:
    assert key_checks.vendor_key("3339115172983459")
    assert not key_checks.vendor_key("1000000000000000")


def test_behind_a_weaker_word_letters_digits_and_cases_alternate() -> None:
    assert key_checks.generated("9fceb02d0ae598e95dc970b74767f19372d61af8")
    assert not key_checks.generated("sleepymeadowlark-81313")
    assert key_checks.generated_behind_a_dot("s.buDHlJHVPNSaoLyHTrDNXLEt")
    assert not key_checks.generated_behind_a_dot("s.loadBalancerController01")


def test_a_block_of_lines_and_a_named_digest_are_no_bare_keys() -> None:
    line = "q8Qb7f3K9x2LmN4pR6sT8vW0yZ1aC3eG5h"
    assert not key_checks.bare_key(f"{line}\n{line}")
    assert not key_checks.bare_key(f"sha256-{line}")


@pytest.mark.parametrize(
    ("value", "is_one"), [("aHVudGVyMg==", True), ("bjduejZsTnZlYnMyTEpQ", True), ("ClusterFirst", False)]
)
def test_base64_in_a_manifest_is_told_from_a_name(value: str, is_one: bool) -> None:  # noqa: FBT001 - a table's column
    assert key_checks.encoded(value) is is_one
