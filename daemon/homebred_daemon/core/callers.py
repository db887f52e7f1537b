"""What the policy's caller profiles say of one caller, all that match it merged.

Who the caller is was attested before; nothing here authenticates.
"""

from __future__ import annotations

from dataclasses import dataclass

from homebred_protocol.documents.policy import CallerProfile, Policy

TOKEN_PREFIX = "token:"  # noqa: S105  # a principal's prefix, not a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The merged profile: classes by union, permission by AND, workflows by intersection."""

    adds_classes: frozenset[str] = frozenset()
    may_escalate: bool = True
    workflows: frozenset[str] | None = None
    """None: all."""

    def allows_workflow(self, workflow: str | None) -> bool:
        """Whether the caller may use the workflow; a task without one needs an unlimited caller."""
        return self.workflows is None or workflow in self.workflows


ANYONE = Rights()


def rights_of(principals: tuple[str, ...], policy: Policy) -> Rights:
    """The rights of a caller known by these principals (`uid:…`, `gid:…`, `token:…`)."""
    rights = ANYONE
    for principal in principals:
        rights = _merged(rights, principal, policy.callers.get(principal))
    return rights


def _merged(rights: Rights, principal: str, profile: CallerProfile | None) -> Rights:
    by_default = not principal.startswith(TOKEN_PREFIX)
    if profile is None:
        return rights if by_default else _narrowed(rights, may_escalate=False)
    may_escalate = by_default if profile.may_escalate is None else profile.may_escalate
    workflows = rights.workflows
    if profile.workflows is not None:
        named = frozenset(profile.workflows)
        workflows = named if workflows is None else workflows & named
    return Rights(
        adds_classes=rights.adds_classes | frozenset(profile.adds_classes),
        may_escalate=rights.may_escalate and may_escalate,
        workflows=workflows,
    )


def _narrowed(rights: Rights, *, may_escalate: bool) -> Rights:
    return Rights(
        adds_classes=rights.adds_classes, may_escalate=rights.may_escalate and may_escalate, workflows=rights.workflows
    )
