"""Names without a title or a label: capitalised words that no dictionary has, and words that name lists have.

For the cloud lane only (tier 3): it masks too much for anything but a text that leaves the house, and says nothing
about classes. Every step is one pass over the words of the text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from homebred_daemon.adapters.detectors.german_names import ENGLISH, is_german, is_name_by_place
from homebred_daemon.adapters.detectors.name_lists import FILE, NameLists, name_lists
from homebred_daemon.adapters.detectors.name_words import (
    BEFORE_PERSON,
    DOES,
    FILE_ENDINGS,
    INTRODUCE,
    NEVER,
    OPENERS,
    ORGANIZATIONS,
    PREFIXES,
    REFERENCES,
    SUFFIX,
    TITLES,
    WAYS,
    Word,
    words_in,
)
from homebred_daemon.adapters.detectors.patterns import unescaped
from homebred_daemon.core.sensitivity import Span

_TIER = 3
_BESIDE_RUN = re.compile(r"[ \t]{1,2}|[ ]?\(|\)[ ]|\.[ ]|[ ]?&[ ]|-|/")
_ROMAN = re.compile(r"[IVXLC]+")
_ODD_NEGATIONS = ("can't", "won't", "can\u2019t", "won\u2019t")
_CONTRACTED = re.compile(r"(?:n?['\u2019]t|['\u2019](?:s|d|m|ll|ve|re))$")
_ENUMERATES = re.compile(r",[ ]|[ ]?/[ ]?")
_GENITIVE = re.compile(r"['\u2019]s$")
_NUMBER = re.compile(r"\d{1,6}[A-Za-z]?(?:-\d{1,5})?")
_BESIDE_NUMBER = re.compile(r"[ \t#]{1,4}|\. ?")
_BESIDE_LONG_NUMBER = re.compile(r"[ \t,.#)]*\n?[ \t,]*")
_APART = re.compile(r"[\s,.]{1,16}")
_PARTICLE = (
    r"(?:of|and|the|de|la|le|du|des|da|do|dos|del|di|dei|van|von|der|den|ten|zu|zur|u|v|y|e|i|a|am|an|sur|sous|nad|pod"
    r"|della|delle|degli|upon)"
)
_ARTICLE = r"(?:la|le|de|der|den|the|los|las)"
_JOINS = re.compile(rf"[ \t]|[ ]?\(|\)[ ]|, ?|\. ?| ?& ?|[-/]| {_PARTICLE}(?: {_ARTICLE})? |[ \t,]*\n[ \t,]*")
_LONGEST_RUN = 5  # words; a longer one is a heading
_LONGEST_PLACE = 4  # words
_LEAST = 4  # letters of a name that is known without its capital


class _Manner(NamedTuple):
    """How a text is written."""

    small: set[str]
    """Its words in lower case, as written."""
    is_small_throughout: bool
    is_german: bool
    is_english: bool
    """Whether most of its small words are English: then one that is not is a name, a nickname or a code."""


class NameDetector:
    """`Detector` on a dictionary and name lists."""

    entity_types = frozenset({"PERSON", "LOCATION", "NAME"})

    def __init__(self, lists: NameLists | None = None) -> None:
        """Without lists those of this package are read at the first text."""
        self._given_lists = lists

    @cached_property
    def _lists(self) -> NameLists:
        return self._given_lists or name_lists()

    @cached_property
    def digest(self) -> str:
        """`sha256:…` over the lists; the code is in the pattern detector's digest."""
        return f"sha256:{hashlib.sha256(FILE.read_bytes()).hexdigest()}"

    def detect(self, text: str) -> tuple[Span, ...]:
        """Every name found, by position; neighbours are one span."""
        text = unescaped(text)
        words = list(words_in(text))
        marked = self._marked(words, text)
        self._mark_places(words, marked)
        reads_german = is_german({word.text for word in words if word.text.islower()})
        self._mark_runs(words, marked, text, is_german=reads_german)
        self._spread(words, marked, text, is_german=reads_german)
        self._mark_small(words, marked, text)
        _mark_numbers(words, marked, text)
        return tuple(self._spans(words, marked, text))

    def _marked(self, words: list[Word], text: str) -> list[bool]:
        """Words that are names by themselves."""
        manner = self._manner(words, text)
        if not words:
            return []
        before = ("", *(word.text for word in words[:-1]))
        after = (*(word.text for word in words[1:]), "")
        return [
            (self._is_name(word, manner, behind_small=left.islower()) and not _is_reference(word, left))
            or self._is_introduced(word, left)
            or self._is_subject(word, right)
            or self._is_owner(word)
            or (manner.is_german and self._is_german_name(word, left, right))
            for word, left, right in zip(words, before, after, strict=True)
        ]

    def _manner(self, words: list[Word], text: str) -> _Manner:
        small = {word.text for word in words if word.text.islower()}
        unknown = sum(word not in self._lists.words for word in small)
        return _Manner(
            small=small,
            is_small_throughout=text.islower(),
            is_german=is_german(small),
            is_english=bool(small & ENGLISH) and unknown * 2 <= len(small),
        )

    def _is_name(self, word: Word, manner: _Manner, *, behind_small: bool) -> bool:
        plain, lists = word.plain, self._lists
        if word.is_acronym and (plain in ORGANIZATIONS or plain in lists.acronyms):
            return plain in ORGANIZATIONS
        if not word.is_wordlike or plain in NEVER:
            return False
        if plain in lists.countries or self._is_double(word):
            return True
        is_known, is_listed = self._is_known(word), self._is_listed(plain)
        if manner.is_german and plain not in lists.given and plain not in lists.places:
            return False  # family names are common nouns there; a given name or a title beside them takes them along
        if word.text.islower():
            is_odd = manner.is_small_throughout or manner.is_english
            return not is_known and len(plain) >= _LEAST and (is_listed or is_odd)
        can_be = (
            plain not in lists.proper
            and word.is_capitalised
            and not word.begins
            and not word.text.isupper()
            and plain not in manner.small
        )
        return not is_known or (can_be and (is_listed or (behind_small and not manner.is_german)))

    def _is_german_name(self, word: Word, before: str, after: str) -> bool:
        """A name that only its neighbours give away."""
        if not word.is_wordlike or not word.is_capitalised or word.is_acronym or self._is_known(word):
            return False
        is_listed = self._is_listed(word.plain)
        return is_name_by_place(word.plain, before, after, begins=word.begins, is_listed=is_listed)

    def _is_introduced(self, word: Word, before: str) -> bool:
        """A given name that is a common word too, in small letters: "i am john"."""
        plain, lists = word.plain, self._lists
        is_given = plain in lists.given and plain not in NEVER and plain not in lists.proper
        return is_given and len(plain) >= _LEAST and before.lower() in INTRODUCE

    def _is_subject(self, word: Word, after: str) -> bool:
        """A frequent given name that begins a sentence and does something in it: "Crystal called"."""
        return _does(after) and word.begins and word.is_capitalised and word.plain in self._lists.frequent

    def _is_double(self, word: Word) -> bool:
        """Two names joined by a hyphen, wherever they stand."""
        parts = re.split("[-\u2010-\u2013]", word.text)
        return len(parts) == 2 and all(part[:1].isupper() and self._is_listed(part.lower()) for part in parts)  # noqa: PLR2004

    def _is_owner(self, word: Word) -> bool:
        """A given name that begins a sentence and has something: "Maria's new phone"."""
        is_given = word.plain in self._lists.given and word.plain not in NEVER
        return is_given and word.begins and word.is_capitalised and _GENITIVE.search(word.text) is not None

    def _is_known(self, word: Word) -> bool:
        if _ROMAN.fullmatch(word.text):
            return True
        stem, _, ending = word.plain.rpartition(".")
        plain = stem if stem and ending in FILE_ENDINGS and not self._is_listed(stem) else word.plain
        parts = re.split(r"[-'\u2019.]|\d+", _CONTRACTED.sub("", plain))
        return word.plain in _ODD_NEGATIONS or all(part in self._lists.words for part in parts if len(part) > 1)

    def _is_listed(self, plain: str) -> bool:
        lists = self._lists
        return plain in lists.given or plain in lists.family or plain in lists.places or plain in lists.countries

    def _mark_places(self, words: list[Word], marked: list[bool]) -> None:
        """Places whose names are several words."""
        for at, word in enumerate(words):
            if word.plain not in self._place_beginnings:
                continue
            for length in range(_LONGEST_PLACE, 1, -1):
                if " ".join(one.plain for one in words[at : at + length]) in self._lists.countries:
                    marked[at : at + length] = [True] * min(length, len(words) - at)

    @cached_property
    def _place_beginnings(self) -> frozenset[str]:
        return frozenset(name.split()[0] for name in self._lists.countries if " " in name)

    def _mark_runs(self, words: list[Word], marked: list[bool], text: str, *, is_german: bool) -> None:
        """Two capitalised words and more behind a small one, and what stands before "Inc." and the like."""
        at = 0
        while at < len(words):
            until = at
            while until < len(words) and _runs_on(words[until]) and (until == at or _follows(words, until, text)):
                until += 1
            run = words[at:until]
            after_small = at > 0 and run and not run[0].begins and _is_small(words[at - 1])
            is_titled = 1 < len(run) <= _LONGEST_RUN and all(word.text[1:].islower() or word.is_acronym for word in run)
            opens = bool(run) and (run[0].plain in OPENERS or run[0].plain.endswith("ly"))
            acts = until < len(words) and _does(words[until].text) and not opens
            goes_on = not opens and not is_german and until < len(words) and _goes_on(words, until, text)
            if ((after_small or acts or goes_on) and is_titled) or (len(run) > 1 and run[-1].plain in SUFFIX):
                marked[at:until] = [True] * len(run)
            at = max(until, at + 1)

    def _spread(self, words: list[Word], marked: list[bool], text: str, *, is_german: bool) -> None:
        """A capitalised word beside a name is part of it, at the beginning of a sentence only where a list has it."""
        for at in range(1, len(words)):
            is_candidate = marked[at - 1] and not marked[at] and words[at].plain not in TITLES
            if is_candidate:
                is_beside = self._may_join(words[at]) and _is_beside(words, at - 1, text)
                marked[at] = is_beside or (not is_german and self._is_enumerated(words, at, text))
        for at in range(len(words) - 2, -1, -1):
            if marked[at + 1] and not marked[at] and self._may_join(words[at]) and _is_beside(words, at, text):
                marked[at] = True

    def _mark_small(self, words: list[Word], marked: list[bool], text: str) -> None:
        """Names of common words in small letters: a given and a family name, "north" before a town."""
        is_small_throughout = text.islower()
        for at in range(len(words) - 1):
            word, behind = words[at], words[at + 1]
            if not (word.text.islower() and behind.text.islower() and text[word.end : behind.start] == " "):
                continue
            if word.plain in PREFIXES and marked[at + 1]:
                marked[at] = True
            elif marked[at] and is_small_throughout and word.plain in self._lists.given:
                marked[at + 1] |= behind.plain in self._lists.family and len(behind.plain) > _LEAST
            elif at > 0 and words[at - 1].plain in BEFORE_PERSON and self._are_names(word, behind):
                marked[at] = marked[at + 1] = True

    def _are_names(self, given: Word, family: Word) -> bool:
        is_given = given.plain in self._lists.frequent and len(given.plain) >= _LEAST
        return is_given and family.plain in self._lists.family and len(family.plain) >= _LEAST

    def _is_enumerated(self, words: list[Word], at: int, text: str) -> bool:
        """A capitalised word that a comma or an "and" sets beside a name: "Anna, Hope and Target"."""
        word = words[at]
        is_fit = word.is_capitalised and not word.begins and word.text[1:].islower() and word.plain not in NEVER
        joined = _ENUMERATES.fullmatch(text, words[at - 1].end, word.start) is not None
        return is_fit and joined and word.plain not in self._lists.proper

    def _may_join(self, word: Word) -> bool:
        if word.plain in TITLES:
            return True
        if word.plain in NEVER and word.is_capitalised and word.plain in self._lists.given and not word.begins:
            return True  # "Will Thornbury"
        if not word.is_capitalised or word.plain in NEVER:
            return len(word.text) == 1 and word.text.isalpha() and word.text not in {"a", "I"}
        return not word.begins or self._is_listed(word.plain)

    def _spans(self, words: list[Word], marked: list[bool], text: str) -> Iterator[Span]:
        current: Span | None = None
        for word, is_name in zip(words, marked, strict=True):
            if not is_name:
                continue
            if current and _JOINS.fullmatch(text, current.end, word.start):
                current = Span(current.start, word.end, current.type, _TIER)
                continue
            if current:
                yield current
            current = Span(word.start, word.end, self._type(word.plain), _TIER)
        if current:
            yield current

    def _type(self, plain: str) -> str:
        if plain in self._lists.places or plain in self._lists.countries:
            return "LOCATION"
        return "PERSON" if plain in TITLES or plain in self._lists.given or plain in self._lists.family else "NAME"


