"""Row 6: in a network namespace without a route, tasks of the local lane are answered, and nobody is called.

strace writes down every connect() of the daemon and its workers.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.daemon_process import Site
from tests.support.wire_client import DaemonClient
from typing_extensions import override

from homebred_protocol.v1 import inference_pb2 as wire

TASKS = 40
PATIENCE_S = 20.0
ISOLATED = ["unshare", "--net", "--map-root-user"]
ENDPOINT = """[cloud.endpoints."cloud/default"]
base_url = "https://192.0.2.1/v1"
wire_format = "openai_chat"
model = "nobody"
"""
INTERNET = re.compile(r"connect\(.*sa_family=AF_INET6?,")

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None
    or subprocess.run([*ISOLATED, "true"], capture_output=True, check=False).returncode != 0,
    reason="no network namespace can be made here, or strace is missing",
)


class IsolatedSite(Site):
    """A device without a network, whose daemon is traced."""

    @property
    def trace(self) -> Path:
        return self.folder / "connects"

    def calls(self) -> list[str]:
        """Every attempt to connect to the internet, once the daemon has ended and strace has written all down."""
        assert self.process is not None
        until_s = time.monotonic() + PATIENCE_S
        ended = re.compile(rf"^{self.process.pid} +\+\+\+ exited", re.MULTILINE)  # strace pads short process ids
        while not ended.search(text := self.trace.read_text()):
            assert time.monotonic() < until_s
            time.sleep(0.05)
        return [line for line in text.splitlines() if INTERNET.search(line)]

    @override
    def command(self, *flags: str) -> list[str]:
        # -D: the daemon is our child and strace its grandchild, so that signals reach the daemon.
        traced = ["strace", "-D", "-f", "-q", "--seccomp-bpf", "-e", "trace=connect", "-o", str(self.trace)]
        return [*ISOLATED, *traced, *super().command(*flags)]


@pytest.fixture
def site(tmp_path: Path) -> IsolatedSite:
    site = IsolatedSite(tmp_path)
    site.add_echo("repeater")
    (site.folder / "daemon.toml").write_text(ENDPOINT)
    return site


def ended(client: DaemonClient, **task: object) -> int:
    request = wire.GenerateRequest(task=wire.Task(text="weigh it", **task))  # type: ignore[arg-type]  # as a test writes it
    return list(client.generate(request))[-1].outcome.status


def test_local_tasks_are_answered_and_nobody_is_called(site: IsolatedSite) -> None:
    with site.daemon("--config", str(site.folder / "daemon.toml")) as client:
        for number in range(TASKS):
            assert ended(client, data_classes=["patient" if number % 2 else "public"]) == wire.OUTCOME_STATUS_ANSWER
    assert site.calls() == []


def test_an_escalation_is_not_even_tried_since_the_system_says_that_there_is_no_network(site: IsolatedSite) -> None:
    harder = {"data_classes": ["public"], "allows_escalation": True, "minimum_margin": 1.0}
    with site.daemon("--config", str(site.folder / "daemon.toml")) as client:
        assert client.status().link == "down"
        assert ended(client, **harder) == wire.OUTCOME_STATUS_ANSWER  # offline: the best specialist at the floor
    assert site.calls() == []


def test_where_the_link_is_said_to_be_up_an_escalation_calls_in_vain_and_is_written_down(site: IsolatedSite) -> None:
    harder = {"data_classes": ["public"], "allows_escalation": True, "minimum_margin": 1.0}
    with site.daemon("--config", str(site.folder / "daemon.toml"), "--link", "up") as client:
        assert ended(client, **harder) == wire.OUTCOME_STATUS_DEGRADED
    assert site.calls()  # so the trace is not blind
