from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.spelling import MAX_WORDS, WORD, folded, is_code, keys, shortened, sounds

WORDS = st.text(st.sampled_from("abcehnorstuyüß"), min_size=3, max_size=10)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("Müller", "mueller"), ("MULLER", "Müller"), ("Mu\u0308ller", "Müller"), ("Meyer", "Maier")),
        *(("Sarah", "Sara"), ("Philipp", "Filip"), ("Schmidt", "Schmitt"), ("Karl", "Carl"), ("Søren", "Soren")),
        *(("Groß", "GROSS"), ("Łukasz", "Lukas"), ("\uff2düller", "Müller"), ("Mül\u00adler", "Müller")),
    ],
)
def test_these_sound_alike(one: str, other: str) -> None:
    assert sounds(folded(one)) == sounds(folded(other))


@pytest.mark.parametrize(("one", "other"), [("Miller", "Müller"), ("Anna", "Hanna"), ("Weber", "Huber")])
def test_these_do_not(one: str, other: str) -> None:
    assert sounds(folded(one)) != sounds(folded(other))


@given(st.text())
def test_sounds_keeps_the_number_of_words(text: str) -> None:
    words = [folded(word) for word in WORD.findall(text)]
    assert all(word and " " not in word for word in words)
    assert len(sounds(" ".join(words)).split(" ")) == max(1, len(words))


@given(WORDS, st.data())
def test_a_letter_wrong_missing_or_too_much_leaves_a_shared_key(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word) - 1))
    for other in (word[:at] + "x" + word[at + 1 :], word[:at] + word[at + 1 :], word[:at] + "x" + word[at:]):
        assert set(shortened(word)) & set(shortened(other))
    exchanged = word[:at] + word[at : at + 2][::-1] + word[at + 2 :]
    assert set(shortened(word)) & set(shortened(exchanged))


def test_a_name_is_kept_under_its_orders_initial_and_family_name() -> None:
    assert {"+ana lena brun", "+ana brun", "+brun ana", "+brun ana lena", "+a brun", "@brun"} <= keys("Anna Lena Brunn")


def test_hyphens_and_apostrophes_may_be_left_out() -> None:
    assert {"+smit jones", "=smithjones"} <= keys("Smith-Jones")
    assert {"+sean o brien", "+sean obrien"} <= keys("Sean O'Brien")


def test_a_code_has_one_key_without_its_separators() -> None:
    assert keys("PX-4471/b") == keys("px 4471 B") == {"#px4471b"}
    assert is_code("PX-4471")
    assert not is_code("Bluebird")


@pytest.mark.parametrize("text", ["Jo", "A1", "", "--", "a " * (MAX_WORDS + 1)])
def test_what_would_be_found_everywhere_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a (name|code)") as refused:
        keys(text)
    assert not text.strip() or text not in str(refused.value)


@given(st.lists(WORDS, min_size=2, max_size=4))
def test_a_name_of_ordinary_length_has_few_keys(words: list[str]) -> None:
    assert len(keys(" ".join(words))) < 140
