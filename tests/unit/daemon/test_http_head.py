"""What an answer's head says before its body is read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from homebred_daemon.adapters.cloud.http_head import HttpHead

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
EVENTS = {"content-type": "text/event-stream"}


@pytest.mark.parametrize(
    ("status", "media_type", "is_portal"),
    [
        (302, "", True),
        (307, "application/json", True),
        (200, "text/html; charset=utf-8", True),
        (200, "Text/HTML", True),
        (511, "text/html", True),
        (200, "text/event-stream", False),
        (404, "text/html", False),
        (502, "text/html", False),
    ],
)
def test_a_portal_redirects_or_shows_a_page(status: int, media_type: str, is_portal: bool) -> None:  # noqa: FBT001  # pytest gives it
    assert HttpHead(status=status, fields={"content-type": media_type}).is_portal == is_portal


def test_events_come_as_plain_events() -> None:
    assert HttpHead(status=200, fields=EVENTS).has_events
    assert not HttpHead(status=200, fields=EVENTS | {"content-encoding": "gzip"}).has_events
    assert not HttpHead(status=200, fields={}).has_events


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("7", 7.0),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("Tue, 24 Nov 2026 12:00:30 -0000", None),
        ("-1", None),
        ("soon", None),
        ("", None),
    ],
)
def test_when_to_come_again_is_said_in_seconds_or_as_a_date(field: str, seconds: float | None) -> None:
    assert HttpHead(status=429, fields={"retry-after": field}).retry_after_s(NOW) == seconds
