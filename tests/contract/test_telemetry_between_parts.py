"""What devices tell, as controllers read it: no event of a device is one that costs a whole batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.told_routes import TELLING, routes

from homebred_daemon.adapters.telemetry_wire import (
    Numbered,
    batch_payload,
    evidence_body,
    gap_body,
    health_body,
    receipt_body,
    route_body,
)
from homebred_daemon.core.evidence import evidence_facts
from homebred_daemon.core.outbox import RANKS, Gap, Loss
from homebred_daemon.core.telemetry import HealthFact, Route, counted, receipt_fact, route_fact
from homebred_fleet.adapters.wire.telemetry import read_batch, read_rows
from homebred_fleet.core.ingest import Verdict, judge
from homebred_protocol.limits import MAX_SEQ

BOOT = "ab" * 16
AT_S = 1_795_424_400
long_texts = st.text(max_size=5000)
long_routes = st.builds(
    lambda route, stack, reason, route_id, digest: Route(
        **{name: getattr(route, name) for name in Route.__slots__}
        | {"stack": stack, "local_reason": reason, "route_id": route_id, "policy_digest": digest}
    ),
    routes,
    long_texts,
    long_texts,
    long_texts,
    long_texts,
)
counts = st.integers(0, MAX_SEQ)


def rows_of(stream: str, bodies: list[bytes]) -> list[tuple[Any, ...]]:
    """The rows that a controller makes of a batch of these events."""
    events = [Numbered(seq=3 * number, body=body) for number, body in enumerate(bodies, start=1)]
    payload = batch_payload(boot_id=BOOT, boot_number=1, stream=stream, after_seq=0, events=events)
    header, compressed = read_batch(payload)
    assert judge(header, stream_of_topic=RANKS[stream], watermark=0).verdict is Verdict.TAKE
    return read_rows(header, compressed, boot=1, received_at_s=AT_S)


@given(st.lists(long_routes, min_size=1, max_size=4))
def test_every_route_that_a_ledger_may_hold_becomes_a_row(found: list[Route]) -> None:
    assert len(rows_of("route", [route_body(route_fact(route, TELLING)) for route in found])) == len(found)


@given(st.lists(long_routes, min_size=1, max_size=4))
def test_every_piece_of_evidence_becomes_a_row(found: list[Route]) -> None:
    facts = [fact for route in found for fact in evidence_facts(route, TELLING, {})[0]]
    if facts:
        assert len(rows_of("evidence", [evidence_body(fact) for fact in facts])) == len(facts)


@given(st.builds(HealthFact, **dict.fromkeys(HealthFact.__slots__, st.integers(0, 2**30))))
def test_health_becomes_a_row(fact: HealthFact) -> None:
    (row,) = rows_of("health", [health_body(fact, at_s=AT_S)])
    told = replace(fact, reviews_waiting=counted(fact.reviews_waiting, guarded=True))
    assert list(row[4:]) == [getattr(told, name) for name in HealthFact.__slots__]


@given(
    st.builds(
        Gap,
        boot_id=st.sampled_from(["", BOOT]),
        stream=st.sampled_from(list(RANKS)),
        first_seq=counts,
        last_seq=counts,
        events=counts,
        reason=st.sampled_from(Loss),
    )
)
def test_gaps_become_rows(gap: Gap) -> None:
    (row,) = rows_of("gap", [gap_body(gap, noted_at_s=AT_S)])
    assert row[4:9] == (gap.boot_id, RANKS[gap.stream], gap.first_seq, gap.last_seq, gap.events)


@given(st.sampled_from(["desired", "command", "stop", "identity"]), long_texts, long_texts, long_texts, counts)
def test_receipts_become_rows(kind: str, subject: str, result: str, problem_code: str, version: int) -> None:
    fact = receipt_fact(kind, subject, result, problem_code, version=version)
    (row,) = rows_of("receipt", [receipt_body(fact, at_s=AT_S)])
    assert row[5:] == (fact.subject, version, fact.result, fact.problem_code)
