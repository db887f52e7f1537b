"""Whether the fleet's broker answers and takes this device's certificate: one TLS handshake, and not a byte of MQTT."""

from __future__ import annotations

import socket
import ssl
import time

from homebred_daemon.adapters import fleet_tls
from homebred_daemon.errors import ControllerUnreachableError, ControllerUntrustedError, FleetError
from homebred_daemon.ports.identity import Identity

PATIENCE_S = 5.0
SETTLE_S = 0.3
"""TLS 1.3 tells a client after its handshake that its certificate is refused."""


def probe(identity: Identity) -> float:
    """Seconds that it took to be let in.

    Raises:
        ControllerUnreachableError: nobody answers there.
        ControllerUntrustedError: whoever answers is not of the fleet.
        FleetError: the broker refuses this device's certificate.
        StateError: the identity cannot be used.
    """
    membership, context = identity.membership, fleet_tls.of_identity(identity)
    place = f"{membership.broker_host}:{membership.broker_port}"
    started_s = time.monotonic()
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            membership.broker_host, membership.broker_port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as plain:
            plain.settimeout(PATIENCE_S)
            plain.connect(address)
            with context.wrap_socket(plain, server_hostname=membership.broker_host) as secured:
                took_s = time.monotonic() - started_s
                secured.settimeout(SETTLE_S)
                _require_silence(secured, place)
                return took_s
    except ssl.SSLCertVerificationError as error:
        raise ControllerUntrustedError(
            f"the certificate of {place} is not the fleet's: {error.verify_message}"
        ) from None
    except OSError as error:
        raise ControllerUnreachableError(
            f"the broker {place} cannot be reached: {error.strerror or error}",
            hint="check the network, and whether the broker runs there",
        ) from None


def _require_silence(secured: ssl.SSLSocket, place: str) -> None:
    """A broker that takes the certificate waits for MQTT's first packet."""
    try:
        said = secured.recv(1)
    except TimeoutError:
        return
    except OSError:
        said = b""
    if not said:
        raise FleetError(
            f"the broker {place} does not take this device's certificate",
            hint="see whether it was revoked; enrol it again with a new token: homebred enroll URL --replace",
        )
