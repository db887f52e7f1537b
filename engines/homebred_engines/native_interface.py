"""Reads a compiled class out of interface text (`.pyi`), as tools write it of a module that pybind11 made. Pure.

Interface text says what exists and what may be assigned, not what anything does. It is parsed, never imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from homebred_engines.package_facts import ClassFacts, Signature
from homebred_engines.signatures import is_static, signature_of

_MEMBER = "ClassVar"


def native_facts(node: ast.ClassDef) -> ClassFacts:
    """The class's facts. Of a method with overloads, the second and later ones are called `name (2)` and so on."""
    functions = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    read = {each.name: _annotation(each.returns) for each in functions if _has(each, "property")}
    assigned = {each.name for each in functions if _has(each, f"{each.name}.setter")}
    declared = dict(_declared(node))
    plain = {name: each for name, each in declared.items() if _MEMBER not in each}
    settable = plain | {name: each for name, each in read.items() if name in assigned}
    return ClassFacts(
        kind="native",
        attributes=tuple(sorted({*read, *plain})),
        settable=dict(sorted(settable.items())),
        members=tuple(name for name, each in declared.items() if _MEMBER in each),
        methods=_methods([each for each in functions if each.name not in {*read, *assigned}]),
    )


def _methods(functions: list[ast.FunctionDef]) -> dict[str, Signature]:
    methods: dict[str, Signature] = {}
    for each in functions:
        if each.name.startswith("_") and each.name != "__init__":
            continue
        overloads = sum(name == each.name or name.startswith(f"{each.name} (") for name in methods)
        name = each.name if not overloads else f"{each.name} ({overloads + 1})"
        methods[name] = signature_of(each.args, is_static=is_static(each))
    return methods


def _declared(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Names that the class declares without a function, with their types."""
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and not each.target.id.startswith("_"):
            yield each.target.id, ast.unparse(each.annotation)


def _has(function: ast.FunctionDef, decorator: str) -> bool:
    return decorator in map(ast.unparse, function.decorator_list)


def _annotation(node: ast.expr | None) -> str:
    return "" if node is None else ast.unparse(node)
