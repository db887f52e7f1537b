"""What the tools in packaging/tools that write documents would write, without writing it."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tests.support.committed_files import ROOT


def message_documents() -> Mapping[Path, str]:
    """What is generated from the messages: every file with its text."""
    return _documents_of("message_docs.py")


def metric_documents() -> Mapping[Path, str]:
    """What is generated from the figures."""
    return _documents_of("metric_docs.py")


def trace_documents() -> Mapping[Path, str]:
    """What is generated from the spans."""
    return _documents_of("trace_docs.py")


def _documents_of(tool: str) -> Mapping[Path, str]:
    script = runpy.run_path(str(ROOT / "packaging" / "tools" / tool))
    return cast("Mapping[Path, str]", script["documents"]())
