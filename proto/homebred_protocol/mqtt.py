"""What an MQTT 5 connection is told and tells, as values; `mqtt_thread` makes it real, a fake needs no broker.

Only QoS 1 is spoken; what comes at QoS 0 is dropped. A broker that sends at QoS 2, larger packets than it was told, or
far more at once than the receive maximum, loses the connection before that costs memory. A connection that ended is not
taken up again by itself: whoever owns it decides when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Credentials:
    """Files in PEM with which the two ends know each other."""

    authorities: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Endpoint:
    """Where a broker is."""

    host: str
    port: int
    credentials: Credentials | None
    """None: no TLS, for tests on loopback alone."""


@dataclass(frozen=True)
class Will:
    """What the broker says in this client's place when it is lost."""

    topic: str
    payload: bytes
    delay_s: int
    """How long it waits for the client to come back before it says so (MQTT 5 §3.1.3.2.2)."""


@dataclass(frozen=True)
class SessionTerms:
    """How a client introduces itself."""

    client_id: str
    clean_start: bool
    session_expiry_s: int
    keepalive_s: int
    receive_maximum: int
    """Messages that may be on their way to it, not yet acknowledged by it: its back-pressure."""
    will: Will | None = None
    max_packet_bytes: int = 1_048_576


@dataclass(frozen=True)
class Connected:
    """The broker took the connection."""

    session_present: bool


@dataclass(frozen=True)
class Ended:
    """There is no connection: it was refused, lost, or closed here."""

    reason: str
    """A stable word: `refused`, `unauthorised`, `unreachable`, `tls`, `lost`, `taken_over`, `closed`."""
    detail: str = ""


@dataclass(frozen=True)
class Arrived:
    """A message came."""

    topic: str
    payload: bytes
    retained: bool
    receipt: int
    """For `acknowledge`."""


@dataclass(frozen=True)
class Delivered:
    """The broker acknowledged a publication (PUBACK): it was taken, which does not mean that it is kept."""

    token: int
    ok: bool
    """False: the broker refused it (its access rules, a quota), or it was never sent."""
    heard: bool = True
    """False: the broker says that nobody subscribes to it, so that it went nowhere (MQTT 5 §3.4.2.1, reason 0x10)."""


Happening = Connected | Ended | Arrived | Delivered


class MqttConnection(Protocol):
    """A client of one broker. Every method returns at once, from any thread; what follows is handed over."""

    def connect(self, terms: SessionTerms) -> None:
        """Begins a connection: `Connected` or `Ended` follows."""
        ...

    def subscribe(self, topics: tuple[str, ...]) -> None:
        """Asks for topics. Where the broker does not grant each of them, `Ended` follows."""
        ...

    def publish(self, topic: str, payload: bytes, *, token: int, retain: bool = False, expiry_s: int = 0) -> None:
        """Publishes at QoS 1; `Delivered` follows, or `Ended` where the connection ends first: then nobody knows.

        Without a connection, or with too many on their way already, it is not sent at all: `Delivered` with `ok` false.
        """
        ...

    def acknowledge(self, receipt: int) -> None:
        """Tells the broker that a message was dealt with: not before what follows from it is on the disk."""
        ...

    def disconnect(self, *, with_will: bool = False) -> None:
        """Ends the connection in good order; the will is said only where it is wanted. `Ended` follows."""
        ...

    def close(self) -> None:
        """Ends thread and connection; nothing is handed over afterwards."""
        ...


HandOver = Callable[[Happening], None]
"""Called on the connection's thread: the one place where another thread meets the owner's loop."""
