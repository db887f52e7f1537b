from __future__ import annotations

import re

import pytest

from homebred_daemon.core.constraints import UNCONSTRAINED, Constraints, what_breaks


def finds(text: str, pattern: str) -> bool:
    return re.search(pattern, text) is not None


@pytest.mark.parametrize(
    ("constraints", "text", "complaint"),
    [
        (UNCONSTRAINED, "anything", ""),
        (Constraints(max_characters=3), "tea", ""),
        (Constraints(max_characters=2), "tea", "it has 3 characters, and 2 at most are asked for"),
        (Constraints(contains=("tea", "two")), "two teas", ""),
        (Constraints(contains=("Tea",)), "two teas", "it does not contain 'Tea'"),
        (Constraints(excludes=("coffee",)), "two teas", ""),
        (Constraints(excludes=("tea",)), "two teas", "it contains 'tea'"),
        (Constraints(matches="^two"), "two teas", ""),
        (Constraints(matches="^teas"), "two teas", "it does not match the regular expression ^teas"),
        (
            Constraints(matches="^b", excludes=("a",)),
            "a",
            "it contains 'a'; it does not match the regular expression ^b",
        ),
    ],
)
def test_everything_that_a_text_breaks_is_told(constraints: Constraints, text: str, complaint: str) -> None:
    assert what_breaks(constraints, text, finds) == complaint


def test_nobody_is_held_to_nothing() -> None:
    assert not Constraints().are_set
    assert all(
        one.are_set for one in (Constraints(matches="a"), Constraints(contains=("a",)), Constraints(max_characters=1))
    )
