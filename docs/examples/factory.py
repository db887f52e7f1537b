"""A shop floor: every line of a log becomes machine and event, many at once over one connection, and each is counted.

    python docs/examples/factory.py < shift.log
    python docs/examples/factory.py --events 200

The daemon may restart meanwhile: reading a line twice does no harm, and the library, told so, asks again. Exit status:
0 every line has an outcome, 1 some were lost. The specialists are `factory-events…` of the demo, or any other for the
workflow `event.normalise`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from homebred_protocol.client import AsyncClient, CallError, DeadlineError, OverloadedError, Task

EVENT = Task(workflow="event.normalise", data_classes=("internal",), deadline_s=60.0)
SHIFT = ["coolant is leaking on lathe 15", "press 4 is jammed again", "too hot: oven 3", "mixer #8 stopped"]


async def one(client: AsyncClient, text: str) -> str:
    """One line, and the word that it is counted under."""
    answer = await client.ask(replace(EVENT, text=text), idempotent=True)
    if answer.needs_review:
        return "for a person"
    return "answered" if answer.is_sure else "unsure"


async def worker(client: AsyncClient, lines: Iterator[str], counts: Counter[str]) -> None:
    """Takes the next line when it is done with one: however long the log is, no more than these are in flight."""
    for text in lines:
        try:
            counts[await one(client, text)] += 1
        except OverloadedError as full:
            counts["refused"] += 1
            await asyncio.sleep(full.retry_after_s)
        except DeadlineError:
            counts["too late"] += 1
        except CallError as error:
            counts["lost"] += 1
            print(f"{error}\nnext: {error.hint}", file=sys.stderr)


async def main() -> int:
    """Reads the log to its end."""
    parser = argparse.ArgumentParser(description="Normalises the lines of a shift log.")
    parser.add_argument("--events", type=int, help="make up so many lines instead of reading standard input")
    parser.add_argument("--in-flight", type=int, default=4, help="lines at the same time")
    parser.add_argument("--socket", help="the daemon's socket; by default $HOMEBRED_SOCKET or the installed daemon's")
    arguments = parser.parse_args()
    read = (line.strip() for line in sys.stdin if line.strip())
    lines = itertools.islice(itertools.cycle(SHIFT), arguments.events) if arguments.events else read
    counts: Counter[str] = Counter()
    async with AsyncClient(arguments.socket, patience_s=20.0) as client:
        await asyncio.gather(*(worker(client, lines, counts) for _ in range(arguments.in_flight)))
    print(json.dumps(dict(counts)))
    return 1 if counts["lost"] else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
