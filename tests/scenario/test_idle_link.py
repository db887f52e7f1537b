"""What an idle device costs on the wire: at most 1 KB a minute, TLS and the headers of TCP and IP included."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from tests.support.broker import running_broker
from tests.support.controller import running_controller
from tests.support.counting_proxy import CountingProxy
from tests.support.fleet_site import Sight, enrolled
from tests.support.mqtt_ends import Ends, wait_until

from homebred_daemon.core.fleet_session import KEEPALIVE_S
from homebred_protocol.mqtt import Endpoint, SessionTerms
from homebred_protocol.mqtt_thread import MqttThread

MOST_A_MINUTE = 1024
HEADERS = 2 * (20 + 20 + 12)
"""Of IPv4 and TCP with timestamps, of a segment and of the one that acknowledges it; IPv6 has 40 more."""
SCALED_S = 2
PINGS = 4


def test_a_ping_costs_so_little_that_a_minute_stays_under_a_kilobyte(tmp_path: Path) -> None:
    """With a keepalive of 2 s in place of 60 to 120, so that seconds show what minutes cost."""
    with running_broker(tmp_path / "fleet") as broker, CountingProxy(broker.port) as proxy:
        ends = Ends(wait=wait_until)
        thread = MqttThread(Endpoint("localhost", proxy.port, broker.device("dev-1")), ends.hear)
        ends.connection = thread
        ends.connect(
            SessionTerms("dev-1", clean_start=False, session_expiry_s=60, keepalive_s=SCALED_S, receive_maximum=50)
        )
        time.sleep(1)
        before, pieces = proxy.total, proxy.pieces
        time.sleep(SCALED_S * PINGS)
        cost = proxy.total - before + (proxy.pieces - pieces) * HEADERS
        thread.close()
        assert thread.join(10)
    pings_a_minute = 60 / KEEPALIVE_S[0]
    a_minute = cost / PINGS * pings_a_minute
    print(f"a ping and its answer cost {cost / PINGS:.0f} bytes on the wire: at most {a_minute:.0f} bytes a minute")
    assert 0 < a_minute <= MOST_A_MINUTE


@pytest.mark.thorough("an idle daemon is watched for six minutes; the other test shows the same of a ping in seconds")
@pytest.mark.timeout(600)
def test_an_idle_daemon_stays_under_a_kilobyte_a_minute(tmp_path: Path) -> None:
    minutes = 6
    with running_controller(tmp_path / "fleet") as controller, CountingProxy(controller.broker.port) as proxy:
        site, _ = enrolled(controller, tmp_path / "device")
        for path in (site.state / "identity").rglob("identity.json"):
            path.write_text(json.dumps(json.loads(path.read_text()) | {"broker_port": proxy.port}))
        with site.daemon():
            Sight(controller).until(Sight.is_online, bool)
            Sight(controller).until(lambda each: each.rows("health_events"), bool)
            time.sleep(5)
            before, pieces = proxy.total, proxy.pieces
            time.sleep(60 * minutes)
            cost = proxy.total - before + (proxy.pieces - pieces) * HEADERS
    print(f"an idle daemon: {cost / minutes:.0f} bytes a minute on the wire")
    assert 0 < cost / minutes <= MOST_A_MINUTE
