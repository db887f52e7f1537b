"""Single pieces of TUF metadata: read, copied, who must sign them and who did. It knows no folder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tuf.api.metadata import Delegations, Key, Metadata, Role, Root, Targets
from tuf.api.serialization import DeserializationError, SerializationError

from homebred_fleet.adapters.tuf_repository.keys import holder_of, is_named_by_its_bytes
from homebred_fleet.core.keyholders import Purpose, Quorum, quorum
from homebred_fleet.core.repository_rules import TARGETS, TOP_ROLES, life_s
from homebred_fleet.errors import RequestError, StateError

AnyMetadata = Metadata[Any]
_BACKUP: Final = "restore the folder from a backup"
REPOSITORY_FIELD: Final = "x-homebred-repository"
"""In root: of which repository it is the root, so that neither can be served as the other's."""
NUMBERS_FIELD: Final = "x-homebred-numbers"
"""In a delegated role: the highest number that each line of targets ever had."""
DEVICE_FIELD: Final = "x-homebred-device"
"""In all that the director signs: for whom."""


def parsed(body: bytes, role: str, what: str) -> AnyMetadata:
    """A role's metadata from its bytes; nobody's signature is looked at. Raises StateError: it is none."""
    try:
        metadata: AnyMetadata = Metadata.from_bytes(body)
    except DeserializationError as error:
        raise StateError(f"{what} is no metadata: {error}", hint=_BACKUP) from error
    if metadata.signed.type != (role if role in TOP_ROLES else TARGETS):
        raise StateError(f"{what} is metadata of the type {metadata.signed.type}", hint=_BACKUP)
    if problem := _unsound(metadata):
        raise StateError(f"{what} is no sound metadata: {problem}", hint=_BACKUP)
    return metadata


def copy_of(metadata: AnyMetadata) -> AnyMetadata:
    """Another piece with the same content."""
    return Metadata.from_bytes(metadata.to_bytes())


def body_of(metadata: AnyMetadata) -> bytes:
    """Its bytes as they are published: the same for the same content. Raises StateError: it cannot be signed."""
    try:
        _ = metadata.signed_bytes  # no fractions, no other types
        return metadata.to_bytes()
    except SerializationError as error:
        raise StateError(f"a piece of {metadata.signed.type} cannot be written: {error.__cause__}") from error


def moment(at_s: int) -> datetime:
    """A time as metadata has it."""
    return datetime.fromtimestamp(at_s, UTC)


def expires_at_s(metadata: AnyMetadata) -> int:
    """When it expires."""
    return int(metadata.signed.expires.timestamp())


def renew(metadata: AnyMetadata, role: str, now_s: int) -> None:
    """Gives a piece that is being prepared its whole life, and takes all signatures away."""
    metadata.signatures.clear()
    metadata.signed.expires = moment(now_s + life_s(role))


def quorum_of(delegator: Root | Targets, role: str) -> Quorum:
    """Who must sign a role."""
    entry = delegator.get_delegated_role(role)
    holders = tuple(holder_of(delegator.get_key(key_id)) for key_id in entry.keyids)
    return Quorum(holders=holders, threshold=entry.threshold)


def signers_of(delegator: Root | Targets, role: str, metadata: AnyMetadata) -> frozenset[str]:
    """Whose signatures on a piece hold, of those who may sign it: ids of keys."""
    result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    return frozenset(result.signed)


def keys_of(delegator: Root | Targets) -> dict[str, Key]:
    """All keys that it names."""
    if isinstance(delegator, Root):
        return delegator.keys
    return delegator.delegations.keys if delegator.delegations is not None else {}


def delegated_roles(targets: Targets) -> tuple[str, ...]:
    """To whom targets delegates, in its order."""
    return tuple((targets.delegations.roles or {}) if targets.delegations is not None else ())


def set_quorum(delegator: Root | Targets, role: str, new: Quorum, keys: Mapping[str, Key]) -> None:
    """Says who must sign a role from now on; keys that nobody needs any more go."""
    entry: Role = delegator.get_delegated_role(role)
    entry.keyids[:] = [one.key_id for one in new.holders]
    entry.threshold = new.threshold
    held = keys_of(delegator)
    held.update({key_id: keys[key_id] for key_id in entry.keyids if key_id not in held})
    used = {key_id for one in _entries(delegator) for key_id in one.keyids}
    for key_id in held.keys() - used:
        del held[key_id]


def purpose_of(root: AnyMetadata) -> Purpose:
    """Of which repository it is the root. Raises StateError: of none of ours."""
    found = root.signed.unrecognized_fields.get(REPOSITORY_FIELD)
    if found not in (Purpose.IMAGE.value, Purpose.DIRECTOR.value):  # it may be of any type
        raise StateError(
            f"a root says {found!r} where `image` or `director` belongs",
            hint="name a folder that `homebred-fleet repository init` or `homebred-fleet director init` made",
        )
    return Purpose(found)


def numbers_of(targets: Targets) -> dict[str, int]:
    """The highest number of each line, as its role has signed it."""
    found = targets.unrecognized_fields.get(NUMBERS_FIELD, {})
    return (
        {line: number for line, number in found.items() if isinstance(number, int)} if isinstance(found, dict) else {}
    )


def no_delegations() -> Delegations:
    """Of targets that delegate to nobody yet."""
    return Delegations(keys={}, roles={})


def _unsound(metadata: AnyMetadata) -> str:
    """What python-tuf reads and nobody may sign or believe, such as fractions; empty: nothing."""
    signed = metadata.signed
    if type(signed.version) is not int:
        return "its version is no number"
    try:
        _ = metadata.signed_bytes
        if isinstance(signed, (Root, Targets)):
            wrong = [key.keyid for key in keys_of(signed).values() if not is_named_by_its_bytes(key)]
            if wrong:
                return f"the key {wrong[0]!r} is not called by its own digest"
            for role in (*TOP_ROLES,) if isinstance(signed, Root) else delegated_roles(signed):
                quorum(role, quorum_of(signed, role).holders, quorum_of(signed, role).threshold)
    except (SerializationError, RequestError, ValueError, TypeError) as error:
        return str(error) or f"it cannot be written ({error.__cause__})"
    return ""


def _entries(delegator: Root | Targets) -> list[Role]:
    if isinstance(delegator, Root):
        return list(delegator.roles.values())
    return list((delegator.delegations.roles or {}).values()) if delegator.delegations is not None else []
