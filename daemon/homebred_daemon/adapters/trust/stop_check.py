"""Whether the director has signed a stop order: Ed25519 under the newest root that a look has left on the disk.

The files are those that the child process has verified (`files`), so nothing of The Update Framework is loaded here.
"""

from __future__ import annotations

from homebred_daemon.core.director_keys import director_keys, newest_root
from homebred_daemon.core.fleet_messages import StopOrder
from homebred_daemon.core.pinning import root_name
from homebred_daemon.core.stopping import NOBODY_KNOWS, Checked, Proof
from homebred_daemon.errors import StateError
from homebred_daemon.ports.trust import ROOTS, TrustMemory
from homebred_protocol.stop_orders import to_be_signed


class DirectorsWord:
    """Fulfils `ports.fleet.StopCheck`. From any thread."""

    def __init__(self, memory: TrustMemory) -> None:
        self._memory = memory

    def check(self, order: StopOrder) -> Checked:
        """As the port says."""
        try:
            held = self._memory.held()
            roots = {name: body for name, body in held.director.files.items() if name.startswith(ROOTS)}
            newest = newest_root(held.director.pinned, roots)
            keys = director_keys(newest)
            is_whole = root_name(newest).version >= held.floors.director.root
        except (StateError, ValueError):
            return NOBODY_KNOWS
        if not is_whole:  # the power went while a look was kept, floors first: its root may take a stolen key away
            return NOBODY_KNOWS
        public = keys.get(order.key_id)
        is_signed = public is not None and _has_signed(public, order)
        return Checked(proof=Proof.SIGNED if is_signed else Proof.NOT_SIGNED, director_keys=frozenset(keys))


def _has_signed(public: bytes, order: StopOrder) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  # some megabytes, at the first order alone
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    said = to_be_signed(
        epoch=order.epoch, stopped=order.stopped, issued_at_s=order.issued_at_s, reason_code=order.reason_code
    )
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(order.signature, said)
    except (InvalidSignature, ValueError):
        return False
    return True
