"""What a check of `homebred doctor` found: a status, and what, why and what next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OK: Literal["ok"] = "ok"
WARNING: Literal["warning"] = "warning"
ERROR: Literal["error"] = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    check: str
    """The check's stable name."""
    status: Literal["ok", "warning", "error"]
    """`error`: the daemon cannot do its work like this."""
    what: str
    """What was found."""
    why: str = ""
    """Why it matters; empty where all is well."""
    next: str = ""
    """What to do about it; empty: nothing."""
