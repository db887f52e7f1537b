"""What the door of the figures answers to requests of any shape; real sockets are knocked at in tests/integration."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.adapters.metrics_server import Answer, MetricsServer
from homebred_daemon.core.exposition import CONTENT_TYPE
from homebred_daemon.errors import StateError

ASKED = b"GET /metrics HTTP/1.1\r\nHost: localhost:9464\r\n"
headers = st.lists(st.binary(max_size=30).filter(lambda line: b"\r\n" not in line), max_size=4)


async def text() -> str:
    return "homebred_tasks_running 0\n"


async def unreadable() -> str:
    raise StateError("the review queue cannot be read", hint="run `homebred doctor`")


@contextmanager
def door(family: socket.AddressFamily = socket.AF_INET) -> Iterator[MetricsServer]:
    with socket.socket(family) as listener:
        yield MetricsServer(listener, text, content_type=CONTENT_TYPE)


def refusal(head: bytes, family: socket.AddressFamily = socket.AF_INET) -> Answer | None:
    with door(family) as server:
        return server._refusal(head)


@given(st.binary(max_size=200))
def test_no_bytes_whatever_break_it_and_none_but_a_request_for_the_figures_gets_them(noise: bytes) -> None:
    answer = refusal(noise + b"\r\n\r\n", socket.AF_UNIX)
    assert answer is not None or noise.startswith(b"GET /metrics")


@given(headers)
def test_a_request_with_any_further_headers_is_answered_unless_one_names_a_page_or_another_host(
    lines: list[bytes],
) -> None:
    names = [line.partition(b":")[0].decode("latin-1").lower() for line in lines]
    answer = refusal(ASKED + b"".join(line + b"\r\n" for line in lines) + b"\r\n")
    if "origin" not in names and "host" not in names:
        assert answer is None
    else:
        assert answer is not None


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::1"])
def test_a_name_that_is_not_this_devices_is_refused_at_a_port(host: str) -> None:
    answer = refusal(f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer is not None
    assert answer.status is HTTPStatus.FORBIDDEN


async def test_figures_that_cannot_be_had_are_an_error_with_what_to_do() -> None:
    with socket.socket() as listener:
        answer = await MetricsServer(listener, unreadable, content_type=CONTENT_TYPE)._figures()
    assert answer.status is HTTPStatus.INTERNAL_SERVER_ERROR
    assert answer.body == "the review queue cannot be read\nnext: run `homebred doctor`\n"


def test_an_answer_says_how_long_it_is_and_that_nothing_follows() -> None:
    head, _, body = Answer(status=HTTPStatus.OK, body="é\n").encoded().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Connection: close" in head
