"""Canaries: words that local-only tasks hold, and the search for them, plain and in the usual encodings."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from urllib.parse import quote

from homebred_daemon.adapters.detectors.gazetteer import Known
from homebred_daemon.core.spelling import keys

LOCAL_ONLY = ("client", "patient", "student", "voice", "biometric", "code", "trade_secret")
PATIENT = "Ottilie Zorngiebel"
"""Whom the site's gazetteer knows."""
SAYS_SO = (
    "patient record, MRN {number}: {canary}",
    "NHS number 943 476 5919 of {canary}",
    "CONFIDENTIAL {canary}",
    "part no. AX-{number}-B {canary}",
    'password = "{canary}x!7" # keep',
    f"ask {PATIENT} about {{canary}}",
    "def f(a):\n    return a[{canary!r}]\n\nfor x in range(9):\n    f(x)\n",
)
"""How a text itself says that it is local-only, though its caller declared it public."""

CONTENT = "paper+window"
"""Begins every canary of what a task says. The log would take it for a word, URLs escape what is in it, and masking
leaves it be: it must be the boundary that keeps it at home.
"""
NAME = "summer+river"
"""Begins every canary in an id, a workflow or a label: the device's own records keep these, and nobody else."""
# fmt: off
WORDS = (
    "apple", "bottle", "bread", "bridge", "butter", "button", "candle", "carpet", "chair", "cheese", "circle",
    "copper", "corner", "cotton", "dinner", "door", "engine", "feather", "fence", "finger", "flower", "garden",
    "glass", "hammer", "kitchen", "ladder", "lemon", "market", "mirror", "needle", "orange", "pencil", "pepper",
    "pillow", "pocket", "salt", "silver", "spoon", "sugar", "table", "ticket", "tower", "velvet", "walnut",
    "water",
)
# fmt: on
TAIL_WORDS = 4
CANARY = re.compile(rf"(?:{re.escape(CONTENT)}|{re.escape(NAME)})(?:\+(?:{'|'.join(WORDS)})){{{TAIL_WORDS}}}")
SAMPLE = 100
"""Canaries whose own part alone is searched for as well."""


def known_patient() -> Known:
    """The gazetteer's one entry."""
    return Known(keys=keys(PATIENT), data_class="patient")


class Canaries:
    """Makes them; any thread."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)
        self._lock = threading.Lock()
        self._tails: set[str] = set()
        self.made: list[str] = []

    def __call__(self, kind: str = CONTENT) -> str:
        """Another one."""
        with self._lock:
            while (tail := "+".join(self._random.choices(WORDS, k=TAIL_WORDS))) in self._tails:
                pass
            self._tails.add(tail)
            self.made.append(f"{kind}+{tail}")
            return self.made[-1]

    def sample(self, kind: str) -> list[str]:
        """The own parts of some."""
        tails = [canary[len(kind) :] for canary in self.made if canary.startswith(kind)]
        return self._random.sample(tails, min(SAMPLE, len(tails)))


def _escaped(text: str, form: str) -> bytes:
    return "".join(form.format(ord(character)) for character in text).encode()


ENCODINGS: Mapping[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "utf-16": lambda text: text.encode("utf-16-le"),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "url": lambda text: quote(text, safe="").encode(),
    "url, every character": lambda text: _escaped(text, "%{:02X}"),
    "json": lambda text: _escaped(text, "\\u{:04x}"),
    "JSON": lambda text: _escaped(text, "\\u{:04X}"),
    "backslashes": lambda text: _escaped(text, "\\x{:02x}"),
    "octal": lambda text: _escaped(text, "\\{:o}"),
    "ascii json": lambda text: json.dumps(text)[1:-1].encode(),
}
CASES: tuple[Callable[[str], str], ...] = (str, str.lower, str.upper, str.title)
SEPARATORS = ("+", "", " ", "-", "_")


@cache
def needles(word: str) -> tuple[bytes, ...]:
    """How the word may look in bytes that hold it."""
    found = dict.fromkeys(_spelt(word))
    return tuple(needle for needle in found if not any(other in needle for other in found if other != needle))


def _spelt(word: str) -> Iterator[bytes]:
    texts = {case(word.replace("+", separator)) for case in CASES for separator in SEPARATORS}
    for text in sorted(texts | {text[::-1] for text in texts}):
        yield from (encode(text) for encode in ENCODINGS.values())
    for text in {word, word[::-1], word.lower(), word.upper()}:
        yield from (inside for offset in range(3) for inside in _in_base64(text.encode(), offset))


def _in_base64(word: bytes, offset: int) -> Iterator[bytes]:
    """The characters that hold bits of the word alone, where it begins `offset` bytes after a multiple of three."""
    encoded = base64.b64encode(bytes(offset) + word + bytes(2))
    inside = encoded[-(-offset * 8 // 6) : (offset + len(word)) * 8 // 6]
    yield inside
    yield inside.translate(bytes.maketrans(b"+/", b"-_"))


def found_in(data: bytes, word: str) -> list[str]:
    """The places around every needle that the bytes hold, for a person."""
    return [_around(data, data.index(needle), needle) for needle in needles(word) if needle in data]


def _around(data: bytes, at: int, needle: bytes) -> str:
    return f"{needle!r} in {data[max(0, at - 100) : at + 100]!r}"


def plainly_in(text: str) -> set[str]:
    """Every canary in a text."""
    return set(CANARY.findall(text))


def files_below(folder: Path) -> dict[str, bytes]:
    """The bytes of every file, links not followed; one that goes meanwhile is left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with suppress(FileNotFoundError):
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found
