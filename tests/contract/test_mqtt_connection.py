"""What every MQTT connection promises: the thread on a real mosquitto, and the one in memory that other tests trust."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.mqtt_ends import FakeStage, RealStage, Stage, terms
from tests.support.plain_broker import PlainBroker, mosquitto

from homebred_protocol.mqtt import Arrived, Connected, Delivered, Ended, Will

TOPIC = "a/b"


@pytest.fixture(params=["mosquitto", "memory"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    made: Stage
    if request.param == "memory":
        made = FakeStage()
    elif mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    else:
        made = RealStage(PlainBroker(tmp_path).start())
    yield made
    made.close()


def test_a_publication_is_delivered_and_arrives(stage: Stage) -> None:
    sender, reader = stage.client(), stage.client()
    reader.connect(terms("reader"))
    reader.connection.subscribe((TOPIC,))
    sender.connect(terms("sender"))
    reader.quiet()
    sender.connection.publish(TOPIC, b"hello", token=7)
    assert sender.next(Delivered) == Delivered(7, ok=True)
    arrived = reader.next(Arrived)
    assert (arrived.topic, arrived.payload, arrived.retained) == (TOPIC, b"hello", False)


@pytest.mark.parametrize("retain", [False, True])
def test_a_publication_that_nobody_subscribes_to_says_so(stage: Stage, *, retain: bool) -> None:
    sender, reader = stage.client(), stage.client()
    sender.connect(terms("sender"))
    sender.connection.publish(TOPIC, b"hello", token=7, retain=retain)
    assert sender.next(Delivered) == Delivered(7, ok=True, heard=False)
    reader.connect(terms("reader"))
    reader.connection.subscribe((f"$share/hb/{TOPIC}",))
    reader.quiet()
    sender.connection.publish(TOPIC, b"hello", token=8, retain=retain)
    assert sender.next(Delivered) == Delivered(8, ok=True, heard=True)


def test_what_is_published_without_a_connection_is_refused_and_never_sent_later(stage: Stage) -> None:
    sender, reader = stage.client(), stage.client()
    reader.connect(terms("reader"))
    reader.connection.subscribe((TOPIC,))
    reader.quiet()
    sender.connection.publish(TOPIC, b"too early", token=1)
    assert sender.next(Delivered) == Delivered(1, ok=False)
    sender.connect(terms("sender"))
    sender.quiet()
    assert reader.quiet() == []


def test_the_newest_retained_message_comes_first_and_says_that_it_is_one(stage: Stage) -> None:
    sender, reader = stage.client(), stage.client()
    sender.connect(terms("sender"))
    for body in (b"old", b"new"):
        sender.connection.publish(TOPIC, body, token=1, retain=True)
        sender.next(Delivered)
    reader.connect(terms("reader"))
    reader.connection.subscribe((TOPIC,))
    arrived = reader.next(Arrived)
    assert (arrived.payload, arrived.retained) == (b"new", True)


def test_a_session_keeps_what_came_while_its_client_was_away(stage: Stage) -> None:
    sender, reader = stage.client(), stage.client()
    sender.connect(terms("sender"))
    assert reader.connect(terms("reader")) == Connected(session_present=False)
    reader.connection.subscribe((TOPIC,))
    reader.quiet()
    reader.connection.disconnect()
    assert reader.next(Ended).reason == "closed"
    sender.connection.publish(TOPIC, b"later", token=1)
    sender.next(Delivered)
    assert reader.connect(terms("reader")) == Connected(session_present=True)
    assert reader.next(Arrived).payload == b"later"


def test_what_was_not_acknowledged_comes_again_after_a_reconnect_and_its_old_receipt_is_worth_nothing(
    stage: Stage,
) -> None:
    sender, reader = stage.client(), stage.client()
    sender.connect(terms("sender"))
    reader.connect(terms("reader"))
    reader.connection.subscribe((TOPIC,))
    reader.quiet()
    sender.connection.publish(TOPIC, b"twice", token=1)
    first = reader.next(Arrived)
    reader.connection.disconnect()
    reader.next(Ended)
    reader.connection.acknowledge(first.receipt)
    reader.connect(terms("reader"))
    again = reader.next(Arrived)
    assert again.payload == b"twice"
    assert again.receipt != first.receipt
    reader.connection.acknowledge(again.receipt)
    reader.quiet()
    reader.connection.disconnect()
    reader.next(Ended)
    reader.heard.clear()
    reader.connect(terms("reader"))
    assert reader.quiet() == []


def test_no_more_come_than_may_be_on_their_way(stage: Stage) -> None:
    sender, reader = stage.client(), stage.client()
    sender.connect(terms("sender"))
    reader.connect(terms("reader", receive_maximum=3))
    reader.connection.subscribe((TOPIC,))
    reader.quiet()
    for number in range(8):
        sender.connection.publish(TOPIC, bytes([number]), token=number + 1)
        sender.next(Delivered)
    seen = [reader.next(Arrived) for _ in range(3)]
    assert reader.quiet() == [] or all(not isinstance(each, Arrived) for each in reader.heard)
    for each in seen:
        reader.connection.acknowledge(each.receipt)
    assert [reader.next(Arrived).payload for _ in range(3)] == [bytes([3]), bytes([4]), bytes([5])]


def test_a_second_connection_of_one_name_takes_over_and_the_first_hears_so(stage: Stage) -> None:
    first, second = stage.client(), stage.client()
    first.connect(terms("same"))
    second.connect(terms("same"))
    # mosquitto 2.0 closes without a DISCONNECT where the session goes on under the second (MQTT 5 §3.1.4 wants one).
    assert first.next(Ended).reason in {"taken_over", "lost"}


def test_a_will_is_said_after_its_delay_and_kept(stage: Stage) -> None:
    lost, reader = stage.client(), stage.client()
    reader.connect(terms("reader"))
    reader.connection.subscribe(("state",))
    lost.connect(terms("lost", will=Will("state", b"gone", delay_s=1)))
    lost.connection.close()
    reader.quiet()
    stage.pass_s(1.5)
    assert reader.next(Arrived).payload == b"gone"
    late = stage.client()
    late.connect(terms("late"))
    late.connection.subscribe(("state",))
    assert late.next(Arrived).retained


def test_who_comes_back_before_the_delay_has_no_will_said(stage: Stage) -> None:
    reader, lost, back = stage.client(), stage.client(), stage.client()
    reader.connect(terms("reader"))
    reader.connection.subscribe(("state",))
    how = terms("flapping", will=Will("state", b"gone", delay_s=1))
    lost.connect(how)
    lost.connection.close()
    reader.quiet()
    back.connect(how)
    stage.pass_s(1.5)
    assert reader.quiet() == []


def test_a_goodbye_says_the_will_only_where_it_is_wanted(stage: Stage) -> None:
    reader, polite, rude = stage.client(), stage.client(), stage.client()
    reader.connect(terms("reader"))
    reader.connection.subscribe(("state/+",))
    for ends, name, with_will in ((polite, "polite", False), (rude, "rude", True)):
        ends.connect(terms(name, session_expiry_s=0, will=Will(f"state/{name}", b"gone", delay_s=0)))
        ends.connection.disconnect(with_will=with_will)
        assert ends.next(Ended).reason == "closed"
    assert reader.next(Arrived).topic == "state/rude"
    assert reader.quiet() == []


def test_what_has_expired_is_not_delivered(stage: Stage) -> None:
    sender, reader = stage.client(), stage.client()
    sender.connect(terms("sender"))
    reader.connect(terms("reader"))
    reader.connection.subscribe((TOPIC,))
    reader.quiet()
    reader.connection.disconnect()
    reader.next(Ended)
    sender.connection.publish(TOPIC, b"stale", token=1, expiry_s=1)
    sender.connection.publish(TOPIC, b"fresh", token=2, expiry_s=60)
    sender.next(Delivered)
    sender.next(Delivered)
    stage.pass_s(2.5)
    reader.connect(terms("reader"))
    assert reader.next(Arrived).payload == b"fresh"


def test_members_of_a_shared_subscription_get_each_message_once(stage: Stage) -> None:
    sender, one, two = stage.client(), stage.client(), stage.client()
    sender.connect(terms("sender"))
    for ends, name in ((one, "one"), (two, "two")):
        ends.connect(terms(name, session_expiry_s=0, clean_start=True))
        ends.connection.subscribe((f"$share/hb/{TOPIC}",))
        ends.quiet()
    for number in range(10):
        sender.connection.publish(TOPIC, bytes([number]), token=number + 1)
        sender.next(Delivered)
    one.quiet()
    two.quiet()
    got = [each.payload for ends in (one, two) for each in ends.heard if isinstance(each, Arrived)]
    assert sorted(got) == [bytes([number]) for number in range(10)]


def test_a_lost_broker_is_noticed_and_can_be_connected_to_again(stage: Stage) -> None:
    ends = stage.client()
    ends.connect()
    stage.restart()
    assert ends.next(Ended).reason == "lost"
    assert ends.connect() == Connected(session_present=False)


def test_nothing_is_handed_over_after_close(stage: Stage) -> None:
    sender, reader = stage.client(), stage.client()
    sender.connect(terms("sender"))
    reader.connect(terms("reader"))
    reader.connection.subscribe((TOPIC,))
    reader.quiet()
    reader.connection.close()
    before = len(reader.heard)
    sender.connection.publish(TOPIC, b"late", token=1)
    sender.next(Delivered)
    assert len(reader.heard) == before
