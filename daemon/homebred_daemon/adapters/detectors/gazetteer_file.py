"""Reads a site's gazetteer: JSON lines of `{"text", "class", "aliases"?}`.

What is wrong is said by line and never by content: these are names of patients. Nothing of the file is kept but hashes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

from homebred_daemon import strict_json
from homebred_daemon.adapters.detectors.gazetteer import Gazetteer, Known
from homebred_daemon.adapters.detectors.hashed_keys import MAX_NUMBER
from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.core.spelling import keys
from homebred_daemon.errors import ConfigurationError

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_TEXTS: Final = 100_000
"""Texts and aliases together."""
MAX_CHARACTERS: Final = 200
"""Of one text."""
MAX_COMPLAINTS: Final = 20
"""More are counted only."""

_CLASS = re.compile(r"[a-z][a-z0-9_]{0,63}")
_HINT = 'write one {"text": "...", "class": "patient", "aliases": ["..."]} a line, in UTF-8'


def read_gazetteer(path: Path) -> Gazetteer:
    """The list in a file.

    Raises:
        ConfigurationError: it cannot be read, or is wrong; with the lines that are.
    """
    body = _bytes(path)
    reader = _Reader()
    digest = f"sha256:{hashlib.sha256(default_detector().digest.encode() + body).hexdigest()}"
    gazetteer = Gazetteer(reader.known(body), digest)
    reader.refuse_complaints(path)
    return gazetteer


class _Reader:
    def __init__(self) -> None:
        self._complaints: list[str] = []
        self._count = 0
        self._classes: set[str] = set()

    def known(self, body: bytes) -> Iterator[Known]:
        """The entries of all lines that are right; the others are complained about."""
        for number, line in enumerate(BytesIO(body), start=1):
            if not line.strip():
                continue
            try:
                yield from self._entries(line)
            except ValueError as error:
                self._complaints.append(f"line {number}: {error}")

    def _entries(self, line: bytes) -> list[Known]:
        entry = strict_json.parse(line)
        if not isinstance(entry, dict) or not {"text", "class"} <= entry.keys() <= {"text", "class", "aliases"}:
            raise ValueError("is not an object of `text`, `class` and, where there are some, `aliases`")
        data_class, aliases = entry["class"], entry.get("aliases", [])
        if not isinstance(data_class, str) or not _CLASS.fullmatch(data_class):
            raise ValueError("`class` is no class name: lower-case letters, digits and _")
        if not isinstance(aliases, list):
            raise ValueError("`aliases` is not a list of texts")  # noqa: TRY004  # one kind of complaint for a line
        texts = [entry["text"], *aliases]
        self._count += len(texts)
        self._classes.add(data_class)
        if self._count > MAX_TEXTS or len(self._classes) > MAX_NUMBER:
            raise ValueError(f"goes beyond {MAX_TEXTS:,} texts or {MAX_NUMBER} classes")
        return [Known(keys=_keys(text), data_class=data_class) for text in texts]

    def refuse_complaints(self, path: Path) -> None:
        """Raises ConfigurationError where there are any."""
        if self._complaints:
            told = self._complaints[:MAX_COMPLAINTS]
            more = len(self._complaints) - len(told)
            lines = [f"{path}: {len(self._complaints)} lines are wrong", *told, *([f"and {more} more"] if more else ())]
            raise ConfigurationError("\n  ".join(lines), hint=_HINT)


def _keys(text: object) -> frozenset[str]:
    if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        raise ValueError(f"a text or alias is no text of at most {MAX_CHARACTERS} characters")
    return keys(text)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}", hint="correct the path, or the file's permissions"
        ) from error
    if len(body) > MAX_BYTES:
        raise ConfigurationError(f"{path} is larger than {MAX_BYTES:,} bytes", hint="leave out what no task will name")
    return body
