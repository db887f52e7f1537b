"""Compares a foreign engine package, where it is installed, with what is recorded of it. Reads files, runs nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.cli.finding import OK, WARNING, Finding
from homebred_engines.native_names import missing_names
from homebred_engines.package_facts import PackageFacts, drift, shipped_facts
from homebred_engines.package_source import open_source

_MOST_NAMED = 8
_COMPILED = "tensorrt_edgellm/_native/payloads/*/_edgellm_runtime.*.so"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCheck:
    """How an engine's package is compared."""

    engine: str
    """The engine that it serves."""
    distribution: str
    """As it is installed: `tensorrt-llm`."""
    module: str
    """As it is imported."""
    facts: str
    """The file of what is recorded."""
    differences: Callable[[PackageFacts, Path], list[str]]
    """Between what is recorded and a site-packages folder."""


def _in_source(facts: PackageFacts, folder: Path) -> list[str]:
    source = open_source(folder)
    return drift(facts.classes, {name: source.class_facts(name, each.places) for name, each in facts.classes.items()})


def _in_compiled(facts: PackageFacts, folder: Path) -> list[str]:
    """Of one compiled module: those for other GPUs are built of the same source."""
    modules = sorted(folder.glob(_COMPILED))
    if not modules:
        raise FileNotFoundError(f"there is no {_COMPILED}")
    return missing_names(facts, modules[0])


PACKAGES = (
    PackageCheck(
        engine="trtllm",
        distribution="tensorrt-llm",
        module="tensorrt_llm",
        facts="tensorrt_llm-1.2.1.json",
        differences=_in_source,
    ),
    PackageCheck(
        engine="edgellm",
        distribution="tensorrt-edgellm",
        module="tensorrt_edgellm",
        facts="tensorrt_edgellm-0.11.0.json",
        differences=_in_compiled,
    ),
)


def package_finding(check: PackageCheck, python: Path, version: str, folder: Path) -> Finding:
    """How the package in a site-packages folder differs from the recorded one."""
    facts, installed = shipped_facts(check.facts), f"{check.distribution} {version}"
    try:
        differences = check.differences(facts, folder)
    except (OSError, SyntaxError, ValueError) as error:
        return _warning(check, python, facts, f"{installed} in {folder} cannot be read: {error}")
    if differences:
        more = f"; and {len(differences) - _MOST_NAMED} more" if len(differences) > _MOST_NAMED else ""
        named = "; ".join(differences[:_MOST_NAMED]) + more
        return _warning(check, python, facts, f"{installed} differs from what is recorded: {named}")
    what = f"{installed}: as recorded of {facts.version}, which this engine was written to and never run on"
    return Finding(check=f"engine_{check.engine}", status=OK, what=what)


def _warning(check: PackageCheck, python: Path, facts: PackageFacts, what: str) -> Finding:
    return Finding(
        check=f"engine_{check.engine}",
        status=WARNING,
        what=what,
        why=f"models of the engine {check.engine} may fail to load or to answer; other engines are not touched",
        next=f"install the recorded version there: {python} -m pip install {facts.distribution}=={facts.version}",
    )
