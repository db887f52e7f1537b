"""What may stand on either side of a comparison."""

from __future__ import annotations

import pytest

from homebred_fleet.core.filter_values import ABSENT, KEYS, KINDS, Pattern, kind_of, read_value


def read(key: str, text: str, *, quoted: bool = False) -> Pattern | bool | int | None:
    found = kind_of(key)
    assert found is not None
    return read_value(found[0], text, quoted=quoted)


def test_every_key_has_a_kind() -> None:
    assert [kind_of(key.replace("KEY", "role")) is not None for key in KEYS] == [True] * len(KINDS)
    assert kind_of("label.role") == (KINDS[3], "role")
    assert [kind_of(key) for key in ("label", "label.", "label.R", "name", "")] == [None] * 5


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("a", Pattern("a")),
        ("*", Pattern("", open_end=True)),
        ("a*", Pattern("a", open_end=True)),
        ("*a", Pattern("a", open_start=True)),
        ("*a*", Pattern("a", open_start=True, open_end=True)),
        ("a*b", None),
        ("**", None),
        ("**a", None),
    ],
)
def test_an_asterisk_opens_an_end(text: str, pattern: Pattern | None) -> None:
    assert read("site", text) == pattern


def test_what_is_quoted_is_itself() -> None:
    assert read("site", "a*", quoted=True) == Pattern("a*")
    assert read("site", "", quoted=True) is None
    assert read("site", "a\nb", quoted=True) is None


def test_ages_are_lengths_of_time() -> None:
    assert (read("seen", "15m"), read("certificate", "14d"), read("seen", "15")) == (900, 14 * 86_400, None)


def test_digests_are_compared_by_their_beginning() -> None:
    assert read("policy", "abcd") == Pattern("sha256:abcd", open_end=True) == read("policy", "sha256:abcd*")
    assert read("policy", "none") == ABSENT
    assert [read("policy", text) for text in ("abc", "ABCD", "xyzw", "sha256:", "a" * 65)] == [None] * 5


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        (Pattern("ab"), "ab", "abc"),
        (Pattern("ab", open_end=True), "abc", "cab"),
        (Pattern("ab", open_start=True), "cab", "abc"),
        (Pattern("ab", open_start=True, open_end=True), "cabc", "acb"),
        (Pattern("", open_end=True), "x", ""),
        (Pattern("a"), "a", "A"),
    ],
)
def test_a_pattern_fits(pattern: Pattern, fitting: str, other: str) -> None:
    assert pattern.fits(fitting)
    assert not pattern.fits(other)
