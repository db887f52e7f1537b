"""What every store of the site's policies does: the fake in memory and the files of a state folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.fake_policies import FakePolicies

from homebred_daemon.adapters.policy_files import PolicyFiles
from homebred_daemon.errors import ConfigurationError, StateError
from homebred_daemon.ports.policies import PolicyStore
from homebred_protocol.digests import digest_of

STRICT = b"version = 1\nescalation = false\n"
CEILING = "version = 1\nair_gap = true\n"
Opened = Callable[[], PolicyStore]


@pytest.fixture(params=["fake", "files"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Opens the same store again, as after a restart."""
    ceiling = tmp_path / "ceiling.toml"
    ceiling.write_text(CEILING)
    if request.param == "fake":
        fake = FakePolicies(ceiling_file=ceiling)
        return lambda: fake
    return lambda: PolicyFiles(tmp_path, policy_file=None, ceiling_file=ceiling)


def test_the_built_in_policy_holds_where_nothing_is_configured(opened: Opened) -> None:
    held = opened().in_force()
    assert (held.origin, held.site.policy.escalation, held.site.policy.air_gap) == ("default", True, True)


def test_what_is_kept_holds_from_then_on_under_the_ceiling(opened: Opened) -> None:
    opened().keep(STRICT)
    held = opened().in_force()
    assert (held.origin, held.site.body) == ("set", STRICT)
    assert (held.site.policy.digest, held.site.policy.air_gap) == (digest_of(STRICT), True)
    assert opened().configured().origin == "default"


def test_what_is_forgotten_holds_no_more(opened: Opened) -> None:
    opened().keep(STRICT)
    opened().forget()
    opened().forget()
    assert opened().in_force().origin == "default"


def test_an_offer_is_only_looked_at(opened: Opened) -> None:
    assert opened().offered(STRICT).site.policy.escalation is False
    assert opened().in_force().origin == "default"


@pytest.mark.parametrize("body", [b"escalation = 7", b"[", b"\xff", b"nonsense = true"])
def test_a_wrong_offer_says_what_is_wrong(opened: Opened, body: bytes) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        opened().offered(body)
    assert refusal.value.message.startswith("policy")
    assert refusal.value.hint


def test_a_policy_that_was_set_and_was_damaged_stops_the_start(tmp_path: Path) -> None:
    store = PolicyFiles(tmp_path, policy_file=None, ceiling_file=None)
    store.keep(STRICT)
    (tmp_path / "policy.toml").write_bytes(b"escal")
    with pytest.raises(ConfigurationError, match=r"policy\.toml"):
        store.in_force()


def test_where_it_cannot_be_stored_the_one_before_stays(tmp_path: Path) -> None:
    store = PolicyFiles(tmp_path / "absent", policy_file=None, ceiling_file=None)
    with pytest.raises(StateError, match="still holds"):
        store.keep(STRICT)


def test_a_leftover_of_a_kill_goes_with_the_next_one(tmp_path: Path) -> None:
    store = PolicyFiles(tmp_path, policy_file=None, ceiling_file=None)
    (tmp_path / ".new-killed").write_bytes(b"half")
    store.keep(STRICT)
    assert [path.name for path in tmp_path.iterdir()] == ["policy.toml"]
