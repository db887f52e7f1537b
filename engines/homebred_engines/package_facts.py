"""What is recorded of a foreign package's classes, and how an installed one differs from it. Pure.

A facts file is JSON: for each class the places it is imported from, its fields or methods in order, and each default as
Python source; null where there is none, "…" where the source of the facts does not say it. It imports nothing of the
package and says nothing of how that behaves. `package_source.py` reads such facts out of source text.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

FORMAT = "homebred-package-facts"
UNSTATED = "…"
KINDS = ("class", "dataclass", "model", "native")
_VARIADIC = "*"

Signature = Mapping[str, "str | None"]
"""Parameters in order, with the default as Python source; None: there is none. `*` divides as in Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFacts:
    """One class."""

    places: tuple[str, ...] = ()
    """Modules that it may be imported from, the preferred first."""
    source: str = ""
    """Which of the package's sources these facts are from."""
    kind: str = "class"
    """One of KINDS; a model is a pydantic one, a native one is compiled and takes no further attributes."""
    keyword_only: bool = False
    """Of a dataclass: whether its fields are given by name alone."""
    slots: bool = False
    """Of a dataclass: whether it takes no further attributes."""
    fields: Signature = field(default_factory=dict)
    """Of a dataclass or model."""
    attributes: tuple[str, ...] = ()
    """What else can be read of an instance, sorted."""
    settable: Mapping[str, str] = field(default_factory=dict)
    """Of a native one: which of those may be assigned, with the type that is read of each."""
    members: tuple[str, ...] = ()
    """Of a native one: its own instances, as an enumeration has them."""
    methods: Mapping[str, Signature] = field(default_factory=dict)
    """By name, without `self`; of a native one's overloads, the second is called `name (2)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFacts:
    """What is recorded of one version of a package."""

    distribution: str
    """As it is installed: `tensorrt-llm`."""
    version: str
    """The version that the facts are of."""
    written: str
    """How they were written."""
    sources: Mapping[str, str]
    """Where they are from, by the short names that classes use."""
    classes: Mapping[str, ClassFacts]
    """By name."""


def read_facts(text: str) -> PackageFacts:
    """A facts file. Raises ValueError where it is none."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"this is no facts file: its format is not {FORMAT}")
    classes = {name: _read_class(name, facts, document["sources"]) for name, facts in document["classes"].items()}
    return PackageFacts(
        distribution=document["distribution"],
        version=document["version"],
        written=document["written"],
        sources=document["sources"],
        classes=classes,
    )


def write_facts(facts: PackageFacts) -> str:
    """The file of these facts: what `read_facts` reads."""
    document = {
        "format": FORMAT,
        "distribution": facts.distribution,
        "version": facts.version,
        "written": facts.written,
        "sources": dict(facts.sources),
        "classes": {name: _write_class(each) for name, each in facts.classes.items()},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def shipped_facts(file_name: str) -> PackageFacts:
    """The facts that come with this package, such as `tensorrt_llm-1.2.1.json`."""
    return read_facts((resources.files("homebred_engines") / "facts" / file_name).read_text(encoding="utf-8"))


def drift(recorded: Mapping[str, ClassFacts], found: Mapping[str, ClassFacts | None]) -> list[str]:
    """Each way in which what was found breaks what is recorded, by name. What is new and optional breaks nothing."""
    sentences: list[str] = []
    for name, expected in recorded.items():
        actual = found.get(name)
        if actual is None:
            sentences.append(f"{name} is in none of {', '.join(expected.places)}")
        else:
            sentences += _class_drift(name, expected, actual)
    return sentences


def _class_drift(name: str, expected: ClassFacts, actual: ClassFacts) -> Iterator[str]:
    if expected.kind != actual.kind:
        yield f"{name} was a {expected.kind} and is a {actual.kind}"
    if actual.keyword_only and not expected.keyword_only:
        yield f"{name} takes its fields by name alone"
    yield from _signature_drift(name, expected.fields, actual.fields)
    readable = {*actual.attributes, *actual.fields}
    yield from (f"{name}.{attribute} is gone" for attribute in expected.attributes if attribute not in readable)
    yield from (f"{name}.{member} is gone" for member in expected.members if member not in actual.members)
    for attribute, kind in expected.settable.items():
        if attribute not in actual.settable:
            yield f"{name}.{attribute} cannot be assigned any more"
        elif actual.settable[attribute] != kind:
            yield f"{name}.{attribute} was {kind} and is {actual.settable[attribute]}"
    for method, signature in expected.methods.items():
        if method in actual.methods:
            yield from _signature_drift(f"{name}.{method}", signature, actual.methods[method])
        else:
            yield f"{name}.{method} is gone"


def _signature_drift(owner: str, expected: Signature, actual: Signature) -> Iterator[str]:
    takes_more = any(name.startswith("**") for name in actual)
    for name, default in expected.items():
        if name not in actual:
            if name != _VARIADIC and not takes_more:
                yield f"{owner}: {name} is gone"
        elif name.startswith(_VARIADIC):
            continue
        elif default is not None and actual[name] is None:
            yield f"{owner}: {name} has no default any more"
        elif not _same_default(default, actual[name]):
            yield f"{owner}: {name} was {default} by default and is {actual[name]}"
    for name, default in actual.items():
        if name not in expected and default is None and not name.startswith(_VARIADIC):
            yield f"{owner}: {name} is new and must be given"


def _same_default(expected: str | None, actual: str | None) -> bool:
    if expected is None or UNSTATED in (expected, actual) or actual is None:
        return True
    return ast.dump(ast.parse(expected, mode="eval")) == ast.dump(ast.parse(actual, mode="eval"))


def _read_class(name: str, facts: Mapping[str, Any], sources: Mapping[str, str]) -> ClassFacts:
    if facts["kind"] not in KINDS or facts["source"] not in sources or not facts["places"]:
        raise ValueError(f"{name} has no known kind, no known source or no place")
    return ClassFacts(
        places=tuple(facts["places"]),
        source=facts["source"],
        kind=facts["kind"],
        keyword_only=facts.get("keyword_only", False),
        slots=facts.get("slots", False),
        fields=facts.get("fields", {}),
        attributes=tuple(facts.get("attributes", ())),
        settable=facts.get("settable", {}),
        members=tuple(facts.get("members", ())),
        methods=facts.get("methods", {}),
    )


def _write_class(facts: ClassFacts) -> dict[str, object]:
    document: dict[str, object] = {"places": list(facts.places), "source": facts.source, "kind": facts.kind}
    optional = {
        "keyword_only": facts.keyword_only,
        "slots": facts.slots,
        "fields": dict(facts.fields),
        "attributes": list(facts.attributes),
        "settable": dict(facts.settable),
        "members": list(facts.members),
        "methods": {name: dict(signature) for name, signature in facts.methods.items()},
    }
    return document | {name: value for name, value in optional.items() if value}