def _mark_numbers(words: list[Word], marked: list[bool], text: str) -> None:
    """A number beside a name is a house or a postcode: three digits and more also behind a comma or a new line."""
    for places in (range(1, len(words)), range(len(words) - 2, -1, -1)):
        step = -1 if places.step == 1 else 1
        for at in places:
            left, right = sorted((at, at + step))
            if marked[at + step] and not marked[at] and _NUMBER.fullmatch(words[at].text):
                is_long = len(words[at].text) > 2  # noqa: PLR2004 - "Berlin, 12 days"
                beside = _BESIDE_LONG_NUMBER if is_long else _BESIDE_NUMBER
                marked[at] = beside.fullmatch(text, words[left].end, words[right].start) is not None
    for at in range(1, len(words) - 1):
        if words[at].plain in WAYS and (marked[at - 1] or marked[at + 1]):  # 12 rue Lepic, Király utca 7
            for side in (at - 1, at + 1):
                marked[side] |= _NUMBER.fullmatch(words[side].text) is not None
            marked[at] = True
        if marked[at - 1] and _is_state(words, at, text) and (marked[at + 1] or _is_postcode(words[at + 1])):
            marked[at] = marked[at + 1] = True


def _is_state(words: list[Word], at: int, text: str) -> bool:
    """Two or three letters in an address: apart from the town before and the postcode or the country behind."""
    before = text[words[at - 1].end : words[at].start]
    behind = text[words[at].end : words[at + 1].start]
    is_short = 2 <= len(words[at].text) <= 3 and words[at].text.isalpha() and words[at].plain not in NEVER  # noqa: PLR2004 - "VIC"
    return is_short and ("," in before or "\n" in before) and _APART.fullmatch(before + behind) is not None


