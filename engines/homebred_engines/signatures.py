"""A function's parameters as facts: in order, with their defaults as Python source. Pure."""

from __future__ import annotations

import ast

from homebred_engines.package_facts import UNSTATED, Signature


def is_static(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it takes no instance."""
    return "staticmethod" in map(ast.unparse, function.decorator_list)


def signature_of(arguments: ast.arguments, *, is_static: bool) -> Signature:
    """The parameters without the instance. A default that is not spelled out (`...`) is unstated."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [_source(each) for each in arguments.defaults]
    signature: dict[str, str | None] = {each.arg: text for each, text in zip(positional, defaults, strict=True)}
    if positional and not is_static:
        del signature[positional[0].arg]
    if arguments.vararg:
        signature[f"*{arguments.vararg.arg}"] = None
    elif arguments.kwonlyargs:
        signature["*"] = None
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        signature[each.arg] = None if default is None else _source(default)
    if arguments.kwarg:
        signature[f"**{arguments.kwarg.arg}"] = None
    return signature


def _source(default: ast.expr) -> str:
    text = ast.unparse(default)
    return UNSTATED if text == "..." else text
