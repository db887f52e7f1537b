"""One suite for identities: in memory, in SQLite and in PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select
from tests.support.databases import KINDS
from tests.support.fake_fleet_identities import FakeIdentities, issued

from homebred_fleet.adapters.store import assignments, audit
from homebred_fleet.adapters.store import desired as desired_states
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.identities import (
    IdentityStore,
    add_admin,
    create_token,
    has_admins,
    list_tokens,
    withdraw_token,
)
from homebred_fleet.adapters.store.tables import audit as audit_table
from homebred_fleet.adapters.store.tables import devices
from homebred_fleet.core.admins import Admin
from homebred_fleet.core.enrolment import KnownDevice, NewDevice, Token
from homebred_fleet.core.tokens import NewToken, new_token
from homebred_fleet.errors import NotFoundError
from homebred_fleet.ports.identities import Identities
from homebred_fleet.ports.intents import DocumentRef
from homebred_protocol.limits import MAX_LABELS
from homebred_protocol.targets import Kind, Target

NEW = NewDevice(site="clinic", labels={"role": "kiosk"})


class Held:
    """Identities of one kind, and how a token gets into them."""

    def __init__(self, identities: Identities, keep: Callable[[NewToken], None]) -> None:
        self.identities = identities
        self._keep = keep
        self._numbers = iter(range(1, 100))

    def token(self, *, device: str = "", replaces: str = "", now_s: int = 1000) -> Token:
        """A token that is kept; hash and id are its number."""
        number = next(self._numbers)
        made = new_token(
            site="clinic",
            labels={"role": "kiosk"},
            device=device,
            replaces=replaces,
            life_s=100,
            by="anna",
            now_s=now_s,
            random_bytes=number.to_bytes,
        )
        self._keep(made)
        found = self.identities.token(made.hash)
        assert found == made.token
        self.hash = made.hash
        return made.token

    def admit(self, device: str, number: int, *, token: Token | None = None, now_s: int = 1010) -> bool:
        """A new device with the certificate of a number."""
        token = token or self.token()
        certificate = issued(number, now_s)
        return self.identities.admit(NEW, token, device, key=f"k{number}", issued=certificate, now_s=now_s)

    def renew(self, device: str, number: int, *, makes_room: bool = False, now_s: int) -> bool:
        """The certificate of a number for a device that has shown its first."""
        shown = issued(1, 0).fingerprint
        certificate = issued(number, now_s)
        return self.identities.renew(device, certificate, shown=shown, makes_room=makes_room, now_s=now_s)


@pytest.fixture(params=["memory", *KINDS])
def held(request: pytest.FixtureRequest, migrated: Callable[[str], str]) -> Iterator[Held]:
    if request.param == "memory":
        yield in_memory()
        return
    opened = Database(migrated(request.param))
    yield in_database(opened)
    opened.close()


def in_memory() -> Held:
    fake = FakeIdentities()

    def keep(made: NewToken) -> None:
        fake.tokens[made.hash] = made.token

    return Held(fake, keep)


def in_database(database: Database) -> Held:
    def keep(made: NewToken) -> None:
        with database.writing() as connection:
            create_token(connection, made.token, token_hash=made.hash)

    return Held(IdentityStore(database), keep)


def state_of(held: Held, device: str) -> str:
    found = held.identities.device(device)
    assert found is not None
    return found.state


def test_what_is_not_known_is_nobody(held: Held) -> None:
    assert held.identities.token("0" * 64) is None
    assert held.identities.device("clinic-1") is None
    assert held.identities.shown("0" * 64) is None
    assert held.identities.admin("0" * 64) is None
    assert held.identities.taken_back(now_s=0) == ()
    with pytest.raises(NotFoundError):
        held.identities.revoke("clinic-1", reason="lost", by="anna", now_s=1)


def test_a_device_that_was_let_in_is_known_by_its_certificate(held: Held) -> None:
    assert held.admit("clinic-1", 1)
    shown = held.identities.shown(issued(1, 1010).fingerprint)
    assert shown is not None
    assert (shown.device.id, shown.device.site, dict(shown.device.labels)) == ("clinic-1", "clinic", {"role": "kiosk"})
    assert (shown.device.state, shown.certificate.serial, shown.certificate.revoked_at_s) == ("enrolled", "1", None)


def test_a_token_is_used_once_and_says_by_whom(held: Held) -> None:
    token = held.token()
    assert held.admit("clinic-1", 1, token=token)
    assert not held.admit("clinic-2", 2, token=token)
    assert held.identities.device("clinic-2") is None
    used = held.identities.token(held.hash)
    assert used is not None
    assert (used.used_at_s, used.used_by, used.used_key) == (1010, "clinic-1", "k1")


def test_a_token_that_ran_out_meanwhile_lets_nobody_in(held: Held) -> None:
    assert not held.admit("clinic-1", 1, now_s=1100)
    assert held.identities.device("clinic-1") is None


def test_a_name_that_is_taken_uses_up_no_token(held: Held) -> None:
    assert held.admit("clinic-1", 1)
    token = held.token()
    assert not held.admit("clinic-1", 2, token=token)
    assert held.admit("clinic-2", 3, token=token)


def test_a_device_that_is_let_in_again_keeps_one_certificate(held: Held) -> None:
    held.admit("clinic-1", 1)
    again = KnownDevice(id="clinic-1", is_retry=False)
    token = held.token(device="clinic-1")
    assert held.identities.admit(again, token, "clinic-1", key="k2", issued=issued(2, 1020), now_s=1020)
    assert held.identities.live_certificates("clinic-1", now_s=1020) == 1
    (taken,) = held.identities.taken_back(now_s=1020)
    assert (taken.device, taken.revocation.serial, taken.revocation.at_s) == ("clinic-1", "1", 1020)


def test_a_retry_adds_a_certificate_and_changes_nothing_else(held: Held) -> None:
    token = held.token()
    held.admit("clinic-1", 1, token=token)
    retry = KnownDevice(id="clinic-1", is_retry=True)
    assert held.identities.admit(retry, token, "clinic-1", key="k1", issued=issued(2, 1020), now_s=1020)
    assert held.identities.live_certificates("clinic-1", now_s=1020) == 2
    held.identities.revoke("clinic-1", reason="lost", by="anna", now_s=1030)
    assert not held.identities.admit(retry, token, "clinic-1", key="k1", issued=issued(3, 1040), now_s=1040)


@pytest.mark.parametrize("is_revoked", [True, False], ids=["revoked", "re-enrolled at once"])
def test_a_device_that_came_back_with_a_new_key_is_not_answered_by_what_the_old_key_has_used(
    held: Held, *, is_revoked: bool
) -> None:
    stolen = held.token()
    held.admit("clinic-1", 1, token=stolen)
    if is_revoked:
        held.identities.revoke("clinic-1", reason="stolen", by="anna", now_s=1020)
    fresh, again = held.token(device="clinic-1", now_s=1030), KnownDevice(id="clinic-1", is_retry=False)
    assert held.identities.admit(again, fresh, "clinic-1", key="k2", issued=issued(2, 1040), now_s=1040)
    retry = KnownDevice(id="clinic-1", is_retry=True)
    assert not held.identities.admit(retry, stolen, "clinic-1", key="k1", issued=issued(3, 1050), now_s=1050)
    assert not held.identities.admit(retry, fresh, "clinic-1", key="k1", issued=issued(3, 1050), now_s=1050)
    assert held.identities.admit(retry, fresh, "clinic-1", key="k2", issued=issued(4, 1050), now_s=1050)


def test_a_renewal_that_makes_room_takes_back_all_but_the_certificate_that_was_shown(held: Held) -> None:
    held.admit("clinic-1", 1)
    held.admit("clinic-2", 9)
    held.renew("clinic-1", 2, now_s=1020)
    held.renew("clinic-1", 3, now_s=1020)
    assert held.renew("clinic-1", 4, makes_room=True, now_s=1030)
    assert [one.revocation.serial for one in held.identities.taken_back(now_s=1030)] == ["2", "3"]
    assert held.identities.live_certificates("clinic-1", now_s=1030) == 2
    assert held.identities.live_certificates("clinic-2", now_s=1030) == 1


def test_a_retry_that_makes_room_takes_back_all_that_were_never_shown(held: Held) -> None:
    token = held.token()
    held.admit("clinic-1", 1, token=token)
    retry = KnownDevice(id="clinic-1", is_retry=True, makes_room=True)
    assert held.identities.admit(retry, token, "clinic-1", key="k1", issued=issued(2, 1020), now_s=1020)
    assert [one.revocation.serial for one in held.identities.taken_back(now_s=1020)] == ["1"]
    assert held.identities.live_certificates("clinic-1", now_s=1020) == 1


def test_revoking_takes_back_every_certificate_and_every_token_that_was_made_for_it(held: Held) -> None:
    held.admit("clinic-1", 1)
    held.renew("clinic-1", 2, now_s=1020)
    held.token(device="clinic-1")
    assert held.identities.revoke("clinic-1", reason="lost", by="anna", now_s=1030)
    assert not held.identities.revoke("clinic-1", reason="lost", by="anna", now_s=1040)
    assert [one.revocation.serial for one in held.identities.taken_back(now_s=1030)] == ["1", "2"]
    assert held.identities.live_certificates("clinic-1", now_s=1030) == 0
    withdrawn = held.identities.token(held.hash)
    assert withdrawn is not None
    assert withdrawn.withdrawn_at_s == 1030
    assert not held.renew("clinic-1", 3, now_s=1040)


def test_of_what_was_taken_back_each_certificate_says_whether_it_is_out(held: Held) -> None:
    held.admit("clinic-1", 1)
    held.renew("clinic-1", 2, now_s=1020)
    held.identities.revoke("clinic-1", reason="lost", by="anna", now_s=1030)
    held.identities.note_out((), now_s=1040)
    held.identities.note_out(("2",), now_s=1040)
    assert [(one.revocation.serial, one.is_out) for one in held.identities.taken_back(now_s=1040)] == [
        ("1", False),
        ("2", True),
    ]


def test_a_certificate_that_has_run_out_is_on_no_list(held: Held) -> None:
    held.admit("clinic-1", 1)
    held.identities.revoke("clinic-1", reason="lost", by="anna", now_s=1030)
    assert held.identities.taken_back(now_s=1010 + 1000) == ()


def test_a_replacement_inherits_and_the_old_one_is_out_for_good(held: Held) -> None:
    held.admit("clinic-1", 1)
    token = held.token(replaces="clinic-1")
    taking = NewDevice(site="clinic", labels={"floor": "2"}, replaces="clinic-1")
    assert held.identities.admit(taking, token, "clinic-2", key="k2", issued=issued(2, 1020), now_s=1020)
    new = held.identities.device("clinic-2")
    assert new is not None
    assert dict(new.labels) == {"role": "kiosk", "floor": "2"}
    assert state_of(held, "clinic-1") == "replaced"
    assert [one.revocation.serial for one in held.identities.taken_back(now_s=1020)] == ["1"]
    many = NewDevice(site="clinic", labels={f"k{n}": "v" for n in range(MAX_LABELS)}, replaces="clinic-2")
    token = held.token(replaces="clinic-2")
    assert not held.identities.admit(many, token, "clinic-3", key="k3", issued=issued(3, 1020), now_s=1020)
    late = held.token(replaces="clinic-1")
    assert not held.identities.admit(taking, late, "clinic-3", key="k3", issued=issued(3, 1020), now_s=1020)
    back = KnownDevice(id="clinic-1", is_retry=False)
    token = held.token(device="clinic-1")
    assert not held.identities.admit(back, token, "clinic-1", key="k4", issued=issued(4, 1020), now_s=1020)


def test_of_64_who_race_for_one_token_one_is_let_in(database: Database) -> None:
    held = in_database(database)
    token = held.token()
    outcomes: list[bool] = []
    gate = threading.Barrier(64)

    def race(number: int) -> None:
        gate.wait()
        outcomes.append(held.admit(f"clinic-{number}", number, token=token))

    threads = [threading.Thread(target=race, args=(number,)) for number in range(1, 65)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(True) == 1
    with database.reading() as connection:
        assert len(connection.execute(select(devices.c.id)).all()) == 1


def test_what_was_wanted_of_the_old_device_is_wanted_of_the_new_one(database: Database) -> None:
    held = in_database(database)
    held.admit("clinic-1", 1)
    with database.writing() as connection:
        number = connection.execute(select(devices.c.number)).scalar_one()
        wanted = DocumentRef(digest="sha256:aa", length=5), DocumentRef(digest="sha256:bb", length=6)
        desired_states.assign(
            connection, device_numbers=[number], by="anna", now_s=5, policy=wanted[0], gazetteer=wanted[1]
        )
        policy = Target(kind=Kind.POLICY, group="clinic", name="main", number=3)
        assignments.assign(connection, [number], policy, by="anna", now_s=5)
    taking = NewDevice(site="clinic", labels={}, replaces="clinic-1")
    token = held.token(replaces="clinic-1")
    assert held.identities.admit(taking, token, "clinic-2", key="k2", issued=issued(2, 1020), now_s=1020)
    with database.reading() as connection:
        (state,) = desired_states.states_of(connection, ["clinic-1", "clinic-2"])
        assert (state.device, state.version, (state.policy, state.gazetteer)) == ("clinic-2", 1, wanted)
        assert desired_states.unpublished(connection, max_devices=9) == ["clinic-2"]
        assert assignments.of_device(connection, "clinic-2") == [policy]


def test_tokens_are_listed_without_their_secret_and_withdrawn_once(database: Database) -> None:
    held = in_database(database)
    token = held.token()
    with database.writing() as connection:
        assert list_tokens(connection) == (token,)
        assert withdraw_token(connection, token.id, by="anna", now_s=1005)
        assert not withdraw_token(connection, token.id, by="anna", now_s=1006)
        with pytest.raises(NotFoundError):
            withdraw_token(connection, "nobody", by="anna", now_s=1006)
    assert not held.admit("clinic-1", 1, token=token)


def test_an_admin_is_known_by_the_newest_certificate(database: Database) -> None:
    store = IdentityStore(database)
    anna = Admin(name="anna", role="operator")
    with database.writing() as connection:
        assert not has_admins(connection)
        assert add_admin(connection, anna, fingerprint="aa", by="init", now_s=1)
        assert not add_admin(connection, anna, fingerprint="aa", by="init", now_s=2)
        assert add_admin(connection, anna, fingerprint="bb", by="init", now_s=3)
        assert has_admins(connection)
    assert store.admin("aa") is None
    assert store.admin("bb") == anna


def test_every_change_is_in_the_audit_and_none_that_was_refused(database: Database) -> None:
    held = in_database(database)
    token = held.token()
    held.admit("clinic-1", 1, token=token)
    held.admit("clinic-2", 2, token=token)
    held.identities.revoke("clinic-1", reason="lost", by="anna", now_s=1030)
    with database.reading() as connection:
        rows = connection.execute(select(audit_table.c.actor, audit_table.c.action, audit_table.c.target)).all()
        assert audit.check(connection) is None
    assert [tuple(row) for row in rows] == [
        ("anna", "token.create", token.id),
        ("enrolment", "device.enrol", "clinic-1"),
        ("anna", "device.revoke", "clinic-1"),
    ]
