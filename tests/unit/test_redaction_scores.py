"""How the redaction bench counts."""

from __future__ import annotations

import pytest
from tests.bench.redaction_scores import CharacterScore, SurvivalScore, holds_words
from tests.bench.redaction_sets import VARIABLE, data_folder, is_held_out


def test_characters_are_counted_once_and_ignored_ones_neither_way() -> None:
    score = CharacterScore()
    score.add("Mr Ann Lee of Rome", [("PERSON", (3, 10)), ("GPE", (14, 18))], [(0, 2)], [(0, 10), (8, 13)])
    assert (score.hit, score.missed, score.needless) == (7, 4, 4)
    assert score.recall == pytest.approx(7 / 11)
    assert score.precision == pytest.approx(7 / 11)
    assert score.f2 == pytest.approx(7 / 11)
    assert score.entities == {"PERSON": [1, 0], "GPE": [1, 1]}
    assert score.leaking_share == 1


def test_a_space_or_comma_that_is_left_shows_nothing() -> None:
    score = CharacterScore()
    score.add("Ann, Lee", [("PERSON", (0, 8))], [], [(0, 3), (5, 8)])
    assert score.leaking == 0


def test_nothing_found_in_nothing_is_no_division_by_zero() -> None:
    score = CharacterScore()
    assert (score.recall, score.precision, score.f2, score.leaking_share) == (0, 0, 0, 0)


def test_a_unit_survives_as_whole_words_in_any_case() -> None:
    score = SurvivalScore()
    assert score.add("Ann met annabel and ANN", ["ann", "bob"], [(0, 3)]) == ["ann"]
    assert score.add("Ann met annabel", ["ann"], [(0, 3)]) == []
    assert (score.units, score.surviving, score.masked, score.characters) == (2, 1, 6, 38)


def test_a_unit_of_signs_is_no_pattern() -> None:
    assert holds_words("see (a+b) there", "(a+b)")
    assert not holds_words("see aab there", "a+b")


def test_templates_fall_into_two_halves_that_stay() -> None:
    halves = [is_held_out(template) for template in range(209)]
    assert halves[:8] == [is_held_out(template) for template in range(8)]
    assert 80 < sum(halves) < 129


def test_without_the_variable_there_is_nothing_to_measure() -> None:
    assert data_folder({}) is None
    assert data_folder({VARIABLE: "data"}) is not None
