"""What a build says of itself, in `homebred-build.json` at the top of the folder: of what, with what, for which GPU.

    {"version": 1, "engine": "edgellm", "engine_version": "0.11.0", "gpu_architecture": "sm_87",
     "source_digest": "sha256:…", "adapter_source_digest": "", "files": {"engine/llm.engine": "sha256:…"},
     "built_at_utc": "2026-11-30T12:00:00+00:00"}

Whether the files are what it says is for the model store to check. It signs nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

from homebred_engines.api import ModelRefusedError

FILE_NAME = "homebred-build.json"
VERSION = 1
MAX_BYTES = 1024 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ARCHITECTURE = re.compile(r"(sm_[0-9]{2,3}[a-z]?)?")
_BUILD_AGAIN = "Build the folder again with homebred engines build."


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildManifest:
    """What is written down of a build."""

    engine: str
    """Its name in the registry."""
    engine_version: str
    """Of the engine's own library; empty: it was not there, and not needed."""
    gpu_architecture: str
    """`sm_87`, …: the only one that the build runs on; empty: any, a processor's too."""
    source_digest: str
    """`sha256:` of the file or the folder's listing that it was built from."""
    adapter_source_digest: str
    """`sha256:` of the PEFT folder's listing; empty: there is no adapter."""
    files: Mapping[str, str]
    """`sha256:` of every other file, by its path below the folder."""
    built_at_utc: str
    """ISO 8601 with its zone."""


def written(manifest: BuildManifest) -> bytes:
    """The file's content."""
    return (json.dumps({"version": VERSION, **asdict(manifest)}, indent=2) + "\n").encode()


def parse(content: bytes) -> BuildManifest:
    """The manifest in a file's content. Raises ValueError: what is wrong with it."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004 - of what was read, not of what the caller gave
    if document.pop("version", None) != VERSION:
        raise ValueError(f"is not of version {VERSION}")
    names = {field.name for field in fields(BuildManifest)}
    if set(document) != names:
        raise ValueError(f"holds other keys than {', '.join(sorted(names))}")
    manifest = BuildManifest(**document)
    texts = [getattr(manifest, name) for name in names - {"files"}]
    if not all(isinstance(text, str) for text in texts) or not isinstance(manifest.files, dict):
        raise ValueError("holds a value of another kind")
    _check(manifest)
    return manifest


def read_build(folder: Path) -> BuildManifest | None:
    """What the folder says of its build; None: nothing. Raises ModelRefusedError."""
    path = folder / FILE_NAME
    try:
        with path.open("rb") as file:
            return parse(file.read(MAX_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelRefusedError(f"{path} cannot be read: {error.strerror}.", hint="Check its rights.") from None
    except ValueError as error:
        raise ModelRefusedError(f"{path} {error}.", hint=_BUILD_AGAIN) from None


def _check(manifest: BuildManifest) -> None:
    if _ARCHITECTURE.fullmatch(manifest.gpu_architecture) is None:
        raise ValueError(f"names the GPU architecture {manifest.gpu_architecture!r:.80}")
    adapter = [manifest.adapter_source_digest] if manifest.adapter_source_digest else []
    for digest in (manifest.source_digest, *adapter, *manifest.files.values()):
        if _DIGEST.fullmatch(str(digest)) is None:
            raise ValueError(f"names the digest {digest!r:.80}")
    try:
        is_aware = datetime.fromisoformat(manifest.built_at_utc).tzinfo is not None
    except ValueError:
        is_aware = False
    if not is_aware:
        raise ValueError(f"gives {manifest.built_at_utc!r:.80} as the time of the build")
