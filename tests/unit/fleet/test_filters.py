"""The filter language: what is read, and where what cannot be read is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_fleet.core.filter_values import Pattern
from homebred_fleet.core.filters import (
    EVERY,
    MAX_CHARACTERS,
    MAX_COMPARISONS,
    MAX_DEPTH,
    And,
    Comparison,
    FilterError,
    Not,
    Or,
    Tree,
    parse,
)


def site(name: str) -> Comparison:
    return Comparison(key="site", operator="==", values=(Pattern(name),))


def label(name: str, pattern: Pattern) -> Comparison:
    return Comparison(key="label", label=name, operator="==", values=(pattern,))


def policy(pattern: Pattern) -> Comparison:
    return Comparison(key="policy", operator="==", values=(pattern,))


@pytest.mark.parametrize("text", ["", "   ", "\t\n"])
def test_nothing_written_means_every_device(text: str) -> None:
    assert parse(text) == EVERY


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("site==a", site("a")),
        ("site == 'a'", site("a")),
        ('site=="a b"', site("a b")),
        ("not site==a", Not(site("a"))),
        ("not not site==a", Not(Not(site("a")))),
        ("site==a and site==b or site==c", Or((And((site("a"), site("b"))), site("c")))),
        ("site==a and (site==b or site==c)", And((site("a"), Or((site("b"), site("c")))))),
        ("site==a and site==b and site==c", And((site("a"), site("b"), site("c")))),
        ("not site==a and site==b", And((Not(site("a")), site("b")))),
        ("((site==a))", site("a")),
        ("site in (a, b)", Comparison(key="site", operator="==", values=(Pattern("a"), Pattern("b")))),
        ("site not in (a)", Not(site("a"))),
        ("site!=a*", Comparison(key="site", operator="!=", values=(Pattern("a", open_end=True),))),
        ("label.floor.2==*x*", label("floor.2", Pattern("x", open_start=True, open_end=True))),
        ("seen<15m", Comparison(key="seen", operator="<", values=(900,))),
        ("certificate>=2w", Comparison(key="certificate", operator=">=", values=(1209600,))),
        ("online==false", Comparison(key="online", operator="==", values=(False,))),
        ("state==revoked", Comparison(key="state", operator="==", values=(Pattern("revoked"),))),
        ("policy==sha256:abcd", policy(Pattern("sha256:abcd", open_end=True))),
    ],
)  # fmt: skip
def test_what_is_written_is_read(text: str, tree: Tree) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "column", "what", "hint"),
    [
        ("staet==x", 1, "'staet' is no key", "'state'"),
        ("site==a and labels==x", 13, "'labels' is no key", "label.KEY"),
        ("label.Role==x", 1, "'label.Role' is no key", "lower-case"),
        ("site=a", 5, "'=' begins nothing", "`==`"),
        ("site", 5, "its end stands where 'site' should be compared", "== !="),
        ("site<a", 5, "does not compare 'site'", "== !="),
        ("seen==15m", 5, "does not compare 'seen', which is an age", "<"),
        ("seen<15", 6, "'15' is no value of 'seen'", "15m"),
        ("seen<9999999999w", 6, "is no value", "15m"),
        ("online==yes", 9, "'yes' is no value of 'online'", "true or false"),
        ("state==gone", 8, "'gone' is no value of 'state'", "enrolled, revoked, replaced"),
        ("policy==abc", 9, "'abc' is no value of 'policy'", "hexadecimal"),
        ("site==a*b", 7, "is no value", "`*` at its ends"),
        ("site==**", 7, "is no value", "`*` at its ends"),
        ("site==", 7, "its end stands where a value", "a name"),
        ("site== and", 8, "where a value", "a name"),
        ("site==a site==b", 9, "'site' is left over", "`and` or `or`"),
        ("site==a)", 8, "')' is left over", "join"),
        ("(site==a", 9, "should be closed", "`)`"),
        ("site in a", 9, "a list should begin", "(one, another)"),
        ("site in (a b)", 12, "in a list", "`,`"),
        ("site in ()", 10, "a value for 'site'", "a name"),
        ("seen in (1m)", 6, "does not compare", "<"),
        ("and site==a", 1, "where a key should", "id, site"),
        ('site=="a', 7, "begins nothing", "close the quotation"),
        ("site==a;site==b", 8, "';' begins nothing", "`and`"),
        ("site==é", 7, "begins nothing", "double quotes"),
        ("site=='\x00'", 7, "is no value", "a name"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_where_why_and_what_next(text: str, column: int, what: str, hint: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse(text)
    assert (refused.value.column, f"column {column}:" in str(refused.value)) == (column, True)
    assert what in str(refused.value)
    assert hint in refused.value.hint


def test_a_filter_is_bounded_in_length_depth_and_number() -> None:
    longest = f"site=={'a' * (MAX_CHARACTERS - 6)}"
    assert parse(longest) == site("a" * (MAX_CHARACTERS - 6))
    deepest = "(" * MAX_DEPTH + "site==a" + ")" * MAX_DEPTH
    assert parse(deepest) == site("a")
    assert parse(f"id in ({','.join('a' * MAX_COMPARISONS)})") != EVERY
    for text in (f"{longest}a", f"({deepest})", f"not {deepest}", f"id in ({','.join('a' * (MAX_COMPARISONS + 1))})"):
        with pytest.raises(FilterError):
            parse(text)


def read_or_refused(text: str) -> None:
    refused = None
    try:
        parse(text)
    except FilterError as error:
        refused = error
    assert refused is None or (1 <= refused.column <= len(text) + 1 and refused.hint)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_at_a_place_in_it(text: str) -> None:
    read_or_refused(text)


WORDS = "site label.a == != < ( ) , in not and or a* 15m seen online ' \""


@given(st.lists(st.sampled_from(WORDS.split()), max_size=14))
def test_any_row_of_words_is_read_or_refused(words: list[str]) -> None:
    read_or_refused(" ".join(words))


def test_the_filters_of_the_documentation_can_be_read() -> None:
    page = (Path(__file__).parents[3] / "docs" / "fleet.md").read_text()
    shown = page.partition("### Filters")[2].split("```")[1].strip().splitlines()
    assert len(shown) > 2
    assert EVERY not in map(parse, shown)
