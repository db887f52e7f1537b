"""What may be done to a repository, each as one change in memory: whatever follows from it, `Contents.settle` draws.

It reads and writes no file. Who may do it is decided by keys alone: nothing of this is published before it is signed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import DelegatedRole, Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from homebred_fleet.adapters.tuf_repository.contents import Contents
from homebred_fleet.adapters.tuf_repository.keys import holder_of
from homebred_fleet.adapters.tuf_repository.metadata import (
    NUMBERS_FIELD,
    REPOSITORY_FIELD,
    AnyMetadata,
    keys_of,
    moment,
    no_delegations,
    numbers_of,
    quorum_of,
    set_quorum,
)
from homebred_fleet.core import keyholders, repository_rules
from homebred_fleet.core.keyholders import Holder, Purpose, Quorum
from homebred_fleet.core.repository_rules import (
    DELEGATED_ROLES,
    MAX_FAMILIES,
    MAX_LINES,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    TOP_ROLES,
    life_s,
    target_at,
)
from homebred_fleet.errors import ConflictError, NotFoundError, RequestError
from homebred_protocol.targets import Kind, pattern_of, read_target, role_of

ONLINE = "online"
"""The director's targets, snapshot and timestamp together: the controller's one key signs them all."""
_ONLINE_ROLES = (TARGETS, SNAPSHOT, TIMESTAMP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """The keys of a role, as somebody names them."""

    keys: tuple[Key, ...]
    threshold: int = 1

    def quorum(self, role: str) -> Quorum:
        """The same, checked. Raises RequestError."""
        return keyholders.quorum(role, map(holder_of, self.keys), self.threshold)


def founded(purpose: Purpose, signing: Mapping[str, Signing], now_s: int) -> Contents:
    """A new repository, all of it to be signed yet.

    Raises:
        RequestError: a role has no keys, or not as many as must sign.
    """
    root = Root(version=1, expires=moment(now_s + life_s(ROOT)), consistent_snapshot=True)
    root.unrecognized_fields[REPOSITORY_FIELD] = purpose.value
    for role in TOP_ROLES:
        named = signing[role]
        set_quorum(root, role, named.quorum(role), {key.keyid: key for key in named.keys})
    prepared: dict[str, AnyMetadata] = {ROOT: Metadata(root)}
    if purpose is Purpose.IMAGE:
        prepared[TARGETS] = Metadata(Targets(1, None, moment(now_s + life_s(TARGETS)), {}, no_delegations()))
        prepared[SNAPSHOT] = Metadata(Snapshot(1, None, moment(now_s + life_s(SNAPSHOT))))
        prepared[TIMESTAMP] = Metadata(Timestamp(1, None, moment(now_s + life_s(TIMESTAMP))))
    return Contents({}, prepared)


def delegate(contents: Contents, kind: Kind, family: str, signing: Signing, now_s: int) -> str:
    """Lets keys of their own sign for one kind of target, or one family of models; the role's name.

    Raises:
        ConflictError: it is delegated already.
        RequestError: the family cannot be called so, or its keys cannot sign.
    """
    _must_be_image(contents)
    role = role_of(kind, family)
    example = f"{kind.value}/{family or 'all'}/x/1.{kind.ending}"
    if kind is Kind.RELEASE and (not family or read_target(example) is None):
        raise RequestError(f"{family!r} is no family's name", hint="write small letters, digits and hyphens")
    if role in contents.roles:
        raise ConflictError(f"{role} is delegated already", hint=f"change its keys: `repository rotate FOLDER {role}`")
    if len(contents.roles) >= MAX_FAMILIES:
        raise ConflictError(f"there are {len(contents.roles)} roles, and devices follow no more", hint="join families")
    quorum = signing.quorum(role)
    targets = contents.prepare(TARGETS, now_s).signed
    if targets.delegations is None:
        targets.delegations = no_delegations()
    patterns = [pattern_of(kind, family)]
    targets.delegations.roles[role] = DelegatedRole(role, [], 1, terminating=True, paths=patterns)
    set_quorum(targets, role, quorum, {key.keyid: key for key in signing.keys})
    contents.prepared[role] = Metadata(Targets(1, None, moment(now_s + life_s(role)), {}))
    return role


def add_target(contents: Contents, path: str, body: bytes, site: str, now_s: int) -> TargetFile:
    """Lets a target join its role.

    Raises:
        RequestError: it is not what its path says, or what a device would take.
        ConflictError: its number does not rise, or its role is full.
        NotFoundError: nobody may sign for such a target yet.
    """
    _must_be_image(contents)
    target = target_at(path)
    role = role_of(target.kind, target.group)
    if role not in contents.roles:
        flag = f"--family {target.group}" if target.kind is Kind.RELEASE else f"--{target.kind.value}"
        raise NotFoundError(f"nobody signs for {role} yet", hint=f"`repository delegate FOLDER {flag} --key KEY.pub`")
    held: Targets = contents.must(role).signed
    floors = numbers_of(held)
    repository_rules.check_addition(target, body, held=len(held.targets), floor=floors.get(target.line, 0))
    custom = repository_rules.custom_of(target, repository_rules.site_of(target, body, site))
    if target.line not in floors and len(floors) >= MAX_LINES:
        raise ConflictError(f"{role} has had {MAX_LINES} lines of targets", hint="begin another family of models")
    file = TargetFile.from_data(path, body, ["sha256"])
    file.unrecognized_fields["custom"] = custom
    signed = contents.prepare(role, now_s).signed
    signed.targets[path] = file
    signed.unrecognized_fields[NUMBERS_FIELD] = repository_rules.raised(floors, [target])
    return file


def remove_target(contents: Contents, path: str, now_s: int) -> None:
    """Takes a target back: no device takes it up any more. Its number is not given again.

    Raises:
        NotFoundError: there is no such target.
        RequestError: no target can be called so.
    """
    _must_be_image(contents)
    target = target_at(path)
    role = role_of(target.kind, target.group)
    if role not in contents.roles or path not in contents.must(role).signed.targets:
        raise NotFoundError(f"there is no target {path}", hint="see `homebred-fleet repository list`")
    del contents.prepare(role, now_s).signed.targets[path]


def rotate(
    contents: Contents,
    role: str,
    *,
    add: Sequence[Key] = (),
    drop: Sequence[str] = (),
    threshold: int | None = None,
    now_s: int,
) -> tuple[str, ...]:
    """Changes who signs a role; the roles that this is.

    Raises:
        NotFoundError: there is no such role, or nobody called so signs it.
        RequestError, ConflictError: see `keyholders.rotated`.
    """
    roles = _rotating(contents, role)
    for one in roles:
        old = contents.quorums(one)[-1]
        new = keyholders.rotated(one, old, add=map(holder_of, add), drop=drop, threshold=threshold)
        _set(contents, one, new, {key.keyid: key for key in add}, now_s)
    return roles


def revoke(contents: Contents, word: str, replacement: Key | None, now_s: int) -> tuple[str, ...]:
    """Drops a key wherever it signs, putting another in its place where one is given; the roles that it signed.

    Raises:
        NotFoundError: nobody is called so.
        ConflictError: too few would be left somewhere; nothing is changed then.
    """
    every = {holder for role in _all_roles(contents) for holder in contents.quorums(role)[-1].holders}
    holder = keyholders.named(word, sorted(every, key=lambda one: one.key_id))
    having = [role for role in _all_roles(contents) if holder in contents.quorums(role)[-1].holders]
    planned = {role: _without(contents.quorums(role)[-1], holder, replacement) for role in having}
    short = [role for role, quorum in planned.items() if quorum.threshold > len(quorum.holders)]
    if short:
        raise ConflictError(
            f"without {holder.text} too few could sign {', '.join(short)}",
            hint="name a key that takes its place: --replace-with KEY.pub",
        )
    keys = {replacement.keyid: replacement} if replacement is not None else {}
    for role, quorum in planned.items():
        _set(contents, role, quorum, keys, now_s)
    return tuple(having)


def renew(contents: Contents, roles: Iterable[str], now_s: int) -> None:
    """Prepares roles anew as they are, with their whole life before them. Raises NotFoundError."""
    for role in roles:
        if role not in contents.roles:
            raise NotFoundError(f"there is no role {role!r}", hint=f"name one of {', '.join(contents.roles)}")
        contents.prepare(role, now_s)


def sign(contents: Contents, signer: CryptoSigner) -> tuple[str, ...]:
    """Adds one key's signature to all that waits for it; the roles that it signed.

    Raises:
        NotFoundError: the key signs nothing here.
    """
    key_id = signer.public_key.keyid
    if not any(holds(contents, role, key_id) for role in contents.roles):
        raise NotFoundError(f"the key {key_id[:8]} signs nothing here", hint="see `homebred-fleet repository status`")
    signed = []
    for role in contents.roles:
        metadata = contents.prepared.get(role)
        if metadata is not None and holds(contents, role, key_id) and key_id not in contents.signed(role):
            metadata.sign(signer, append=True)
            signed.append(role)
    return tuple(signed)


def holds(contents: Contents, role: str, key_id: str) -> bool:
    """Whether a key is one of those that may sign a role."""
    return any(key_id == one.key_id for quorum in contents.quorums(role) for one in quorum.holders)


def _set(contents: Contents, role: str, quorum: Quorum, keys: Mapping[str, Key], now_s: int) -> None:
    above = ROOT if role in TOP_ROLES else TARGETS
    delegator = contents.prepare(above, now_s).signed
    set_quorum(delegator, role, quorum, {**keys_of(delegator), **keys})


def _without(quorum: Quorum, holder: Holder, replacement: Key | None) -> Quorum:
    left = [one for one in quorum.holders if one != holder]
    if replacement is not None and replacement.keyid not in {one.key_id for one in left}:
        left.append(holder_of(replacement))
    return Quorum(holders=tuple(left), threshold=quorum.threshold)


def _rotating(contents: Contents, role: str) -> tuple[str, ...]:
    is_director = contents.purpose is Purpose.DIRECTOR
    known: Collection[str] = (ROOT, ONLINE) if is_director else contents.roles
    if role not in known:
        hint = f"name one of {', '.join(known)}"
        if role in DELEGATED_ROLES or role.startswith("models-"):
            hint += "; or delegate it first: `homebred-fleet repository delegate`"
        raise NotFoundError(f"there is no role {role!r} here", hint=hint)
    return _ONLINE_ROLES if role == ONLINE else (role,)


def _all_roles(contents: Contents) -> tuple[str, ...]:
    return TOP_ROLES if contents.purpose is Purpose.DIRECTOR else contents.roles


def _must_be_image(contents: Contents) -> None:
    if contents.purpose is not Purpose.IMAGE:
        raise RequestError(
            "this is the director's folder, which holds its root alone", hint="name the image repository's folder"
        )


def quorum_now(contents: Contents, role: str) -> Quorum:
    """Who signs a role from now on; also of those that the controller signs."""
    return quorum_of(contents.delegator(role), role)
