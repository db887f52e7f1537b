"""The traces of a real daemon, taken by a collector on this device; and a collector that is not there, or not well."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import grpc
import pytest
from tests.support.daemon_process import Site
from tests.support.gateway import gateway_of
from tests.support.manual_clock import ManualClock
from tests.support.metrics_reader import exchanged, figure, figures, text_of
from tests.support.trace_collector import TraceCollector, words_of
from tests.support.wire_client import DaemonClient

from homebred_daemon.app.tracing import Tracer
from homebred_daemon.errors import ConfigurationError
from homebred_daemon.ports.measures import UNMEASURED
from homebred_daemon.settings import TracingSettings
from homebred_protocol.v1 import inference_pb2 as wire
from homebred_protocol.v1.inference_pb2_grpc import InferenceStub

CONTENT = "Quokkaberry"
PRIVATE = wire.Task(
    task_id=f"id-{CONTENT}",
    workflow=f"flow-{CONTENT}",
    session_id=f"session-{CONTENT}",
    text=f"Look after {CONTENT}.",
    data_classes=["patient"],
)
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.add_echo("parrot")
    return site


def configured(site: Site, tracing: str) -> tuple[str, str]:
    file = site.folder / "daemon.toml"
    file.write_text(f'[metrics]\nsocket = "{site.folder}/metrics.sock"\n[tracing]\n{tracing}')
    return "--config", str(file)


def answered(client: DaemonClient) -> float:
    started_s = time.monotonic()
    *_, last = client.generate(wire.GenerateRequest(task=PRIVATE))
    assert last.outcome.status == wire.OUTCOME_STATUS_ANSWER
    return time.monotonic() - started_s


def dropped(site: Site, result: str) -> float:
    found = figures(text_of(exchanged(site.folder / "metrics.sock")))
    return figure(found, "homebred_traces_total", result=result)


def test_a_task_is_one_span_with_its_parts_below_it_and_nothing_of_it_within(site: Site) -> None:
    collector, path = TraceCollector(), site.folder / "otlp.sock"
    with collector.listening(path), site.daemon(*configured(site, f'socket = "{path}"')) as client:
        answered(client)
        (task,) = collector.named("task")
        assert dropped(site, "sent") == 1
    assert words_of(task) == {
        "homebred.status": "answer",
        "homebred.runtime": "local",
        "homebred.reason_code": "local_only",
    }
    parts = [span for span in collector.spans if span is not task and span.name != "task"]
    assert sorted(part.name for part in parts) == ["decide", "generate", "queue"]
    assert {(part.trace_id, part.parent_span_id) for part in parts} == {(task.trace_id, task.span_id)}
    assert (len(task.trace_id), len(task.span_id), task.parent_span_id) == (16, 8, b"")
    for part in parts:
        assert task.start_time_unix_nano <= part.end_time_unix_nano <= task.end_time_unix_nano
    assert 0 <= time.time_ns() - task.end_time_unix_nano < 60e9
    assert collector.heads[0].startswith("POST /v1/traces HTTP/1.1\r\n")
    assert "application/x-protobuf" in collector.heads[0]
    for secret in (CONTENT, "parrot", "uid:"):
        assert secret.encode() not in b"".join(collector.bodies)


def test_it_is_a_part_of_its_callers_trace_over_grpc_and_over_http(site: Site) -> None:
    collector = TraceCollector()
    with collector.listening() as port, gateway_of(site, f"[tracing]\nport = {port}\n") as gateway:
        with grpc.insecure_channel(f"unix:{site.socket}") as channel:
            asked = wire.GenerateRequest(task=PRIVATE)
            list(InferenceStub(channel).Generate(asked, metadata=(("traceparent", TRACEPARENT),)))
            list(InferenceStub(channel).Generate(asked, metadata=(("traceparent", CONTENT),)))
        gateway.client(default_headers={"traceparent": TRACEPARENT}).chat.completions.create(
            model="homebred", messages=[{"role": "user", "content": "hello"}]
        )
        tasks = collector.named("task", at_least=3)
    parents = [(task.trace_id.hex(), task.parent_span_id.hex()) for task in tasks]
    assert parents.count((TRACE, SPAN)) == 2
    assert [parent for _, parent in parents].count("") == 1
    assert CONTENT.encode() not in b"".join(collector.bodies)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\n\r\n",
        b"nonsense",
        b"x" * 100_000,
        b"HTTP/1.1 OK\r\n",
    ],
    ids=["silent", "overloaded", "elsewhere", "nonsense", "endless", "no status"],
)
def test_a_collector_that_is_not_well_costs_its_traces_and_no_task(site: Site, answer: bytes) -> None:
    collector, path = TraceCollector(answer=answer), site.folder / "otlp.sock"
    with collector.listening(path), site.daemon(*configured(site, f'socket = "{path}"')) as client:
        answered(client)
        assert max(answered(client) for _ in range(5)) < 1
        _until_dropped(site)


def test_nor_does_one_that_is_not_there(site: Site) -> None:
    with site.daemon(*configured(site, f'socket = "{site.folder}/nobody.sock"')) as client:
        answered(client)
        _until_dropped(site)
        assert answered(client) < 1


def test_by_default_nothing_is_traced(site: Site) -> None:
    with site.daemon(*configured(site, "")) as client:
        answered(client)
        assert {dropped(site, result) for result in ("sent", "not_taken", "no_room")} == {0}


def _until_dropped(site: Site) -> None:
    until_s = time.monotonic() + 10
    while not dropped(site, "not_taken"):
        assert time.monotonic() < until_s
        time.sleep(0.05)


def test_where_they_cannot_be_written_it_says_so_and_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    written_by = "opentelemetry.proto.collector.trace.v1.trace_service_pb2"
    monkeypatch.delitem(sys.modules, "homebred_daemon.adapters.otlp", raising=False)
    monkeypatch.setitem(sys.modules, written_by, None)
    with pytest.raises(ConfigurationError, match="cannot be written") as refusal:
        Tracer(TracingSettings(port=4318), ManualClock(), UNMEASURED)
    assert "extra `otel`" in refusal.value.hint
