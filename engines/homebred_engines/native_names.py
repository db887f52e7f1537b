"""Whether a compiled module still has the names that are recorded of it. Reads its bytes; nothing of it is loaded.

pybind11 keeps the name of each class, attribute, method, parameter and member in the module as text that ends with a
zero byte. A name that stands nowhere is gone. One that stands somewhere may belong to another class, and what it takes
is not seen: this finds what was renamed or dropped, and no more.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from homebred_engines.package_facts import ClassFacts, PackageFacts


def missing_names(facts: PackageFacts, module: Path) -> list[str]:
    """Each recorded name that the module lacks, with its class. Raises OSError, ValueError for an empty file."""
    with module.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return [
            f"{owner}: {name} is gone"
            for owner, each in facts.classes.items()
            for name in (owner, *sorted(set(_names(each))))
            if content.find(name.encode() + b"\0") < 0
        ]


def _names(facts: ClassFacts) -> Iterator[str]:
    yield from facts.attributes
    yield from facts.members
    for method, signature in facts.methods.items():
        yield from signature
        name = method.partition(" ")[0]
        if name != "__init__":
            yield name
