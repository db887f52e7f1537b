"""What signs stop orders and what checks them: real keys and roots, and the symbols that worlds of faults trust."""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.fleet_authority import MEMBERSHIP
from tests.support.image_repository import SignedFleet, key, write_online_key
from tests.support.stop_orders import KnownKeys, SymbolicSigner
from typing_extensions import override

from homebred_daemon.adapters.trust.files import TrustFiles
from homebred_daemon.adapters.trust.stop_check import DirectorsWord
from homebred_daemon.core.fleet_messages import StopOrder
from homebred_daemon.core.stopping import Proof
from homebred_daemon.ports.fleet import StopCheck
from homebred_daemon.ports.trust import Roots
from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.adapters.tuf_repository.editing import ONLINE
from homebred_fleet.adapters.tuf_repository.serving import FolderDirector
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.errors import FleetError, StateError
from homebred_fleet.ports.director import StopSigner
from homebred_fleet.ports.intents import SignedStop, Stop
from homebred_protocol.stop_orders import to_be_signed

NOW_S = unix_s() - 60
STOP = Stop(epoch=2**62, stopped=True, reason_code="recall", issued_at_s=NOW_S, is_published=False)


class Fleet(ABC):
    """A controller, and a device that has pinned its director's root."""

    signer: StopSigner
    check: StopCheck

    @abstractmethod
    def rotate(self) -> None:
        """The director gets another key; the device does not know yet."""

    @abstractmethod
    def look(self) -> None:
        """The device sees the newest root."""

    @abstractmethod
    def half_look(self) -> None:
        """The power goes while the device keeps the newest root: its floor is on the disk, and it is not."""

    @abstractmethod
    def lose(self) -> None:
        """The device cannot read what it trusts."""


class Real(Fleet):
    def __init__(self, folder: Path) -> None:
        self.signed = SignedFleet(folder / "signed", now_s=NOW_S)
        self._online = write_online_key(folder / "online.key")
        self.signer = FolderDirector(self.signed.director_root.published, self._online, started_at_s=NOW_S)
        self.files = TrustFiles(folder / "state", MEMBERSHIP)
        self.check = DirectorsWord(self.files)
        (folder / "state").mkdir()
        root = self._root(1)
        self.files.pin(Roots(image=root, director=root))

    @override
    def rotate(self) -> None:
        root = self.signed.director_root
        root.rotate(ONLINE, add=[key("another", Purpose.ONLINE).public], drop=["online"], now_s=NOW_S)
        for name in ("anna", "carla"):
            root.sign(key(name, Purpose.DIRECTOR).signer, NOW_S)
        root.publish(NOW_S)
        write_online_key(self._online, "another")

    @override
    def look(self) -> None:
        held = self.files.held()
        director = replace(held.director, files={"root_history/2.root.json": self._root(2)})
        self.files.keep(replace(held, director=director), follows=held)

    @override
    def half_look(self) -> None:
        held = self.files.held()
        floors = replace(held.floors, director=replace(held.floors.director, root=2))
        self.files.keep(replace(held, floors=floors), follows=held)

    @override
    def lose(self) -> None:
        (self.files.folder / "floors.json").write_bytes(b"")

    def _root(self, version: int) -> bytes:
        return (self.signed.director_root.published / "metadata" / f"{version}.root.json").read_bytes()


class Symbols(Fleet):
    def __init__(self) -> None:
        self.signer = self._signer = SymbolicSigner()
        self.check = self._keys = KnownKeys()

    @override
    def rotate(self) -> None:
        self._signer.key = "director-2"

    @override
    def look(self) -> None:
        self._keys.keys = {self._signer.key}

    @override
    def half_look(self) -> None:
        self._keys.is_readable = False

    @override
    def lose(self) -> None:
        self._keys.is_readable = False


