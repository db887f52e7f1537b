"""Source code as one span over each block: fenced blocks, or several lines that only code has.

Prose, lists, logs, JSON, YAML and tables are left alone on purpose: a line counts by what no prose writes, and one line
alone is never enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from homebred_daemon.core.sensitivity import Span

_ENOUGH = 4  # points: two lines beyond doubt, or one with two that look like it and another
_LINE_READ = 400  # characters of a line that are looked at
# Fenced blocks that carry data or prose, not code.
_DATA_FENCES = frozenset(
    (
        "json",
        "jsonl",
        "yaml",
        "yml",
        "text",
        "txt",
        "csv",
        "tsv",
        "markdown",
        "md",
        "log",
        "console",
        "output",
        "plain",
        "mermaid",
    )
)
_FENCE = re.compile(r"^[ \t]{0,8}(```+|~~~+)[ \t]*([\w+#.-]{0,20})[^\n]*$", re.MULTILINE)

# Two points: what no prose writes, by language family. One point: what prose writes seldom.
_STRONG = re.compile(
    r"\s{0,80}(?:"
    # Python, Ruby
    r"(?:async )?def \w+\s?[(:].*|class \w+(?:\(.{0,80}\))?\s?[:{].*|from [\w.]+ import .+|import [\w.]+(?: as \w+)?;?"
    r"|(?:if|elif|for|while|with|except|match|try|else)\b.*\S:|(?:self|this)\.\w+.*|@\w+(?:\(.*\))?"
    # C, Java, JavaScript, Go, Rust, PHP
    r"|#include\s?[<\"].*|#define \w+.*|package [\w.]+;|using [\w.]+;|use [\w:]+;|<\?php.*|fn \w+.*\{|\$\w+\s?=\s?.+;"
    r"|(?:public|private|protected|static|export|final|override) (?:[\w<>\[\]]+ ){1,4}\w+.*[({;].*|println!?\(.*"
    r"|(?:const|let|var|val|auto)\s\w+\s?(?::\s?\w+\s?)?=.*"
    r"|(?:export )?(?:async )?function\s?\w*\s?\(.*|func \w*\s?\(.*"
    r"|(?:\} )?(?:if|for|while|switch|else if|catch|foreach)\s?\(.*\)\s?\{?|(?:\} )?(?:else|try|finally|do)\s?\{"
    r"|for .*\{|return\b.*[;)\]]"
    r"|(?:int|float|double|bool|char|void|string|String|long|unsigned)\s\*?\w+\s?(?:=.*|\[.*|\(.*|;)"
    # SQL, shell
    r"|(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE|ALTER TABLE)\b.*|(?:for|while|if)\b.*;\s?(?:do|then)|#!/.*"
    # Structured text of controllers (IEC 61131-3), G-code (ISO 6983)
    r"|(?:END_)?(?:FUNCTION_BLOCK|PROGRAM|VAR(?:_INPUT|_OUTPUT)?|IF|CASE|FOR)\b.*(?:;|THEN|DO|OF)|\w+\s?:=\s?.+;"
    r"|[NOGM]\d{1,4} (?:[A-Z]-?\d[\d.]*\s?){1,8}.*"
    r")\s*"
)
_WEAK = re.compile(
    r"\s{0,80}(?:.*[;{]|[\w.\[\]]+\s?(?:[-+*/|&:]?=|==|!=)\s?.+|[\w.]+\(.*\)|(?://|#|/\*|\*|--)\s.*|\}.*"
    r"|return .+|raise \w+\(.*|(?:WHERE|FROM|ORDER BY|GROUP BY|JOIN) .*|package \w+"
    r"|end|fi|done|pass|break|continue|exit \d+)\s*"
)
_CLOSING = re.compile(r"\s*[)}\]]{1,4}[;,)]?\s*")
_DATA = re.compile(r"\s*(?:[\[{]|[\]}],?|\"[^\"]*\"\s?:.*|\"[^\"]*\",?|-?\d[\d.eE+-]*,?)\s*")


def code_spans(text: str) -> Iterator[Span]:
    """Spans of type SOURCE_CODE, in order and apart; line breaks at the end of the text make no difference."""
    text = text.rstrip("\r\n")
    if "\n" not in text and "```" not in text and "~~~" not in text:
        return
    shown_from = 0
    for start, end, language in _fenced(text):
        yield from _loose(text, shown_from, start)
        body = text[start:end]
        if (language and language not in _DATA_FENCES) or (
            not language and any(map(_is_strong, body.splitlines()[1:]))
        ):
            yield Span(start, end, "SOURCE_CODE", 1)
        shown_from = end
    yield from _loose(text, shown_from, len(text))


def _fenced(text: str) -> Iterator[tuple[int, int, str]]:
    """(Start, end, language) of each fenced block; one that is never closed runs to the end of the text."""
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text) if "```" in text or "~~~" in text else ():
        if opened is None:
            opened = fence
        elif fence[1].startswith(opened[1]) and not fence[2]:
            yield opened.start(), fence.end(), opened[2].lower()
            opened = None
    if opened is not None:
        yield opened.start(), len(text), opened[2].lower()


def _loose(text: str, start: int, end: int) -> Iterator[Span]:
    """Blocks of neighbouring lines that together are code beyond doubt; blank lines and one odd line do not divide."""
    block_start, block_end, strong, score, odd = -1, -1, 0, 0, 0
    for line_start, line_end in _lines(text, start, end):
        line = text[line_start : min(line_end, line_start + _LINE_READ)]
        points = _points(line)
        if points:
            block_start = line_start if block_start < 0 else block_start
            block_end, score, strong, odd = line_end, score + points, strong + (points > 1), 0
        elif block_start >= 0 and _CLOSING.fullmatch(line):
            block_end = line_end
        elif line.strip():
            odd += 1
        if odd > 1 or line_end == end:
            if strong > 1 and score >= _ENOUGH:
                yield Span(block_start, block_end, "SOURCE_CODE", 1)
            block_start, strong, score, odd = -1, 0, 0, 0


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        line_end = text.find("\n", start, end)
        line_end = end if line_end < 0 else line_end
        yield start, line_end
        start = line_end + 1
        if start == end:
            yield end, end


def _points(line: str) -> int:
    if _DATA.fullmatch(line):
        return 0
    if _is_strong(line):
        return 2
    return 1 if _WEAK.fullmatch(line) else 0


def _is_strong(line: str) -> bool:
    return _STRONG.fullmatch(line) is not None
