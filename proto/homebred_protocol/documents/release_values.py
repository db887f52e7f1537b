"""What a release says: the values of its manifest. They check nothing: `release.py` reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from homebred_protocol.documents.specialist import SCORERS
from homebred_protocol.targets import Kind, Target

FRAME_BYTES = 4 * 1024 * 1024
"""Files are cut into pieces of this size, the last one shorter, each with its own digest."""
FORMS = ("file", "folder")
"""What a model or an adapter is on a disk; a folder is named by the digest of its listing (`digests.py`)."""
MAKES = ("base", "adapter")
"""What a recipe may make; the first where a manifest does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    """One file of the specialist's folder."""

    path: str
    """Below the folder, with `/`."""
    length: int
    """In bytes."""
    digest: str
    """`sha256:` of its bytes."""
    frames: tuple[str, ...]
    """SHA-256 of each FRAME_BYTES of it, in hexadecimal; empty for an empty file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseBase:
    """The base model, where the release does not bring it: the device has it already, or cannot take the release."""

    digest: str
    """`sha256:` of the file's bytes, or of the folder's listing."""
    form: str
    """One of FORMS."""
    length: int
    """Bytes of the file, or of all the folder's files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """Where it can run; empty or 0 where it does not say."""

    engine: str
    """The engine that serves it; always said."""
    engine_version: str = ""
    """Of the library that computes: this one, or a newer one with the same first number."""
    architecture: str = ""
    """Of the processor, such as `aarch64`."""
    gpu_architecture: str = ""
    """Such as `sm_87`."""
    memory_bytes: int = 0
    """What the engine must be allowed to take."""
    base_digest: str = ""
    """`sha256:` of the base model that it was made for."""
    tokenizer_digest: str = ""
    """`sha256:` of the tokenizer that it was made for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenDemand:
    """What it must reach on one workflow's golden set, on each device."""

    workflow: str
    path: str
    """The golden set: one of the files."""
    scorer: str = SCORERS[0]
    """One of SCORERS."""
    minimum_ppm: int
    """Score, in millionths."""
    maximum_p95_ms: int = 0
    """95th percentile of a row's time, in milliseconds; 0: no bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """How it is compared with what serves, on a device's own tasks, before it may serve there."""

    outcomes: int
    """Tasks that both answer; then it is decided."""
    longest_s: int
    """After so many seconds it is decided on those that there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What it must show on a device before it may serve there."""

    golden: tuple[GoldenDemand, ...]
    """By workflow, at least one: nothing serves that measured nowhere."""
    maximum_memory_bytes: int = 0
    """What its worker may take meanwhile; 0: no bound."""
    shadow: Shadow | None = None
    """None: it is not compared on the device's own tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Something that the release was made of: a dataset, a base model, a teacher."""

    name: str
    licence: str
    """SPDX expression, or the terms' name."""
    digest: str = ""
    """`sha256:`; empty: it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a device builds the base or the adapter that it serves, of what the release brings; nothing else is built."""

    engine: str
    """Whose build it is."""
    form: str
    """What comes out: one of FORMS."""
    inputs: tuple[str, ...]
    """Digests of what goes in, in the build's order: files, folders of files, or the base."""
    arguments: Mapping[str, str | int]
    """Of the build, by name."""
    makes: str = MAKES[0]
    """What of the specialist comes out: one of MAKES."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseManifest:
    """One release of one specialist, as its target says it."""

    family: str
    """Whose key signs it."""
    id: str
    """The specialist's."""
    number: int
    """From 1; the higher is the newer."""
    title: str
    """A sentence for people, printable, on one line."""
    files: tuple[ReleaseFile, ...]
    """All of the specialist's folder, by path."""
    specialist: str
    """The file that describes the specialist: one of the files."""
    base: ReleaseBase | None
    """None: it is among the files, or the recipe makes it."""
    parents: tuple[str, ...]
    """Ids of the specialists that it was bred from."""
    generation: int
    """Longest line of ancestors; 0: not bred."""
    constraints: Constraints
    gate: Gate
    workflows: tuple[str, ...]
    """All that it serves, measured or not."""
    licence: str
    """SPDX expression of the whole."""
    provenance: tuple[Provenance, ...]
    """What it was made of."""
    classes: tuple[str, ...]
    """Labels that it inherits from its data."""
    sites: tuple[str, ...]
    """Where it may run; empty: anywhere."""
    recipe: Recipe | None
    """None: nothing is built on the device."""

    @property
    def target(self) -> Target:
        """What it is signed as."""
        return Target(kind=Kind.RELEASE, group=self.family, name=self.id, number=self.number)

    @property
    def total_bytes(self) -> int:
        """Of what has to be kept of it: files with the same bytes count once."""
        return sum({file.digest: file.length for file in self.files}.values())

    def may_run_at(self, site: str) -> bool:
        """Whether a device of that site may take it."""
        return not self.sites or site in self.sites
