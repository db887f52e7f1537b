"""What the gateway does with callers that are no client of OpenAI's: pages, strangers, slow and greedy ones.

The requests are those that a browser sends, as bytes; a browser takes part in `tests/scenario/test_foreign_pages.py`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from tests.support.daemon_process import Site
from tests.support.free_ports import free_port
from tests.support.gateway import TOKEN, OpenGateway, gateway_of, received

from homebred_daemon.adapters.openai_gateway.http_connection import ARRIVAL_S

BODY = json.dumps(
    {
        "model": "homebred",
        "messages": [{"role": "user", "content": "s3cr3t"}],
        "homebred": {"data_classes": ["patient"]},
    }
).encode()
CHAT = "POST /v1/chat/completions HTTP/1.1"
MODELS = "GET /v1/models HTTP/1.1"
UNREAD_S = 1.5


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.add_echo("repeater")
    return site


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenGateway]:
    """One for all that it refuses and forgets."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.add_echo("repeater")
    with gateway_of(site) as running:
        yield running


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def error_of(answer: bytes) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    return error


def within(happened: Callable[[], bool], seconds: float = 8.0) -> None:
    ends_s = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < ends_s
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),  # a page that knows the token of its victim, even
        ({"origin": "null"}, 403),  # a sandboxed frame, or a file
        ({"host": "evil.example"}, 403),  # DNS rebinding: its own name, which now leads here
        ({"host": "evil.example:{port}"}, 403),
        ({"host": "127.0.0.1"}, 403),  # without the port it is another origin's name
        ({"host": "127.0.0.1:1"}, 403),
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer guessed-0123456789abcdef0123456789ab"}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"host": "localhost:{port}"}, 200),
        ({"host": "[::1]:{port}"}, 200),
        ({"origin": "app://notes"}, 200),
    ],
)
def test_only_this_devices_own_programs_with_a_token_come_in(site: Site, headers: dict[str, str], status: int) -> None:
    with gateway_of(site, own='allowed_origins = "app://notes"') as gateway:
        told = {name: text.format(port=gateway.port) for name, text in headers.items()}
        for line, body in ((CHAT, BODY), (MODELS, b"")):
            head = gateway.head(line, connection="close", content_length=str(len(body)) if body else "", **told)
            answer = gateway.exchanged(head + body)
            assert status_of(answer) == status
            assert b"access-control" not in answer.lower()
            if status != 200:
                assert b"s3cr3t" not in answer
                assert error_of(answer)["message"]
        assert dict(gateway.daemon.status().outcomes) == ({"answer": 1} if status == 200 else {})
    assert TOKEN not in site.log
    assert "s3cr3t" not in site.log
    assert ("gateway_refused" in site.log) == (status != 200)


def test_a_browsers_question_whether_it_may_call_is_answered_with_no(gateway: OpenGateway) -> None:
    asked = gateway.head(
        "OPTIONS /v1/chat/completions HTTP/1.1",
        authorization="",
        origin="https://evil.example",
        access_control_request_method="POST",
        access_control_request_headers="authorization",
    )
    answer = gateway.exchanged(asked)
    assert status_of(answer) == 403
    assert b"access-control" not in answer.lower()


def test_it_listens_on_loopback_alone(gateway: OpenGateway) -> None:
    listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=True).stdout.splitlines()
    (own,) = [line.split()[3] for line in listening if line.split()[3].endswith(f":{gateway.port}")]
    assert own == f"127.0.0.1:{gateway.port}"


@pytest.mark.parametrize(
    ("request_head", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"GET /v1/models HTTP/1.1\r\nx: " + b"y" * 20_000, 413, "too_large"),
        (b"GET /v1/models HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, "bad_request"),
    ],
    ids=["no HTTP", "long head", "two hosts"],
)
def test_what_is_no_request_is_refused_and_ends_the_connection(
    gateway: OpenGateway, request_head: bytes, status: int, code: str
) -> None:
    answer = gateway.exchanged(request_head)
    assert (status_of(answer), error_of(answer)["code"]) == (status, code)


