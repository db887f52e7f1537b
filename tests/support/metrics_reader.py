"""Reads a daemon's figures as Prometheus would: one HTTP request, and the text by prometheus-client's own parser."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from homebred_daemon.core.exposition import exposition
from homebred_daemon.services.tallying import Tally

GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWERED_WITHIN_S = 10.0
Figures = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def exchanged(address: Path | int, request: bytes = GET) -> bytes:
    """All that a server answers to these bytes: at a Unix socket, or at a port of the loopback."""
    is_port = isinstance(address, int)
    with socket.socket(socket.AF_INET if is_port else socket.AF_UNIX) as client:
        client.settimeout(ANSWERED_WITHIN_S)
        client.connect(("127.0.0.1", address) if is_port else str(address))
        client.sendall(request)
        answer = b""
        while piece := client.recv(65_536):
            answer += piece
    return answer


def status_of(answer: bytes) -> int:
    """The status code."""
    return int(answer.split(b" ", 2)[1])


def text_of(answer: bytes) -> str:
    """The body."""
    return answer.partition(b"\r\n\r\n")[2].decode()


def figures(text: str) -> Figures:
    """Every sample, by its name and labels. A text that is none of Prometheus's raises."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def counted(tally: Tally, name: str, **labels: str) -> float:
    """What was counted, as Prometheus would read it."""
    return figure(figures(exposition(tally.series())), name, **labels)


def figure(found: Figures, name: str, **labels: str) -> float:
    """One sample."""
    return found[name, frozenset(labels.items())]
