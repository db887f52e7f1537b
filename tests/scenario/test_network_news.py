"""A network that comes and goes, in a namespace of its own: what the kernel says, and how soon the link is down."""

from __future__ import annotations

import subprocess
import sys

import pytest

ISOLATED = ["unshare", "--net", "--map-root-user"]
LATEST_S = 1.0
STORY = """
import asyncio, random, subprocess, time
from homebred_daemon.adapters.network_news import listen
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.app.way_out import Links
from homebred_daemon.services.background import beside
from homebred_daemon.settings import Settings
from homebred_protocol.documents.policy import Policy

class Silent:
    def note(self, event, **fields): pass

def there(url): return {"cloud/default": {"base_url": url, "wire_format": "openai_chat", "model": "m"}}

async def link_of(links, wanted):
    ends_s = time.monotonic() + 10
    while links.of(Policy()).link.value != wanted and time.monotonic() < ends_s:
        await asyncio.sleep(0.01)
    return links.of(Policy()).link.value

async def story():
    for url, wanted in (("https://192.0.2.1/v1", "down"), ("http://127.0.0.1:9/v1", "up")):
        settings = Settings.model_validate({"cloud": {"endpoints": there(url)}})
        links = Links(settings, SystemClock(), Silent(), recognizes=False)
        async with beside(listen(links.network_changed)):
            print("at start", await link_of(links, wanted))
        print()
    links = Links(Settings.model_validate({"cloud": {"endpoints": there("https://192.0.2.1/v1")}}), SystemClock(),
                  Silent(), recognizes=False)
    sh("ip link add v0 type veth peer name v1; ip addr add 10.9.9.2/24 dev v0; ip link set v0 up; ip link set v1 up")
    async with beside(listen(links.network_changed)):
        print("with a cable", await link_of(links, "up"))
        sh("ip link set v1 down")
        pulled_s = time.monotonic()
        print("pulled", await link_of(links, "down"), time.monotonic() - pulled_s)

def sh(commands): subprocess.run(commands, shell=True, check=True)
asyncio.run(story())
"""

pytestmark = pytest.mark.skipif(
    subprocess.run([*ISOLATED, "ip", "link"], capture_output=True, check=False).returncode != 0,
    reason="no network namespace can be made here, or ip is missing",
)


def test_a_pulled_cable_takes_the_link_down_within_a_second() -> None:
    ran = subprocess.run(
        [*ISOLATED, sys.executable, "-c", STORY], capture_output=True, text=True, timeout=60, check=True
    )
    far, near, rest = ran.stdout.split("\n\n")
    assert (far, near) == ("at start down", "at start up")
    cabled, pulled = rest.splitlines()
    assert cabled == "with a cable up"
    word, state, seconds = pulled.split()
    assert (word, state) == ("pulled", "down")
    assert float(seconds) < LATEST_S
