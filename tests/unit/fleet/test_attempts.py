from __future__ import annotations

import pytest

from homebred_fleet.core import attempts
from homebred_fleet.core.attempts import Attempts, source_of
from homebred_fleet.core.durations import DAY_S


def test_who_is_refused_too_often_waits_and_others_do_not() -> None:
    counted = Attempts(3)
    for _ in range(3):
        assert counted.wait_s("10.0.0.1", 100.0) == 0
        counted.count("10.0.0.1", 100.0)
    assert counted.wait_s("10.0.0.1", 100.0) == 21
    assert counted.wait_s("10.0.0.2", 100.0) == 0


def test_after_that_wait_one_more_is_looked_at() -> None:
    counted = Attempts(3)
    for _ in range(3):
        counted.count("10.0.0.1", 100.0)
    assert counted.wait_s("10.0.0.1", 121.0) == 0
    counted.count("10.0.0.1", 121.0)
    assert counted.wait_s("10.0.0.1", 121.0) > 0
    assert counted.wait_s("10.0.0.1", 300.0) == 0


def test_a_window_may_be_longer_than_a_minute() -> None:
    counted = Attempts(2, window_s=DAY_S)
    for _ in range(2):
        counted.count("clinic-1", 0.0)
    assert counted.wait_s("clinic-1", 0.0) == DAY_S / 2 + 1
    assert counted.wait_s("clinic-1", DAY_S / 2) == 0


def test_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MAX_SOURCES", 2)
    counted = Attempts(1)
    for last in range(5):
        counted.count(f"10.0.0.{last}", 100.0)
    assert [counted.wait_s(f"10.0.0.{last}", 100.0) > 0 for last in range(5)] == [False] * 3 + [True] * 2


def test_one_host_cannot_be_many_by_the_addresses_of_its_network() -> None:
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff") != source_of("2001:db8:0:1::1")
    assert source_of("::ffff:10.0.0.1") == source_of("10.0.0.1") == "10.0.0.1"
    assert source_of("unknown") == "unknown"
