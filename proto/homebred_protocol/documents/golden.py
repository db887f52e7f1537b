"""A golden set: held-out inputs with the answers expected of a specialist, one JSON object a line.

It refuses what would make a measured fitness untrue: no rows, rows twice, rows that the prompt already shows as solved
examples. It scores nothing and opens no file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from homebred_protocol.documents.fields import DocumentError, Fields, Problem, kind_of
from homebred_protocol.documents.specialist import Example

MAX_PROBLEMS = 20
"""Reading ends here: whoever wrote so many wrong lines made one mistake many times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenRow:
    """One input and its expected answer."""

    line: int
    """Where it stands in its file, from 1."""
    input: str
    """As a caller would send it."""
    expected: Any
    """Text for the scorer `exact`, an object with fields for `json_fields`, JSON but null for `json_equal`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenSet:
    """The rows of one golden set."""

    digest: str
    """`sha256:` of the file's bytes."""
    rows: tuple[GoldenRow, ...]
    """At least one."""


def read_golden(body: bytes, digest: str, *, scorer: str, examples: tuple[Example, ...] = ()) -> GoldenSet:
    """The golden set in a JSON lines file, fit for a scorer and held out from the prompt's examples.

    Inputs count as the same where they differ only in case and white space.

    Raises:
        DocumentError: with the problems found, by line.
    """
    problems: list[Problem] = []
    rows = []
    first_line = {_bare(example.input): 0 for example in examples}
    for number, line in _lines(body, problems):
        row = _row(number, line, scorer, problems)
        if row is not None:
            earlier = first_line.setdefault(_bare(row.input), number)
            if earlier != number:
                problems.append(_repeated(number, earlier))
            rows.append(row)
        if len(problems) >= MAX_PROBLEMS:
            break
    if not rows and not problems:
        problems.append(Problem(path=(), what="holds no row", hint='write {"input": "…", "expected": "…"} a line'))
    if problems:
        raise DocumentError("golden set", problems)
    return GoldenSet(digest=digest, rows=tuple(rows))


def _lines(body: bytes, problems: list[Problem]) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, blank ones left out. Only line feeds part them: U+2028 may stand inside JSON text."""
    for number, line in enumerate(body.split(b"\n"), start=1):
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            problems.append(_problem(number, f"is not UTF-8: {error.reason}", "save the file as UTF-8"))
            continue
        if text:
            yield number, text


def _row(number: int, line: str, scorer: str, problems: list[Problem]) -> GoldenRow | None:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        problems.append(_problem(number, f"is not JSON: {error}", "write one JSON object on one line"))
        return None
    if not isinstance(document, dict):
        problems.append(_problem(number, f"is {kind_of(document)}", "write one JSON object on one line"))
        return None
    before = len(problems)
    fields = Fields(document, (f"line {number}",), problems)
    text = fields.text("input", required=True)
    if text is not None and not text.strip():
        fields.complain(("input",), "is empty", "write what a caller would send")
    expected = fields.raw("expected")
    if wanted := _misfit(expected, scorer):
        fields.complain(("expected",), f"does not suit the scorer {scorer}", f"write {wanted}")
    fields.finish()
    if text is None or len(problems) > before:
        return None
    return GoldenRow(line=number, input=text, expected=expected)


def _misfit(expected: object, scorer: str) -> str:
    """What to write instead of an expected answer that the scorer cannot compare; empty: it can."""
    if scorer == "exact":
        return "" if isinstance(expected, str) else "the text of the answer"
    if scorer == "json_fields":
        return "" if isinstance(expected, dict) and expected else "an object with the fields to compare"
    return "" if expected is not None else "the JSON value of the answer"


def _repeated(number: int, earlier: int) -> Problem:
    if earlier:
        return _problem(number, f"has the input of line {earlier}", "remove it: a row twice is no second sample")
    return _problem(number, "has the input of a few-shot example", "remove it: it measures copying, not fitness")


def _problem(number: int, what: str, hint: str) -> Problem:
    return Problem(path=(f"line {number}",), what=what, hint=hint)


def _bare(text: str) -> str:
    return " ".join(text.casefold().split())
