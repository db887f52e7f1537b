"""What a piece of metadata says, for the person who is to sign it. It looks at no signature."""

from __future__ import annotations

from collections.abc import Iterator

from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from homebred_fleet.adapters.tuf_repository.metadata import AnyMetadata, delegated_roles, purpose_of, quorum_of
from homebred_fleet.core.keyholders import Quorum
from homebred_fleet.core.repository_rules import TOP_ROLES


def said(role: str, metadata: AnyMetadata, before: AnyMetadata | None) -> list[str]:
    """Sentences: all of what a root and its delegations say, and what else is new against what is published."""
    signed = metadata.signed
    lines = [f"{role} {signed.version}, until {signed.expires:%Y-%m-%d}"]
    match signed:
        case Root():
            lines[0] = f"{lines[0]}, of the repository {purpose_of(metadata)}"
            lines += _signers(signed, before.signed if before else None, TOP_ROLES)
        case Targets():
            lines += _signers(signed, before.signed if before else None, delegated_roles(signed))
            lines += _targets(signed, before.signed if before else None)
        case Snapshot():
            lines += [f"  {name.removesuffix('.json')} {meta.version}" for name, meta in sorted(signed.meta.items())]
        case Timestamp():
            lines.append(f"  snapshot {signed.snapshot_meta.version}")
        case _:
            lines.append("  of no kind that is known here")
    return lines


def _signers(signed: Root | Targets, before: Root | Targets | None, roles: tuple[str, ...]) -> Iterator[str]:
    for role in roles:
        now, was = quorum_of(signed, role), _was(before, role)
        who = ", ".join(one.compared for one in now.holders)
        yield f"  {role}: {now.threshold} of {len(now.holders)} sign: {who}{_difference(now, was)}"


def _was(before: Root | Targets | None, role: str) -> Quorum | None:
    try:
        return None if before is None else quorum_of(before, role)
    except ValueError:  # it was not delegated yet
        return None


def _difference(now: Quorum, was: Quorum | None) -> str:
    if was is None:
        return "  [new]"
    parts = [f"+ {one.compared}" for one in now.holders if one not in was.holders]
    parts += [f"- {one.compared}" for one in was.holders if one not in now.holders]
    if now.threshold != was.threshold:
        parts.append(f"{was.threshold} had to sign")
    return f"  [{'; '.join(parts)}]" if parts else ""


def _targets(signed: Targets, before: Targets | None) -> Iterator[str]:
    old = before.targets if before is not None else {}
    for path, file in signed.targets.items():
        if path not in old or old[path].hashes != file.hashes:
            custom = file.custom if isinstance(file.custom, dict) else {}
            where = f"for {custom['site']} alone" if custom.get("site") else "for any site"
            yield f"  + {path} {where}, {file.length} bytes, sha256:{file.hashes.get('sha256', '?')}"
    yield from (f"  - {path}" for path in old if path not in signed.targets)
