"""Enrolment, renewal and documents over real HTTPS, against a controller as `init` makes it and `serve` runs it."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs7
from sqlalchemy import insert
from tests.support.broker import context_of, now_s, request_of
from tests.support.controller import Controller, Device, Reply, running_controller

from homebred_fleet.adapters import x509_making as making
from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.certificate_authority import CertificateAuthority, make_issuing, make_root
from homebred_fleet.adapters.store.tables import documents
from homebred_fleet.adapters.x509_making import Issuer, Validity
from homebred_fleet.core.enrolment import CERTIFICATES_A_DAY
from homebred_protocol.mqtt import Credentials

RACERS = 64
REFUSED_PER_MINUTE = 100
"""More than all tests here are refused from their one address."""
WHOAMI = "/device/v1/enrolment"


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    folder = tmp_path_factory.mktemp("fleet") / "fleet"
    with running_controller(folder, IDENTITY__REFUSED_PER_MINUTE=str(REFUSED_PER_MINUTE)) as running:
        yield running


def renew(controller: Controller, device: Device, key: making.Key) -> Reply:
    body = base64.encodebytes(request_of(key))
    return controller.ask("POST", "/.well-known/est/simplereenroll", body=body, credentials=device.credentials)


def test_the_authorities_are_told_to_anybody_with_the_root_whose_fingerprint_init_prints(
    controller: Controller,
) -> None:
    reply = controller.ask("GET", "/.well-known/est/cacerts")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/pkcs7-mime")
    told = pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply.body))
    fingerprints = [f"sha256:{making.fingerprint_of(one)}" for one in told]
    assert CertificateAuthority.opened(controller.folder).root_fingerprint in fingerprints
    assert len(told) == 2


def test_a_device_is_let_in_and_told_where_the_broker_is(controller: Controller) -> None:
    device = controller.enrol(controller.token(site="clinic-east", labels={"role": "kiosk"}))
    assert device.id.startswith("clinic-east-")
    told = controller.ask("GET", WHOAMI, credentials=device.credentials).json
    assert told.pop("server_time_s") == pytest.approx(now_s(), abs=30)
    assert told == {
        "device_id": device.id,
        "site": "clinic-east",
        "labels": {"role": "kiosk"},
        "broker_host": "localhost",
        "broker_port": controller.broker.port,
        "image_root": None,
        "director_root": None,
    }


def test_of_64_who_race_for_one_token_exactly_one_wins(controller: Controller) -> None:
    token, gate = controller.token(), threading.Barrier(RACERS)
    replies: list[Reply] = []

    def race() -> None:
        key = making.new_key()
        gate.wait()
        replies.append(controller.ask_to_enrol(token, key))

    threads = [threading.Thread(target=race) for _ in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == RACERS
    assert [reply.status for reply in replies].count(200) == 1
    assert {reply.error for reply in replies if reply.status != 200} == {"token_used"}


def test_whose_answer_was_lost_asks_again_with_the_same_key_and_is_the_same_device(controller: Controller) -> None:
    token, key = controller.token(), making.new_key()
    first, again = controller.enrol(token, key), controller.enrol(token, key)
    assert first.id == again.id
    for device in (first, again):
        assert controller.ask("GET", WHOAMI, credentials=device.credentials).status == 200


@pytest.mark.parametrize("name", ["#", "+", "a/+", "homebred-fleet", "admin.admin", "clinic-00000000"])
def test_a_name_that_a_request_claims_is_never_given(controller: Controller, name: str) -> None:
    key = making.new_key()
    device = controller.device(key, controller.ask_to_enrol(controller.token(), key, name))
    assert device.id.startswith("clinic-")
    assert device.id != name


def test_a_renewed_certificate_holds_beside_the_old_one(controller: Controller) -> None:
    device, key = controller.enrol(), making.new_key()
    renewed = controller.device(key, renew(controller, device, key))
    assert renewed.id == device.id
    assert renewed.certificate.serial_number != device.certificate.serial_number
    for one in (device, renewed):
        assert controller.ask("GET", WHOAMI, credentials=one.credentials).status == 200


def test_without_a_certificate_nobody_is_a_device_and_with_a_devices_nobody_is_an_admin(
    controller: Controller,
) -> None:
    assert controller.ask("GET", WHOAMI).error == "certificate_needed"
    assert controller.ask("GET", WHOAMI, credentials=controller.admin).error == "certificate_needed"
    reply = controller.ask("POST", "/.well-known/est/simplereenroll", body=b"x")
    assert (reply.status, reply.error) == (401, "certificate_needed")


def test_a_replaced_device_is_out_and_the_new_one_has_its_site_and_labels(controller: Controller) -> None:
    old = controller.enrol(controller.token(site="factory", labels={"line": "3"}))
    new = controller.enrol(controller.token(site="elsewhere", replaces=old.id))
    assert controller.ask("GET", WHOAMI, credentials=old.credentials).status == 403
    told = controller.ask("GET", WHOAMI, credentials=new.credentials).json
    assert (told["site"], told["labels"]) == ("factory", {"line": "3"})


def test_a_device_that_is_let_in_again_is_known_by_its_new_certificate_alone(controller: Controller) -> None:
    before = controller.enrol()
    after = controller.enrol(controller.token(device=before.id))
    assert after.id == before.id
    assert controller.ask("GET", WHOAMI, credentials=before.credentials).error == "device_revoked"
    assert controller.ask("GET", WHOAMI, credentials=after.credentials).status == 200


Maker = Callable[[Controller, making.Key], bytes]


def expired(controller: Controller, key: making.Key) -> bytes:
    """By this fleet, and of the year before."""
    issued = CertificateAuthority.opened(controller.folder).issue_to_device(
        request_of(key), "clinic-1", now_s=now_s() - 200 * 86_400
    )
    return issued.pem


def by_another_fleet(_: Controller, key: making.Key) -> bytes:
    root_key, root = make_root(now_s())
    issuing_key, issuing = make_issuing(Issuer(certificate=root, key=root_key), 1, now_s())
    validity = Validity(not_before_s=now_s() - 60, not_after_s=now_s() + 3600)
    issuer = Issuer(certificate=issuing, key=issuing_key)
    return making.pem_of(making.for_client("clinic-1", key.public_key(), issuer, validity), issuing, root)


def self_made(_: Controller, key: making.Key) -> bytes:
    validity = Validity(not_before_s=now_s() - 60, not_after_s=now_s() + 3600)
    return making.pem_of(making.root("clinic-1", key, validity))


def of_a_server(controller: Controller, key: making.Key) -> bytes:
    issued = CertificateAuthority.opened(controller.folder).issue_to_server(
        ("localhost",), key.public_key(), now_s=now_s()
    )
    return issued.pem


def shown(controller: Controller, tmp_path: Path, make: Maker) -> Credentials:
    key = making.new_key()
    (tmp_path / "key.pem").write_bytes(making.key_pem(key))
    chain = making.pem_of(*CertificateAuthority.opened(controller.folder).trusted[1:])
    (tmp_path / "certificate.pem").write_bytes(make(controller, key) + chain)
    return Credentials(
        authorities=controller.folder.authorities, certificate=tmp_path / "certificate.pem", key=tmp_path / "key.pem"
    )


@pytest.mark.parametrize("make", [expired, by_another_fleet, self_made, of_a_server])
def test_a_certificate_that_is_not_in_order_gets_no_connection(
    controller: Controller, tmp_path: Path, make: Maker
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        controller.ask("GET", WHOAMI, credentials=shown(controller, tmp_path, make))


def test_one_by_this_fleet_that_the_database_does_not_know_is_nobodys(controller: Controller) -> None:
    unknown = controller.broker.device("clinic-00000000")
    assert controller.ask("GET", WHOAMI, credentials=unknown).error == "certificate_needed"


def test_a_document_is_given_to_devices_of_its_site_alone_and_from_where_they_ask(controller: Controller) -> None:
    east, west = (controller.enrol(controller.token(site=site)) for site in ("east", "west"))
    body = bytes(range(256)) * 400
    digest = BlobFolder(controller.folder.path / "state" / "documents").keep(body)
    database = controller.database()
    with database.writing() as connection:
        values = {"site": "east", "length": len(body), "added_at_s": 1, "added_by": "test"}
        connection.execute(insert(documents).values(digest=digest, **values))
    database.close()
    path = f"/device/v1/documents/{digest}"
    whole = controller.ask("GET", path, credentials=east.credentials)
    assert (whole.status, whole.body, whole.headers["content-length"]) == (200, body, str(len(body)))
    rest = controller.ask("GET", path, credentials=east.credentials, headers={"Range": "bytes=100000-"})
    assert (rest.status, rest.body) == (206, body[100000:])
    assert controller.ask("GET", path, credentials=west.credentials).error == "not_found"
    assert controller.ask("GET", path).error == "certificate_needed"
    for other in ("sha256:" + "0" * 64, "..%2f..%2ffleet.toml", "sha256:..%2fx"):
        reply = controller.ask("GET", f"/device/v1/documents/{other}", credentials=east.credentials)
        assert reply.error == "not_found"


BAD = [
    (b"", {}, 401),
    (b"", {"Authorization": "Basic %%%"}, 401),
    (b"", {"Authorization": "Digest x"}, 401),
    (b"not base64!", {"Authorization": "Bearer hbt_x"}, 400),
    (base64.b64encode(b"no request"), {"Authorization": "Bearer hbt_x"}, 400),
    (b"A" * 40_000, {"Authorization": "Bearer hbt_x"}, 413),
]


def test_whatever_is_sent_the_answer_is_a_reason_and_the_next_device_gets_in(controller: Controller) -> None:
    for body, headers, status in BAD:
        reply = controller.ask("POST", "/.well-known/est/simpleenroll", body=body, headers=headers)
        assert (reply.status, set(reply.json["error"])) == (status, {"code", "message", "hint"})
    assert controller.ask("GET", "/.well-known/est/simpleenroll").status == 405
    assert controller.ask("GET", "/").error == "not_found"
    assert controller.enrol().id


def test_a_body_that_never_ends_is_not_waited_for(controller: Controller) -> None:
    connection = HTTPSConnection("localhost", controller.port, context=controller.context(), timeout=30)
    connection.putrequest("POST", "/.well-known/est/simpleenroll")
    connection.putheader("Authorization", "Bearer hbt_x")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    for _ in range(5):
        connection.send(b"2000\r\n" + b"A" * 0x2000 + b"\r\n")
    assert connection.getresponse().status == 413
    connection.close()


def test_a_connection_learns_at_its_next_request_that_its_device_was_taken_out(controller: Controller) -> None:
    device = controller.enrol()
    tls = context_of(device.credentials)
    connection = HTTPSConnection("localhost", controller.port, context=tls, timeout=30)
    connection.request("GET", WHOAMI)
    reply = connection.getresponse()
    assert (reply.status, reply.read() != b"") == (200, True)
    controller.enrol(controller.token(replaces=device.id))
    connection.request("GET", WHOAMI)
    assert connection.getresponse().status == 403
    connection.close()


def test_who_is_refused_too_often_is_told_to_wait_others_are_not_and_the_log_names_no_token(
    controller: Controller,
) -> None:
    body, headers = base64.b64encode(request_of(making.new_key())), {"Authorization": "Bearer hbt_" + "a" * 52}
    elsewhere = HTTPSConnection(
        "localhost", controller.port, context=controller.context(), timeout=30, source_address=("127.0.0.9", 0)
    )
    statuses: list[int] = []
    for _ in range(4 * REFUSED_PER_MINUTE):  # some come back while they are spent
        elsewhere.request("POST", "/.well-known/est/simpleenroll", body=body, headers=headers)
        reply = elsewhere.getresponse()
        reply.read()
        statuses.append(reply.status)
        if reply.status == 429:
            assert int(reply.headers["retry-after"]) > 0
            break
    elsewhere.close()
    assert (set(statuses[:-1]), statuses[-1]) == ({401}, 429)
    assert len(statuses) > REFUSED_PER_MINUTE
    assert controller.enrol().id
    assert "hbt_" not in controller.log_file.read_text()


def test_no_device_and_no_token_is_given_certificates_without_end_and_others_are_let_in(controller: Controller) -> None:
    key, token = making.new_key(), controller.token()
    device = controller.enrol(token, key)
    renewals = [renew(controller, device, key) for _ in range(CERTIFICATES_A_DAY + 1)]
    assert ([reply.status for reply in renewals[:-1]], renewals[-1].status) == ([200] * CERTIFICATES_A_DAY, 429)
    assert int(renewals[-1].headers["retry-after"]) > 600
    newest = controller.device(key, renewals[-2])
    assert controller.ask("GET", WHOAMI, credentials=newest.credentials).status == 200
    again = [controller.ask_to_enrol(token, key).status for _ in range(CERTIFICATES_A_DAY)]
    assert (again[0], again[-1]) == (200, 429)
    assert controller.enrol().id


def test_what_was_committed_outlives_a_crash(controller: Controller) -> None:
    token = controller.token()
    device = controller.enrol(token)
    controller.kill()
    controller.start()
    assert controller.ask("GET", WHOAMI, credentials=device.credentials).status == 200
    assert controller.ask_to_enrol(token, making.new_key()).error == "token_used"
