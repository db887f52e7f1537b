"""Who may call a real daemon, over its real socket, as other users of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from tests.support.daemon_process import Site
from tests.support.other_user import STRANGER, call_as, needs_root
from tests.support.wire_client import DaemonClient

from homebred_protocol.v1 import control_pb2, control_pb2_grpc
from homebred_protocol.v1 import inference_pb2 as wire

KIOSK_GID = 54_321
NURSES_GID = 54_322
PRIVATE = {"text": "hello", "data_classes": ["patient"]}


@pytest.fixture
def site() -> Iterator[Site]:
    """In a folder that others may pass, as the folder of a service's socket is."""
    with tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as folder:  # pytest's own folders are closed
        Path(folder).chmod(0o711)
        site = Site(Path(folder))
        site.add_echo("repeater")
        yield site


def configured(site: Site, text: str) -> tuple[str, str]:
    config = site.folder / "homebred.toml"
    config.write_text(text)
    return "--config", str(config)


def access(site: Site) -> tuple[str, str]:
    return configured(
        site, f'[access]\ngroup = "{KIOSK_GID}"\noperators = "uid:4001"\nreviewers = "gid:{NURSES_GID}"\n'
    )


@needs_root
def test_another_user_cannot_reach_the_socket_of_a_daemon_without_a_group(site: Site) -> None:
    with site.daemon():
        assert call_as(site.socket, "status")["code"] == "daemon_unreachable"


@needs_root
def test_a_user_outside_the_group_is_refused_by_the_kernel(site: Site) -> None:
    with site.daemon(*access(site)):
        assert call_as(site.socket, "generate", task=PRIVATE)["code"] == "daemon_unreachable"


@needs_root
@pytest.mark.parametrize("action", ["status", "route", "generate", "reload"])
def test_a_user_outside_the_group_is_refused_by_the_daemon_where_the_kernel_lets_it_in(site: Site, action: str) -> None:
    with site.daemon(*access(site)):
        site.socket.parent.chmod(0o711)
        site.socket.chmod(0o666)
        refused = call_as(site.socket, action, task=PRIVATE)
    assert refused["code"] == "not_permitted"
    assert str(STRANGER) in refused["message"]
    assert "[access]" in refused["hint"]


@needs_root
@pytest.mark.parametrize(
    ("gid", "groups"), [(KIOSK_GID, ()), (STRANGER, (4, KIOSK_GID)), (STRANGER, (NURSES_GID, KIOSK_GID))]
)
def test_a_member_of_the_group_is_let_in_by_its_first_or_any_other_group(
    site: Site, gid: int, groups: tuple[int, ...]
) -> None:
    with site.daemon(*access(site)):
        assert call_as(site.socket, "generate", gid=gid, groups=groups, task=PRIVATE)["text"] == "hello"
        assert call_as(site.socket, "status", gid=gid, groups=groups)["version"]
        assert call_as(site.socket, "reload", gid=gid, groups=groups)["code"] == "not_permitted"


@needs_root
def test_a_member_in_more_groups_than_a_short_answer_holds_is_known_by_all_of_them(site: Site) -> None:
    with site.daemon(*access(site)):
        heard = call_as(site.socket, "generate", groups=(*range(100_000, 100_700), KIOSK_GID), task=PRIVATE)
        assert heard["text"] == "hello"
        crowd = call_as(site.socket, "status", groups=(*range(100_000, 101_100), KIOSK_GID))
    assert crowd["code"] == "daemon_unreachable"
    assert '"event": "connection_refused"' in site.log


@needs_root
def test_an_operator_operates(site: Site) -> None:
    with site.daemon(*access(site)):
        assert call_as(site.socket, "reload", uid=4001, groups=(KIOSK_GID,)) == {"specialists": 1}


@needs_root
def test_state_and_private_folder_stay_closed_to_the_group(site: Site) -> None:
    with site.daemon(*access(site)):
        for folder in (site.state, site.socket.parent / "private"):
            assert folder.stat().st_mode & 0o077 == 0


def test_whoever_comes_by_the_private_socket_is_refused_as_unattested(site: Site) -> None:
    with site.daemon(), grpc.insecure_channel(f"unix:{site.socket.parent}/private/grpc.sock") as channel:
        calls = (
            lambda: control_pb2_grpc.ControlStub(channel).GetStatus(control_pb2.GetStatusRequest()),
            lambda: health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()),
        )
        for call in calls:
            with pytest.raises(grpc.RpcError) as refusal:
                call()
            assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
            info, problem = error_details_pb2.ErrorInfo(), wire.Problem()
            status = rpc_status.from_call(refusal.value)
            assert status.details[0].Unpack(info)
            assert status.details[1].Unpack(problem)
            assert (info.reason, problem.code) == ("unattested", "unattested")
            assert problem.hint


def test_a_method_that_nobody_serves_is_unimplemented(site: Site) -> None:
    with (
        site.daemon(),
        grpc.insecure_channel(f"unix:{site.socket}") as channel,
        pytest.raises(grpc.RpcError) as refusal,
    ):
        channel.unary_unary("/homebred.v1.Control/Explode")(b"")  # type: ignore[arg-type]  # bare bytes, as grpc takes them
    assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED


