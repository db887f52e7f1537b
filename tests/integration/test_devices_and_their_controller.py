"""The device's own side of enrolment against the real controller and its broker: in, renewed, out, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert
from tests.support.broker import now_s
from tests.support.command_line import Ended, homebred
from tests.support.controller import Controller, running_controller

from homebred_daemon.adapters.broker_probe import probe
from homebred_daemon.adapters.fleet_https import ControllerHttps
from homebred_daemon.adapters.identity_files import IdentityFiles
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.errors import EnrolmentRefusedError
from homebred_daemon.ports.identity import Identity
from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.store.tables import documents

pytestmark = pytest.mark.xdist_group("a real controller")
LINE = ControllerHttps(SystemClock())


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    with running_controller(tmp_path_factory.mktemp("fleet") / "fleet") as running:
        yield running


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def enroll(controller: Controller, state: Path, token: str, *more: str) -> Ended:
    pinned = controller.broker.authority.root_fingerprint
    return homebred("enroll", controller.url, "--fingerprint", pinned, "--state-dir", state, *more, stdin=token)


def identity_in(state: Path) -> Identity:
    held = IdentityFiles(state, {}).current()
    assert held is not None
    return held


async def renewed(state: Path) -> Identity:
    files, before = IdentityFiles(state, {}), identity_in(state)
    pending = files.pending_key("renewal")
    return files.take_up(pending, await LINE.renew(before, pending))


async def test_a_device_is_let_in_renewed_and_let_in_by_the_broker_each_time(
    controller: Controller, state: Path
) -> None:
    ended = enroll(controller, state, controller.token(site="clinic-east", labels={"role": "kiosk"}))
    assert ended.status == 0, ended.err
    first = identity_in(state)
    assert first.membership.site == "clinic-east"
    assert first.membership.labels == {"role": "kiosk"}
    assert (first.certificate.ends_s - first.certificate.begins_s) / 86_400 == pytest.approx(90, abs=0.1)
    assert probe(first) > 0
    second = await renewed(state)
    assert second.membership.device_id == first.membership.device_id
    assert second.certificate.serial != first.certificate.serial
    assert probe(second) > 0
    assert probe(first) > 0  # no gap: what holds the old one goes on


def test_a_used_token_is_refused_and_the_device_stays_what_it_was(controller: Controller, state: Path) -> None:
    token = controller.token()
    assert enroll(controller, state, token).status == 0
    held = identity_in(state)
    again = enroll(controller, state, token, "--replace", "--json")
    assert again.status == 4
    assert "used already" in again.lines[0]["error"]["message"]
    assert identity_in(state) == held


async def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_token(
    controller: Controller, state: Path
) -> None:
    token, files = controller.token(), IdentityFiles(state, {})
    authorities = await LINE.trusted(controller.url, controller.broker.authority.root_fingerprint)
    pending = files.pending_key("enrolment")
    lost = await LINE.enrol(controller.url, authorities, token, pending)  # and the power goes
    assert enroll(controller, state, token).status == 0
    assert identity_in(state).membership.device_id == lost.membership.device_id


def test_a_device_that_lost_its_certificate_comes_back_under_its_own_name(controller: Controller, state: Path) -> None:
    enroll(controller, state, controller.token())
    name = identity_in(state).membership.device_id
    homebred("fleet", "leave", "--yes", "--state-dir", state)
    assert enroll(controller, state, controller.token(device=name)).status == 0
    assert identity_in(state).membership.device_id == name


def test_an_unknown_token_is_refused(controller: Controller, state: Path) -> None:
    ended = enroll(controller, state, "hbt_" + "A" * 52, "--json")
    assert (ended.status, ended.lines[0]["error"]["code"]) == (4, "enrolment_refused")
    assert IdentityFiles(state, {}).current() is None


async def test_a_document_is_fetched_by_its_digest_and_another_sites_is_not(
    controller: Controller, state: Path
) -> None:
    enroll(controller, state, controller.token(site="clinic-east"))
    body = b"[evidence]\nleaves = true\n" * 4000
    database = controller.database()
    digests = {}
    try:
        for site in ("clinic-east", "clinic-west"):
            content = body + site.encode()
            digests[site] = BlobFolder(controller.folder.path / "state" / "documents").keep(content)
            with database.writing() as connection:
                row = {"digest": digests[site], "site": site, "length": len(content)}
                connection.execute(insert(documents).values(**row, added_at_s=now_s(), added_by="test"))
    finally:
        database.close()
    length = len(body) + len("clinic-east")
    fetched = await LINE.fetch(identity_in(state), digests["clinic-east"], length, state / "documents")
    assert fetched.read_bytes() == body + b"clinic-east"
    with pytest.raises(EnrolmentRefusedError, match="no such document"):
        await LINE.fetch(identity_in(state), digests["clinic-west"], length, state / "documents")
