from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from homebred_protocol.mqtt import Ended, SessionTerms


def test_terms_and_happenings_do_not_change_once_they_are_made() -> None:
    terms = SessionTerms(client_id="a", clean_start=False, session_expiry_s=1, keepalive_s=60, receive_maximum=50)
    assert terms.will is None
    with pytest.raises(FrozenInstanceError):
        terms.client_id = "b"  # type: ignore[misc]
    assert Ended("lost") == Ended("lost", "")
