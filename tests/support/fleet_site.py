"""A real homebredd that a real controller has let in, and the questions that a test asks of both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import func, select
from tests.support.controller import Controller
from tests.support.daemon_process import Site

from homebred_fleet.adapters.certificate_authority import CertificateAuthority
from homebred_fleet.adapters.store import tables

T = TypeVar("T")
PATIENCE_S = 40.0
BIN = Path(sys.executable).parent


def enrolled(controller: Controller, folder: Path, *, site: str = "clinic") -> tuple[Site, str]:
    """A device's folder that is enrolled; and its name. It has an echo specialist."""
    device = Site(folder)
    device.state.mkdir(parents=True)
    device.add_echo("parrot")
    fingerprint = CertificateAuthority.opened(controller.folder).root_fingerprint
    command = [str(BIN / "homebred"), "enroll", controller.url, "--token-file", "-", "--fingerprint", fingerprint]
    command += ["--state-dir", str(device.state), "--json"]
    done = subprocess.run(command, input=controller.token(site=site), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return device, str(json.loads(done.stdout)["device_id"])


def admin(controller: Controller, *words: str | Path) -> str:
    """What `homebred-fleet` prints for the first admin."""
    environ = os.environ | {"HOMEBRED_FLEET_PROFILE": str(controller.folder.path / "admin.toml")}
    done = subprocess.run([BIN / "homebred-fleet", *words], capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Sight:
    """What stands in a controller's database."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def until(self, look: Callable[[Sight], T], wanted: Callable[[T], object]) -> T:
        """Looks until it is as wanted."""
        ends_at_s = time.monotonic() + PATIENCE_S
        while True:
            found = look(self)
            if wanted(found):
                return found
            assert time.monotonic() < ends_at_s, f"it does not happen: {found}"
            time.sleep(0.1)

    def rows(self, table: str) -> int:
        """How many a table has."""
        return int(self._one(select(func.count()).select_from(tables.metadata.tables[table])))

    def is_online(self) -> bool:
        """Whether the only device is there."""
        return bool(self._one(select(tables.presence.c.online)))

    def reported(self) -> dict[str, Any]:
        """What the only device said last; empty: nothing."""
        return self._one(select(tables.reported.c.body)) or {}

    def parts(self) -> dict[str, str]:
        """How far each part of what it should be like is, in its own words."""
        return {part["name"]: part["state"] for part in self.reported().get("parts", [])}

    def problems(self) -> dict[str, str]:
        """Why each part is not as it should be, by its code; empty: nothing is wrong with it."""
        return {part["name"]: part["problem_code"] for part in self.reported().get("parts", [])}

    def events(self) -> tuple[int, int, int]:
        """Rows of all events, what their devices counted as lost, and what the controller did."""
        kinds = ("route", "evidence", "receipt", "health")
        rows = sum(self.rows(f"{kind}_events") for kind in kinds)
        lost = int(self._one(select(func.coalesce(func.sum(tables.gap_events.c.events), 0))))
        own = int(self._one(select(func.coalesce(func.sum(tables.controller_gaps.c.events), 0))))
        return rows, lost, own

    def _one(self, statement: Any) -> Any:
        database = self._controller.database()
        try:
            with database.reading() as connection:
                return connection.execute(statement).scalar()
        finally:
            database.close()
