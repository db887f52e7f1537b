"""Progress of something that takes long and does not say how far it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

_REPORT_EVERY_S = 1.0
_HALF_WAY_S = 30.0


async def progress_until(done: asyncio.Future[Any], *, first: float, last: float) -> AsyncGenerator[float, None]:
    """Steps between the two that grow ever smaller, until it is done, however that ends."""
    started_at = time.monotonic()
    while not done.done():
        await asyncio.wait([done], timeout=_REPORT_EVERY_S)
        elapsed_s = time.monotonic() - started_at
        yield first + (last - first) * elapsed_s / (elapsed_s + _HALF_WAY_S)
