from __future__ import annotations

import inspect

from homebred_daemon.core import vocabulary


def test_words_are_lower_case_single_and_sorted_in_the_file() -> None:
    written = inspect.getsource(vocabulary).split('"""')[3].split()
    assert written == sorted(set(written))
    assert all(word == word.lower() and word.isalnum() for word in written)


def test_words_that_are_first_names_before_anything_else_are_left_out() -> None:
    assert vocabulary.WORDS.isdisjoint({"mark", "bill", "grant", "rob", "sue", "gene", "miller", "jane", "peter"})
