"""How well an answer fits what a golden row expects, and what many scores amount to.

`exact` compares text. `json_equal` and `json_fields` compare JSON values: strictly, so that a fitness never flatters,
but for what carries no meaning: white space around text, an integer written as a float, the order of an object's keys.
Case, the order of a list, missing and further keys and `null` all count. An answer that is not JSON, and nothing but
JSON, scores 0: whoever calls a specialist for JSON parses all that it says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any


def score(scorer: str, answer: str, expected: Any) -> float:
    """The score of an answer in [0, 1], by one of homebred_protocol.documents.specialist.SCORERS."""
    if scorer == "exact":
        return float(answer.strip() == expected.strip())
    try:
        value = json.loads(answer, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return 0.0
    if scorer == "json_equal":
        return float(json_equal(value, expected))
    return _share_of_fields(value, expected)


def json_equal(value: Any, other: Any) -> bool:
    """Whether two parsed JSON values mean the same."""
    if isinstance(value, str) and isinstance(other, str):
        return value.strip() == other.strip()
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return value.keys() == other.keys() and all(json_equal(member, other[key]) for key, member in value.items())
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(json_equal, value, other))
    # Python holds True == 1; JSON's booleans are no numbers.
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def mean(scores: Sequence[float]) -> float:
    """The mean of at least one score, summed without rounding errors, so that no order of rows changes it."""
    return math.fsum(scores) / len(scores)


def percentile_95(values: Sequence[float]) -> float:
    """The 95th percentile of at least one value, by the nearest rank: a value that did occur."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _share_of_fields(value: Any, expected: Mapping[str, Any]) -> float:
    """The share of the expected object's fields that the value has with an equal value; further fields do not count."""
    if not isinstance(value, Mapping):
        return 0.0
    equal = sum(key in value and json_equal(value[key], wanted) for key, wanted in expected.items())
    return equal / len(expected)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")  # Python reads NaN and Infinity, no caller's parser need
