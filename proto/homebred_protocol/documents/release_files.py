"""The files of a release: paths that stay below their folder on any device, digests that do not contradict each other.

It opens none of them.
"""

from __future__ import annotations

import re
from itertools import islice

from homebred_protocol.documents.fields import Fields
from homebred_protocol.documents.release_parts import digest_of_field
from homebred_protocol.documents.release_values import FRAME_BYTES, ReleaseFile

MAX_FILES = 1_000
"""Of a release, its folders counted; the largest checkpoints have a few hundred."""
MAX_PATH_BYTES = 512
MAX_DEPTH = 8
"""Folders within one another."""
_MAX_NAME_BYTES = 200
"""A file system's 255, less what a name is written aside under."""
_TOLD = 20
"""Files with problems that are told of."""
_FRAME = re.compile(r"[0-9a-f]{64}")
_EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def path_problem(path: str) -> str:
    """Why a file of a release cannot be called so; empty: it can."""
    parts = path.split("/")
    if not path.isprintable() or "\\" in path:
        return "it holds a control character or a backslash"
    if any(not part or part.startswith(".") for part in parts):
        return "a part of it is empty or begins with a dot"
    if len(parts) > MAX_DEPTH + 1:
        return f"more than {MAX_DEPTH} folders are within one another"
    if len(path.encode(errors="replace")) > MAX_PATH_BYTES:
        return f"it has more than {MAX_PATH_BYTES} bytes"
    if any(len(part.encode(errors="replace")) > _MAX_NAME_BYTES for part in parts):
        return f"a part of it has more than {_MAX_NAME_BYTES} bytes"
    return ""


def set_problem(paths: tuple[str, ...]) -> str:
    """Why sorted paths cannot stand beside one another in a folder; empty: they can."""
    if list(paths) != sorted(paths, key=str.encode):
        return "they are not sorted"
    # Of two names that differ in case alone, some file systems hold one only.
    seen: dict[str, str] = {}
    for path in paths:
        if other := seen.get(path.casefold()):
            return f"{other} and {path} are too much alike"
        seen[path.casefold()] = path
    folders = set()
    for path in paths:
        parts = path.casefold().split("/")
        for end in range(1, len(parts)):
            folders.add("/".join(parts[:end]))
            if "/".join(parts[:end]) in seen:
                return f"{'/'.join(path.split('/')[:end])} is a file and a folder"
    return f"they make more than {MAX_FILES:,} files and folders" if len(folders) + len(paths) > MAX_FILES else ""


def frame_count(length: int) -> int:
    """Of how many frames a file consists."""
    return -(-length // FRAME_BYTES)


def files_of(fields: Fields) -> tuple[ReleaseFile, ...]:
    """The files of a manifest: as far as they could be read."""
    listed = list(islice(fields.listed("files"), MAX_FILES + 1))
    if not 0 < len(listed) <= MAX_FILES:
        fields.complain(("files",), "lists no file, or too many", f"1 to {MAX_FILES:,} files make a release")
        return ()
    before = len(fields.problems)
    files = []
    for entry in listed:
        files.append(_file(entry))
        if len(fields.problems) >= before + _TOLD:
            return tuple(files)
    if len(fields.problems) == before:
        if problem := set_problem(tuple(file.path for file in files)):
            fields.complain(
                ("files",), f"cannot stand beside one another: {problem}", "each path once, sorted by its bytes"
            )
        _check_twins(fields, files)
    return tuple(files)


def file_of(fields: Fields, key: str, files: tuple[ReleaseFile, ...]) -> str:
    """A path that is one of the files'."""
    path = fields.text(key, required=True)
    if path is not None and path not in {file.path for file in files}:
        fields.complain((key,), f"is {path!r:.100}", "name one of the release's files")
    return path or ""


def _file(entry: Fields) -> ReleaseFile:
    file = ReleaseFile(
        path=entry.text("path", required=True) or "",
        length=entry.integer("length", required=True) or 0,
        digest=digest_of_field(entry, "digest", required=True),
        frames=entry.texts("frames"),
    )
    entry.finish()
    if file.path and (problem := path_problem(file.path)):
        entry.complain(("path",), f"is {file.path!r:.100}: {problem}", "write a path below the specialist's folder")
    if problem := _frames_problem(file):
        entry.complain(("frames",), problem, f"one digest for each {FRAME_BYTES:,} bytes of the file")
    return file


def _frames_problem(file: ReleaseFile) -> str:
    expected = frame_count(file.length)
    if len(file.frames) != expected:
        return f"lists {len(file.frames):,} digests, and {file.length:,} bytes are {expected:,} frames"
    if not all(map(_FRAME.fullmatch, file.frames)):
        return "holds what is no SHA-256 in lower-case hexadecimal"
    if expected == 1 and file.digest != f"sha256:{file.frames[0]}":
        return "is not the digest of the file, whose one frame it is"
    if expected == 0 and file.digest != _EMPTY:
        return "is empty, and the digest is not that of an empty file"
    return ""


def _check_twins(fields: Fields, files: list[ReleaseFile]) -> None:
    first: dict[str, ReleaseFile] = {}
    for file in files:
        twin = first.setdefault(file.digest, file)
        if (twin.length, twin.frames) != (file.length, file.frames):
            fields.complain(
                ("files",), f"{twin.path} and {file.path} have one digest and different bytes", "one of them is wrong"
            )
            return
