"""Writes a strict stand-in of a recorded package: its classes as the facts have them, and nothing they do not have.

An unknown keyword, a field or method that is not recorded and an attribute that is not there all raise, by Python's own
rules or, in compiled classes, by pybind11's (`stand_in_native.py`). What the classes do comes from a module of its own
for each package. It is written at test time and never committed.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from types import ModuleType

from tests.support import edge_stand_in_behaviour, stand_in_behaviour, stand_in_guidance
from tests.support.stand_in_native import native_class

from homebred_engines.package_facts import UNSTATED, ClassFacts, PackageFacts, Signature, shipped_facts

STAND_IN_VERSION = "+stand-in"
FREE_DEVICE_BYTES = 8_000_000_000
GPU_ARCHITECTURE = "sm_87"
_HEAD = """from __future__ import annotations

from dataclasses import dataclass, field

from {package} import _behaviour
from {package}._behaviour import UNSTATED
"""
_TORCH = f"""class cuda:
    @staticmethod
    def mem_get_info():
        return {FREE_DEVICE_BYTES}, {FREE_DEVICE_BYTES}
"""
_CUDA = """class cudaDeviceAttr:
    cudaDevAttrComputeCapabilityMajor, cudaDevAttrComputeCapabilityMinor = 75, 76

def cudaGetDevice():
    return 0, 0

def cudaDeviceGetAttribute(attribute, device):
    return 0, {75: 8, 76: 7}[attribute]
"""
_BEHAVIOURS = {"tensorrt-llm": stand_in_behaviour, "tensorrt-edgellm": edge_stand_in_behaviour}
_BESIDE = {"tensorrt-llm": {"torch.py": _TORCH}, "tensorrt-edgellm": {"cuda/bindings/runtime.py": _CUDA}}
"""As much of other packages as is asked for."""


def tensorrt_llm_facts() -> PackageFacts:
    """What is recorded of TensorRT-LLM."""
    return shipped_facts("tensorrt_llm-1.2.1.json")


def tensorrt_edgellm_facts() -> PackageFacts:
    """What is recorded of TensorRT Edge-LLM."""
    return shipped_facts("tensorrt_edgellm-0.11.0.json")


def write_stand_in(folder: Path, facts: PackageFacts) -> Path:
    """The package in a folder that may stand on Python's path, with as much of others as is asked for."""
    name, behaviour = facts.distribution.replace("-", "_"), _BEHAVIOURS[facts.distribution]
    package = folder / name
    package.mkdir(parents=True)
    for copy, source in (("_behaviour.py", behaviour), ("_guidance.py", stand_in_guidance)):
        text = Path(str(source.__file__)).read_text(encoding="utf-8")
        (package / copy).write_text(text, encoding="utf-8")
    (package / "_generated.py").write_text(_module(name, facts, behaviour), encoding="utf-8")
    for class_name, each in facts.classes.items():
        for place in each.places:
            _export(folder, place, class_name)
    for path, text in _BESIDE[facts.distribution].items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    metadata = folder / f"{name}-{facts.version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    version = facts.version + STAND_IN_VERSION
    metadata.write_text(f"Metadata-Version: 2.1\nName: {facts.distribution}\nVersion: {version}\n", encoding="utf-8")
    return folder


def write_interpreter(folder: Path, *paths: Path, first: tuple[Path, ...] = (), start_s: float = 0) -> Path:
    """A site's own interpreter: this one, with folders more on its path."""
    program = folder / "python"
    before, after = ("".join(f"{path}:" for path in first), "".join(f":{path}" for path in paths))
    program.write_text(
        f"#!/bin/sh\nexport STAND_IN_START_S={start_s}\n"
        f'export PYTHONPATH={shlex.quote(before)}"$PYTHONPATH"{shlex.quote(after)}\n'
        f'exec {shlex.quote(sys.executable)} "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


def _export(folder: Path, place: str, name: str) -> None:
    parts = place.split(".")
    for length in range(1, len(parts) + 1):
        module = folder.joinpath(*parts[:length], "__init__.py")
        module.parent.mkdir(exist_ok=True)
        module.touch()
    with folder.joinpath(*parts, "__init__.py").open("a", encoding="utf-8") as file:
        file.write(f"from {parts[0]}._generated import {name}\n")


def _module(package: str, facts: PackageFacts, behaviour: ModuleType) -> str:
    classes = (_class(name, each, behaviour) for name, each in facts.classes.items())
    return "\n\n".join([_HEAD.format(package=package), *classes])


def _class(name: str, facts: ClassFacts, behaviour: ModuleType) -> str:
    if facts.kind == "native":
        return native_class(name, facts, has_behaviour=hasattr(behaviour, name))
    base = f"(_behaviour.{name})" if hasattr(behaviour, name) else ""
    lines = [f"class {name}{base}:"]
    if facts.kind != "class":
        by_name = facts.keyword_only or facts.kind == "model"
        lines.insert(0, f"@dataclass(kw_only={by_name}, slots={facts.slots})")
    lines += [f"    {field}: object{_default(default)}" for field, default in facts.fields.items()]
    for attribute in facts.attributes:
        lines += ["    @property", f"    def {attribute}(self):", f"        return self.read_{attribute}()"]
    for method, signature in facts.methods.items():
        lines += _method(method, signature)
    if "__init__" in facts.methods:
        own = [each for each in facts.methods["__init__"] if not each.startswith("*")]
        lines.append(f"    own_arguments = {set(own)!r}")
    return "\n".join([*lines, "    pass"])


def _default(default: str | None) -> str:
    if default is None:
        return ""
    if default == UNSTATED:
        return " = UNSTATED"
    return f" = field(default_factory={default[:-2]})" if default in ("list()", "dict()") else f" = {default}"


def _method(name: str, signature: Signature) -> list[str]:
    parameters = ["self"]
    passed = []
    for each, default in signature.items():
        parameters.append(each if default is None else f"{each}={default}")
        if each.startswith("**"):
            passed.append(each)
        elif not each.startswith("*"):
            passed.append(f"{each!r}: {each}")
    return [
        f"    def {name}({', '.join(parameters)}):",
        f"        return _behaviour.do(self, {name!r}, {{{', '.join(passed)}}})",
    ]
