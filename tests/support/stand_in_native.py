"""The text of a compiled class's stand-in: as pybind11 has them, with what may be assigned checked, and nothing else.

An attribute that is not recorded can be neither read nor assigned, an assigned value must have the recorded type, a
call must fit one of the recorded overloads, and a class without a constructor cannot be made.
"""

from __future__ import annotations

from homebred_engines.package_facts import UNSTATED, ClassFacts, Signature


def native_class(name: str, facts: ClassFacts, *, has_behaviour: bool) -> str:
    """Its behaviour module has a class of that name, or `Native` serves."""
    lines = [
        f"class {name}(_behaviour.{name if has_behaviour else 'Native'}):",
        "    __slots__ = ()",
        f"    SETTABLE = {dict(facts.settable)!r}",
    ]
    for attribute in facts.attributes:
        lines += ["    @property", f"    def {attribute}(self):", f"        return self.read({attribute!r})"]
        if attribute in facts.settable:
            lines += [f"    @{attribute}.setter", f"    def {attribute}(self, value):"]
            lines += [f"        self.assign({attribute!r}, value)"]
    for method in facts.methods:
        if " (" not in method:
            lines += _method(method, [each for key, each in facts.methods.items() if key.split(" (")[0] == method])
    if "__init__" not in facts.methods:
        lines += ["    def __init__(self):", f"        raise TypeError('{name}: No constructor defined!')"]
    lines += [f"{name}.{member} = {name}.made({member!r})" for member in facts.members]
    return "\n".join(lines)


def _method(name: str, overloads: list[Signature]) -> list[str]:
    """Each overload is a function that hands its arguments on by name; the first that can be called is."""
    if name == "create":
        return ["    @classmethod", "    def create(cls):", "        return cls.made()"]
    lines = []
    for number, signature in enumerate(overloads):
        given = "".join(f", {each}{_default(default)}" for each, default in signature.items())
        handed = ", ".join(f"{each!r}: {each}" for each in signature)
        lines += [f"    def _{name.strip('_')}_{number}(self{given}):", f"        return {{{handed}}}"]
    calls = ", ".join(f"self._{name.strip('_')}_{number}" for number in range(len(overloads)))
    return [
        *lines,
        f"    def {name}(self, *given, **named):",
        f"        return _behaviour.call(self, {name!r}, ({calls},), given, named)",
    ]


def _default(default: str | None) -> str:
    return "" if default is None else "=UNSTATED" if default == UNSTATED else f"={default}"
