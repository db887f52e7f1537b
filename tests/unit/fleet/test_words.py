"""Numbers of the wire as words, and back."""

from __future__ import annotations

import pytest

from homebred_fleet.adapters import words
from homebred_fleet.adapters.words import Words
from homebred_protocol.v1 import fleet_pb2

EVERY = [one for one in vars(words).values() if isinstance(one, Words)]


@pytest.mark.parametrize("enum", EVERY)
def test_every_word_is_read_back(enum: Words) -> None:
    assert enum.known
    for word in enum.known:
        number = enum.number(word)
        assert number is not None
        assert enum.word(number) == word
        assert word == word.lower()


def test_what_only_a_newer_version_knows_stays_a_number() -> None:
    assert words.GAP_REASONS.word(0) == ""
    assert words.GAP_REASONS.word(99) == "99"
    assert words.GAP_REASONS.number("unspecified") is words.GAP_REASONS.number("sunk") is None


def test_a_set_kept_as_bits_is_words_in_order() -> None:
    bits = 1 << fleet_pb2.DATA_CLASS_PATIENT | 1 << fleet_pb2.DATA_CLASS_PUBLIC | 1 << 40
    assert words.CLASSES.words(bits) == ["patient", "public", "40"]
    assert words.CLASSES.words(0) == words.CLASSES.words(1) == []