@pytest.fixture(params=["real", "symbols"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Fleet:
    return Real(tmp_path) if request.param == "real" else Symbols()


def heard(signed: SignedStop) -> StopOrder:
    return StopOrder(**{name: getattr(signed, name) for name in StopOrder.__slots__})


def proof(fleet: Fleet, order: SignedStop | StopOrder) -> Proof:
    return fleet.check.check(heard(order) if isinstance(order, SignedStop) else order).proof


def test_what_the_director_signs_a_device_believes_and_the_same_order_is_signed_the_same(fleet: Fleet) -> None:
    signed = fleet.signer.signed(STOP)
    assert fleet.signer.signed(STOP) == signed
    assert (signed.epoch, signed.stopped, signed.reason_code) == (STOP.epoch, STOP.stopped, STOP.reason_code)
    assert fleet.signer.has_signed(signed)
    checked = fleet.check.check(heard(signed))
    assert checked.proof is Proof.SIGNED
    assert signed.key_id in checked.director_keys


@pytest.mark.parametrize(
    "changed",
    [
        {"epoch": 5},
        {"stopped": False},
        {"issued_at_s": 0},
        {"reason_code": "other"},
        {"reason_code": ""},
        {"key_id": "k" * 64},
        {"key_id": ""},
        {"signature": b""},
        {"signature": bytes(64)},
    ],
)
def test_one_changed_word_and_nobody_has_signed_it(fleet: Fleet, changed: dict[str, object]) -> None:
    forged = replace(fleet.signer.signed(STOP), **changed)  # type: ignore[arg-type]  # any of its fields
    assert proof(fleet, forged) is Proof.NOT_SIGNED
    assert not fleet.signer.has_signed(forged)


def test_after_a_rotation_a_device_believes_the_new_key_alone_once_it_has_looked(fleet: Fleet) -> None:
    before = fleet.signer.signed(STOP)
    fleet.rotate()
    after = fleet.signer.signed(STOP)
    assert after.key_id != before.key_id
    assert not fleet.signer.has_signed(before)
    assert (proof(fleet, before), proof(fleet, after)) == (Proof.SIGNED, Proof.NOT_SIGNED)
    fleet.look()
    assert (proof(fleet, before), proof(fleet, after)) == (Proof.NOT_SIGNED, Proof.SIGNED)


def test_a_device_whose_newest_root_was_lost_knows_nothing_of_any_order_until_it_has_looked_again(fleet: Fleet) -> None:
    stolen = fleet.signer.signed(replace(STOP, stopped=False))
    fleet.rotate()
    after = fleet.signer.signed(STOP)
    fleet.half_look()
    assert (proof(fleet, stolen), proof(fleet, after)) == (Proof.UNKNOWN, Proof.UNKNOWN)


def test_a_device_that_cannot_read_what_it_trusts_knows_nothing_of_any_order(fleet: Fleet) -> None:
    signed = fleet.signer.signed(STOP)
    fleet.lose()
    for order in (heard(signed), StopOrder(epoch=5, stopped=False)):
        checked = fleet.check.check(order)
        assert (checked.proof, checked.director_keys) == (Proof.UNKNOWN, frozenset())


def test_a_device_that_has_pinned_nothing_knows_nothing_either(tmp_path: Path) -> None:
    order = StopOrder(epoch=5, stopped=True)
    assert DirectorsWord(TrustFiles(tmp_path, MEMBERSHIP)).check(order).proof is Proof.UNKNOWN


def test_what_the_same_key_signs_for_another_tenant_or_of_metadata_is_no_order(tmp_path: Path) -> None:
    fleet, online = Real(tmp_path), key("online", Purpose.ONLINE).signer
    order = heard(fleet.signer.signed(STOP))
    fields = {name: getattr(STOP, name) for name in ("epoch", "stopped", "issued_at_s", "reason_code")}
    for said in (to_be_signed(**fields, tenant="other"), fleet._root(1), to_be_signed(**fields)[:-1]):
        signature = bytes.fromhex(online.sign(said).signature)
        assert proof(fleet, replace(order, signature=signature)) is Proof.NOT_SIGNED
    own = bytes.fromhex(online.sign(to_be_signed(**fields)).signature)
    assert proof(fleet, replace(order, signature=own)) is Proof.SIGNED


def test_where_there_is_no_director_or_no_key_of_its_nothing_is_signed_and_nobody_says_who_has(tmp_path: Path) -> None:
    nowhere = FolderDirector(tmp_path / "published", tmp_path / "online.key", started_at_s=NOW_S)
    symbols = SymbolicSigner(key="")
    signed = SymbolicSigner().signed(STOP)
    signer: StopSigner
    for signer in (nowhere, symbols):
        with pytest.raises(FleetError):
            signer.signed(STOP)
        with pytest.raises(FleetError):
            signer.has_signed(signed)


@pytest.mark.parametrize("unreadable", ["folder", "metadata", "key"])
def test_a_director_that_cannot_be_read_is_said_as_such_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreadable: str
) -> None:
    fleet = Real(tmp_path)
    signed = SymbolicSigner().signed(STOP)
    published = fleet.signed.director_root.published
    about = {"folder": published, "metadata": published.resolve() / "metadata", "key": tmp_path / "online.key"}
    real = Path.stat

    def denied(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path == about[unreadable]:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, follow_symlinks=follow_symlinks)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", denied)
        for ask in (lambda: fleet.signer.signed(STOP), lambda: fleet.signer.has_signed(signed)):
            with pytest.raises(StateError, match="cannot be read: Permission denied"):
                ask()
    assert fleet.signer.has_signed(fleet.signer.signed(STOP))
