"""One suite for whatever keeps the device's identity: files, and the fake that the renewal's tests use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.fake_device_identities import MEMBERSHIP as MEMBER
from tests.support.fake_device_identities import FakeIdentities, facts_at
from tests.support.fleet_authority import Authority
from tests.support.manual_clock import ManualClock

from homebred_daemon.adapters.identity_files import IdentityFiles
from homebred_daemon.errors import StateError
from homebred_daemon.ports.identity import IdentityStore, Issued, PendingKey

AUTHORITY = Authority()


@dataclass(frozen=True)
class Stand:
    """A store of an enrolled device, and what a controller would answer it."""

    store: IdentityStore
    issue: Callable[[PendingKey, int], Issued]


def files(folder: Path) -> Stand:
    store = IdentityFiles(folder, {})
    pending = store.pending_key("enrolment")
    store.take_up(pending, AUTHORITY.issued(pending.request_der, MEMBER))
    return Stand(store, lambda pending, number: AUTHORITY.issued(pending.request_der, MEMBER))


def fake(folder: Path) -> Stand:
    def issue(pending: PendingKey, number: int) -> Issued:
        return Issued(certificates_pem=b"", authorities_pem=b"", facts=facts_at(number, number), membership=MEMBER)

    return Stand(FakeIdentities(ManualClock()), issue)


@pytest.fixture(params=[files, fake], ids=["files", "fake"])
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    make: Callable[[Path], Stand] = request.param
    return make(tmp_path)


def test_a_pending_key_stays_until_it_is_taken_up(stand: Stand) -> None:
    first = stand.store.pending_key("renewal")
    assert stand.store.pending_key("renewal").key_pem == first.key_pem
    stand.store.take_up(first, stand.issue(first, 2))
    assert stand.store.pending_key("renewal").key_pem != first.key_pem


def test_what_is_taken_up_is_in_force_and_has_a_generation_of_its_own(stand: Stand) -> None:
    before = stand.store.current()
    pending = stand.store.pending_key("renewal")
    issued = stand.issue(pending, 2)
    assert stand.store.current() == before
    taken = stand.store.take_up(pending, issued)
    assert taken.certificate == issued.facts
    assert taken.membership == issued.membership
    assert stand.store.current() == taken
    assert before is not None
    assert taken.generation > before.generation


def test_a_renewal_of_what_was_replaced_or_forgotten_meanwhile_is_not_taken_up(stand: Stand) -> None:
    before = stand.store.current()
    assert before is not None
    renewal = stand.store.pending_key("renewal")
    another = stand.store.take_up(renewal, stand.issue(renewal, 2))
    pending = stand.store.pending_key("renewal")
    with pytest.raises(StateError):
        stand.store.take_up(pending, stand.issue(pending, 3), follows=before)
    assert stand.store.current() == another
    stand.store.forget()
    pending = stand.store.pending_key("renewal")
    with pytest.raises(StateError):
        stand.store.take_up(pending, stand.issue(pending, 4), follows=another)
    assert stand.store.current() is None


def test_what_is_forgotten_is_forgotten(stand: Stand) -> None:
    assert stand.store.forget()
    assert stand.store.current() is None
    assert not stand.store.forget()
