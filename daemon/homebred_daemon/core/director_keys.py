"""Which keys may sign stop orders, by the newest root of the director's that this device has verified.

They are those of its role `targets`: the controller's one online key, as a rule. An order has one signature, so that a
root which asks for several lets none through. When a root expires is not asked: a stop must not wait for people to
renew it, and its end lets nothing in whose own metadata has expired. It verifies nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from homebred_daemon.core.pinning import root_name

ROLE = "targets"


def newest_root(pinned: bytes, later: Mapping[str, bytes]) -> bytes:
    """Of the pinned root and those that a look has verified since. Raises ValueError: one is none."""
    return max((pinned, *later.values()), key=lambda body: root_name(body).version)


def director_keys(root: bytes) -> Mapping[str, bytes]:
    """The public Ed25519 keys by their ids; none where several signatures are asked for. Raises ValueError."""
    try:
        said = json.loads(root)["signed"]
        role = said["roles"][ROLE]
        named = {key_id: said["keys"][key_id] for key_id in role["keyids"]}
        if role["threshold"] != 1:
            return MappingProxyType({})
        keys = {key_id: bytes.fromhex(key["keyval"]["public"]) for key_id, key in named.items() if _is_ours(key)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("it is no root of a director's") from error
    return MappingProxyType(keys)


def _is_ours(key: Mapping[str, object]) -> bool:
    return (key["keytype"], key["scheme"]) == ("ed25519", "ed25519")
