"""The package beside a real NetworkManager, on a Debian 12 that systemd has booted: `make test-all` alone goes so far.

Figures that were found are printed; run it with -s to see them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from tests.support.booted_machine import TREE, BootedMachine, booted
from tests.support.committed_files import ROOT
from tests.support.system_bus import NAME, PATH, PROPERTIES

pytestmark = [
    pytest.mark.booted,
    pytest.mark.xdist_group("booted"),
    pytest.mark.slow,
    pytest.mark.thorough("a real NetworkManager takes a tree of its own"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("apt-get") is None,
        reason="it takes root to boot a machine, and Debian or Ubuntu to make its tree",
    ),
]
SERVICE = "homebred.service"
ENDPOINT = """
[cloud.endpoints."cloud/default"]
base_url = "https://192.0.2.1/v1"
wire_format = "openai_chat"
model = "nobody"
"""
WIRE = ["ipv4.method", "manual", "ipv4.addresses", "10.9.9.2/24", "ipv4.gateway", "10.9.9.1", "ipv6.method", "disabled"]
WITHIN_S = 15.0


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BootedMachine]:
    """A machine with the package, an endpoint, and a network that NetworkManager looks after."""
    offered = tmp_path_factory.mktemp("offered")
    offered.chmod(0o755)
    build = [sys.executable, "packaging/tools/build_deb.py", "--output", str(offered), "--compression", "none"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    tree = TREE.with_name("bookworm-network-manager")
    subprocess.run([ROOT / "packaging/tools/make_tree.sh", tree, "network-manager", "iproute2"], check=True)
    with booted("networked", f"{offered}:/offered", tree=tree) as machine:
        machine.run("ip", "link", "add", "eth5", "type", "veth", "peer", "name", "eth6")
        machine.run("ip", "link", "set", "eth6", "up")
        machine.run("nmcli", "connection", "add", "type", "ethernet", "con-name", "wire", "ifname", "eth5", *WIRE)
        machine.run("nmcli", "connection", "up", "wire")
        machine.run("sh", "-c", "dpkg -i /offered/*.deb")
        with machine.path("/etc/homebred/homebred.toml").open("a") as settings:
            settings.write(ENDPOINT)
        folder = machine.path(f"/etc/systemd/system/{SERVICE}.d")
        folder.mkdir()
        (folder / "network.conf").write_text(documented_drop_in())
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", SERVICE)
        yield machine


def documented_drop_in() -> str:
    """What the manual has administrators write, less the key."""
    (drop_in,) = re.findall(r"```ini\n(.*?)```", (ROOT / "docs/cloud.md").read_text(), re.DOTALL)
    return "\n".join(line.strip() for line in drop_in.splitlines() if "LoadCredential" not in line)


def seconds_until(device: BootedMachine, link: str) -> float:
    """How long it takes until the daemon says so of its link."""
    began_s = time.monotonic()
    while (found := json.loads(device.says("homebred", "status", "--json"))["link"]) != link:
        assert time.monotonic() < began_s + WITHIN_S, f"{found}, not {link}\n{device.journal(SERVICE)}"
    return time.monotonic() - began_s


def metered(device: BootedMachine, word: str) -> None:
    """What an administrator says of the connection."""
    device.run("nmcli", "connection", "modify", "wire", "connection.metered", word)


def test_what_an_administrator_says_of_a_connection_is_what_the_router_sees(device: BootedMachine) -> None:
    for word, link in (("no", "up"), ("yes", "metered"), ("unknown", "up"), ("yes", "metered")):
        metered(device, word)
        print(f"\nconnection.metered {word}: the link is {link} after {seconds_until(device, link):.2f} s")
    resident = device.path(f"/proc/{device.property_of(SERVICE, 'MainPID')}/status").read_text()
    print(f"\nidle daemon that hears NetworkManager: {re.findall('VmRSS.*', resident)}")
    assert "cloud/default is metered: metered_network_manager" in device.journal(SERVICE)


def test_a_network_manager_that_restarts_is_heard_again(device: BootedMachine) -> None:
    metered(device, "yes")
    seconds_until(device, "metered")
    device.run("systemctl", "stop", "NetworkManager")
    seconds_until(device, "up")
    device.run("systemctl", "start", "NetworkManager")
    seconds_until(device, "metered")


def test_the_stand_in_has_the_properties_of_the_real_one(device: BootedMachine) -> None:
    asked = [NAME, PATH, "org.freedesktop.DBus.Properties", "GetAll", "s", NAME]
    (values,) = json.loads(device.says("busctl", "--json=short", "call", *asked))["data"]
    print(f"\nNetworkManager {values['Version']['data']}")
    assert {name: value["type"] for name, value in values.items()} == {
        name: kind for name, (kind, _) in PROPERTIES.items()
    }
