"""The files of both signed repositories as a device asks for them: their names, and their pages over MQTT.

    image/metadata/<file>.json              timestamp.json, 7.root.json, 7.models-qa.json
    image/targets/<folders>/<digest>.<file> a target, its SHA-256 before its name (TUF: consistent snapshots)
    director/<device>/metadata/<file>.json  what the director signs for one device

So they are called over MQTT, and in a folder that is carried (below `trust/`), which may serve many devices. Over HTTPS
(below `/device/v1/`) the device's certificate says whose director is meant: `director/metadata/<file>.json`.
Over MQTT a file comes in pages: a request names a file and an offset, an answer has one line of JSON and then bytes
(`requests` has the heads that stand before both). Nothing here opens, sends or believes a file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from homebred_protocol.ids import is_device_id
from homebred_protocol.targets import MAX_TARGET_BYTES, read_target

CARRIED = "trust"
"""The folder with these files in one that is carried."""
CARRIED_BLOBS = ("blobs", "sha256")
"""Folders, one in the other, with the files of releases in one that is carried: each by its SHA-256 in hexadecimal."""
DEVICE_FIELD = "x-homebred-device"
"""In the director's targets: the one device that they are for, since all devices have its key in common."""
REPOSITORY_FIELD = "x-homebred-repository"
"""In a root: `image` or `director`. Where the same people sign both, one must not pass for the other."""
REQUEST = "trust"
"""What a request over MQTT is called."""
MAX_REQUEST_BYTES = 1024
MAX_ANSWER_BYTES = 512 * 1024
_MAX_HEAD_BYTES = 256
MAX_PAGE_BYTES = MAX_ANSWER_BYTES - _MAX_HEAD_BYTES
MAX_FILE_BYTES = MAX_TARGET_BYTES
"""Neither metadata nor a target is longer."""
_FILE = re.compile(r"(?:[1-9][0-9]{0,15}\.)?[a-z0-9][a-z0-9-]{0,63}\.json")
_TARGET = re.compile(r"(?P<folder>(?:[^/]+/)+)[0-9a-f]{64}\.(?P<file>[^/]+)")


@dataclass(frozen=True)
class Page:
    """A piece of a file, as it was answered."""

    length: int
    """Of the whole file in bytes; -1: there is no such file."""
    body: bytes


def image_metadata() -> str:
    """Before the names of the image repository's metadata."""
    return "image/metadata/"


def director_metadata(device_id: str) -> str:
    """Before the names of what the director signs for a device."""
    return f"director/{device_id}/metadata/"


def image_target(path: str, digest: str) -> str:
    """The name of a target of the image repository's; `digest` is `sha256:…` of its bytes."""
    folder, _, file = path.rpartition("/")
    return f"image/targets/{folder}/{digest.partition(':')[2]}.{file}"


def https_path(name: str) -> str:
    """A file's name below the controller's API for devices."""
    kind, _, rest = name.partition("/")
    return f"{kind}/{rest.partition('/')[2]}" if kind == "director" else name


def is_trusted_file(name: str) -> bool:
    """Whether a file of the repositories may be called so: who serves or reads files opens no other."""
    if name.startswith("image/targets/"):
        found = _TARGET.fullmatch(name[len("image/targets/") :])
        return found is not None and read_target(found["folder"] + found["file"]) is not None
    folder, _, file = name.rpartition("/")
    parts = folder.split("/")
    is_directors = len(parts) == 3 and parts[::2] == ["director", "metadata"] and is_device_id(parts[1])  # noqa: PLR2004
    return (folder == "image/metadata" or is_directors) and _FILE.fullmatch(file) is not None


def request_of(name: str, offset: int) -> bytes:
    """Asks for a file from an offset on."""
    return json.dumps({"name": name, "offset": offset}).encode()


def read_request(body: bytes) -> tuple[str, int]:
    """Name and offset.

    Raises:
        ValueError: it is no request for a file of the repositories.
    """
    said = read_object(body, MAX_REQUEST_BYTES)
    name, offset = said.get("name"), said.get("offset")
    if not isinstance(name, str) or not is_trusted_file(name):
        raise ValueError("names no file of a repository")
    if not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset <= MAX_FILE_BYTES:
        raise ValueError("has no offset")
    return name, offset


def answer_of(page: Page) -> bytes:
    """A page on the wire; its body is at most `MAX_PAGE_BYTES`."""
    return json.dumps({"length": page.length}).encode() + b"\n" + page.body


def read_answer(body: bytes) -> Page:
    """A page.

    Raises:
        ValueError: it is none.
    """
    if len(body) > MAX_ANSWER_BYTES:
        raise ValueError(f"is longer than {MAX_ANSWER_BYTES} bytes")
    head, ends, rest = body.partition(b"\n")
    length = read_object(head, _MAX_HEAD_BYTES).get("length")
    if not ends or not isinstance(length, int) or isinstance(length, bool) or length < (0 if rest else -1):
        raise ValueError("has no length")
    return Page(length=length, body=rest)


def read_object(body: bytes, at_most: int) -> dict[str, Any]:
    """An object of JSON that a stranger may have written.

    Raises:
        ValueError: it is none, or too long.
    """
    if len(body) > at_most:
        raise ValueError(f"is longer than {at_most} bytes")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not JSON") from error
    if not isinstance(said, dict):
        raise ValueError("is no object")  # noqa: TRY004 - of the sender's making, not of the caller's
    return said
