from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.canaries import CANARY, CONTENT, ENCODINGS, NAME, Canaries, found_in, plainly_in

FORMS: dict[str, Callable[[str], bytes]] = {
    **ENCODINGS,
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()),
    "JSON": lambda text: json.dumps({"text": text}).encode(),
    "URL": lambda text: quote(text).encode(),
    "a representation": lambda text: repr(text.encode()).encode(),
    "lower case": lambda text: text.lower().encode(),
    "capitals": lambda text: text.upper().encode(),
    "title case": lambda text: text.title().encode(),
    "backwards": lambda text: text[::-1].encode(),
    "other separators": lambda text: text.replace("+", "_").encode(),
    "no separators": lambda text: text.replace("+", "").encode(),
    "capitals in hex": lambda text: text.upper().encode().hex().encode(),
}


@pytest.mark.parametrize("form", FORMS)
@given(st.binary(max_size=40), st.text("12 ", max_size=5), st.text("12 ", max_size=5))
def test_a_canary_is_found_in_every_form_and_at_every_offset(form: str, noise: bytes, before: str, after: str) -> None:
    canary = Canaries("search")()
    assert found_in(noise + FORMS[form](f"{before}{canary}{after}") + noise, CONTENT)
    assert not found_in(noise + FORMS[form](f"{before}{canary}{after}") + noise, NAME)


@given(st.binary(max_size=4000))
def test_nothing_is_found_where_there_is_none(noise: bytes) -> None:
    assert found_in(noise, CONTENT) == []


def test_canaries_are_each_made_once_and_known_again() -> None:
    canaries = Canaries("seed")
    made = [canaries(kind) for kind in (CONTENT, NAME) * 3000]
    assert len({canary.partition("+")[2] for canary in made}) == len(made) == len(canaries.made)
    assert plainly_in(f'password = "{made[0]}x!7", {made[1]}') == set(made[:2])
    assert all(CANARY.fullmatch(canary) for canary in made)
    assert Canaries("seed")() == made[0]
