"""Reads a foreign package's classes out of its source text: a wheel, a folder of Python files, or rendered pages.

Nothing of the package is imported or run: its text is parsed (`ast`), and re-exports and base classes are followed from
module to module. What is made at run time (a class from a call, an attribute from `setattr`) is not seen, nor what is
compiled, unless interface text (`.pyi`) lies in its place. Rendered pages are those that Sphinx's viewcode writes
(`_modules/**.html`).
"""

from __future__ import annotations

import ast
import html
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeGuard

from homebred_engines.native_interface import native_facts
from homebred_engines.package_facts import ClassFacts, Signature
from homebred_engines.signatures import is_static, signature_of

ReadText = Callable[[str], "str | None"]
"""The text of a file by its path inside the source; None: there is none."""

_MODEL_BASES = ("BaseModel", "StrictBaseModel")
_SHOWN = re.compile(r"<pre>(.*?)</pre>", re.DOTALL)
_LINK_BACK = re.compile(r'<a class="viewcode-back".*?</a>', re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_PROPERTY_DECORATORS = ("property", "cached_property", "functools.cached_property")


class PackageSource:
    """The modules of one package's source."""

    def __init__(self, read_text: ReadText) -> None:
        self._read_text = read_text
        self._trees: dict[str, ast.Module | None] = {}
        self._interfaces: set[str] = set()
        """Modules of which there is interface text alone."""

    def class_facts(self, name: str, places: Sequence[str]) -> ClassFacts | None:
        """The class's facts, from the first place that leads to it; None: none does. Raises SyntaxError."""
        for place in places:
            found = self._find(place, name, set())
            if found is not None:
                module, node = found
                return native_facts(node) if module in self._interfaces else self._facts(module, node)
        return None

    def _find(self, module: str, name: str, seen: set[tuple[str, str]]) -> tuple[str, ast.ClassDef] | None:
        """The module that defines the class, and its definition; follows imports."""
        if (module, name) in seen:
            return None
        seen.add((module, name))
        tree = self._tree(module)
        if tree is None:
            return None
        for node in _top_level(tree.body):
            if isinstance(node, ast.ClassDef) and node.name == name:
                return module, node
        for target, original in self._imports(module, tree, name):
            found = self._find(target, original, seen)
            if found is not None:
                return found
        return None

    def _imports(self, module: str, tree: ast.Module, name: str) -> Iterator[tuple[str, str]]:
        """Where a name may be imported from, and what it is called there."""
        for node in _top_level(tree.body):
            if not isinstance(node, ast.ImportFrom):
                continue
            for alias in node.names:
                if alias.name == "*":
                    yield self._absolute(module, node), name
                elif (alias.asname or alias.name) == name:
                    yield self._absolute(module, node), alias.name

    def _tree(self, module: str) -> ast.Module | None:
        if module not in self._trees:
            self._trees[module] = self._parsed(module)
        return self._trees[module]

    def _parsed(self, module: str) -> ast.Module | None:
        path = module.replace(".", "/")
        for file in (f"{path}.py", f"{path}/__init__.py"):
            text = self._read_text(file)
            if text is not None:
                return ast.parse(text)
        interface = self._read_text(f"{path}.pyi")
        if interface is not None:
            self._interfaces.add(module)
            return ast.parse(interface)
        page = self._read_text(f"{path}.html")
        return None if page is None else ast.parse(rendered_source(page))

    def _absolute(self, module: str, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = module.split(".")
        is_package = self._read_text(f"{module.replace('.', '/')}/__init__.py") is not None
        parents = parts[: len(parts) - node.level + is_package]
        return ".".join([*parents, node.module] if node.module else parents)

    def _facts(self, module: str, node: ast.ClassDef) -> ClassFacts:
        """Own facts over those of the bases, the first base winning."""
        fields: dict[str, str | None] = {}
        methods: dict[str, Signature] = {}
        attributes: set[str] = set()
        is_model = any(_name_of(base) in _MODEL_BASES for base in node.bases)
        for base in reversed(node.bases):
            found = self._find(module, _name_of(base), set()) if isinstance(base, ast.Name) else None
            if found is None or found[1] is node:
                continue
            inherited = self._facts(*found)
            fields |= inherited.fields
            methods |= inherited.methods
            attributes |= set(inherited.attributes)
            is_model = is_model or inherited.kind == "model"
        options = _dataclass_options(node)
        kind = "model" if is_model else "class" if options is None else "dataclass"
        if kind != "class":
            fields |= _fields(node)
        methods |= _methods(node)
        attributes |= _attributes(node)
        return ClassFacts(
            kind=kind,
            keyword_only="kw_only" in (options or ()),
            slots="slots" in (options or ()),
            fields=fields,
            attributes=tuple(sorted(attributes - fields.keys())),
            methods=methods,
        )


def open_source(path: Path) -> PackageSource:
    """The source at a path: a wheel, or a folder of Python files or rendered pages. Raises OSError, BadZipFile."""
    if path.is_file():
        archive = zipfile.ZipFile(path)
        members = set(archive.namelist())
        return PackageSource(lambda file: archive.read(file).decode() if file in members else None)
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is neither a wheel nor a folder")
    return PackageSource(lambda file: _text_of(path / file))


def rendered_source(page: str) -> str:
    """The Python source that a rendered page shows, without the links back to the documentation."""
    shown = "".join(_SHOWN.findall(page))
    return html.unescape(_TAG.sub("", _LINK_BACK.sub("", shown)))


def _text_of(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module, those inside `if` and `try` among them."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try)):
            yield from _top_level([*node.body, *node.orelse])
            for handler in getattr(node, "handlers", ()):
                yield from _top_level(handler.body)


def _name_of(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _dataclass_options(node: ast.ClassDef) -> set[str] | None:
    """Which options of `@dataclass` are on; None: it is no dataclass."""
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        if _name_of(call.func if call else decorator) == "dataclass":
            keywords = call.keywords if call else []
            return {each.arg or "" for each in keywords if ast.unparse(each.value) == "True"}
    return None


def _fields(node: ast.ClassDef) -> dict[str, str | None]:
    """Fields and their defaults, in order."""
    fields: dict[str, str | None] = {}
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        name, value = statement.target.id, statement.value
        is_hidden = name.startswith("_") or "ClassVar" in ast.unparse(statement.annotation)
        if not is_hidden and not _is_computed(value):
            fields[name] = _default(value)
    return fields


def _is_computed(value: ast.expr | None) -> bool:
    """Whether it is a field that no constructor takes."""
    keywords = value.keywords if isinstance(value, ast.Call) else []
    return any(each.arg == "init" and ast.unparse(each.value) == "False" for each in keywords)


def _default(value: ast.expr | None) -> str | None:
    if isinstance(value, ast.Call) and _name_of(value.func) in ("field", "Field"):
        given = {each.arg: each.value for each in value.keywords}
        if "default_factory" in given:
            return ast.unparse(ast.Call(func=given["default_factory"], args=[], keywords=[]))
        value = given.get("default", value.args[0] if value.args else None)
    if value is None or ast.unparse(value) == "...":
        return None
    return ast.unparse(value)


def _methods(node: ast.ClassDef) -> dict[str, Signature]:
    return {
        each.name: signature_of(each.args, is_static=is_static(each))
        for each in node.body
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
        if (each.name == "__init__" or not each.name.startswith("_")) and not _is_property(each)
    }


def _is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    decorators = [ast.unparse(each) for each in function.decorator_list]
    return any(each in _PROPERTY_DECORATORS or each.endswith(".setter") for each in decorators)


def _attributes(node: ast.ClassDef) -> set[str]:
    """Properties, and what methods assign to `self`."""
    functions = [each for each in node.body if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))]
    properties = {each.name for each in functions if _is_property(each)}
    assigned = {each.attr for function in functions for each in ast.walk(function) if _is_assigned_to_self(each)}
    return {name for name in properties | assigned if not name.startswith("_")}


def _is_assigned_to_self(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
