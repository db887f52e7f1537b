"""Line by line from standard input to standard output: one JSON answer for every input line, in the same order.

A line that cannot be answered becomes `{"error": {"code", "message", "hint"}}`, and the next line is read. Memory is
bounded by the longest line that is accepted.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from homebred_daemon import strict_json
from homebred_daemon.cli.exits import Exit
from homebred_daemon.errors import HomebredError, RequestError
from homebred_protocol.documents.fields import DocumentError

MAX_LINE_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 64 * 1024


class BadLineError(RequestError):
    """The line is not one JSON object."""

    code = "bad_line"
    hint = "write one JSON object a line, in UTF-8, and send the line again"


def answer_lines(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Exit:
    """Answers every line of standard input; each answer is out before the next line is read.

    Returns:
        FAILED where homebred itself failed on a line, else OK: a bad line is the sender's affair.
    """
    status = Exit.OK
    for line in lines(sys.stdin.buffer):
        try:
            answered = answer(json_object(line))
        except DocumentError as error:
            answered = {"error": _document_record(error)}
        except RequestError as error:
            answered = {"error": error.record()}
        except HomebredError:
            raise  # a ledger that cannot be written is no fault of this line
        except Exception as error:  # noqa: BLE001  # one line's defect must not take the other lines' answers away
            traceback.print_exc()
            status = Exit.FAILED
            answered = {"error": _defect_record(error)}
        sys.stdout.write(json.dumps(answered) + "\n")
        sys.stdout.flush()
    return status


def lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """The lines of a stream without their newlines; None stands for one that is longer than MAX_LINE_BYTES."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if line.endswith(b"\n"):
            yield line[:-1]
        elif len(line) <= MAX_LINE_BYTES:
            yield line  # the last line may lack its newline
        else:
            _skip_line(stream)
            yield None


def json_object(line: bytes | None) -> dict[str, Any]:
    """The JSON object on a line.

    Raises:
        BadLineError: there is none.
    """
    if line is None:
        raise BadLineError(f"the line is longer than {MAX_LINE_BYTES:,} bytes", hint="send a shorter text")
    if not line.strip():
        raise BadLineError("the line is empty")
    try:
        value = strict_json.parse(line)
    except ValueError as error:
        raise BadLineError(f"the line {error}") from error
    if not isinstance(value, dict):
        raise BadLineError("the line is not a JSON object")
    return value


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(CHUNK_BYTES)) and not rest.endswith(b"\n"):
        pass


def _document_record(error: DocumentError) -> dict[str, str]:
    hints = "; ".join(problem.hint for problem in error.problems)
    return {"code": f"bad_{error.document}", "message": str(error), "hint": hints}


def _defect_record(error: Exception) -> dict[str, str]:
    hint = "please report it, with what standard error shows; the other lines are not affected"
    return {"code": "internal", "message": f"homebred has a defect: {type(error).__name__}", "hint": hint}