def test_a_body_over_the_bound_is_refused_whether_its_length_was_told_or_not(site: Site) -> None:
    with gateway_of(site, "[requests]\nmax_message_bytes = 65536\n") as gateway:
        told = gateway.head(CHAT, content_length="100000") + b"x" * 100_000
        untold = gateway.head(CHAT, transfer_encoding="chunked") + b"186a0\r\n" + b"x" * 100_000 + b"\r\n0\r\n\r\n"
        for request in (told, untold):
            answer = gateway.exchanged(request)
            assert (status_of(answer), error_of(answer)["code"]) == (413, "too_large")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model": "homebred", "model": "x"}', b"\xff", b"[" * 60_000])
def test_a_body_that_is_no_object_is_refused_and_the_connection_goes_on(gateway: OpenGateway, body: bytes) -> None:
    with gateway.connected() as caller:
        caller.sendall(gateway.head(CHAT, content_length=str(len(body))) + body)
        first = caller.recv(65_536)
        caller.sendall(gateway.head(MODELS, connection="close"))
        assert status_of(first) == 400
        assert status_of(received(caller)) == 200


def test_who_says_nothing_or_half_of_it_is_not_waited_for(site: Site) -> None:
    with gateway_of(site) as gateway, ExitStack() as stack:
        silent, half_a_head, half_a_body = (stack.enter_context(gateway.connected()) for _ in range(3))
        half_a_head.sendall(b"GET /v1/models HTTP/1.1\r\nhost:")
        half_a_body.sendall(gateway.head(CHAT, content_length="100") + b"{")
        started_s = time.monotonic()
        assert received(silent) == b""
        assert [status_of(received(one)) for one in (half_a_head, half_a_body)] == [408, 408]
        assert ARRIVAL_S - 1 < time.monotonic() - started_s < ARRIVAL_S + 5


def test_requests_that_come_together_are_answered_one_after_another(site: Site) -> None:
    with gateway_of(site) as gateway:
        chat = gateway.head(CHAT, content_length=str(len(BODY))) + BODY
        answers = gateway.exchanged(chat + chat + gateway.head(MODELS, connection="close"))
    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.count(b"s3cr3t") == 2


def test_an_unread_answer_is_dropped_and_its_slot_is_free(site: Site) -> None:
    site.add_echo("wordy", workflow="much")
    much = json.dumps(
        {
            "model": "homebred/much",
            "stream": True,
            "messages": [{"role": "user", "content": ("x" * 200 + " ") * 1_800}],
            "homebred": {"data_classes": ["patient"]},
        }
    ).encode()
    with gateway_of(site, f"[requests]\nunread_timeout_s = {UNREAD_S}\n") as gateway, ExitStack() as stack:
        for _ in range(3):
            caller = stack.enter_context(socket.socket())
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            caller.connect(("127.0.0.1", gateway.port))
            caller.sendall(gateway.head(CHAT, content_length=str(len(much))) + much)
        within(lambda: gateway.daemon.status().streams == 3)
        within(lambda: gateway.daemon.status().streams == 0)
        within(lambda: "caller_unread" in site.log)
        assert dict(gateway.daemon.status().outcomes) == {"error": 3}
    assert "token:desk" in site.log


def test_connections_are_bounded_and_the_surplus_is_told(site: Site) -> None:
    with gateway_of(site, "[requests]\nmax_streams = 4\n[engine]\nslots = 4\n") as gateway, ExitStack() as stack:
        held = [stack.enter_context(gateway.connected()) for _ in range(4 + 64)]
        with gateway.connected() as surplus:
            surplus.sendall(gateway.head(MODELS))
            answer = received(surplus)
        assert (status_of(answer), error_of(answer)["code"]) == (429, "overloaded")
        held.pop().close()
        within(lambda: status_of(gateway.exchanged(gateway.head(MODELS, connection="close"))) == 200)


def test_an_answer_under_way_when_the_daemon_is_told_to_stop_comes_whole(site: Site) -> None:
    site.add_echo("slow", workflow="drip", script={"token_delay_s": 0.05})
    body = json.dumps(
        {
            "model": "homebred/drip",
            "stream": True,
            "messages": [{"role": "user", "content": "w " * 20}],
            "homebred": {"data_classes": ["patient"]},
        }
    ).encode()
    with ExitStack() as stack:
        gateway = stack.enter_context(gateway_of(site))
        idle = stack.enter_context(gateway.connected())
        caller = stack.enter_context(gateway.connected())
        caller.sendall(gateway.head(CHAT, content_length=str(len(body))) + body)
        first = caller.recv(65_536)
        assert site.process is not None
        site.process.terminate()
        answer = first + received(caller)
        assert answer.count(b'"content":"w ') >= 19
        assert b"data: [DONE]" in answer
        assert received(idle) == b""


def test_it_can_listen_at_a_unix_socket_instead(site: Site) -> None:
    path = site.folder / "run" / "openai.sock"
    with gateway_of(site, own=f'socket = "{path}"') as gateway:
        with pytest.raises(ConnectionRefusedError):
            gateway.connected()
        assert path.stat().st_mode & 0o777 == 0o600
        http = httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path)))
        with OpenAI(base_url="http://localhost/v1", api_key=TOKEN, max_retries=0, http_client=http) as client:
            assert [model.id for model in client.models.list()] == ["homebred", "homebred/letter.sort"]
    assert not path.exists()


