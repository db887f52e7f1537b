"""Progress bars for long work: on standard error, and only where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def byte_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A function that hears what is done to how many bytes of how many; each kind of work has its bar."""
    if not sys.stderr.isatty():
        yield lambda _step, _done_bytes, _total_bytes: None
        return
    from rich.console import Console  # noqa: PLC0415  # rich costs a tenth of a second: only where a bar is shown
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description:<9}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bars = {step: progress.add_task(step, visible=False) for step in ("reading", "verifying", "copying")}

        def hear(step: str, done_bytes: int, total_bytes: int) -> None:
            progress.update(bars[step], completed=done_bytes, total=total_bytes, visible=True)

        yield hear


@contextmanager
def row_progress(what: str, total_rows: int) -> Iterator[Callable[[], None]]:
    """A function that hears of each row as it is done; the bar shows while the engine loads, too."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415  # as above
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(what, total=total_rows)
        yield lambda: progress.advance(bar)


@contextmanager
def step_progress() -> Iterator[Callable[[int, int, str], None]]:
    """A function that hears which step of how many is done now; the time it takes is shown beside."""
    if not sys.stderr.isatty():
        yield lambda _number, _steps, _title: None
        return
    from rich.console import Console  # noqa: PLC0415  # as above
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("checking", total=None)
        yield lambda number, steps, title: progress.update(bar, description=f"step {number} of {steps}: {title}")
