"""Runs inside the interpreter that a site names for its engines, and says what that interpreter has.

Python 3.10 syntax, standard library alone, run as text by `python -c`; it sees only the folders of ours it is given. A
JSON line for each step, so that what a crash left unsaid is known.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from importlib import metadata

PACKAGES = ("grpcio", "protobuf", "xllamacpp", "tensorrt-llm", "tensorrt-edgellm")


def report(step: str, **facts: object) -> None:
    """One finished step."""
    sys.stdout.write(json.dumps({"step": step, **facts}) + "\n")
    sys.stdout.flush()


def version_of(package: str) -> str:
    """An installed package's version; empty: it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def folder_of(module: str) -> str:
    """The folder that holds an installed package, which is not imported; empty: there is none."""
    found = importlib.util.find_spec(module)
    return os.path.dirname(os.path.dirname(found.origin)) if found is not None and found.origin else ""  # noqa: PTH120


def try_import(module: str) -> None:
    """Reports whether a module can be imported; a crash here ends the process, and so reports as well."""
    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001  # whatever a foreign module raises is the finding
        report(module, error=f"{type(error).__name__}: {error}")
    else:
        report(module, error="")


def report_engines() -> None:
    """What each engine says of itself without a model, or why it cannot be had here."""
    from homebred_engines.registry import ENGINES, create_engine  # noqa: PLC0415 - its folder came last onto the path

    for name in ENGINES:
        try:
            stats = create_engine(name).stats()
        except Exception as error:  # noqa: BLE001  # as above
            report(f"engine {name}", error=str(error))
        else:
            capabilities = [capability.value for capability in stats.capabilities]
            report(f"engine {name}", error="", version=stats.engine_version, capabilities=capabilities)


def main(folders: list[str]) -> None:
    """All steps; `folders` hold homebred_engines and homebred_protocol."""
    report("python", version=list(sys.version_info[:3]))
    report("packages", **{name: version_of(name) for name in PACKAGES})
    for module in ("tensorrt_llm", "tensorrt_edgellm"):
        report(module, folder=folder_of(module))
    sys.path.extend(folders)  # last, as its own packages come first
    try_import("homebred_engines.worker")
    try_import("xllamacpp")
    report_engines()


if __name__ == "__main__":
    main(sys.argv[1:])
