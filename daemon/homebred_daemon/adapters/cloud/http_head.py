"""What the head of an HTTP answer says: whether the endpoint itself speaks, in events, and when to come again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

_SUCCESS, _REDIRECT, _ERROR = 200, 300, 400
_SIGN_IN_FIRST = 511  # RFC 6585, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpHead:
    """Status and fields; the fields' names are found in any case."""

    status: int
    fields: Mapping[str, str]

    @property
    def is_portal(self) -> bool:
        """A redirect, or a page for people in place of an answer."""
        is_page = _SUCCESS <= self.status < _REDIRECT and self._media_type == "text/html"
        return _REDIRECT <= self.status < _ERROR or self.status == _SIGN_IN_FIRST or is_page

    @property
    def is_error(self) -> bool:
        """Whether the body tells of an error."""
        return self.status >= _ERROR

    @property
    def has_events(self) -> bool:
        """Whether the body is a plain stream of events."""
        return self._media_type == "text/event-stream" and not self.fields.get("content-encoding")

    def retry_after_s(self, now: datetime) -> float | None:
        """When to come again (RFC 9110, 10.2.3: in seconds, or at a date); None: it does not say."""
        field = self.fields.get("retry-after", "")
        if field.isascii() and field.isdigit():
            return float(field)
        try:
            return float(max((parsedate_to_datetime(field) - now).total_seconds(), 0.0))
        except (ValueError, TypeError):
            return None

    @property
    def _media_type(self) -> str:
        return self.fields.get("content-type", "").partition(";")[0].strip().lower()
