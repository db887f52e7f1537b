"""The first detection tier: runs the rule tables over a text.

It decides nothing about classes (`core.sensitivity` does) and knows no names: patients and part lists of a site, and
names without a title, are for later tiers behind the same port.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import TypeVar

from homebred_daemon.adapters.detectors.rule import BESIDE, LONG_RUN, Anywhere, Label, Rule, Run, Start
from homebred_daemon.adapters.detectors.source_code import code_spans
from homebred_daemon.core import spelling
from homebred_daemon.core.sensitivity import Span

_K = TypeVar("_K")
_V = TypeVar("_V")
_Found = tuple[int, re.Match[str]]  # index of the rule, its match

_TABLES = (
    "health",
    "vendor_keys",
    "secrets",
    "industry",
    "identity",
    "national_ids",
    "contact",
    "places",
    "times",
    "people",
)
_IN_CORE = ("spelling", "vocabulary", "attachments", "attachment_formats", "attachment_metadata")
_CONTEXT_BEFORE = 48  # characters: half a line, as far as a word still speaks of the number
_CONTEXT_BEHIND = 20
_UNLESS_BEFORE = 18
_TIER = 1

# One for one, so that offsets stay those of the input: full-width forms, other digits, dashes, spaces, quotes.
_FOLD = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_FOLD |= {zero + digit: ord("0") + digit for zero in (0x660, 0x6F0, 0x966) for digit in range(10)}
_FOLD |= dict.fromkeys((0xA0, 0x2007, 0x2009, 0x200A, 0x202F, 0x3000, *range(0x2000, 0x2007)), ord(" "))
_FOLD |= dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212, 0xAD), ord("-"))
_FOLD |= {0x2018: ord("'"), 0x2019: ord("'"), 0x201C: ord('"'), 0x201D: ord('"'), 0x130: ord("I")}
_ESCAPED = {"\\n": "  ", "\\r": "  ", "\\t": "  ", '\\"': '""'}  # what a string within a string writes for them
# Scripts without spaces between words: where one touches ASCII, the neighbour begins or ends a word.
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_JOINED = re.compile(f"{_UNSPACED.pattern}(?=[!-~])|(?<=[!-~]){_UNSPACED.pattern}")
_DIGITS = re.compile("[0-9]+")
_WORD = re.compile(r"[^\W_]+")


class PatternDetector:
    """`Detector` on compiled patterns: a word, literal or run of digits first, a pattern only where one is found."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Indexes the rules; nothing is compiled before a text calls for it."""
        self._rules = tuple(rules)
        self._compiled: list[re.Pattern[str] | None] = [None] * len(self._rules)
        self._labels: dict[str, list[tuple[str, int]]] = {}  # by first word
        self._inner_labels: dict[str, list[int]] = {}
        self._starts: dict[str, list[tuple[str, int]]] = {}  # by the first two characters of the first word
        self._signs: dict[str, list[int]] = {}  # starts that are no words
        self._runs: dict[int, list[tuple[Run, int]]] = {}
        self._runs_beside: dict[tuple[int, str, str], tuple[tuple[int, int], ...]] = {}
        self._anywhere: list[tuple[int, tuple[str, ...]]] = []
        for index, rule in enumerate(self._rules):
            self._add(index, rule.at)

    def _add(self, index: int, at: Label | Start | Run | Anywhere) -> None:
        match at:
            case Label(words=words, inside=True):
                _extend(self._inner_labels, ((word, index) for word in words))
            case Label(words=words):
                _extend(self._labels, ((_first_word(word), (word, index)) for word in words))
            case Start(literals=literals):
                beginnings = [literal for literal in literals if literal[0].isalnum()]
                signs = [literal for literal in literals if not literal[0].isalnum()]
                _extend(self._starts, ((_first_word(literal)[:2], (literal, index)) for literal in beginnings))
                _extend(self._signs, ((sign, index) for sign in signs))
            case Run(lengths=lengths):
                _extend(self._runs, ((length, (at, index)) for length in lengths))
            case Anywhere(needs=needs):
                self._anywhere.append((index, needs))

    @cached_property
    def entity_types(self) -> frozenset[str]:
        """Every type that a span of this detector can have."""
        return frozenset(rule.type for rule in self._rules) | {"SOURCE_CODE"}

    @cached_property
    def digest(self) -> str:
        """`sha256:…` over this package, the vocabulary and the version of the library that checks sums."""
        return _digest()

    def detect(self, text: str) -> tuple[Span, ...]:
        """Every span found, by position, source code last; of two in one place the earlier rule leads."""
        folded = as_read(text)
        lowered = folded.lower()
        spaced = lowered.replace("_", " ").replace("-", " ")
        matches = chain(
            self._at_words(folded, lowered, spaced),
            self._at_literals(folded, lowered, spaced),
            self._at_runs(folded),
            self._anywhere_in(folded, lowered),
        )
        found = {(*_extent(match), index) for index, match in matches if _holds(self._rules[index], match, lowered)}
        spans = (Span(start, end, self._rules[index].type, _TIER) for start, end, index in sorted(found))
        return tuple(dict.fromkeys(chain(spans, code_spans(text))))

    def _at_words(self, folded: str, lowered: str, spaced: str) -> Iterator[_Found]:
        """Labels and starts that begin with a word: one look-up for each word of the text."""
        done: dict[str, int] = {}
        for word in _WORD.finditer(spaced):
            at, name = word.start(), word.group()
            for label, index in self._labels.get(name, ()):
                if spaced.startswith(label, at) and (match := self._pattern(index).match(folded, at + len(label))):
                    yield index, match
            for literal, index in self._starts.get(name[:2], ()):
                resumed = lowered.startswith(literal, at) and at >= done.get(literal, 0)
                if resumed and (match := self._pattern(index).match(folded, at)):
                    done[literal] = match.end()
                    yield index, match

    def _at_literals(self, folded: str, lowered: str, spaced: str) -> Iterator[_Found]:
        """Labels that may end a longer word, and starts that are no words."""
        for haystack, literals, behind in ((spaced, self._inner_labels, True), (lowered, self._signs, False)):
            for literal, indexes in literals.items():
                at = haystack.find(literal)
                while at >= 0:
                    resume = at + len(literal)
                    for index in indexes:
                        if match := self._pattern(index).match(folded, at + len(literal) if behind else at):
                            yield index, match
                            resume = max(resume, match.end())
                    at = haystack.find(literal, resume)

    def _at_runs(self, folded: str) -> Iterator[_Found]:
        for run in _DIGITS.finditer(folded):
            start, end = run.span()
            key = (min(end - start, LONG_RUN), _beside(folded[start - 1 : start]), _beside(folded[end : end + 1]))
            tries = self._runs_beside.get(key)
            if tries is None:
                tries = self._runs_beside[key] = self._tries(*key)
            for lead, index in tries:
                if match := self._pattern(index).match(folded, start - lead):
                    yield index, match

    def _tries(self, length: int, before: str, after: str) -> tuple[tuple[int, int], ...]:
        """(Lead, rule) for runs of this length between these neighbours."""
        return tuple(
            (lead, index)
            for run, index in self._runs.get(length, ())
            if before in run.before and after in run.after
            for lead in run.leads
        )

    def _anywhere_in(self, folded: str, lowered: str) -> Iterator[_Found]:
        for index, needs in self._anywhere:
            if not needs or any(need in lowered for need in needs):
                for match in self._pattern(index).finditer(folded):
                    yield index, match

    def _pattern(self, index: int) -> re.Pattern[str]:
        compiled = self._compiled[index]
        if compiled is None:
            rule = self._rules[index]
            compiled = re.compile(rule.pattern, re.IGNORECASE if isinstance(rule.at, Label) else 0)
            self._compiled[index] = compiled
        return compiled


