"""Reviewers who claim and answer while the daemon is killed: what was taken is kept, and taken once."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest
from tests.support.daemon_process import Site
from tests.support.wire_client import DaemonClient

from homebred_daemon.errors import HomebredError
from homebred_protocol.v1 import inference_pb2 as wire

NOTICED_WITHIN_S = 30.0
PAUSE_S = 0.01
NOTHING_WAITS = {"not_found", "conflict"}


@dataclass(slots=True)
class Sent:
    """An answer on its way."""

    route_id: str
    claim_id: str
    output: str
    is_taken: bool = False
    """Whether the daemon said so."""


@dataclass(slots=True)
class Reviewers:
    """Fulfils `killed_daemons.Company`."""

    number: int
    sent: list[Sent] = field(default_factory=list)
    """Of this round."""
    taken: int = 0
    """In all rounds, and said so before a kill."""
    in_doubt: int = 0
    """In all rounds, sent and not confirmed before a kill."""
    failures: list[BaseException] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, site: Site) -> None:
        """Each claims the oldest and answers it, again and again."""
        self.sent = []
        self._threads = [threading.Thread(target=self._run, args=(site, number)) for number in range(self.number)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Waits until all have noticed."""
        for thread in self._threads:
            thread.join(NOTICED_WITHIN_S)
            assert not thread.is_alive(), "a reviewer still waits for a daemon that is gone"
        for failure in self.failures:
            raise failure

    def check(self, site: Site) -> None:
        """Every confirmed answer is there; one in doubt may be sent again; another one is never taken."""
        with DaemonClient(site.socket) as client:
            for sent in self.sent:
                self.taken += sent.is_taken
                self.in_doubt += not sent.is_taken
                if sent.is_taken:
                    assert client.show_review(sent.route_id).output == sent.output, f"{sent} is gone"
                client.resolve_review(sent.route_id, sent.claim_id, output=sent.output)
                shown = client.show_review(sent.route_id)
                assert (shown.review.state, shown.output) == (wire.REVIEW_STATE_ANSWERED, sent.output)
                with pytest.raises(HomebredError, match="does not hold"):
                    client.resolve_review(sent.route_id, sent.claim_id, output="another answer")
        self.sent = []

    def _run(self, site: Site, number: int) -> None:
        try:
            with DaemonClient(site.socket) as client:
                while self._answers_one(client, number):
                    pass
        except BaseException as failure:  # noqa: BLE001  # raised again where the test looks
            self.failures.append(failure)

    def _answers_one(self, client: DaemonClient, number: int) -> bool:
        """Whether the daemon is still there."""
        try:
            claim = client.claim_review()
            sent = Sent(claim.review.route_id, claim.claim_id, f"answer of {number} to {claim.review.route_id}")
            self.sent.append(sent)
            client.resolve_review(sent.route_id, sent.claim_id, output=sent.output)
            sent.is_taken = True
        except HomebredError as error:
            if error.code == "daemon_unreachable":
                return False
            if error.code not in NOTHING_WAITS:
                raise
            time.sleep(PAUSE_S)
        return True
