"""The rules of a repository of signed metadata: lives, warnings, numbers that rise, what a target may be. Pure.

Who signs is `keyholders`'; nothing here knows how metadata is written or signed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from homebred_fleet.core.lifetimes import DAY_S
from homebred_fleet.core.site_documents import problems_of
from homebred_fleet.errors import ConflictError, RequestError
from homebred_protocol.ids import is_site
from homebred_protocol.targets import MAX_TARGET_BYTES, MAX_TARGETS, Kind, Target, read_target

ROOT: Final = "root"
TARGETS: Final = "targets"
SNAPSHOT: Final = "snapshot"
TIMESTAMP: Final = "timestamp"
TOP_ROLES: Final = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
DELEGATED_ROLES: Final = ("policies", "gazetteers", "runtime")
"""Besides one for each family of models."""

MAX_METADATA_BYTES: Final = 512 * 1024
"""Of one role: what a device takes in one answer over MQTT."""
MAX_FAMILIES: Final = 200
"""Devices follow 256 roles."""
MAX_LINES: Final = 2000
"""Of one role: the numbers of lines are kept for ever, so that none can ever fall."""

_LIFE_S: Final[Mapping[str, int]] = {SNAPSHOT: 90 * DAY_S, TIMESTAMP: 30 * DAY_S}
_LONG_LIFE_S: Final = 365 * DAY_S


def life_s(role: str) -> int:
    """How long a role's metadata holds from when it is prepared."""
    return _LIFE_S.get(role, _LONG_LIFE_S)


class Freshness(StrEnum):
    """How near the end of its life some metadata is."""

    GOOD = "good"
    ENDING = "ending"
    """The last third of its life: renew it at the next occasion."""
    URGENT = "urgent"
    """The last tenth."""
    EXPIRED = "expired"
    """No device takes anything new under it; what runs goes on (I1)."""


def freshness(role: str, expires_at_s: int, now_s: int) -> Freshness:
    """How near its end a role's metadata is."""
    left_s, life = expires_at_s - now_s, life_s(role)
    if left_s <= 0:
        return Freshness.EXPIRED
    if left_s * 10 <= life:
        return Freshness.URGENT
    return Freshness.ENDING if left_s * 3 <= life else Freshness.GOOD


def next_version(published: int | None) -> int:
    """Of what is prepared: one above what was published, so that no two that were published ever share one."""
    return (published or 0) + 1


def target_at(path: str) -> Target:
    """The target that a path names. Raises RequestError."""
    found = read_target(path)
    if found is None:
        raise RequestError(
            f"{path!r} names no target",
            hint="write models/FAMILY/NAME/NUMBER.json, runtime/FAMILY/NAME/NUMBER.json, policies/SITE/NAME/NUMBER.toml"
            " or gazetteers/SITE/NAME/NUMBER.toml, in lower case",
        )
    return found


def custom_of(target: Target, site: str) -> dict[str, Any]:
    """What is signed beside a target's digest: what it is, for which site alone (empty: any), its number.

    Raises:
        RequestError: the site cannot be one, or is not the one that the path names.
    """
    if site and not is_site(site):
        raise RequestError(f"{site!r} is no site's name", hint="write small letters, digits and hyphens")
    if target.kind.is_for_a_site and site not in {"", target.group}:
        raise RequestError(
            f"{target.path} is for the site {target.group}, not for {site}", hint="leave --site out, or correct --path"
        )
    bound = target.group if target.kind.is_for_a_site else site
    return {"kind": target.kind.name.lower(), "site": bound, "number": target.number}


def check_addition(target: Target, body: bytes, *, held: int, floor: int) -> None:
    """Whether a target may join its role.

    Args:
        target: What it is to be called.
        body: Its bytes.
        held: How many targets the role has.
        floor: The highest number that its line ever had; 0: none.

    Raises:
        ConflictError: its number does not rise (I2), or the role is full.
        RequestError: it is empty, too long, or is not what its name says.
    """
    if target.number <= floor:
        raise ConflictError(
            f"{target.line} had the number {floor} already, and {target.number} is not above it",
            hint=f"number it {floor + 1}: devices take nothing that is not above what they have",
        )
    if held >= MAX_TARGETS:
        raise ConflictError(
            f"its role holds {held} targets, and devices take at most {MAX_TARGETS}",
            hint="remove what no device is to take up any more: `homebred-fleet repository remove`",
        )
    if not 0 < len(body) <= MAX_TARGET_BYTES:
        raise RequestError(
            f"a target has from 1 to {MAX_TARGET_BYTES:,} bytes, and this has {len(body):,}",
            hint="a target names its files by digest; they do not belong into it",
        )
    if target.kind is Kind.RELEASE and (problem := _manifest_problem(target, body)):
        raise RequestError(f"this is no manifest of {target.path}: {problem}", hint="correct --path, or the file")
    if problems := problems_of(target.kind, body):
        raise RequestError(
            f"no device would take this as {target.path}: {'; '.join(problems)}", hint="correct the file"
        )


def site_of(target: Target, body: bytes, site: str) -> str:
    """The one site that a target is signed for, where somebody named one or none; empty: no single one.

    A manifest that names its only site is signed for that. One that names several is signed for none of them alone:
    a device reads them in the manifest, which the same keys have signed.

    Raises:
        RequestError: the manifest binds it to other sites.
    """
    sites = json.loads(body).get("sites", []) if target.kind is Kind.RELEASE else []
    if site and sites and site not in sites:
        raise RequestError(
            f"its manifest binds it to {', '.join(sites)}, and not to {site}",
            hint="name one of them, or leave --site out",
        )
    return sites[0] if not site and len(sites) == 1 else site


def raised(floors: Mapping[str, int], targets: Iterable[Target]) -> dict[str, int]:
    """The highest number that each line ever had."""
    highest = dict(floors)
    for target in targets:
        highest[target.line] = max(target.number, highest.get(target.line, 0))
    return dict(sorted(highest.items()))


def _manifest_problem(target: Target, body: bytes) -> str:
    """What devices would refuse at once: the manifest names itself, and must be the one that was meant."""
    try:
        manifest = json.loads(body, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        return f"it is no JSON without fractions ({error})"
    if not isinstance(manifest, dict):
        return "it is no JSON object"
    expected = {"kind": "release", "family": target.group, "id": target.name, "number": target.number}
    wrong = [
        f"`{key}` is {manifest.get(key)!r}, not {value!r}"
        for key, value in expected.items()
        if manifest.get(key) != value
    ]
    sites = manifest.get("sites", [])
    if not isinstance(sites, list) or not all(isinstance(site, str) and is_site(site) for site in sites):
        wrong.append("`sites` are no names of sites")
    return "; ".join(wrong)


def _no_float(text: str) -> float:
    raise ValueError(f"{text} is a fraction")