def as_read(text: str) -> str:
    """The text as patterns read it, every code point in its place."""
    if not text.isascii():
        text = text.translate(_FOLD)
        if _UNSPACED.search(text):
            text = _JOINED.sub(" ", text)
    return unescaped(text)


def unescaped(text: str) -> str:
    """The text without the escapes of a string within a string, every code point in its place."""
    if "\\" in text:
        for escape, meant in _ESCAPED.items():
            text = text.replace(escape, meant)
    return text


def _extend(table: dict[_K, list[_V]], entries: Iterable[tuple[_K, _V]]) -> None:
    for key, value in entries:
        table.setdefault(key, []).append(value)


def _first_word(literal: str) -> str:
    word = _WORD.search(literal)
    return word.group() if word else literal


def _beside(neighbour: str) -> str:
    """The letter of `BESIDE` for a character; the end of a text has none."""
    if neighbour in BESIDE:
        return neighbour or "$"
    if neighbour.isalpha() or neighbour == "_":
        return "a"
    return " " if neighbour.isspace() else "$"


def _extent(match: re.Match[str]) -> tuple[int, int]:
    return match.span("v") if "v" in match.re.groupindex else match.span()


def _holds(rule: Rule, match: re.Match[str], lowered: str) -> bool:
    start, end = _extent(match)
    if rule.unless and any(word in lowered[max(0, start - _UNLESS_BEFORE) : start] for word in rule.unless):
        return False
    if rule.context:
        near = lowered[max(0, start - _CONTEXT_BEFORE) : start] + " " + lowered[end : end + _CONTEXT_BEHIND]
        if not any(word in near for word in rule.context):
            return False
    return rule.check is None or rule.check(match.string[start:end])


def _digest() -> str:
    digest = hashlib.sha256(importlib.import_module("stdnum").__version__.encode())
    core = Path(spelling.__file__).parent  # what else finds something; read here, not imported
    of_core = (core / f"{name}.py" for name in _IN_CORE)
    for path in (*sorted(Path(__file__).parent.glob("*.py")), *of_core):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return f"sha256:{digest.hexdigest()}"


@cache
def default_detector() -> PatternDetector:
    """The detector with all tables of this package, one for the process."""
    modules = (importlib.import_module(f"{__package__}.{table}") for table in _TABLES)
    return PatternDetector([rule for module in modules for rule in module.RULES])
