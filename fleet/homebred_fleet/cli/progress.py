"""A bar for long work: on standard error, and only where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def byte_progress(total_bytes: int) -> Iterator[Callable[[int], None]]:
    """A function that hears how many more bytes are done."""
    if not sys.stderr.isatty():
        yield lambda _more_bytes: None
        return
    from rich.console import Console  # noqa: PLC0415  # rich costs a tenth of a second: only where a bar is shown
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn  # noqa: PLC0415

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=total_bytes)
        yield lambda more_bytes: progress.advance(bar, more_bytes)
