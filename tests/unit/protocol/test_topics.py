from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol import topics
from homebred_protocol.ids import DEVICE
from homebred_protocol.topics import OPERATION, WITH_NAME, DeviceTopic, Down, Up

KINDS: tuple[Down | Up, ...] = (*Down, *Up)


@st.composite
def device_topics(draw: st.DrawFn) -> DeviceTopic:
    kind = draw(st.sampled_from(KINDS))
    name = draw(st.from_regex(OPERATION, fullmatch=True)) if kind in WITH_NAME else ""
    return DeviceTopic(draw(st.from_regex(DEVICE, fullmatch=True)), kind, name)


@given(topic=device_topics())
def test_what_is_built_is_read_again(topic: DeviceTopic) -> None:
    assert topics.read(topic.text) == topic


@given(text=st.one_of(st.text(), st.text().map(lambda rest: f"{topics.ROOT}/d/{rest}")))
def test_what_is_read_is_what_would_be_built(text: str) -> None:
    topic = topics.read(text)
    assert topic is None or topic.text == text


@pytest.mark.parametrize(
    "text",
    [
        "hb/1/default/d/+/state",
        "hb/1/default/d/#",
        "hb/1/default/d/a/state/more",
        "hb/1/default/d/a/state/",
        "hb/1/default/d/a/cmd",
        "hb/1/default/d/a/cmd/",
        "hb/1/default/d/a/cmd/x/y",
        "hb/1/default/d//state",
        "hb/1/default/d/a/unknown",
        "hb/2/default/d/a/state",
        "hb/1/other/d/a/state",
        "$SYS/broker",
        topics.STOP,
    ],
)
def test_other_topics_are_none(text: str) -> None:
    assert topics.read(text) is None


@pytest.mark.parametrize(
    ("device", "kind", "name"),
    [
        ("a+", Up.STATE, ""),
        ("a", Up.STATE, "x"),
        ("a", Down.COMMAND, ""),
        ("a", Down.COMMAND, "A"),
        ("a", Up.TELEMETRY, "+"),
    ],
)
def test_what_would_be_no_topic_is_not_built(device: str, kind: Down | Up, name: str) -> None:
    with pytest.raises(ValueError, match=r"is no (device's name|topic)"):
        DeviceTopic(device, kind, name)


def test_a_device_hears_what_is_its_own_and_the_stop() -> None:
    heard = topics.subscriptions_of_device("a")
    for kind in Down:
        assert any(matches(one, DeviceTopic("a", kind, "x" if kind in WITH_NAME else "").text) for one in heard)
    assert topics.STOP in heard
    assert not any(matches(one, "hb/1/default/d/b/desired") for one in heard)


def test_the_controller_hears_all_that_devices_tell_and_nothing_of_its_own() -> None:
    heard = topics.subscriptions_of_controller()
    for kind in KINDS:
        topic = DeviceTopic("a", kind, "x" if kind in WITH_NAME else "").text
        assert any(matches(one, topic) for one in heard) is isinstance(kind, Up)


def test_every_stream_may_stand_in_a_topic() -> None:
    for stream in topics.STREAMS:
        assert topics.read(DeviceTopic("a", Up.TELEMETRY, stream).text) is not None


def test_a_cohort_has_its_hint() -> None:
    assert topics.hint("canary") == "hb/1/default/c/canary/hint"
    with pytest.raises(ValueError, match="no cohort"):
        topics.hint("+")


def matches(pattern: str, topic: str) -> bool:
    """As MQTT 5 §4.7 has it, without `#`."""
    return re.fullmatch(re.escape(pattern).replace(r"\+", "[^/]*"), topic) is not None
