"""Compares a foreign engine package, where it is installed, with what is recorded of it. Reads text, runs nothing."""

from __future__ import annotations

from pathlib import Path

from homebred_daemon.cli.finding import OK, WARNING, Finding
from homebred_engines.package_facts import PackageFacts, drift, shipped_facts
from homebred_engines.package_source import open_source

TENSORRT_LLM_FACTS = "tensorrt_llm-1.2.1.json"
_MOST_NAMED = 8


def trtllm_finding(python: Path, version: str, folder: Path) -> Finding:
    """How the TensorRT-LLM in a site-packages folder differs from the recorded one."""
    facts = shipped_facts(TENSORRT_LLM_FACTS)
    try:
        differences = _differences(facts, folder)
    except (OSError, SyntaxError, ValueError) as error:
        return _warning(python, facts, f"tensorrt-llm {version} in {folder} cannot be read: {error}")
    if differences:
        more = f"; and {len(differences) - _MOST_NAMED} more" if len(differences) > _MOST_NAMED else ""
        named = "; ".join(differences[:_MOST_NAMED]) + more
        return _warning(python, facts, f"tensorrt-llm {version} differs from what is recorded: {named}")
    what = f"tensorrt-llm {version}: as recorded of {facts.version}, which this engine was written to and never run on"
    return Finding(check="engine_trtllm", status=OK, what=what)


def _differences(facts: PackageFacts, folder: Path) -> list[str]:
    source = open_source(folder)
    return drift(facts.classes, {name: source.class_facts(name, each.places) for name, each in facts.classes.items()})


def _warning(python: Path, facts: PackageFacts, what: str) -> Finding:
    return Finding(
        check="engine_trtllm",
        status=WARNING,
        what=what,
        why="models of the engine trtllm may fail to load or to answer; other engines are not touched",
        next=f"install the recorded version there: {python} -m pip install {facts.distribution}=={facts.version}",
    )
