"""A folder that somebody carried here, as what can be asked of it; it is trusted with nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from homebred_daemon.ports.transfer import ByteSource
from homebred_daemon.ports.trust import TrustSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One folder."""

    trust: TrustSource
    blobs: ByteSource
    close: Callable[[], None]
    """Once no more bytes are asked for."""
