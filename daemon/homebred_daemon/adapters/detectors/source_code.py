"""Source code as one span over each block: fenced blocks, or several lines that only code has.

Prose, lists, logs, JSON, YAML and tables are left alone on purpose: a line counts by what no prose writes, and one line
alone is never enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from homebred_daemon.core.sensitivity import Span

_ENOUGH = 4
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

_STRONG = re.compile(
    r"\s{0,80}(?:"
    r"(?:async )?def \w+\s?\(.*|class \w+(?:\(.{0,80}\))?\s?[:{].*|from [\w.]+ import .+|import [\w.]+(?: as \w+)?;?$"
    r"|#include\s?[<\"].*|#define \w+.*|(?:public|private|protected|static|export|final|override) "
    r"(?:\w+[ <>\[\]]+){1,4}\w+.*[({;].*"
    r"|(?:const|let|var|val|auto)\s\w+\s?(?::\s?\w+\s?)?=.*|(?:export )?(?:async )?function\s?\w*\s?\(.*"
    r"|func \w*\s?\(.*\{?"
    r"|(?:if|for|while|switch|else if|elif|catch|foreach)\s?\(.*\)\s?\{?$|(?:\} )?(?:else|try|finally|do)\s?\{$"
    r"|(?:if|elif|for|while|with|except|match|try|else)\b.*[^\s]:$|return\b.*[;)\]]$|(?:self|this)\.\w+.*"
    r"|(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE|ALTER TABLE)\b.*|package [\w.]+;|using [\w.]+;|use [\w:]+;"
    r"|(?:int|float|double|bool|char|void|string|String|long|unsigned|BOOL|REAL|DINT)\s\*?\w+\s?(?:=.*|\[.*|\(.*|;)"
    r"|(?:END_)?(?:FUNCTION_BLOCK|PROGRAM|VAR(?:_INPUT|_OUTPUT)?|IF|CASE|FOR)\b.*(?:;|THEN|DO|OF)$|\w+\s?:=\s?.+;"
    r"|[NOGM]\d{1,4} (?:[A-Z]-?\d[\d.]*\s?){1,8}.*|\$\w+\s?=\s?.+;|fn \w+.*\{|<\?php.*|#!/.*|@\w+"
    r"(?:\(.*\))?$|println!?\(.*"
    r")\s*"
)
_WEAK = re.compile(
    r"\s{0,80}(?:.*[;{]|[)}\]]{1,4}[;,)]?|[\w.\[\]]+\s?(?:[-+*/|&]?=|==|!=)\s?.+|[\w.]+\(.*\)|(?://|#|/\*"
    r"|\*|--)\s.*|\}.*|WHERE .*|FROM .*"
    r"|end|fi|done|pass|break|continue)\s*"
)
_JSON_LINE = re.compile(r"\s*(?:[\[\]{}],?|\"[^\"]*\"\s?:.*|\"[^\"]*\",?|-?\d[\d.eE+-]*,?)\s*")


def code_spans(text: str) -> Iterator[Span]:
    """Spans of type SOURCE_CODE, in order and apart."""
    if "\n" not in text:
        return
    shown_from = 0
    for start, end, language in _fenced(text):
        yield from _loose(text, shown_from, start)
        body = text[start:end]
        if (language and language not in _DATA_FENCES) or (
            not language and any(map(_is_strong, body.splitlines()[1:-1]))
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
    """Blocks of neighbouring lines that together are code beyond doubt; blank lines neither count nor divide."""
    block_start, block_end, strong, score = -1, -1, 0, 0
    position = start
    while position < end:
        line_end = text.find("\n", position, end)
        line_end = end if line_end < 0 else line_end
        line = text[position : min(line_end, position + 400)]
        points = _points(line)
        if points:
            block_start = position if block_start < 0 else block_start
            block_end, score, strong = line_end, score + points, strong + (points > 1)
        elif line.strip():
            if strong > 1 and score >= _ENOUGH:
                yield Span(block_start, block_end, "SOURCE_CODE", 1)
            block_start, strong, score = -1, 0, 0
        position = line_end + 1
    if strong > 1 and score >= _ENOUGH:
        yield Span(block_start, block_end, "SOURCE_CODE", 1)


def _points(line: str) -> int:
    if _JSON_LINE.fullmatch(line):
        return 0
    if _is_strong(line):
        return 2
    return 1 if _WEAK.fullmatch(line) else 0


def _is_strong(line: str) -> bool:
    return _STRONG.fullmatch(line) is not None
