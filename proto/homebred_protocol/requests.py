"""Requests of a device and the controller's answers over MQTT: the heads of both, and how an answer is found again.

    hb/1/<tenant>/d/<device>/rq/<operation>   correlation (16 bytes), then what the operation asks
    hb/1/<tenant>/d/<device>/rs               correlation, outcome (1 byte), then what the operation answers

The correlation stands in the payload, where no bridge loses it: one that speaks MQTT 3.1.1 on one side drops Response
Topic and Correlation Data (MQTT 5 §4.10). Nor may whoever asks say where the answer goes: it goes to the device's own
`rs`, by the topic that the broker has checked. `trusted_files` and `blocks` have the words of their operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

CORRELATION_BYTES = 16
MAX_ASKED_BYTES = 1024
"""Of what an operation asks."""
MAX_ANSWERED_BYTES = 512 * 1024
"""Of what an operation answers."""
MAX_REQUEST_BYTES = CORRELATION_BYTES + MAX_ASKED_BYTES
MAX_ANSWER_BYTES = CORRELATION_BYTES + 1 + MAX_ANSWERED_BYTES


class Outcome(IntEnum):
    """What became of a request."""

    GIVEN = 0
    """It is answered; what is not there is an answer too."""
    LATER = 1
    """The controller cannot at present: its database or a file fails."""
    REFUSED = 2
    """It is no request that this controller understands, or the device is not one of its fleet."""


@dataclass(frozen=True)
class Request:
    """What a device asks."""

    correlation: bytes
    """Chosen by the device; the controller only says it again."""
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What the controller answers."""

    correlation: bytes
    outcome: Outcome
    body: bytes = b""
    """Empty unless it is given."""


def request_bytes(request: Request) -> bytes:
    """A request on the wire."""
    return request.correlation + request.body


def read_request(payload: bytes) -> Request:
    """A request; its body is the operation's to read.

    Raises:
        ValueError: it is none.
    """
    if not CORRELATION_BYTES <= len(payload) <= MAX_REQUEST_BYTES:
        raise ValueError(f"has {len(payload)} bytes")
    return Request(payload[:CORRELATION_BYTES], payload[CORRELATION_BYTES:])


def answer_bytes(answer: Answer) -> bytes:
    """An answer on the wire."""
    return b"".join((answer.correlation, bytes((answer.outcome,)), answer.body))


def read_answer(payload: bytes) -> Answer:
    """An answer; its body is the operation's to read.

    Raises:
        ValueError: it is none.
    """
    if not CORRELATION_BYTES < len(payload) <= MAX_ANSWER_BYTES:
        raise ValueError(f"has {len(payload)} bytes")
    outcome = Outcome(payload[CORRELATION_BYTES])  # a ValueError too where a newer controller has more of them
    body = payload[CORRELATION_BYTES + 1 :]
    if body and outcome is not Outcome.GIVEN:
        raise ValueError("says more than that nothing is given")
    return Answer(payload[:CORRELATION_BYTES], outcome, body)
