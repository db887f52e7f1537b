from __future__ import annotations

import re

import pytest
from tests.support.committed_files import ROOT

from homebred_daemon.core.trust_refusals import FINAL, MEANINGS, Reason, Refusal, refusal_of

TABLE = re.compile(r"^\| `([a-z_]+)` \| (.*) \| (.*) \|$", re.MULTILINE)


def test_every_reason_has_a_sentence_and_says_what_next() -> None:
    assert MEANINGS.keys() == set(Reason)
    for meaning in MEANINGS.values():
        assert re.fullmatch(r"[a-z].*[^.]", meaning.what)
        assert meaning.next


def test_the_documentation_has_every_reason_in_these_words() -> None:
    rows = TABLE.findall((ROOT / "docs/trust.md").read_text())
    assert rows == [(reason.value, meaning.what, meaning.next) for reason, meaning in MEANINGS.items()]


def test_a_refusal_says_about_what_and_what_was_found() -> None:
    refused = Refusal(reason=Reason.ROLLBACK, about="image", detail="root 1, 2 was taken")
    assert refused.sentence == ("image: signed metadata is older than what this device has taken (root 1, 2 was taken)")
    assert Refusal(reason=Reason.EXPIRED).sentence == "signed metadata has expired"


@pytest.mark.parametrize("reason", Reason)
def test_a_refusal_is_an_error_and_back(reason: Reason) -> None:
    refused = Refusal(reason=reason, about="image", detail="why")
    error = refused.error()
    assert (error.message, error.hint, error.reason) == (refused.sentence, refused.hint, reason)
    assert refusal_of(error, "image") == refused


def test_nothing_that_a_mirror_or_the_network_can_do_is_final() -> None:
    by_a_mirror = {Reason.UNSIGNED, Reason.EXPIRED, Reason.ROLLBACK, Reason.MISMATCHED, Reason.MALFORMED}
    by_holding_back = {Reason.ABSENT, Reason.NOT_IN_IMAGE, Reason.NOT_DIRECTED, Reason.NO_LEASE, Reason.LEASE_EXPIRED}
    assert not FINAL & (by_a_mirror | by_holding_back | {Reason.UNREACHABLE, Reason.TOO_SLOW, Reason.OTHER_DEVICE})
