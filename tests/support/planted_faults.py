"""Faults for contract runs: in a copy of the engines, or in what is recorded of a package."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import homebred_engines
from homebred_engines.package_facts import PackageFacts


def planted(tmp_path: Path, module: str, right: str, wrong: str) -> Path:
    """A folder with a copy of the engines, one of whose modules has a fault."""
    package = tmp_path / "planted" / "homebred_engines"
    shutil.copytree(Path(str(homebred_engines.__file__)).parent, package)
    source = (package / f"{module}.py").read_text()
    assert source.count(right) == 1
    (package / f"{module}.py").write_text(source.replace(right, wrong))
    return package.parent


def without(owner: str, kind: str, name: str) -> Callable[[PackageFacts], PackageFacts]:
    """The facts of a package that lost a field, an attribute, a method or a member; `kind` is where it stood."""

    def changed(facts: PackageFacts) -> PackageFacts:
        each = facts.classes[owner]
        lost = replace(
            each,
            fields={field: default for field, default in each.fields.items() if field != name},
            attributes=tuple(attribute for attribute in each.attributes if attribute != name),
            settable={attribute: type_ for attribute, type_ in each.settable.items() if attribute != name},
            members=tuple(member for member in each.members if member != name),
            methods={method: signature for method, signature in each.methods.items() if method != name},
        )
        assert getattr(lost, kind) != getattr(each, kind)
        return replace(facts, classes={**facts.classes, owner: lost})

    return changed
