"""Whether a release fits this device: its signed constraints against what the device says of itself.

A first no, from words alone, before a byte is fetched, and once more when all bytes are here: an engine may have been
upgraded meanwhile. Whether its recipe can be followed here says whoever builds (`ports.building`); what only the files
tell (whether the base has the adapter's shape, whether it fits into memory) the model store finds when it takes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from homebred_daemon.core.releases import Release
from homebred_protocol.documents.release_values import Constraints


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why something is not done, for a machine and for people."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What a device says of itself, and of one engine."""

    engines: tuple[str, ...]
    """Those that it can start."""
    engine_version: str
    """Of the release's engine: the library that computes; empty: not known."""
    architecture: str
    """Of the processor, such as `aarch64`."""
    gpu_architecture: str
    """Such as `sm_87`; empty: there is none, or it is not known."""
    memory_bytes: int
    """What an engine may take."""


def refusal_of(release: Release, facts: DeviceFacts) -> Refusal | None:
    """Why the release does not fit this device; None: nothing in its constraints speaks against it."""
    wanted = release.constraints
    for code, is_met, sentence in (
        ("engine_missing", wanted.engine in facts.engines, f"it needs the engine {wanted.engine}"),
        (
            "engine_version",
            not wanted.engine_version or _serves(facts.engine_version, wanted.engine_version),
            f"it needs {wanted.engine} {wanted.engine_version}, or newer of that major; here is {facts.engine_version}",
        ),
        (
            "architecture",
            wanted.architecture in {"", facts.architecture},
            f"it was made for {wanted.architecture}; this device is {facts.architecture}",
        ),
        (
            "gpu_architecture",
            wanted.gpu_architecture in {"", facts.gpu_architecture},
            f"it was made for the GPU {wanted.gpu_architecture}; here is {facts.gpu_architecture or 'none'}",
        ),
        (
            "memory",
            wanted.memory_bytes <= facts.memory_bytes,
            f"it needs {wanted.memory_bytes} bytes of memory; an engine may take {facts.memory_bytes} here",
        ),
    ):
        if not is_met:
            return Refusal(code=code, sentence=sentence)
    return None


def refusal_of_base(wanted: Constraints, base_digest: str) -> Refusal | None:
    """Why the base that its files name is not the one that it was made for; None: it is, or it does not say."""
    if wanted.base_digest in {"", base_digest}:
        return None
    return Refusal(code="base_digest", sentence=f"it was made for the base {wanted.base_digest}, not {base_digest}")


def _serves(found: str, wanted: str) -> bool:
    """Whether a version is the wanted one or a newer one with the same first number."""
    have, need = _numbers(found), _numbers(wanted)
    return bool(have) and have[:1] == need[:1] and have >= need


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version; none where it does not begin with one."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
