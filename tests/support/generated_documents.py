"""What packaging/tools/message_docs.py would write, without writing it."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tests.support.committed_files import ROOT


def message_documents() -> Mapping[Path, str]:
    """Every generated file with its text."""
    script = runpy.run_path(str(ROOT / "packaging" / "tools" / "message_docs.py"))
    return cast("Mapping[Path, str]", script["documents"]())
