"""How the daemon's state reads on a terminal: plain lines, most urgent first. It asks nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

MEGABYTE = 1_000_000
SHORT_DIGEST = 19
"""`sha256:` and twelve digits: enough to compare by eye."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What went on between two looks; None: there was no look before."""

    outcomes_per_s: float | None = None
    tokens_per_s: float | None = None


def rates_between(before: Any, now: Any, elapsed_s: float) -> Rates:
    """The rates between two states of one daemon; none where it was restarted in between, or no time has passed."""
    if before is None or elapsed_s <= 0 or before.started_at_utc != now.started_at_utc:
        return Rates()
    known = {worker.process_id: worker.generated_tokens for worker in before.workers}
    tokens = sum(worker.generated_tokens - known.get(worker.process_id, 0) for worker in now.workers)
    outcomes = sum(now.outcomes.values()) - sum(before.outcomes.values())
    return Rates(outcomes_per_s=outcomes / elapsed_s, tokens_per_s=max(0, tokens) / elapsed_s)


def status_lines(status: Any, *, now: datetime, rates: Rates | None = None) -> list[str]:
    """The whole state as lines."""
    return [
        *_head(status, now, rates),
        *_fleet(status, now),
        *_membership(status, now),
        *_reviews(status, now),
        *_specialists(status),
        *_workers(status),
    ]


def _head(status: Any, now: datetime, rates: Rates | None) -> Iterator[str]:
    started = status.started_at_utc.ToDatetime(UTC)
    yield f"homebred {status.version}, up {_span(now - started)}, {status.resident_bytes / MEGABYTE:.0f} MB"
    if status.draining:
        yield "DRAINING  no more tasks are taken; `homebred drain --resume` takes them again"
    ceiling = " under a site ceiling" if status.ceiling_digest else ""
    origin = {"default": "built in", "file": "from its file", "set": "set by an operator"}.get(status.policy_origin, "")
    yield f"policy    {status.policy_digest[:SHORT_DIGEST]}…{f' {origin}' if origin else ''}{ceiling}"
    yield f"link      {status.link}"
    outcomes = ", ".join(f"{number} {name}" for name, number in sorted(status.outcomes.items())) or "none yet"
    yield f"answering {status.streams} now{_rate_words(rates)}; recorded: {outcomes}"


CERTIFICATES = {
    "ends_soon": "the certificate ends in {left} and was not renewed so far",
    "ends_very_soon": "THE CERTIFICATE ENDS in {left} and was not renewed so far",
    "ended": "THE CERTIFICATE HAS ENDED: a new token is needed (homebred enroll URL --replace), if the clock is right",
    "not_yet_valid": "THE CLOCK IS WRONG: it is before the beginning of the certificate",
}
"""What is said of a certificate that does not simply hold."""


def _membership(status: Any, now: datetime) -> Iterator[str]:
    """Only what somebody should do something about."""
    if not status.HasField("membership"):
        return
    member = status.membership
    if member.certificate in CERTIFICATES:
        left = _span(datetime.fromtimestamp(member.certificate_ends_s, UTC) - now)
        problem = f": {member.renewal_problem}" if member.renewal_problem else ""
        yield f"          {CERTIFICATES[member.certificate].format(left=left)}{problem}"
    if member.waiting_bundles:
        yield f"          {member.waiting_bundles} bundles of diagnostics wait: homebred fleet diagnostics list"


def _fleet(status: Any, now: datetime) -> Iterator[str]:
    if not status.HasField("fleet"):
        return
    fleet = status.fleet
    since = f" for {_span(now - datetime.fromtimestamp(fleet.since_s, UTC))}" if fleet.since_s else ""
    how = f"connected{since}" if fleet.connected else f"not connected{since}: {fleet.problem or 'not tried yet'}"
    lost = f", {fleet.lost_events} lost and counted" if fleet.lost_events else ""
    yield f"fleet     {fleet.device_id}, {how}; {fleet.waiting_events} events wait{lost}"
    if fleet.stopped:
        yield "STOPPED   by the fleet: nothing new is taken up"
    for part in fleet.parts:
        problem = f": {part.problem}" if part.problem else ""
        yield f"  {part.name} {part.digest[:SHORT_DIGEST]}… {part.state}{problem}"


def _rate_words(rates: Rates | None) -> str:
    if rates is None or rates.outcomes_per_s is None:
        return ""
    return f" ({rates.outcomes_per_s:.1f} tasks/s, {rates.tokens_per_s:.0f} tokens/s)"


def _reviews(status: Any, now: datetime) -> Iterator[str]:
    reviews = status.reviews
    if not reviews.capacity:
        return
    open_items = reviews.waiting + reviews.claimed
    oldest = ""
    if reviews.HasField("oldest_filed_at_utc"):
        oldest = f", the oldest for {_span(now - reviews.oldest_filed_at_utc.ToDatetime(UTC))}"
    full = " FULL: tasks for people are refused" if open_items >= reviews.capacity else ""
    ended = f"{reviews.answered} answered, {reviews.declined} declined, {reviews.expired} expired"
    yield f"people    {reviews.waiting} waiting, {reviews.claimed} claimed{oldest}; {ended}{full}"


def _specialists(status: Any) -> Iterator[str]:
    yield "specialists" + ("" if status.specialists else ": none; add one with `homebred models add`")
    for one in status.specialists:
        yield f"  {one.id:<28} {one.engine:<10} {_state(one)}"


def _state(specialist: Any) -> str:
    if not specialist.available:
        return f"cannot be served: {specialist.note}"
    if specialist.parked:
        return f"PARKED: {specialist.note}"
    loaded = "loaded" if specialist.loaded else "loads at first use"
    pinned = ", pinned" if specialist.pinned else ""
    return f"{loaded}{pinned}" + (f"; {specialist.note}" if specialist.note else "")


def _workers(status: Any) -> Iterator[str]:
    for one in status.workers:
        if not one.engine:
            yield f"worker {one.process_id}: does not say how it stands"
            continue
        adapters = f", {len(one.adapters)} adapters" if one.adapters else ""
        yield (
            f"worker {one.process_id} {one.engine} {one.engine_version}: {one.running} running, {one.queued} queued, "
            f"{one.slots} slots, {one.threads} threads, {one.resident_bytes / MEGABYTE:.0f} MB{adapters}"
        )


def _span(span: timedelta) -> str:
    """`42 s`, `7 min`, `3 h 20 min`, `12 d 4 h`."""
    minutes, seconds = divmod(max(0, int(span.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
