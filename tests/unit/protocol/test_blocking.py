"""Without a daemon: what a client says before it has called anything. Its calls are tests/contract/test_client.py's."""

from __future__ import annotations

import os

import pytest

from homebred_protocol.client import Client, RequestError, Task


def test_a_client_needs_no_daemon_until_it_calls() -> None:
    with Client("/nonexistent/s") as client:
        client.stream(Task("x")).close()


def test_a_path_too_long_for_a_socket_is_refused_where_the_client_is_made() -> None:
    with pytest.raises(RequestError):
        Client("/" + "x" * 200)


def test_in_a_forked_child_a_client_of_the_parent_refuses_to_work() -> None:
    client = Client("/nonexistent/s", patience_s=0)
    child = os.fork()
    if child == 0:
        try:
            client.route("x")
        except RuntimeError as refused:
            os._exit(0 if "fork" in str(refused) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.close()


def test_a_closed_stream_yields_nothing_and_sends_nothing() -> None:
    with Client("/nonexistent/s", patience_s=0) as client, client.stream("x") as stream:
        stream.close()
        assert list(stream) == []
