from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_fleet.core.tokens import new_token, secret_hash, token_hash, token_text
from homebred_fleet.errors import RequestError


@given(secret=st.binary(min_size=32, max_size=32))
def test_a_token_is_known_by_its_text_whatever_its_case_and_spaces(secret: bytes) -> None:
    text = token_text(secret)
    assert text.startswith("hbt_")
    assert token_hash(text) == token_hash(f" {text.upper()}\n") == secret_hash(secret)


@given(text=st.text())
def test_what_is_no_token_has_no_hash(text: str) -> None:
    assert token_hash(text) is None
    assert token_hash("hbt_" + text) is None or len(text.strip()) == 52


def test_its_id_and_its_hash_tell_nothing_of_it() -> None:
    made = new_token(
        site="clinic",
        labels={"role": "kiosk"},
        device="",
        replaces="",
        life_s=3600,
        by="anna",
        now_s=1000,
        random_bytes=lambda length: bytes(range(length)),
    )
    assert made.hash == token_hash(made.text) == secret_hash(bytes(range(32)))
    assert made.hash not in made.text
    assert (made.token.expires_at_s, made.token.created_by, len(made.token.id)) == (4600, "anna", 12)


def test_a_token_that_may_not_be_is_not_made() -> None:
    with pytest.raises(RequestError, match="no site's name"):
        new_token(
            site="",
            labels={},
            device="",
            replaces="",
            life_s=1,
            by="anna",
            now_s=0,
            random_bytes=bytes,
        )
