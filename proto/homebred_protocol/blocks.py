"""Blocks of a release's files as a device asks for them over MQTT: which bytes of which file.

A request is one object of JSON; the answer is a page as `trusted_files` has it, of the file's whole length and of the
bytes that were asked for: fewer where the file ends before. Nothing here opens or sends a file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TypeGuard

from homebred_protocol.trusted_files import read_object

REQUEST = "blocks"
"""What a request over MQTT is called."""
MAX_REQUEST_BYTES = 256
MAX_BLOCK_BYTES = 256 * 1024
MAX_FILE_BYTES = 2**50
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Block:
    """Some bytes of a file."""

    digest: str
    """`sha256:…` of the whole file."""
    begin: int
    length: int
    """From 1 to `MAX_BLOCK_BYTES`."""


def request_of(block: Block) -> bytes:
    """Asks for a block."""
    return json.dumps({"digest": block.digest, "begin": block.begin, "length": block.length}).encode()


def read_request(body: bytes) -> Block:
    """The block that is asked for.

    Raises:
        ValueError: it is no request for one.
    """
    said = read_object(body, MAX_REQUEST_BYTES)
    digest = said.get("digest")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError("names no file by its digest")
    begin, length = said.get("begin"), said.get("length")
    if not _is_number(begin, 0, MAX_FILE_BYTES) or not _is_number(length, 1, MAX_BLOCK_BYTES):
        raise ValueError("has no bounds")
    return Block(digest, begin, length)


def _is_number(value: object, least: int, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
