"""What the thread does without any broker; tests/contract/test_mqtt_connection.py has the rest."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from homebred_protocol.mqtt import Credentials, Delivered, Ended, Endpoint, Happening, SessionTerms
from homebred_protocol.mqtt_thread import MqttThread

TERMS = SessionTerms("dev-1", clean_start=False, session_expiry_s=60, keepalive_s=60, receive_maximum=20)
NOWHERE = Endpoint("127.0.0.1", 1, Credentials(Path("/nowhere/ca"), Path("/nowhere/crt"), Path("/nowhere/key")))


def test_what_is_published_without_a_connection_is_refused_at_once_in_order() -> None:
    heard: queue.Queue[Happening] = queue.Queue()
    thread = MqttThread(NOWHERE, heard.put)
    for token in range(50):
        thread.publish("a", b"", token=token)
    assert [heard.get(timeout=5) for _ in range(50)] == [Delivered(token, ok=False) for token in range(50)]
    thread.close()
    assert thread.join(5)


def test_credentials_that_cannot_be_read_end_the_connection_before_the_network_is_touched() -> None:
    heard: queue.Queue[Happening] = queue.Queue()
    thread = MqttThread(NOWHERE, heard.put)
    thread.connect(TERMS)
    ended = heard.get(timeout=5)
    assert isinstance(ended, Ended)
    assert ended.reason == "tls"
    assert "its own files" in ended.detail
    thread.close()
    assert thread.join(5)


def test_nothing_is_handed_over_once_close_has_returned_however_many_ask() -> None:
    for _ in range(20):
        heard: list[Happening] = []
        thread = MqttThread(NOWHERE, heard.append)
        asking = [threading.Thread(target=thread.publish, args=("a", b""), kwargs={"token": n}) for n in range(8)]
        for each in asking:
            each.start()
        thread.close()
        after_close = len(heard)
        for each in asking:
            each.join()
        thread.publish("a", b"", token=99)
        assert thread.join(5)
        assert len(heard) == after_close


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_owner_that_fails_ends_the_thread_and_is_not_called_again() -> None:
    calls = []

    def failing(happening: Happening) -> None:
        calls.append(happening)
        raise RuntimeError("the loop is closed")

    thread = MqttThread(NOWHERE, failing)
    thread.publish("a", b"", token=1)
    assert thread.join(5)
    thread.publish("a", b"", token=2)
    thread.close()
    assert calls == [Delivered(1, ok=False)]
