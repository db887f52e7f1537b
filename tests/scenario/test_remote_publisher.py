"""Signed on a laptop, served by a controller elsewhere: over the admin API alone a release comes to serve on a device.

The device is enrolled and runs before anything is signed: it pins what its controller offers once that is there.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.broker import now_s
from tests.support.controller import Controller, running_controller
from tests.support.fleet_site import BIN, admin, enrolled
from tests.support.image_repository import SignedFleet, write_online_key
from tests.support.release_fleet import ReleaseFleet, history

pytestmark = pytest.mark.xdist_group("a remote publisher")
PATIENCE_S = 60.0
AWAY_S = 3.0
CONFIG = "[transfer]\nreserve_mb = 0\n"


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    served = tmp_path / "served"
    settings = {
        "RELEASES__IMAGE": str(served / "image"),
        "RELEASES__DIRECTOR": str(served / "director"),
        "RELEASES__ONLINE_KEY": str(write_online_key(tmp_path / "online.key")),
    }
    with running_controller(tmp_path / "fleet", **settings) as running:
        yield running


def until(look: Callable[[], object], log: Callable[[], str]) -> None:
    ends_at_s = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < ends_at_s, log()
        time.sleep(0.2)


def roots_of(state: Path) -> Any:
    command = [str(BIN / "homebred"), "fleet", "status", "--state-dir", str(state), "--json"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return told["image_root"], told["director_root"]


@pytest.mark.thorough(
    "a fleet and a daemon of its own; each half is proven every time (test_publishing, test_pinned_roots)"
)
def test_what_was_signed_elsewhere_is_brought_through_a_restart_of_the_controller_and_serves(
    controller: Controller, tmp_path: Path
) -> None:
    site, name = enrolled(controller, tmp_path / "device")
    config = tmp_path / "homebred.toml"
    config.write_text(CONFIG)
    laptop = tmp_path / "laptop"
    signed = SignedFleet(laptop / "signed", now_s=now_s())
    with site.daemon("--config", str(config)):
        assert roots_of(site.state) == (None, None)
        controller.kill()
        back = threading.Timer(AWAY_S, controller.start)
        back.start()
        path = ReleaseFleet(controller, signed, laptop).publish(1)
        back.join()
        for repository in (signed.image, signed.director_root):
            admin(controller, "repository", "upload", repository.published.parent)
        admin(controller, "release", "assign", path, "--device", name)
        until(lambda: [one["state"] for one in history(site.state)] == ["probation"], lambda: site.log)
    served = json.loads(admin(controller, "repository", "served", "--json"))
    digests = [one["root_digest"] for one in served.values()]
    assert [one["digest"] for one in roots_of(site.state)] == digests
    assert "roots_pinned" in site.log
