"""What the model store writes beside a specialist: `base.json` (its base model's blob) and `fitness.json` (measured).

It knows the two files' form; when they are written is the store's affair.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homebred_daemon.core.measurements import Measurement, measurements_record, read_measurements
from homebred_daemon.errors import StateError
from homebred_protocol.documents.fields import DocumentError

BASE_NAME = "base.json"
FITNESS_NAME = "fitness.json"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The base model of a stored specialist."""

    digest: str
    """`sha256:` of the blob."""
    size_bytes: int
    """Its size when it was put in."""


def base_body(base: Base) -> bytes:
    """The content of base.json."""
    return _json_body({"digest": base.digest, "size_bytes": base.size_bytes})


def read_base(folder: Path) -> Base:
    """The base.json of a stored specialist. Raises StateError."""
    path = folder / BASE_NAME
    try:
        record = json.loads(path.read_bytes())
        digest, size_bytes = record["digest"], record["size_bytes"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateError(f"{path} cannot be read: {error}") from None
    if not (isinstance(digest, str) and _DIGEST.fullmatch(digest) and isinstance(size_bytes, int)):
        raise StateError(f"{path} names no base model")
    return Base(digest=digest, size_bytes=size_bytes)


def fitness_body(measurements: Mapping[str, Measurement]) -> bytes:
    """The content of fitness.json, from measurements by workflow."""
    return _json_body(measurements_record(measurements))


def read_fitness(folder: Path) -> dict[str, Measurement]:
    """The measurements by workflow in a stored specialist's fitness.json, if it has one. Raises StateError."""
    path = folder / FITNESS_NAME
    try:
        return read_measurements(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError, DocumentError) as error:
        raise StateError(f"{path} cannot be read: {error}") from None


def _json_body(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
