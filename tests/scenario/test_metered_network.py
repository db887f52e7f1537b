"""A device with a cable and a modem, in a network namespace of its own: when its link is metered, and why.

The daemon, the dbus-daemon and the kernel are real; NetworkManager's place is taken by its stand-in.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.committed_files import ROOT
from tests.support.daemon_process import Site
from tests.support.system_bus import StandInNetworkManager, system_bus

from homebred_daemon.adapters.network_manager import BUS_VARIABLE

ISOLATED = ["unshare", "--net", "--map-root-user"]
ASKED_WITHIN_S = 0.3
"""After its start, by a daemon that asks."""
FAR, NEAR = "https://192.0.2.1/v1", "http://127.0.0.1:9/v1"
ENDPOINT = """[cloud.endpoints."cloud/default"]
base_url = "{url}"
wire_format = "openai_chat"
model = "nobody"
"""
STORY = """
import os, subprocess, sys, time
from pathlib import Path
from tests.support.daemon_process import Site
from tests.support.system_bus import StandInNetworkManager, system_bus
from homebred_protocol.v1 import inference_pb2 as wire

TASK = wire.Task(text="x", data_classes=["public"], allows_escalation=True)

def sh(commands):
    subprocess.run(commands, shell=True, check=True)

def tell(client, awaited):
    until_s = time.monotonic() + 10
    while client.status().link != awaited and time.monotonic() < until_s:
        time.sleep(0.02)
    trace = client.route(TASK).trace
    print(client.status().link, *[line for line in trace if line.startswith(("blocked_by", "link_cause"))])

for number, name in enumerate(("eth0", "wwan0")):
    sh(f"ip link add {name} type veth peer name far{number}; ip addr add 10.9.{number}.2/24 dev {name};"
       f"ip link set {name} up; ip link set far{number} up")
sh("ip route add default via 10.9.0.1 dev eth0 metric 100")

folder = Path(sys.argv[1])
site = Site(folder)
with system_bus(folder / "bus") as bus:
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = bus
    with site.daemon("--config", sys.argv[2]) as client:
        tell(client, "up")
        sh("ip route add default via 10.9.1.1 dev wwan0 metric 50")
        tell(client, "metered")
        sh("ip route del default dev wwan0")
        tell(client, "up")
        with StandInNetworkManager(bus) as manager:
            tell(client, "up")
            manager.says(Metered=1)
            tell(client, "metered")
            manager.says(Metered=4)
            tell(client, "up")
            manager.says(Metered=3)
            tell(client, "metered")
        tell(client, "up")
"""

pytestmark = pytest.mark.skipif(
    shutil.which("dbus-daemon") is None
    or subprocess.run([*ISOLATED, "ip", "link"], capture_output=True, check=False).returncode != 0,
    reason="no network namespace can be made here, or ip or dbus-daemon is missing",
)


def test_a_modems_default_route_and_network_managers_word_make_the_link_metered_while_they_hold(tmp_path: Path) -> None:
    settings = tmp_path / "homebred.toml"
    settings.write_text(ENDPOINT.format(url=FAR))
    command = [*ISOLATED, sys.executable, "-c", STORY, str(tmp_path), str(settings)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 0, told.stderr
    manager = "metered blocked_by=link_metered link_cause=metered_network_manager"
    modem = "metered blocked_by=link_metered link_cause=metered_interface"
    assert told.stdout.splitlines() == ["up", modem, "up", "up", manager, "up", manager, "up"]
    changes = [line for line in Site(tmp_path).log.splitlines() if '"link_changed"' in line]
    assert [("metered" in line, "cloud/default" in line) for line in changes] == [(True, True), (False, True)] * 3


@pytest.mark.parametrize(
    ("settings", "policy"),
    [
        ("", ""),
        (ENDPOINT.format(url=NEAR), ""),
        (ENDPOINT.format(url=FAR), "air_gap = true\n"),
        (ENDPOINT.format(url=FAR) + '[link]\nstate = "up"\n', ""),
        (ENDPOINT.format(url=FAR) + '[link]\nmetered = "no"\n', ""),
    ],
)
def test_nobody_asks_network_manager_where_nothing_may_leave_or_the_site_has_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, policy: str
) -> None:
    (tmp_path / "homebred.toml").write_text(settings)
    (tmp_path / "policy.toml").write_text(policy)
    flags = ["--config", str(tmp_path / "homebred.toml"), "--policy", str(tmp_path / "policy.toml")]
    with system_bus(tmp_path / "bus") as bus, StandInNetworkManager(bus, Metered=1) as manager:
        monkeypatch.setenv(BUS_VARIABLE, bus)
        with Site(tmp_path).daemon(*flags) as client:
            time.sleep(ASKED_WITHIN_S)
            link = client.status().link
        assert (manager.asked_by, link == "metered") == ([], False)
