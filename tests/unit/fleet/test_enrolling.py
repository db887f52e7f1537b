"""Enrolment and renewal over fakes that are held to the store's own suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from tests.support.fake_fleet_identities import FakeAuthority, FakeIdentities

from homebred_fleet.core.enrolment import MAX_LIVE_CERTIFICATES, Device
from homebred_fleet.core.tokens import new_token
from homebred_fleet.errors import RequestError
from homebred_fleet.ports.enrolment import Enrolled, RefusedError
from homebred_fleet.services.enrolling import Enrolling
from homebred_protocol.limits import MAX_LABELS


@dataclass
class Desk:
    """Enrolment with everything that stands behind it."""

    now_s: int = 1000
    names: list[bytes] = field(default_factory=lambda: [bytes([0, 0, 0, number]) for number in range(1, 100)])
    told: int = 0

    def __post_init__(self) -> None:
        self.identities = FakeIdentities()
        self.enrolling = Enrolling(
            self.identities,
            FakeAuthority(),
            lambda: self.now_s,
            taken_back=self._hear,
            random_bytes=lambda _: self.names.pop(0),
        )

    def token(self, *, device: str = "", replaces: str = "", life_s: int = 100) -> str:
        counted = len(self.identities.tokens)
        made = new_token(
            site="clinic",
            labels={"role": "kiosk"},
            device=device,
            replaces=replaces,
            life_s=life_s,
            by="anna",
            now_s=self.now_s,
            random_bytes=lambda length: bytes([counted] * length),
        )
        self.identities.tokens[made.hash] = made.token
        return made.text

    def enrol(self, token: str, key: str = "one") -> Enrolled:
        return self.enrolling.enrol(token, f"key:{key}".encode())

    def renew(self, first: Enrolled) -> Enrolled:
        return self.enrolling.renew(self.device(first.device), b"key:two", shown=first.issued.fingerprint)

    def device(self, name: str) -> Device:
        found = self.identities.device(name)
        assert found is not None
        return found

    def _hear(self) -> None:
        self.told += 1


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(RefusedError) as refused:
        act()
    return refused.value.code


def test_a_token_lets_in_one_device_whose_name_the_controller_chooses() -> None:
    desk = Desk()
    token = desk.token()
    assert desk.enrol(token).device == "clinic-00000001"
    assert desk.device("clinic-00000001").labels == {"role": "kiosk"}
    assert refusal(lambda: desk.enrol(token, "two")) == "token_used"
    assert desk.told == 0


def test_asking_again_with_the_same_key_brings_another_certificate_for_the_same_device() -> None:
    desk = Desk()
    token = desk.token()
    first, again = desk.enrol(token), desk.enrol(token)
    assert first.device == again.device
    assert first.issued.serial != again.issued.serial
    assert len(desk.identities.devices) == 1


def test_asking_again_for_ever_is_answered_and_what_was_never_shown_is_taken_back() -> None:
    desk = Desk()
    token = desk.token()
    device = desk.enrol(token).device
    for _ in range(MAX_LIVE_CERTIFICATES - 1):
        desk.enrol(token)
    assert (desk.told, len(desk.identities.taken_back(now_s=desk.now_s))) == (0, 0)
    last = desk.enrol(token)
    assert (desk.told, len(desk.identities.taken_back(now_s=desk.now_s))) == (1, MAX_LIVE_CERTIFICATES)
    assert last.device == device
    assert desk.identities.live_certificates(device, now_s=desk.now_s) == 1


@pytest.mark.parametrize("text", ["", "hbt_", "hbt_" + "a" * 52, "no token"])
def test_what_is_no_token_here_lets_nobody_in(text: str) -> None:
    assert refusal(lambda: Desk().enrol(text)) == "token_unknown"


def test_what_is_no_request_is_refused_before_the_token_is_used() -> None:
    desk = Desk()
    token = desk.token()
    with pytest.raises(RequestError, match="cannot be used: it is no request"):
        desk.enrolling.enrol(token, b"junk")
    assert desk.enrol(token).device == "clinic-00000001"


def test_a_name_that_chance_gives_twice_is_drawn_again() -> None:
    desk = Desk(names=[b"\0\0\0\1", b"\0\0\0\1", b"\0\0\0\2"])
    desk.enrol(desk.token())
    assert desk.enrol(desk.token(), "two").device == "clinic-00000002"


def test_a_device_that_is_let_in_again_loses_what_it_had_and_the_broker_hears_of_it() -> None:
    desk = Desk()
    first = desk.enrol(desk.token())
    desk.now_s += 10
    again = desk.enrol(desk.token(device=first.device), "two")
    assert again.device == first.device
    assert [one.revocation.serial for one in desk.identities.taken_back(now_s=desk.now_s)] == [first.issued.serial]
    assert desk.told == 1


def test_a_revoked_device_comes_back_only_by_a_token_of_afterwards() -> None:
    desk = Desk()
    device = desk.enrol(desk.token()).device
    before = desk.token(device=device)
    desk.now_s += 1
    desk.identities.revoke(device, reason="lost", by="anna", now_s=desk.now_s)
    assert refusal(lambda: desk.enrol(before, "two")) == "token_withdrawn"
    assert desk.enrol(desk.token(device=device), "two").device == device
    assert desk.device(device).state == "enrolled"


def test_the_answer_that_was_lost_is_not_given_to_a_device_that_was_revoked_meanwhile() -> None:
    desk = Desk()
    token = desk.token()
    device = desk.enrol(token).device
    desk.identities.revoke(device, reason="lost", by="anna", now_s=desk.now_s)
    assert refusal(lambda: desk.enrol(token)) == "token_used"


def test_a_stolen_key_does_not_come_back_by_the_token_that_it_has_used() -> None:
    desk = Desk()
    used = desk.token(life_s=1000)
    device = desk.enrol(used, "stolen").device
    desk.now_s += 1
    desk.identities.revoke(device, reason="stolen", by="anna", now_s=desk.now_s)
    fresh = desk.token(device=device)
    desk.enrol(fresh, "two")
    assert refusal(lambda: desk.enrol(used, "stolen")) == "token_used"
    assert desk.enrol(fresh, "two").device == device


def test_a_replacement_takes_site_and_labels_and_the_old_device_is_out() -> None:
    desk = Desk()
    old = desk.enrol(desk.token()).device
    new = desk.enrol(desk.token(replaces=old), "two").device
    assert desk.device(old).state == "replaced"
    assert (desk.device(new).site, desk.device(new).labels) == ("clinic", {"role": "kiosk"})
    assert desk.told == 1
    assert refusal(lambda: desk.enrol(desk.token(replaces=old), "three")) == "not_replaceable"


def test_a_replacement_with_more_labels_than_a_device_takes_is_refused_and_its_token_stays_good() -> None:
    desk = Desk()
    old = desk.enrol(desk.token()).device
    many = {f"k{number}": "v" for number in range(MAX_LABELS)}
    desk.identities.devices[old] = replace(desk.device(old), labels=many)
    token = desk.token(replaces=old)
    assert refusal(lambda: desk.enrol(token, "two")) == "too_many_labels"
    del many["k0"]
    new = desk.enrol(token, "two").device
    assert desk.device(new).labels == {"role": "kiosk", **many}


def test_a_renewal_leaves_the_old_certificate_as_it_is() -> None:
    desk = Desk()
    first = desk.enrol(desk.token())
    renewed = desk.renew(first)
    assert renewed.device == first.device
    assert desk.identities.live_certificates(first.device, now_s=desk.now_s) == 2
    assert desk.told == 0


def test_a_device_that_loses_every_answer_is_renewed_for_ever_and_keeps_the_certificate_that_it_shows() -> None:
    desk = Desk()
    first = desk.enrol(desk.token())
    for _ in range(10 * MAX_LIVE_CERTIFICATES):
        assert desk.renew(first).device == first.device
        assert desk.identities.live_certificates(first.device, now_s=desk.now_s) <= MAX_LIVE_CERTIFICATES
    shown = desk.identities.shown(first.issued.fingerprint)
    assert shown is not None
    assert shown.certificate.revoked_at_s is None
    assert 10 <= desk.told <= 10 * MAX_LIVE_CERTIFICATES // 6


def test_a_device_that_was_revoked_while_it_asked_gets_nothing() -> None:
    desk = Desk()
    first = desk.enrol(desk.token())
    desk.identities.revoke(first.device, reason="lost", by="anna", now_s=desk.now_s)
    assert refusal(lambda: desk.renew(first)) == "device_revoked"
