from __future__ import annotations

from homebred_fleet.core.broker_access import access_file, granted_to_device
from homebred_protocol import topics


def test_what_a_device_subscribes_to_is_what_it_may_read_and_the_hints_of_cohorts() -> None:
    read = {topic.replace("%u", "clinic-1") for access, topic in granted_to_device() if access == "read"}
    assert read == {*topics.subscriptions_of_device("clinic-1"), "hb/1/default/c/+/hint"}


def test_what_a_device_may_write_is_what_the_controller_subscribes_to() -> None:
    written = {topic.replace("%u", "+") for access, topic in granted_to_device() if access == "write"}
    assert written == set(topics.subscriptions_of_controller())


def test_no_device_may_both_read_and_write_a_topic() -> None:
    read, written = (
        {topic for access, topic in granted_to_device() if access == wanted} for wanted in ("read", "write")
    )
    assert read & written == set()


def test_nothing_but_stop_and_hints_is_shared_between_devices() -> None:
    assert {topic for _, topic in granted_to_device() if "%u" not in topic} == {
        topics.STOP,
        topics.hint("x").replace("/x/", "/+/"),
    }


def test_every_grant_to_devices_is_in_the_file_and_the_controllers_stand_under_its_name() -> None:
    lines = access_file().splitlines()
    assert [line for line in lines if line.startswith("user ")] == ["user homebred-fleet"]
    patterns = {line for line in lines if line.startswith("pattern ")}
    assert patterns == {f"pattern {access} {topic}" for access, topic in granted_to_device()}
