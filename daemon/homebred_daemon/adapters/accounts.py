"""Resolves users and groups that settings name to the numbers that the kernel knows. Only it asks pwd and grp."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from homebred_daemon.core.access import AccessRules
from homebred_daemon.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What [access] says, in numbers."""

    rules: AccessRules
    socket_gid: int | None
    """The group that may open the socket; None: no group may."""


def resolve_access(*, group: str, operators: str, reviewers: str) -> Access:
    """The access rules of these settings.

    Raises:
        ConfigurationError: this machine knows no such user or group.
    """
    gid = group_id(group, setting="access.group") if group else None
    rules = AccessRules(
        own_uid=os.geteuid(),
        callers=frozenset() if gid is None else frozenset({f"gid:{gid}"}),
        operators=_principals(operators, setting="access.operators"),
        reviewers=_principals(reviewers, setting="access.reviewers"),
    )
    return Access(rules=rules, socket_gid=gid)


def _principals(text: str, *, setting: str) -> frozenset[str]:
    return frozenset(_principal(word, setting) for word in text.split())


def _principal(word: str, setting: str) -> str:
    kind, _, name = word.partition(":")
    match kind:
        case "user":
            return f"uid:{_uid(name, setting)}"
        case "group":
            return f"gid:{group_id(name, setting)}"
        case _:
            return f"{kind}:{int(name)}"  # the settings admit nothing else; the kernel's numbers have no leading zeros


def _uid(name: str, setting: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise _unknown("user", name, setting) from None


def group_id(name: str, setting: str) -> int:
    """The number of a group, which the setting names or numbers.

    Raises:
        ConfigurationError: this machine knows no such group.
    """
    if name.isdecimal():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise _unknown("group", name, setting) from None


def _unknown(kind: str, name: str, setting: str) -> ConfigurationError:
    return ConfigurationError(
        f"{setting} names the {kind} {name!r}, which this machine does not know",
        hint=f"create it, correct the name, or write its number; `getent {'passwd' if kind == 'user' else 'group'}`"
        " lists those there are",
    )
