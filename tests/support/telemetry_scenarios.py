"""A device's telemetry at work under a recorder: what ends goes from the ledger into the outbox, and to a controller.

Whatever the fault: no number that the controller has seen ever stands for another event, no route comes to it twice,
and every route that the ledger still holds comes to it in the end, or is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

from tests.support.ledger_entries import OUTCOME, entries, keep_documents
from tests.support.sent_telemetry import events_of
from tests.support.told_routes import TELLING

from homebred_daemon.adapters import telemetry_wire
from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.adapters.store.ledger_feed import SqliteFeed
from homebred_daemon.adapters.store.outbox_file import open_outbox
from homebred_daemon.core.outbox import Quota
from homebred_daemon.ports.outbox import Outbox
from homebred_daemon.services.fleet.telemetry import Carrier

LEDGER = "ledger.sqlite"
AMPLE = Quota(max_events=10_000, max_bytes=10_000_000)
STARTS = (("1", "2"), ("3", "4"))
"""The routes that end while the daemon is up, start by start."""
Tell = Callable[[str], None]
Rows = dict[tuple[str, int], str]
"""What the controller has: the route of each event, by its start and number; other events by their kind."""


@contextmanager
def _device(root: Path, boot: int) -> Iterator[tuple[SqliteLedger, Outbox, Carrier]]:
    with ExitStack() as stack:
        ledger = stack.enter_context(closing(SqliteLedger(root / LEDGER)))
        opened = open_outbox(root, boot_id=f"{boot:032x}", quota=AMPLE, now_s=lambda: 0)
        outbox = stack.enter_context(closing(opened.outbox))
        feed = stack.enter_context(closing(SqliteFeed(root / LEDGER)))
        yield ledger, outbox, Carrier(outbox, feed, telemetry_wire)


def act(root: Path, tell: Tell) -> None:
    """Two starts; in each some routes end one by one, and are sent, and acknowledged a little later."""
    for boot, routes in enumerate(STARTS, start=1):
        with _device(root, boot) as (ledger, outbox, carrier):
            keep_documents(ledger)
            _carry_all(carrier)
            for route in routes:
                ledger.record_decisions(entries(route))
                ledger.record_outcome(replace(OUTCOME, route_id=route, findings=()))
                tell(f"ended {route}")
                _carry_all(carrier)
                _send(outbox, tell)


def _carry_all(carrier: Carrier) -> None:
    while not carrier.carry(TELLING).is_last:
        pass


def _send(outbox: Outbox, tell: Tell) -> None:
    """Acknowledges what was sent before, then sends what waits: the controller has it from here on."""
    for batch in outbox.cut_batches():
        outbox.acknowledge(batch.boot_id, batch.stream, batch.last_seq)
    for batch in iter(lambda: outbox.cut(max_events=2, max_bytes=65_536), None):
        for event in events_of(batch.payload):
            tell(f"sent {batch.boot_id} {event.seq} {event.route.route_id or event.WhichOneof('body')}")


def check(root: Path, told: tuple[str, ...]) -> None:
    """Starts once more, sends all that is left, and counts what the controller has."""
    rows: Rows = {}
    for text in told:
        what, *about = text.split()
        if what == "sent":
            boot, seq, route = about
            _take(rows, boot, int(seq), route)
    with _device(root, 99) as (ledger, outbox, carrier):
        keep_documents(ledger)
        if not outbox.cursor():
            _carry_all(carrier)
        ledger.record_decisions(entries("after"))  # as recovery does, before anybody follows the ledger
        ledger.record_outcome(replace(OUTCOME, route_id="after", findings=()))
        _carry_all(carrier)
        while outbox.cut(max_events=2, max_bytes=65_536):
            pass
        for batch in outbox.cut_batches():
            for event in events_of(batch.payload):
                _take(rows, batch.boot_id, event.seq, event.route.route_id or str(event.WhichOneof("body")))
        held = [one.route_id for one in ledger.decisions() if _has_outcome(ledger, one.route_id)]
    routes = [route for route in rows.values() if route != "gap"]
    assert len(routes) == len(set(routes)), f"came twice: {sorted(routes)}"
    missing = set(held) - set(routes)
    assert not missing or "gap" in rows.values(), f"never came: {missing} of {held}"


def _take(rows: Rows, boot: str, seq: int, what: str) -> None:
    known = rows.setdefault((boot, seq), what)
    assert known == what, f"number {seq} of start {boot} was {known}, and is {what} now"


def _has_outcome(ledger: SqliteLedger, route_id: str) -> bool:
    route = ledger.route(route_id)
    return route is not None and bool(route.status)
