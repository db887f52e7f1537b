"""What an operator reads of a daemon's state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from homebred_daemon.cli.status_view import Rates, rates_between, status_lines
from homebred_protocol.v1 import control_pb2 as wire

STARTED = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def state(*, started: datetime = STARTED, **fields: object) -> wire.GetStatusResponse:
    made = wire.GetStatusResponse(version="0.1.0", policy_digest="sha256:" + "ab" * 32, link="up", **fields)  # type: ignore[arg-type]  # as a test writes it
    made.started_at_utc.FromDatetime(started)
    return made


def shown(status: wire.GetStatusResponse, *, after: timedelta = timedelta(hours=3, minutes=20)) -> str:
    return "\n".join(status_lines(status, now=STARTED + after))


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (timedelta(seconds=42), "up 42 s"),
        (timedelta(minutes=7, seconds=3), "up 7 min"),
        (timedelta(hours=3, minutes=20), "up 3 h 20 min"),
        (timedelta(days=12, hours=4), "up 12 d 4 h"),
        (timedelta(seconds=-5), "up 0 s"),
    ],
)
def test_how_long_it_is_up_is_said_in_the_units_that_matter(after: timedelta, words: str) -> None:
    assert words in shown(state(), after=after)


def test_what_an_operator_must_see_is_said_aloud() -> None:
    parked = wire.SpecialistStatus(id="a", engine="echo", available=True, parked=True, note="it crashed 5 times")
    gone = wire.SpecialistStatus(id="b", note="its base model is missing")
    reviews = wire.ReviewStatus(waiting=2, claimed=1, capacity=3)
    text = shown(state(draining=True, specialists=[parked, gone], reviews=reviews))
    assert "DRAINING" in text
    assert "PARKED: it crashed 5 times" in text
    assert "cannot be served: its base model is missing" in text
    assert "FULL" in text


def test_a_quiet_daemon_raises_no_alarm() -> None:
    reviews = wire.ReviewStatus(capacity=3, answered=4)
    reviews.oldest_filed_at_utc.FromDatetime(STARTED)
    text = shown(state(reviews=reviews))
    assert "0 waiting, 0 claimed, the oldest for 3 h 20 min; 4 answered" in text
    assert not any(alarm in text for alarm in ("DRAINING", "PARKED", "FULL"))


def test_a_worker_that_is_silent_is_named_as_such() -> None:
    silent = wire.WorkerStatus(process_id=7)
    sound = wire.WorkerStatus(process_id=8, engine="echo", engine_version="1", slots=4)
    text = shown(state(workers=[silent, sound]))
    assert "worker 7: does not say how it stands" in text
    assert "worker 8 echo 1: 0 running" in text


def test_rates_are_those_between_two_looks_at_one_daemon() -> None:
    before = state(outcomes={"answer": 1}, workers=[wire.WorkerStatus(process_id=7, generated_tokens=100)])
    now = state(outcomes={"answer": 4, "review": 1}, workers=[wire.WorkerStatus(process_id=7, generated_tokens=300)])
    assert rates_between(before, now, 2.0) == Rates(outcomes_per_s=2.0, tokens_per_s=100.0)
    assert rates_between(None, now, 2.0) == Rates()
    assert rates_between(before, now, 0.0) == Rates()
    restarted = state(started=STARTED + timedelta(hours=1))
    assert rates_between(before, restarted, 2.0) == Rates()
    assert "(2.0 tasks/s, 100 tokens/s)" in "\n".join(
        status_lines(now, now=STARTED, rates=rates_between(before, now, 2.0))
    )


def test_a_device_in_a_fleet_says_how_the_link_stands() -> None:
    began_s = int(STARTED.timestamp())
    part = wire.FleetPart(name="policy", digest="sha256:" + "c" * 64, state="refused", problem="line 1 is wrong")
    fleet = wire.FleetStatus(
        device_id="clinic-1",
        problem="tls",
        since_s=began_s,
        waiting_events=7,
        lost_events=3,
        stopped=True,
        parts=[part],
    )
    text = shown(state(fleet=fleet))
    assert "fleet     clinic-1, not connected for 3 h 20 min: tls; 7 events wait, 3 lost and counted" in text
    assert "STOPPED" in text
    assert "policy sha256:cccccccccccc… refused: line 1 is wrong" in text
    assert "fleet" not in shown(state())
    assert "clinic-1, connected for" in shown(
        state(fleet=wire.FleetStatus(device_id="clinic-1", connected=True, since_s=began_s))
    )


def test_a_certificate_that_ends_and_bundles_that_wait_are_said_and_what_is_well_is_not() -> None:
    member: dict[str, Any] = {"device_id": "clinic-1", "certificate_ends_s": int(STARTED.timestamp()) + 4 * 86_400}
    well = shown(state(membership=wire.MembershipStatus(certificate="good", **member)))
    assert "certificate" not in well.lower()
    ending = wire.MembershipStatus(
        certificate="ends_very_soon", renewal_problem="controller_unreachable", waiting_bundles=2, **member
    )
    text = shown(state(membership=ending))
    assert "THE CERTIFICATE ENDS in 3 d 20 h and was not renewed so far: controller_unreachable" in text
    assert "2 bundles of diagnostics wait: homebred fleet diagnostics list" in text
    for word, said in (("ended", "HAS ENDED"), ("not_yet_valid", "THE CLOCK IS WRONG")):
        assert said in shown(state(membership=wire.MembershipStatus(certificate=word, **member)))
