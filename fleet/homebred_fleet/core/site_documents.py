"""Whether a policy or a gazetteer can be assigned: what a device would refuse is better heard before it is sent.

The device decides by itself, under its own site ceiling. A gazetteer's faults are told by line and never by content:
it holds names of patients.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Final

from homebred_protocol.digests import digest_of
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.policy import read_policy

KINDS: Final = ("policy", "gazetteer")
MAX_BYTES: Final = {"policy": 1024 * 1024, "gazetteer": 32 * 1024 * 1024}
"""What a device reads at most."""
MAX_TEXTS: Final = 100_000
MAX_TEXT_CHARACTERS: Final = 200
MAX_PROBLEMS: Final = 20
"""More are counted only."""
_CLASS: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_KEYS: Final = {"text", "class", "aliases"}


def problems_of(kind: str, body: bytes) -> list[str]:
    """What is wrong with a document, a sentence each; nothing: it may be assigned."""
    if len(body) > MAX_BYTES[kind]:
        return [f"it is larger than {MAX_BYTES[kind]:,} bytes"]
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        return [f"line {line} is not UTF-8; save it as UTF-8"]
    found = _policy_problems(text, body) if kind == "policy" else _gazetteer_problems(text)
    more = len(found) - MAX_PROBLEMS
    return found if more <= 0 else [*found[:MAX_PROBLEMS], f"and {more} more"]


def _policy_problems(text: str, body: bytes) -> list[str]:
    try:
        read_policy(tomllib.loads(text), digest_of(body))
    except DocumentError as error:
        return [problem.sentence() for problem in error.problems]
    except (ValueError, RecursionError) as error:
        return [f"it is not valid TOML: {error}; see `homebred policy default` for an example"]
    return []


def _gazetteer_problems(text: str) -> list[str]:
    found = []
    texts = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        problem, count = _entry(line)
        texts += count
        if problem:
            found.append(f"line {number}: {problem}")
    if texts > MAX_TEXTS:
        found.append(f"it has {texts:,} texts and aliases; {MAX_TEXTS:,} are taken")
    if texts == 0 and not found:
        found.append('it is empty; write one {"text": "...", "class": "patient", "aliases": ["..."]} a line')
    return found


def _entry(line: str) -> tuple[str, int]:
    """What is wrong with a line, without a word of it, and how many texts it has."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return "it is no JSON object", 0
    if not isinstance(entry, dict) or not {"text", "class"} <= entry.keys() <= _KEYS:
        return "it is not an object of `text`, `class` and, where there are some, `aliases`", 0
    aliases = entry.get("aliases", [])
    if not isinstance(aliases, list):
        return "`aliases` is not a list of texts", 0
    if not isinstance(entry["class"], str) or not _CLASS.fullmatch(entry["class"]):
        return "`class` is no class name: lower-case letters, digits and _", 0
    texts = [entry["text"], *aliases]
    if not all(isinstance(one, str) and one and len(one) <= MAX_TEXT_CHARACTERS for one in texts):
        return f"a text or alias is no text of 1 to {MAX_TEXT_CHARACTERS} characters", 0
    return "", len(texts)