def _is_postcode(word: Word) -> bool:
    return len(word.text) > 3 and _NUMBER.fullmatch(word.text) is not None  # noqa: PLR2004 - "page 12"


def _is_reference(word: Word, before: str) -> bool:
    """Whether it is the number of a ticket or the like."""
    return before.lower() in REFERENCES and word.text.isupper() and any(map(str.isdigit, word.text))


def _does(text: str) -> bool:
    """Whether a word is what a person does: "said", "called"."""
    return text in DOES or (text.islower() and text.endswith("ed"))


def _is_small(word: Word) -> bool:
    return word.text.islower() or (word.plain in NEVER and word.plain != "i")


def _goes_on(words: list[Word], at: int, text: str) -> bool:
    """Whether a word in small letters goes on with the sentence: then what is before it is no "Chapter IV"."""
    is_numbered = _ROMAN.fullmatch(words[at - 1].text) is not None
    return words[at].text.islower() and text[words[at - 1].end : words[at].start] == " " and not is_numbered


def _runs_on(word: Word) -> bool:
    is_heavy = word.plain not in NEVER or (not word.begins and word.plain not in {"the", "a", "an", "i"})
    return word.is_capitalised and len(word.text) > 1 and is_heavy


def _follows(words: list[Word], at: int, text: str) -> bool:
    return not words[at].begins and _is_beside(words, at - 1, text)


def _is_beside(words: list[Word], at: int, text: str) -> bool:
    """Whether nothing but a space or the like stands between a word and the next."""
    return _BESIDE_RUN.fullmatch(text, words[at].end, words[at + 1].start) is not None
