"""What may be signed for devices, by name: the targets of the image repository and of the director.

    models/<family>/<name>/<number>.json        a release's manifest: role `models-<family>`
    policies/<site>/<name>/<number>.toml        a policy, for one site alone: role `policies`
    gazetteers/<site>/<name>/<number>.toml      a gazetteer, likewise
    runtime/<family>/<name>/<number>.json       software below the models: role `runtime`

A target is small, and names all else by digest. Numbers rise: what a device has taken up under a name is a floor for
what it takes next (I2). Nothing here reads or signs anything.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from homebred_protocol.ids import SITE

MAX_NUMBER = 2**53 - 1
"""Every reader of JSON keeps it whole."""
MAX_TARGET_BYTES = 1024 * 1024
MAX_TARGETS = 200
"""Of one role: a device reads and checks all of a role's targets at once (10,000 cost 0.6 s at every look)."""

_NAME = r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?"
_FAMILY = r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"
_PATH = re.compile(
    rf"(?P<kind>models|policies|gazetteers|runtime)/(?P<group>{_FAMILY})/(?P<name>{_NAME})/(?P<number>[1-9][0-9]{{0,15}})"
    r"\.(?P<ending>json|toml)"
)


class Kind(enum.Enum):
    """What a target is; the value is the first level of its path."""

    RELEASE = "models"
    POLICY = "policies"
    GAZETTEER = "gazetteers"
    RUNTIME = "runtime"

    @property
    def is_for_a_site(self) -> bool:
        """Whether its group is a site's name."""
        return self in {Kind.POLICY, Kind.GAZETTEER}

    @property
    def ending(self) -> str:
        """Of its files' names."""
        return "toml" if self.is_for_a_site else "json"


@dataclass(frozen=True)
class Target:
    """One target's name."""

    kind: Kind
    group: str
    """A model family, or a site."""
    name: str
    """A specialist's id, or what the policy is called."""
    number: int
    """From 1; the higher is the newer."""

    @property
    def path(self) -> str:
        """As metadata names it."""
        return f"{self.kind.value}/{self.group}/{self.name}/{self.number}.{self.kind.ending}"

    @property
    def line(self) -> str:
        """What its numbers count in: the path without the number."""
        return f"{self.kind.value}/{self.group}/{self.name}"


def read_target(path: str) -> Target | None:
    """The target that a path names; None: no path of ours."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    kind = Kind(found["kind"])
    target = Target(kind=kind, group=found["group"], name=found["name"], number=int(found["number"]))
    is_written_so = target.path == path and target.number <= MAX_NUMBER
    return target if is_written_so and (not kind.is_for_a_site or SITE.fullmatch(target.group)) else None


def role_of(kind: Kind, family: str) -> str:
    """The role that signs for a kind of target: no key of one family of models can sign for another."""
    return f"models-{family}" if kind is Kind.RELEASE else kind.value


def pattern_of(kind: Kind, family: str) -> str:
    """The paths that the role may sign for, as a delegation names them."""
    group = family if kind is Kind.RELEASE else "*"
    return f"{kind.value}/{group}/*/*.{kind.ending}"
