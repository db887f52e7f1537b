"""A museum kiosk: turns what a visitor says into an order, and says honestly when it is not sure.

    python docs/examples/kiosk.py "two teas please" "seven waters for the group"

Exit status: 0 every order was taken or asked back, 1 one of them needs a person at the counter, 2 the daemon cannot
serve the kiosk now. The specialist is `kiosk-orders` of the demo, or any other for the workflow `order.normalise`.
"""

from __future__ import annotations

import argparse
import sys
import time

from homebred_protocol.client import Answer, CallError, Client, Decision, NeedsReviewError, OverloadedError, Task

ITEMS = ["coffee", "tea", "water", "juice", "muffin", "sandwich", "map", "audio guide"]
SCHEMA = {
    "type": "object",
    "properties": {"item": {"enum": ITEMS}, "quantity": {"type": "integer"}},
    "required": ["item", "quantity"],
    "additionalProperties": False,
}
TRIES = 3


def order(client: Client, words: str) -> Answer:
    """Streams one order: the decision is there at once, the answer as soon as it fits the schema."""
    task = Task(words, workflow="order.normalise", data_classes=("public",), schema=SCHEMA, deadline_s=20.0)
    with client.stream(task) as events:
        for event in events:
            if isinstance(event, Decision):
                print(f"  … asking {event.selected_model_or_stack}", flush=True)
            elif isinstance(event, str):
                print(f"  … {event.strip()}", flush=True)
        return events.answer()


def patiently(client: Client, words: str) -> Answer:
    """The library offers a refused task again by itself; one that was taken and found the engine full is ours to offer.

    Raises:
        CallError: it is still full after some tries, or something else is wrong.
    """
    for _ in range(TRIES - 1):
        try:
            return order(client, words)
        except OverloadedError as full:
            print("  … busy, one moment", flush=True)
            time.sleep(full.retry_after_s or 1.0)
    return order(client, words)


def main() -> int:
    """Takes every order of the command line."""
    parser = argparse.ArgumentParser(description="Takes orders at a kiosk.")
    parser.add_argument("orders", nargs="+")
    parser.add_argument("--socket", help="the daemon's socket; by default $HOMEBRED_SOCKET or the installed daemon's")
    arguments = parser.parse_args()
    status = 0
    with Client(arguments.socket) as client:
        for words in arguments.orders:
            print(f"visitor: {words}")
            try:
                answer = patiently(client, words)
                taken = answer.json()  # raises where a person must answer: this cannot be forgotten
            except NeedsReviewError:
                print("kiosk:   please tell it to the person at the counter")
                status = 1
                continue
            except CallError as error:
                print(f"kiosk:   out of order, please go to the counter\n{error}\nnext: {error.hint}", file=sys.stderr)
                return 2
            said = f"{taken['quantity']} × {taken['item']}"
            print(f"kiosk:   {said}, coming" if answer.is_sure else f"kiosk:   {said}? please press yes or no")
    return status


if __name__ == "__main__":
    sys.exit(main())
