"""The figures of a real daemon, read as Prometheus does, and everybody else who knocks at that door."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.daemon_process import Site
from tests.support.free_ports import free_port
from tests.support.metrics_reader import ANSWERED_WITHIN_S, GET, exchanged, figure, figures, status_of, text_of
from tests.support.wire_client import DaemonClient

from homebred_daemon.adapters.metrics_server import MAX_CONNECTIONS, MAX_HEAD_BYTES
from homebred_daemon.demo.stand_in_cloud import StandInCloud
from homebred_protocol.v1 import inference_pb2 as wire

CONTENT = "Quokkaberry"
PRIVATE = wire.Task(task_id=f"id-{CONTENT}", text=f"Look after {CONTENT}.", data_classes=["patient"])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.add_echo("parrot")
    return site


def door_of(site: Site) -> Path:
    return site.folder / "metrics.sock"


def configured(site: Site, more: str = "") -> tuple[str, str]:
    file = site.folder / "daemon.toml"
    file.write_text(f'[metrics]\nsocket = "{door_of(site)}"\n{more}')
    return "--config", str(file)


def answered(client: DaemonClient, task: wire.Task) -> None:
    assert list(client.generate(wire.GenerateRequest(task=task)))


def eventually(holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + ANSWERED_WITHIN_S
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.02)


def test_the_figures_tell_what_the_daemon_did(site: Site) -> None:
    with site.daemon(*configured(site)) as client:
        answered(client, PRIVATE)
        answer = exchanged(door_of(site))
    assert status_of(answer) == 200
    assert b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n" in answer
    found = figures(text_of(answer))
    assert figure(found, "homebred_tasks_total", status="answer") == 1
    assert figure(found, "homebred_decisions_total", runtime="local", reason_code="local_only") == 1
    assert figure(found, "homebred_first_token_seconds_count", specialist="parrot") == 1
    assert figure(found, "homebred_tokens_total", specialist="parrot", direction="out") > 0
    assert figure(found, "homebred_model_loads_total", result="loaded") == 1
    assert figure(found, "homebred_models_resident") == 1
    assert figure(found, "homebred_engine_slots") == 4
    assert figure(found, "homebred_ledger_entries_total", kind="outcome", result="stored") == 1
    assert 1e6 < figure(found, "process_resident_memory_bytes") < 1e9
    assert figure(found, "process_open_fds") > 5
    assert abs(figure(found, "process_start_time_seconds") - door_of(site).parent.stat().st_mtime) < 60
    assert CONTENT not in answer.decode()


def test_what_leaves_for_a_cloud_is_counted_by_its_endpoint(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.add_echo("generalist", samples=0)
    with StandInCloud() as cloud:
        endpoint = f'base_url = "{cloud.base_url}"\nwire_format = "openai_chat"\nmodel = "stand-in"\n'
        endpoint += "price_per_1k_tokens = 1.0\n"
        flags = configured(site, f'[link]\nstate = "up"\n[cloud.endpoints."cloud/default"]\n{endpoint}')
        text = "Please weigh the plan of jo@example.org for us."
        with site.daemon(*flags) as client:
            task = wire.Task(text=text, data_classes=["public"], allows_escalation=True)
            answered(client, task)
            found = figures(text_of(exchanged(door_of(site))))
    assert figure(found, "homebred_link", alias="cloud/default", state="up") == 1
    assert figure(found, "homebred_link", alias="cloud/default", state="down") == 0
    assert figure(found, "homebred_cloud_calls_total", alias="cloud/default", outcome="answered") == 1
    assert figure(found, "homebred_cloud_bytes_total", alias="cloud/default") > len(text)
    assert figure(found, "homebred_cloud_money_total", alias="cloud/default") > 0
    assert figure(found, "homebred_redactions_total", entity_type="EMAIL") == 1


def test_the_socket_is_the_daemons_own_or_also_its_groups_and_goes_with_it(site: Site) -> None:
    with site.daemon(*configured(site)):
        assert stat.S_IMODE(door_of(site).stat().st_mode) == 0o600
    assert not door_of(site).exists()
    with site.daemon(*configured(site, f'group = "{os.getgid()}"\n')):
        found = door_of(site).stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, os.getgid())


REFUSED = {
    "another page": (GET.replace(b"\r\n\r\n", b"\r\nOrigin: https://example.com\r\n\r\n"), 403),
    "another path": (GET.replace(b"/metrics", b"/"), 404),
    "another method": (GET.replace(b"GET", b"POST"), 405),
    "no HTTP": (b"hello\r\n\r\n", 400),
    "a later HTTP": (GET.replace(b"1.1", b"2.0"), 400),
    "two hosts": (GET.replace(b"\r\n\r\n", b"\r\nhost: localhost\r\n\r\n"), 400),
    "a long head": (GET[:-2] + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
}


def test_who_asks_for_anything_else_gets_none(site: Site) -> None:
    with site.daemon(*configured(site)):
        answers = {name: exchanged(door_of(site), request) for name, (request, _) in REFUSED.items()}
        assert status_of(exchanged(door_of(site), GET.replace(b"/metrics", b"/metrics?x=1"))) == 200
    assert {name: status_of(answer) for name, answer in answers.items()} == {
        name: status for name, (_, status) in REFUSED.items()
    }
    assert not any(b"homebred_" in answer for answer in answers.values())


HOSTS = {b"localhost": 200, b"127.0.0.1:9": 200, b"[::1]": 200, b"LOCALHOST:80": 200, b"rebound.example": 403}


def test_at_a_port_only_this_devices_own_names_are_answered(site: Site) -> None:
    port = free_port()
    (site.folder / "daemon.toml").write_text(f"[metrics]\nport = {port}\n")
    with site.daemon("--config", str(site.folder / "daemon.toml")):
        found = {host: status_of(exchanged(port, GET.replace(b"localhost", host))) for host in HOSTS}
        without = GET.replace(b"Host: localhost\r\n", b"")
        assert status_of(exchanged(port, without)) == 403
    assert found == HOSTS


def test_a_port_that_somebody_else_has_is_said(site: Site) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (site.folder / "daemon.toml").write_text(f"[metrics]\nport = {port}\n")
        with pytest.raises(AssertionError), site.daemon("--config", str(site.folder / "daemon.toml"), killed=True):
            pass
    assert f"port {port} of the loopback cannot be had for metrics" in site.log
    assert "metrics.port" in site.log


def is_answered(door: Path) -> bool:
    try:
        return exchanged(door).startswith(b"HTTP/1.1 200 ")
    except (ConnectionResetError, BrokenPipeError):
        return False


def test_who_stays_silent_keeps_the_others_out_for_seconds_at_most(site: Site) -> None:
    with site.daemon(*configured(site)), ExitStack() as stack:
        silent = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(MAX_CONNECTIONS)]
        for one in silent:
            one.settimeout(ANSWERED_WITHIN_S)
            one.connect(str(door_of(site)))
        eventually(lambda: not is_answered(door_of(site)))
        assert [one.recv(1) for one in silent] == [b""] * MAX_CONNECTIONS
        eventually(lambda: is_answered(door_of(site)))


def test_a_daemon_that_is_asked_for_no_figures_counts_none_and_opens_no_door(site: Site) -> None:
    with site.daemon() as client:
        answered(client, PRIVATE)
        assert site.process is not None
        sockets = Path(f"/proc/{site.process.pid}/net/unix").read_text().splitlines()
    assert [one for one in sockets if str(site.folder) in one and one.endswith("metrics.sock")] == []