def test_a_daemon_without_a_gateway_has_none(site: Site) -> None:
    with site.daemon(), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 8484), timeout=2).close()


def refusal(site: Site, configuration: str) -> str:
    config = site.folder / "homebred.toml"
    config.write_text(configuration)
    done = subprocess.run(
        site.command("--config", str(config)), capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 2
    return done.stderr


def test_a_gateway_that_nobody_could_use_or_anybody_does_not_start(site: Site) -> None:
    token = site.folder / "token"
    opened = f"[gateway]\nenabled = true\nport = {free_port()}\n[gateway.tokens.desk]\n"
    assert "nobody may use" in refusal(site, "[gateway]\nenabled = true\n")
    assert "is nowhere" in refusal(site, opened)
    token.write_text("short")
    token.chmod(0o600)
    assert "openssl rand -hex 32" in refusal(site, f'{opened}file = "{token}"\n')
    token.write_text(TOKEN)
    token.chmod(0o644)
    told = refusal(site, f'{opened}file = "{token}"\n')
    assert "others than its owner may read" in told
    assert TOKEN not in told
    token.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refusal(site, f'[gateway]\nenabled = true\nport = {port}\n[gateway.tokens.desk]\nfile = "{token}"\n')
    assert "cannot listen" in told


HANDED_OVER = """
import os, sys
from homebred_daemon.app import run
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "homebred-gateway"}
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize("enabled", [True, False])
def test_a_socket_that_systemd_passes_is_served_or_refused_aloud(site: Site, enabled: bool) -> None:  # noqa: FBT001
    token, config = site.folder / "token", site.folder / "homebred.toml"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    config.write_text(f'[gateway]\nenabled = {str(enabled).lower()}\n[gateway.tokens.desk]\nfile = "{token}"\n')
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", HANDED_OVER, *site.command("--config", str(config))[3:]]
        process = subprocess.Popen(
            command,
            preexec_fn=lambda: os.dup2(listener.fileno(), 3),  # noqa: PLW1509  # the number that sd_listen_fds(3) has
            pass_fds=(3,),
            stderr=subprocess.PIPE,
        )
        try:
            if not enabled:
                assert process.wait(20) == 2
                assert b"homebred-gateway.socket" in (process.stderr.read() if process.stderr else b"")
                return
            port = listener.getsockname()[1]
            with OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=TOKEN, max_retries=0, timeout=20) as client:
                assert next(iter(client.models.list())).id == "homebred"
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert process.returncode == 0
