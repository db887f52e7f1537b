"""Enrolment, renewal and documents over real HTTPS, against a controller that may misbehave in any way."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.support.fleet_authority import MEMBERSHIP, Authority
from tests.support.scripted_controller import DEVICE, TOKEN, Controller, Script, controller

from homebred_daemon.adapters import device_certificates
from homebred_daemon.adapters.fleet_https import ControllerHttps
from homebred_daemon.adapters.identity_files import IdentityFiles
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.errors import (
    ClockWrongError,
    ControllerUnreachableError,
    ControllerUntrustedError,
    EnrolmentRefusedError,
    FleetError,
)
from homebred_daemon.ports.identity import Identity
from homebred_protocol.digests import digest_of

LINE = ControllerHttps(SystemClock())
DOCUMENT = os.urandom(700_001)


async def enrol(there: Controller, state_dir: Path, line: ControllerHttps = LINE) -> Identity:
    files = IdentityFiles(state_dir, {})
    pending = files.pending_key("enrolment")
    authorities = await line.trusted(there.url, there.authority.fingerprint)
    return files.take_up(pending, await line.enrol(there.url, authorities, TOKEN, pending))


async def test_a_token_becomes_an_identity_that_the_controller_knows(tmp_path: Path) -> None:
    with controller(tmp_path) as there:
        identity = await enrol(there, tmp_path)
    assert identity.membership.device_id == DEVICE
    assert (identity.membership.site, identity.membership.labels) == ("clinic-east", {"role": "kiosk"})
    assert (identity.membership.broker_host, identity.membership.broker_port) == ("127.0.0.1", 8883)
    assert identity.membership.controller_url == there.url
    assert there.script.seen == [
        "GET /.well-known/est/cacerts",
        "GET /.well-known/est/cacerts",
        "POST /.well-known/est/simpleenroll",
        f"GET /device/v1/enrolment {DEVICE}",
    ]
    assert IdentityFiles(tmp_path, {}).current() == identity


async def test_an_answer_that_was_lost_on_its_way_is_asked_for_again_with_the_same_key(tmp_path: Path) -> None:
    with controller(tmp_path, Script(loses_answers=1)) as there:
        with pytest.raises(ControllerUnreachableError):
            await enrol(there, tmp_path)
        identity = await enrol(there, tmp_path)
    assert identity.membership.device_id == DEVICE


async def test_another_key_does_not_get_what_the_first_has_used(tmp_path: Path) -> None:
    with controller(tmp_path) as there:
        await enrol(there, tmp_path)
        with pytest.raises(EnrolmentRefusedError, match="used already") as refused:
            await enrol(there, tmp_path)
    assert refused.value.reason == "token_used"
    assert "tokens create" in refused.value.hint


@pytest.mark.parametrize(
    ("status", "code", "what"),
    [
        (401, "token_unknown", "does not know this token"),
        (401, "token_expired", "has expired"),
        (401, "token_withdrawn", "was withdrawn"),
        (403, "device_revoked", "has revoked this device"),
        (429, "rate_limited", "too many attempts"),
        (400, "something_new", "the controller refuses: because of something_new"),
    ],
)
async def test_every_refusal_says_what_and_what_next(tmp_path: Path, status: int, code: str, what: str) -> None:
    with (
        controller(tmp_path, Script(refuses=(status, code))) as there,
        pytest.raises(EnrolmentRefusedError, match=what) as refused,
    ):
        await enrol(there, tmp_path)
    assert refused.value.reason == code
    assert refused.value.hint


async def test_a_controller_in_trouble_is_no_refusal(tmp_path: Path) -> None:
    with (
        controller(tmp_path, Script(refuses=(503, "unavailable"))) as there,
        pytest.raises(ControllerUnreachableError, match="because of unavailable"),
    ):
        await enrol(there, tmp_path)


async def test_a_stranger_is_told_no_token(tmp_path: Path) -> None:
    with (
        controller(tmp_path) as there,
        pytest.raises(ControllerUntrustedError, match="was expected"),
    ):
        await LINE.trusted(there.url, Authority().fingerprint)
    assert there.script.credentials == []


async def test_who_shows_the_right_root_and_has_not_its_keys_is_told_no_token(tmp_path: Path) -> None:
    real = Authority()
    with (
        controller(tmp_path, Script(certificates=real.certificates)) as there,
        pytest.raises(ControllerUntrustedError, match="is not the controller's"),
    ):
        await LINE.trusted(there.url, real.fingerprint)
    assert there.script.credentials == []


async def test_a_certificate_for_another_host_is_not_believed(tmp_path: Path) -> None:
    with controller(tmp_path) as there:
        other = there.url.replace("127.0.0.1", "localhost")
        with pytest.raises(ControllerUntrustedError, match="is not the controller's"):
            await LINE.trusted(other, there.authority.fingerprint)


async def test_a_first_look_tells_fingerprint_and_clock(tmp_path: Path) -> None:
    with controller(tmp_path, Script(clock_ahead=timedelta(hours=2))) as there:
        look = await LINE.look(there.url)
    assert look.fingerprints == (there.authority.fingerprint,)
    assert look.clock_ahead_s == pytest.approx(7200, abs=5)


@pytest.mark.parametrize("by", [timedelta(days=-3650), timedelta(days=3650)], ids=["in the past", "in the future"])
async def test_a_clock_that_is_wrong_is_named_as_the_cause(tmp_path: Path, by: timedelta) -> None:
    begins = datetime.now(UTC) + by
    authority = Authority(now=begins)  # seen from this clock, the controller's certificates are of another time
    with (
        controller(tmp_path, Script(clock_ahead=by), authority) as there,
        pytest.raises(ClockWrongError, match="certificates cannot be judged") as wrong,
    ):
        await LINE.trusted(there.url, there.authority.fingerprint)
    assert "timedatectl" in wrong.value.hint


async def test_a_certificate_that_is_not_valid_yet_is_the_clocks_fault(tmp_path: Path) -> None:
    with (
        controller(tmp_path, Script(begins=datetime.now(UTC) + timedelta(hours=1))) as there,
        pytest.raises(ClockWrongError, match="the clock here says"),
    ):
        await enrol(there, tmp_path)
    assert IdentityFiles(tmp_path, {}).current() is None


async def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ControllerUnreachableError, match="cannot be reached"):
            await LINE.look(f"https://127.0.0.1:{unused.getsockname()[1]}")


def of_another_key(authority: Authority, folder: Path) -> Script:
    pending = IdentityFiles(folder, {}).pending_key("other")
    return Script(answers_with=[authority.issue(pending.request_der, DEVICE)])


def of_another_authority(authority: Authority, folder: Path) -> Script:
    pending = IdentityFiles(folder, {}).pending_key("enrolment")
    return Script(answers_with=[Authority().issue(pending.request_der, DEVICE)])


def of_a_server(authority: Authority, folder: Path) -> Script:
    pending = IdentityFiles(folder, {}).pending_key("enrolment")
    usage = ExtendedKeyUsageOID.SERVER_AUTH
    return Script(answers_with=[authority.issue(pending.request_der, DEVICE, usage=usage)])


def of_a_pattern(authority: Authority, folder: Path) -> Script:
    return Script(device="+")


def of_the_controller(authority: Authority, folder: Path) -> Script:
    return Script(device="homebred-fleet")


def with_another_name(authority: Authority, folder: Path) -> Script:
    told = {"device_id": "other", "site": "s", "labels": {}, "broker_host": "b", "broker_port": 1, "server_time_s": 1}
    return Script(welcome=told)


def without_a_broker(authority: Authority, folder: Path) -> Script:
    return Script(welcome={"device_id": DEVICE, "site": "s", "labels": {}, "server_time_s": 1})


def with_no_certificate(authority: Authority, folder: Path) -> Script:
    return Script(answers_with=authority.certificates)


@pytest.mark.parametrize(
    "wrong",
    [
        of_another_key,
        of_another_authority,
        of_a_server,
        of_a_pattern,
        of_the_controller,
        with_another_name,
        without_a_broker,
        with_no_certificate,
    ],
    ids=lambda wrong: wrong.__name__,
)
async def test_an_answer_that_would_not_serve_is_not_taken_up(
    tmp_path: Path, wrong: Callable[[Authority, Path], Script]
) -> None:
    authority = Authority()
    with (
        controller(tmp_path, wrong(authority, tmp_path), authority) as there,
        pytest.raises(FleetError),
    ):
        await enrol(there, tmp_path)
    assert IdentityFiles(tmp_path, {}).current() is None


async def renewed(there: Controller, state_dir: Path) -> Identity:
    files = IdentityFiles(state_dir, {})
    identity = files.current()
    assert identity is not None
    pending = files.pending_key("renewal")
    return files.take_up(pending, await LINE.renew(identity, pending))


async def test_a_renewal_has_a_new_key_and_leaves_the_old_certificate_usable(tmp_path: Path) -> None:
    with controller(tmp_path) as there:
        first = await enrol(there, tmp_path)
        there.script.broker_host = "broker.example"
        second = await renewed(there, tmp_path)
        assert second.certificate.serial != first.certificate.serial
        assert second.credentials.key.read_bytes() != first.credentials.key.read_bytes()
        assert second.membership == replace(first.membership, broker_host="broker.example")
        document = {digest_of(b"text"): b"text"}
        there.script.documents |= document
        fetched = await LINE.fetch(first, digest_of(b"text"), 4, tmp_path / "documents")
    assert fetched.read_bytes() == b"text"


@pytest.mark.parametrize(("field", "other"), [("site", "clinic-west"), ("device_id", "clinic-east-00000000")])
async def test_a_renewal_makes_no_other_device_of_it_and_moves_it_to_no_other_site(
    tmp_path: Path, field: str, other: str
) -> None:
    with controller(tmp_path) as there:
        held = await enrol(there, tmp_path)
        told = {"device_id": DEVICE, "site": "clinic-east", "labels": {}, "broker_host": "b", "broker_port": 1}
        there.script.welcome = told | {"server_time_s": 1, field: other}
        with pytest.raises(FleetError):
            await renewed(there, tmp_path)
    assert IdentityFiles(tmp_path, {}).current() == held


async def test_a_new_root_is_learnt_from_the_one_that_is_trusted(tmp_path: Path) -> None:
    old, new = Authority("old"), Authority("new")
    with controller(tmp_path, authority=old) as there:
        await enrol(there, tmp_path)
        there.script.certificates = [*old.certificates, *new.certificates]
        identity = await renewed(there, tmp_path)
    held = x509.load_pem_x509_certificates(identity.credentials.authorities.read_bytes())
    assert set(held) == {*old.certificates, *new.certificates}


async def test_a_renewal_by_a_certificate_that_has_ended_is_refused_with_the_way_back(tmp_path: Path) -> None:
    with controller(tmp_path) as there:
        await enrol(there, tmp_path)
        files = IdentityFiles(tmp_path, {})
        pending = files.pending_key("ended")
        ended = there.authority.issue(
            pending.request_der, DEVICE, begins=datetime.now(UTC) - timedelta(days=91), life=timedelta(days=90)
        )
        issued = there.authority.issued(pending.request_der, replace(MEMBERSHIP, controller_url=there.url))
        chain = device_certificates.as_pem([ended, there.authority.issuing.certificate])
        files.take_up(pending, replace(issued, certificates_pem=chain, facts=device_certificates.facts(ended)))
        with pytest.raises(EnrolmentRefusedError, match="does not take this device's certificate") as refused:
            await renewed(there, tmp_path)
    assert "--replace" in refused.value.hint


async def fetched(there: Controller, state_dir: Path, digest: str, length: int) -> Path:
    identity = IdentityFiles(state_dir, {}).current()
    assert identity is not None
    return await LINE.fetch(identity, digest, length, state_dir / "documents")


async def test_a_document_goes_on_where_a_broken_connection_ended(tmp_path: Path) -> None:
    digest = digest_of(DOCUMENT)
    with controller(tmp_path, Script(documents={digest: DOCUMENT}, cuts_after=300_000)) as there:
        await enrol(there, tmp_path)
        with pytest.raises(FleetError):
            await fetched(there, tmp_path, digest, len(DOCUMENT))
        (part,) = (tmp_path / "documents").iterdir()
        assert part.suffix == ".part"
        assert 0 < part.stat().st_size < len(DOCUMENT)
        there.script.sends = b"\0" * part.stat().st_size + DOCUMENT[part.stat().st_size :]  # only its end can be used
        whole = await fetched(there, tmp_path, digest, len(DOCUMENT))
    assert whole.read_bytes() == DOCUMENT
    assert list((tmp_path / "documents").iterdir()) == [whole]


async def test_a_server_without_ranges_is_fetched_from_anew(tmp_path: Path) -> None:
    digest = digest_of(DOCUMENT)
    with controller(tmp_path, Script(documents={digest: DOCUMENT}, cuts_after=300_000, knows_ranges=False)) as there:
        await enrol(there, tmp_path)
        with pytest.raises(FleetError):
            await fetched(there, tmp_path, digest, len(DOCUMENT))
        whole = await fetched(there, tmp_path, digest, len(DOCUMENT))
    assert whole.read_bytes() == DOCUMENT


@pytest.mark.parametrize("sent", [b"x" * len(DOCUMENT), DOCUMENT + b"x", DOCUMENT[:-1]], ids=["other", "more", "less"])
async def test_what_is_not_the_document_never_has_its_name(tmp_path: Path, sent: bytes) -> None:
    digest = digest_of(DOCUMENT)
    with controller(tmp_path, Script(documents={digest: DOCUMENT}, sends=sent)) as there:
        await enrol(there, tmp_path)
        with pytest.raises(FleetError):
            await fetched(there, tmp_path, digest, len(DOCUMENT))
        assert [path for path in (tmp_path / "documents").iterdir() if path.suffix != ".part"] == []
        there.script.sends = None
        whole = await fetched(there, tmp_path, digest, len(DOCUMENT))
    assert whole.read_bytes() == DOCUMENT


async def test_a_document_that_the_controller_has_not_is_refused(tmp_path: Path) -> None:
    with controller(tmp_path) as there:
        await enrol(there, tmp_path)
        with pytest.raises(EnrolmentRefusedError, match="not_found"):
            await fetched(there, tmp_path, digest_of(b""), 10)


async def test_many_enrolments_with_one_token_leave_one_that_won(tmp_path: Path) -> None:
    async def attempt(number: int) -> str:
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            return (await enrol(there, folder)).membership.device_id
        except EnrolmentRefusedError as error:
            return error.reason

    with controller(tmp_path) as there:
        outcomes = await asyncio.gather(*map(attempt, range(8)))
    assert sorted(outcomes) == sorted([DEVICE, *["token_used"] * 7])
