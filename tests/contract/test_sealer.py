"""What every sealer promises: the one that encrypts, and the one in memory that hides nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.fake_reviews import FakeSealer

from homebred_daemon.adapters.sealing import AesGcmSealer
from homebred_daemon.errors import StateError
from homebred_daemon.ports.review import Sealer

MakeSealer = Callable[[str], Sealer]


@pytest.fixture(params=["aes", "memory"])
def make(request: pytest.FixtureRequest) -> MakeSealer:
    if request.param == "memory":
        return FakeSealer
    return lambda name: AesGcmSealer(name.encode().ljust(32))


@pytest.fixture
def sealer(make: MakeSealer) -> Sealer:
    return make("key")


@pytest.mark.parametrize("body", [b"", b"a", bytes(range(256)) * 1000])
def test_what_was_sealed_opens_again(sealer: Sealer, body: bytes) -> None:
    key = sealer.new_key("r1")
    assert sealer.open(key, "r1", "content", sealer.seal(key, "r1", "content", body)) == body


def test_it_opens_after_a_restart_with_the_same_device_key(make: MakeSealer) -> None:
    key = make("key").new_key("r1")
    sealed = make("key").seal(key, "r1", "content", b"body")
    assert make("key").open(key, "r1", "content", sealed) == b"body"


def test_with_another_device_key_nothing_opens_seals_or_marks(make: MakeSealer) -> None:
    key = make("key").new_key("r1")
    sealed, stranger = make("key").seal(key, "r1", "content", b"body"), make("other")
    with pytest.raises(StateError):
        stranger.open(key, "r1", "content", sealed)
    with pytest.raises(StateError):
        stranger.seal(key, "r1", "content", b"body")
    with pytest.raises(StateError):
        stranger.mark(key, "r1", b"body")


def test_it_opens_in_no_other_items_place(sealer: Sealer) -> None:
    key = sealer.new_key("r1")
    sealed = sealer.seal(key, "r1", "content", b"body")
    with pytest.raises(StateError):
        sealer.open(key, "r2", "content", sealed)
    with pytest.raises(StateError):
        sealer.open(sealer.new_key("r2"), "r2", "content", sealed)


def test_an_answer_does_not_pass_for_a_task(sealer: Sealer) -> None:
    key = sealer.new_key("r1")
    with pytest.raises(StateError):
        sealer.open(key, "r1", "resolution", sealer.seal(key, "r1", "content", b"body"))


def test_what_was_cut_short_or_emptied_does_not_open(sealer: Sealer) -> None:
    key = sealer.new_key("r1")
    sealed = sealer.seal(key, "r1", "content", b"body")
    for cut in (b"", sealed[:5], sealed[:-1]):
        with pytest.raises(StateError):
            sealer.open(key, "r1", "content", cut)


def test_a_mark_tells_the_same_body_from_another(sealer: Sealer) -> None:
    key = sealer.new_key("r1")
    assert sealer.mark(key, "r1", b"yes") == sealer.mark(key, "r1", b"yes")
    assert sealer.mark(key, "r1", b"yes") != sealer.mark(key, "r1", b"no")
    assert sealer.mark(key, "r1", b"yes") != sealer.mark(sealer.new_key("r2"), "r2", b"yes")
