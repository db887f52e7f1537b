"""Which blocks are source code, and what only looks orderly."""

from __future__ import annotations

import pytest

from homebred_daemon.adapters.detectors.source_code import code_spans

PYTHON = 'def area(radius):\n    if radius < 0:\n        raise ValueError("negative")\n    return 3.14 * radius ** 2\n'
JAVASCRIPT = "const total = items.reduce((a, b) => a + b, 0);\nif (total > 10) {\n  console.log(total);\n}\n"
C = '#include <stdio.h>\nint main(void) {\n    printf("hi\\n");\n    return 0;\n}\n'
SQL = "SELECT name, born\nFROM patients\nWHERE ward = 3\nORDER BY name;\nUPDATE patients SET ward = 4;\n"
STRUCTURED_TEXT = "IF Level > Max THEN\n    Pump := FALSE;\n    Alarm := TRUE;\nEND_IF;\n"
JAVA = (
    "public class Pump {\n    private int speed = 0;\n    public void start() {\n        this.speed = 10;\n    }\n}\n"
)
GO = "package main\nfunc main() {\n\tx := read()\n\tfor i := 0; i < x; i++ {\n\t\tstep(i)\n\t}\n}\n"
SHELL = '#!/bin/sh\nfor f in *.log; do\n  gzip "$f"\ndone\nexit 0\n'
G_CODE = "G21 X0 Y0\nG01 X10.5 Y20 F300\nM30 X0\nG00 X0 Y0\n"

PROSE = (
    "We met on Monday; it was short.\nIf we wait, costs rise.\nFor now, the plan stands.\nReturn the form (page 3)\n"
)
LISTING = "Agenda:\n- budget (2024)\n- staffing\n* rollout;\n1. Kick-off\n2. Review\n"
JSON = '{\n  "patient": "x",\n  "values": [\n    1,\n    2\n  ],\n  "ok": true\n}\n'
YAML = "name: intake\nsteps:\n  - read: form\n    retries: 3\nfloor: 0.8\n"
LOG = "2024-05-01 10:00:01 INFO started\n2024-05-01 10:00:02 WARN slow (350 ms)\n2024-05-01 10:00:03 INFO done\n"
TABLE = "| part | qty |\n|------|-----|\n| bolt | 12 |\n| nut | 8 |\nname,qty\nbolt,12\nnut,8\n"
LETTER = "Dear team,\n\nplease find the minutes below:\n\nBest regards,\nthe office\n"
SUMS = "Total = 12\nTax = 3\nSum = 15\nThanks!\n"
POEM = "For all the nights:\nwhile stars are bright,\nif only you were here:\nelse I would write;\n"
RECIPE = "Use 2 eggs;\nuse 100 g flour;\nmix (well);\nbake;\nserve {optional};\n"


@pytest.mark.parametrize("code", [PYTHON, JAVASCRIPT, C, SQL, STRUCTURED_TEXT, JAVA, GO, SHELL, G_CODE])
def test_several_lines_of_code_are_one_span_without_the_prose_around(code: str) -> None:
    before, behind = "Please review this for me.\n\n", "\nDoes it look right to you?"
    spans = list(code_spans(before + code + behind))
    assert len(spans) == 1
    assert before + code.rstrip("\n") == (before + code + behind)[: spans[0].end]
    assert spans[0].start == len(before)


@pytest.mark.parametrize("text", [PROSE, LISTING, JSON, YAML, LOG, TABLE, LETTER, SUMS, POEM, RECIPE, JSON + PROSE])
def test_prose_lists_and_data_are_not_code(text: str) -> None:
    assert list(code_spans(text)) == []


def test_a_fence_that_names_a_language_is_code_with_its_fences() -> None:
    text = "See:\n```python\nprint(1)\n```\nok?"
    [span] = code_spans(text)
    assert text[span.start : span.end] == "```python\nprint(1)\n```"


def test_a_fence_around_data_or_prose_is_not_code() -> None:
    assert list(code_spans("```json\n" + JSON + "```\n")) == []
    assert list(code_spans("```\nplain words\nin a box\n```\n")) == []


def test_a_fence_without_a_language_is_code_when_a_line_of_it_is() -> None:
    assert len(list(code_spans("```\ndef f(x):\n    return x\n```"))) == 1


def test_a_fence_that_is_never_closed_runs_to_the_end() -> None:
    text = "```c\nint x = 0;"
    [span] = code_spans(text + "\n")
    assert (span.start, span.end) == (0, len(text))


@pytest.mark.parametrize(
    "text",
    [
        *("```python print(1)```", "~~~c", "```", "plain", "x = f(1);", "```\ndef f(x): return x", "```c\nint x = 0;"),
        *(PYTHON, JAVASCRIPT, PROSE, "```python\nprint(1)\n```", "```\nplain words\n```", "intro\n" + C),
    ],
)
def test_a_line_break_at_the_end_makes_no_difference(text: str) -> None:
    bare = text.rstrip("\n")
    assert list(code_spans(bare)) == list(code_spans(bare + "\n")) == list(code_spans(bare + "\r\n\r\n"))


def test_a_fence_on_one_line_alone_is_code() -> None:
    text = "```python print(1)```"
    assert [(span.start, span.end) for span in code_spans(text)] == [(0, len(text))]


def test_one_line_alone_is_never_enough() -> None:
    assert list(code_spans("x = f(1);\n")) == []
    assert list(code_spans("The call def f(x): is legal\nin that language.\n")) == []


def test_code_before_and_behind_a_fence_is_found_too() -> None:
    assert len(list(code_spans(PYTHON + "and\n```js\nf()\n```\nand\n" + C))) == 3
