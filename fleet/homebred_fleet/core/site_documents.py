"""Whether a policy or a gazetteer can be signed: what a device would refuse is better heard before.

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
from homebred_protocol.documents.gazetteer_manifest import MAX_LIST_BYTES, read_gazetteer_manifest
from homebred_protocol.documents.policy import read_policy
from homebred_protocol.targets import Kind

POLICY_EXAMPLE: Final = "homebred policy default"
MANIFEST_MAKER: Final = "homebred-fleet gazetteer add"
MAX_TEXTS: Final = 100_000
MAX_TEXT_CHARACTERS: Final = 200
MAX_PROBLEMS: Final = 20
"""More are counted only."""
_CLASS: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_KEYS: Final = {"text", "class", "aliases"}


def problems_of(kind: Kind, body: bytes) -> list[str]:
    """What is wrong with the bytes of a policy or of a gazetteer's manifest, a sentence each; nothing: sign them."""
    if not kind.is_for_a_site:
        return []
    document = (
        f"policy; see `{POLICY_EXAMPLE}`" if kind is Kind.POLICY else f"manifest; make it with `{MANIFEST_MAKER}`"
    )
    try:
        parsed = tomllib.loads(_text(body))
        if kind is Kind.POLICY:
            read_policy(parsed, digest_of(body))
        else:
            read_gazetteer_manifest(parsed)
    except DocumentError as error:
        return _first([problem.sentence() for problem in error.problems])
    except (ValueError, RecursionError) as error:
        return [f"it is not the TOML of a {document}: {error}"]
    return []


def problems_of_list(body: bytes) -> list[str]:
    """The same of a gazetteer's list: nothing: a manifest may name it."""
    if len(body) > MAX_LIST_BYTES:
        return [f"it is larger than {MAX_LIST_BYTES:,} bytes"]
    try:
        return _first(_gazetteer_problems(_text(body)))
    except ValueError as error:
        return [str(error)]


def _text(body: bytes) -> str:
    """Raises ValueError, without a word of it."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8; save it as UTF-8") from None


def _first(found: list[str]) -> list[str]:
    more = len(found) - MAX_PROBLEMS
    return found if more <= 0 else [*found[:MAX_PROBLEMS], f"and {more} more"]


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
