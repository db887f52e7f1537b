from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from homebred_engines.api import TokenLogprob
from homebred_engines.stop_text import Piece, StopText


def piece(text: str) -> Piece:
    return Piece(text=text, tokens=1, logprobs=(TokenLogprob(token=text, logprob=-1.0),))


def sent(texts: Sequence[str], stops: Sequence[str]) -> tuple[list[str], bool]:
    """What goes out at each piece, the rest last, and whether a stop string was found."""
    stop = StopText(stops)
    out = ["".join(each.text for each in stop.feed(piece(text))) for text in texts]
    return [*out, "".join(each.text for each in stop.rest())], stop.is_found


def test_without_stop_strings_nothing_waits() -> None:
    assert sent(["a", "b"], []) == (["a", "b", ""], False)


def test_a_stop_string_inside_a_piece_cuts_it() -> None:
    assert sent(["one", " two. three", "four"], ["."]) == (["one", " two", "", ""], True)


def test_a_beginning_of_a_stop_string_waits_until_it_is_none() -> None:
    assert sent(["a", "\n", "b"], ["\n\n"]) == (["a", "", "\nb", ""], False)


def test_a_divided_stop_string_never_goes_out() -> None:
    assert sent(["end", " <", "st", "op>", "more"], ["<stop>"]) == (["end", "", "", " ", "", ""], True)


def test_what_waits_at_the_end_goes_out() -> None:
    assert sent(["a", "<st"], ["<stop>"]) == (["a", "", "<st"], False)


def test_the_first_of_two_stop_strings_counts() -> None:
    assert sent(["a b c"], ["c", "b"]) == (["a ", ""], True)


def test_a_cut_piece_keeps_no_logprob_of_what_it_lost() -> None:
    stop = StopText(["!"])
    (cut,) = stop.feed(piece("hey!"))
    assert (cut.text, cut.tokens, cut.logprobs) == ("hey", 1, ())


@given(st.lists(st.text("ab", max_size=3), max_size=8), st.lists(st.text("ab", min_size=1, max_size=3), max_size=2))
def test_what_goes_out_is_the_text_up_to_the_first_stop_string(texts: list[str], stops: list[str]) -> None:
    whole = "".join(texts)
    ends = [whole.find(stop) for stop in stops if stop in whole]
    out, is_found = sent(texts, stops)
    assert "".join(out) == (whole[: min(ends)] if ends else whole)
    assert is_found == bool(ends)
