"""An identity in memory, and a controller that renews it as a test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.support.manual_clock import ManualClock

from homebred_daemon.errors import HomebredError, StateError
from homebred_daemon.ports.identity import CertificateFacts, Identity, Issued, Membership, PendingKey
from homebred_protocol.digests import digest_of
from homebred_protocol.mqtt import Credentials

DAY_S = 86_400
LIFE_S = 90 * DAY_S
NOWHERE = Path("nowhere")
MEMBERSHIP = Membership(
    device_id="clinic-east-1f2e3d4c",
    site="clinic-east",
    controller_url="https://fleet.example",
    broker_host="fleet.example",
    broker_port=8883,
)


def facts_at(begins_s: int, number: int, life_s: int = LIFE_S) -> CertificateFacts:
    return CertificateFacts(
        serial=f"{number:x}", begins_s=begins_s, ends_s=begins_s + life_s, digest=digest_of(b"%d" % number)
    )


class FakeIdentities:
    """Fulfils `ports.identity.IdentityStore` for one device that is enrolled."""

    def __init__(self, clock: ManualClock) -> None:
        self.held: Identity | None = None
        self.taken = 0
        self.fails: HomebredError | None = None
        self._pending: dict[str, PendingKey] = {}
        self.enrol(facts_at(int(clock.now().timestamp()), 1))

    def enrol(self, facts: CertificateFacts) -> Identity:
        credentials = Credentials(authorities=NOWHERE, certificate=NOWHERE, key=NOWHERE)
        self.taken += 1
        self.held = Identity(
            generation=f"{self.taken:06d}", membership=MEMBERSHIP, certificate=facts, credentials=credentials
        )
        return self.held

    def current(self) -> Identity | None:
        return self.held

    def pending_key(self, purpose: str) -> PendingKey:
        if self.fails is not None:
            raise self.fails
        key = b"key %d" % self.taken
        return self._pending.setdefault(purpose, PendingKey(key_pem=key, path=NOWHERE, request_der=key))

    def take_up(self, pending: PendingKey, issued: Issued, *, follows: Identity | None = None) -> Identity:
        if follows is not None and (self.held is None or self.held.generation != follows.generation):
            raise StateError("replaced meanwhile", hint="restart")
        self._pending.clear()
        assert self.held is not None
        return replace(self.enrol(issued.facts), membership=issued.membership)

    def forget(self) -> bool:
        was, self.held = self.held is not None, None
        return was


class FakeController:
    """Fulfils `ports.identity.ControllerLine`."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.fails: HomebredError | None = None
        self.tried: list[float] = []
        self.requests: list[bytes] = []
        self.heard: Callable[[], None] = lambda: None

    async def renew(self, identity: Identity, pending: PendingKey) -> Issued:
        self.tried.append(self._clock.monotonic_s())
        self.requests.append(pending.request_der)
        self.heard()
        if self.fails is not None:
            raise self.fails
        facts = facts_at(int(self._clock.now().timestamp()), len(self.tried) + 1)
        return Issued(certificates_pem=b"", authorities_pem=b"", facts=facts, membership=identity.membership)

    async def fetch(self, identity: Identity, digest: str, length: int, into: Path) -> Path:
        return into / digest
