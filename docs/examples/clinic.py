"""A clinic's front desk: a note becomes record number and visit; where no machine may answer, a person does.

    python docs/examples/clinic.py "Hedda Brauner, MRN 6104873, x-ray of the ankle"
    python docs/examples/clinic.py "…" --correction '{"record": "6104873", "visit": "x-ray"}'
    python docs/examples/clinic.py --later ROUTE_ID

Exit status: 0 filed, 1 declined or expired, 2 the daemon could not be asked, 3 a person still has it: come back with
--later. The specialist is `clinic-intake` of the demo, or any other for the workflow `intake.extract`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from homebred_protocol.client import AsyncClient, CallError, Review, ReviewState, Task, UnsupportedError, Verdict

STILL_OPEN = 3


async def note(client: AsyncClient, text: str, *, wait_s: float, correction: str) -> int:
    """Reads one note; the person at the desk sees what was read, and corrects it where it is wrong."""
    task = Task(text, workflow="intake.extract", data_classes=("patient",), deadline_s=60.0)
    answer = await client.ask(task)
    if answer.needs_review:
        print(f"a person must read this; it waits as {answer.route_id}", flush=True)
        try:
            return told(await client.wait_for_review(answer.route_id, timeout_s=wait_s))
        except UnsupportedError:  # a daemon older than this library
            print("this daemon keeps no such tasks: hand the note to a person yourself")
            return 1
    print(f"filed: {answer.text}" if answer.is_sure else f"please check twice: {answer.text}")
    if correction:
        print(f"corrected to: {correction}")
        await report(client, answer.route_id, correction)
    return 0


async def report(client: AsyncClient, route_id: str, correction: str) -> None:
    """Tells what the answer should have been: the next specialist learns from it, and it stays on this device."""
    try:
        await client.feedback(route_id, Verdict.CORRECTED, corrected_output=correction)
    except UnsupportedError:
        print("this daemon takes no feedback")


def told(review: Review) -> int:
    """What the person said, if anything yet."""
    if review.state is ReviewState.ANSWERED:
        print(f"filed: {review.output}")
        return 0
    if review.ended:
        print(f"not answered: {review.note or review.state}")
        return 1
    print(f"still {review.state}: come back with --later {review.route_id}")
    return STILL_OPEN


async def main() -> int:
    """Reads one note, or asks what became of an earlier one."""
    parser = argparse.ArgumentParser(description="Reads a clinic's notes.")
    parser.add_argument("note", nargs="?", default="")
    parser.add_argument("--correction", default="", help="what the answer should have been")
    parser.add_argument("--later", metavar="ROUTE_ID", default="", help="ask for a note that went to a person")
    parser.add_argument("--wait", type=float, default=30.0, help="seconds to wait for that person")
    parser.add_argument("--socket", help="the daemon's socket; by default $HOMEBRED_SOCKET or the installed daemon's")
    arguments = parser.parse_args()
    try:
        async with AsyncClient(arguments.socket) as client:
            if arguments.later:
                return told(await client.wait_for_review(arguments.later, timeout_s=arguments.wait))
            return await note(client, arguments.note, wait_s=arguments.wait, correction=arguments.correction)
    except CallError as error:
        print(f"{error}\nnext: {error.hint}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
