"""Checks of the interpreter that runs the engines: what it has, told by itself. No model is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homebred_daemon.adapters.engine_interpreter import PROBE_TIMEOUT_S, probe
from homebred_daemon.cli.finding import ERROR, OK, WARNING, Finding
from homebred_daemon.cli.package_checks import PACKAGES as FOREIGN
from homebred_daemon.cli.package_checks import package_finding

FLOOR = (3, 10)
NEEDED: Mapping[str, tuple[int, ...]] = {"grpcio": (1, 80), "protobuf": (6, 33, 5)}


def engine_findings(python: Path, timeout_s: float = PROBE_TIMEOUT_S) -> list[Finding]:
    """What the interpreter lacks for worker and llamacpp, and how NVIDIA's packages differ from what is recorded."""
    try:
        steps, ending = probe(python, timeout_s)
    except OSError as error:
        what = f"{python} cannot be started: {error.strerror}"
        return [_worker_error(what, "set engine.python to an interpreter of Python 3.10 or newer")]
    findings = [_worker_finding(python, steps, ending), _llamacpp_finding(python, steps, ending)]
    for check in FOREIGN:
        version = steps.get("packages", {}).get(check.distribution, "")
        if version:
            folder = Path(steps.get(check.module, {}).get("folder", ""))
            findings.append(package_finding(check, python, version, folder))
    return findings


def _worker_finding(python: Path, steps: Mapping[str, Mapping[str, Any]], ending: str) -> Finding:
    if "packages" not in steps:
        return _worker_error(f"{python} does not run: {ending}", "set engine.python to an interpreter that works")
    version = ".".join(map(str, steps["python"]["version"]))
    if tuple(steps["python"]["version"]) < FLOOR:
        return _worker_error(f"{python} is Python {version}", "set engine.python to Python 3.10 or newer")
    packages = steps["packages"]
    for name, least in NEEDED.items():
        if _numbers(packages[name]) < least:
            needed = f"{name}>={'.'.join(map(str, least))}"
            has = f"{name} {packages[name]}" if packages[name] else f"no {name}"
            return _worker_error(f"{python} has {has}", f"install it there: {python} -m pip install '{needed}'")
    problem = steps.get("homebred_engines.worker", {"error": ending})["error"]
    if problem:
        return _worker_error(f"{python} cannot import the engine worker: {problem}", "reinstall homebred there")
    what = f"{python}: Python {version}, grpcio {packages['grpcio']}, protobuf {packages['protobuf']}"
    return Finding(check="engine_python", status=OK, what=what)


def _worker_error(what: str, hint: str) -> Finding:
    why = "models run in a process of that interpreter; without it no specialist can answer"
    return Finding(check="engine_python", status=ERROR, what=what, why=why, next=hint)


def _llamacpp_finding(python: Path, steps: Mapping[str, Mapping[str, Any]], ending: str) -> Finding:
    packages = steps.get("packages", {})
    version = packages.get("xllamacpp", "")
    has_another = any(packages.get(check.distribution) for check in FOREIGN)
    problem = steps.get("xllamacpp", {"error": ending or "not reached"})["error"]
    if not problem:
        return Finding(check="engine_llamacpp", status=OK, what=f"xllamacpp {version}")
    return Finding(
        check="engine_llamacpp",
        status=WARNING if has_another else ERROR,
        what=f"xllamacpp {version} cannot be imported: {problem}" if version else "xllamacpp is not installed",
        why="it is the engine that serves GGUF models; without it no specialist of such a model can answer",
        next=f"install it there: {python} -m pip install xllamacpp",
    )


def _numbers(version: str) -> tuple[int, ...]:
    """The release numbers of a version; empty for no version, which is older than any."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