@needs_root
def test_a_kiosk_that_declares_public_cannot_declassify_or_escalate(site: Site) -> None:
    site.add_echo("unproven", workflow="draft", samples=0)
    policy = site.folder / "policy.toml"
    policy.write_text(
        f'[callers."uid:{STRANGER}"]\nadds_classes = ["patient"]\nmay_escalate = false\n'
        f'[callers."uid:{STRANGER - 1}"]\nmay_escalate = false\n'
    )
    flags = (*access(site), "--policy", str(policy), "--link", "up")
    task = {"text": "hi", "data_classes": ["public"], "allows_escalation": True, "minimum_margin": 1.0}
    with site.daemon(*flags) as own:
        kiosk = call_as(site.socket, "generate", groups=(KIOSK_GID,), task=task)
        merely_kept_home = call_as(site.socket, "route", uid=STRANGER - 1, groups=(KIOSK_GID,), task=task)
        free = own.route(wire.Task(**task))  # type: ignore[arg-type]  # as a test writes it
    assert free.selected_runtime == wire.RUNTIME_CLOUD_ESCALATION  # the same task, from somebody without a profile
    assert kiosk["classes"] == ["patient", "public"]
    assert (kiosk["runtime"], kiosk["reason"]) == ("RUNTIME_LOCAL", "local_only")
    assert merely_kept_home["classes"] == ["public"]
    assert merely_kept_home["runtime"] != "RUNTIME_CLOUD_ESCALATION"


@pytest.mark.parametrize("shared", ["--state-dir", "--runtime-dir", "--socket"])
def test_a_daemon_that_would_share_anything_with_a_running_one_is_refused(site: Site, shared: str) -> None:
    theirs = {"--state-dir": site.state, "--runtime-dir": site.socket.parent, "--socket": site.socket}
    other = {"--state-dir": site.folder / "s2", "--runtime-dir": site.folder / "r2", "--socket": site.folder / "r2/s"}
    flags = [str(part) for flag in other for part in (flag, theirs[flag] if flag == shared else other[flag])]
    with site.daemon() as client:
        second = subprocess.run(
            [sys.executable, "-m", "homebred_daemon", *flags], capture_output=True, text=True, timeout=30, check=False
        )
        assert second.returncode == 2
        assert "another daemon serves from" in second.stderr
        assert "next:" in second.stderr
        assert client.status().version


def test_an_access_rule_with_an_unknown_name_stops_the_start(site: Site) -> None:
    flags = configured(site, '[access]\noperators = "user:no-such-user"\n')
    refused = subprocess.run(site.command(*flags), capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 2
    assert "no-such-user" in refused.stderr


HANDED_OVER = """
import os, sys
from homebred_daemon.app import run
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "homebred"}
sys.exit(run(sys.argv[1:]))
"""


class TestAnInheritedSocket:
    """A parent listens and hands the descriptor over, as systemd does."""

    @pytest.fixture
    def listener(self, site: Site) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(site.folder / "public"))
            listener.listen()
            yield listener

    def start(self, site: Site, listener: socket.socket) -> subprocess.Popen[bytes]:
        def hand_over() -> None:
            os.dup2(listener.fileno(), 3)

        with (site.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", HANDED_OVER, *site.command()[3:]],
                preexec_fn=hand_over,  # noqa: PLW1509  # a descriptor with a number of its own, as sd_listen_fds(3) has
                pass_fds=(3,),
                stdout=log,
                stderr=log,
            )

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        process.terminate()
        return process.wait(20)

    def test_is_served_and_its_path_is_left_alone(self, site: Site, listener: socket.socket) -> None:
        process = self.start(site, listener)
        try:
            with DaemonClient(site.folder / "public") as client:
                heard = list(client.generate(wire.GenerateRequest(task=wire.Task(**PRIVATE))))  # type: ignore[arg-type]
        finally:
            status = self.stop(process)
        assert "".join(event.delta for event in heard) == "hello"
        assert status == 0, site.log
        assert (site.folder / "public").is_socket()
        assert not site.socket.exists()

    def test_keeps_its_clients_from_one_daemon_to_the_next(self, site: Site, listener: socket.socket) -> None:
        assert self.stop_when_it_serves(site, listener) == 0, site.log
        assert self.stop_when_it_serves(site, listener) == 0, site.log

    def stop_when_it_serves(self, site: Site, listener: socket.socket) -> int:
        with DaemonClient(site.folder / "public") as client:  # it waits in the socket's queue
            process = self.start(site, listener)
            try:
                assert client.status().version
            finally:
                status = self.stop(process)
        return status

    def test_is_left_to_the_daemon_that_serves_it_by_a_second_one(self, site: Site, listener: socket.socket) -> None:
        process = self.start(site, listener)
        try:
            with DaemonClient(site.folder / "public") as client:
                assert client.status().version
                second = self.start(site, listener)
                assert second.wait(20) != 0
                assert "another daemon serves from" in site.log
                assert client.status().version
        finally:
            self.stop(process)
