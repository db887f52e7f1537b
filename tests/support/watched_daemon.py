"""homebredd as it is, in a process that also writes down how many asyncio tasks it has: `kill -USR1`.

`python -m tests.support.watched_daemon FILE …` takes the daemon's own arguments after the file.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from pathlib import Path

from homebred_daemon.app import run


def main() -> int:
    report = Path(sys.argv[1])

    def write_down(*_: object) -> None:
        gc.collect()
        living = asyncio.all_tasks()
        beside = report.with_suffix(".new")
        beside.write_text(str(len(living)))
        beside.rename(report)

    signal.signal(signal.SIGUSR1, write_down)
    return run(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
