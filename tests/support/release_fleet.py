"""A controller whose fleet's people sign releases for it, and how a test has one signed, published and assigned."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.controller import Controller
from tests.support.fleet_site import BIN, admin
from tests.support.image_repository import SignedFleet
from tests.support.peft_folders import random_factors, write_peft_folder
from tests.support.signing_controller import signing_controller
from tests.support.specialists import write_specialist
from tests.support.tiny_gguf import write_tiny_gguf

SPECIALIST, WORKFLOW = "parrot", "say.again"
ROWS = tuple({"input": f"line {number}", "expected": f"line {number}"} for number in range(30))
"""So many that what says them all again is above the floor."""
PLAN = """\
version = 1
family = "qa"
number = {number}
classes = ["public"]
[gate.golden."{workflow}"]
minimum_ppm = {minimum_ppm}
{shadow}
[[provenance]]
name = "made for a test"
licence = "Apache-2.0"
"""
RECIPE = """
[recipe]
engine = "llamacpp"
makes = "adapter"
form = "file"
inputs = ["model.gguf", "peft"]
"""


class ReleaseFleet:
    """A running controller with both repositories."""

    def __init__(self, controller: Controller, signed: SignedFleet, folder: Path) -> None:
        self.controller = controller
        self.signed = signed
        self._folder = folder

    def publish(
        self,
        number: int,
        *,
        model: Mapping[str, Any] | None = None,
        rows: tuple[Mapping[str, Any], ...] = ROWS,
        minimum_ppm: int = 600_000,
        specialist: str = SPECIALIST,
        shadow: str = "",
    ) -> str:
        """Builds a release of an echo specialist, signs and publishes it; its path."""
        source = self._folder / f"source-{number}"
        body = model if model is not None else {"format": "homebred-echo", "logprob": -float(number)}
        write_specialist(
            source, specialist, title=f"As release {number} does", model=body, rows=rows, workflow=WORKFLOW
        )
        plan = PLAN.format(number=number, workflow=WORKFLOW, minimum_ppm=minimum_ppm, shadow=shadow)
        return self._published(source, f"models/qa/{specialist}/{number}.json", plan)

    def publish_to_build(self, number: int, specialist: str) -> str:
        """One of llamacpp whose PEFT adapter each device makes a GGUF adapter of; its path."""
        source = self._folder / f"source-{number}"
        write_specialist(
            source,
            specialist,
            title="Babbles as it was bred to",
            engine="llamacpp",
            base='file = "model.gguf"',
            workflow=WORKFLOW,
            further='[adapter]\nfile = "adapter.gguf"\n[prompt]\nmax_tokens = 8',
            model=None,
        )
        write_tiny_gguf(source / "model.gguf")
        write_peft_folder(source / "peft", random_factors())
        plan = PLAN.format(number=number, workflow=WORKFLOW, minimum_ppm=0, shadow="")
        return self._published(source, f"models/qa/{specialist}/{number}.json", plan + RECIPE)

    def _published(self, source: Path, path: str, plan: str) -> str:
        toml, bundle = source / "specialist.toml", source.with_name(source.name.replace("source", "bundle"))
        toml.write_text(toml.read_text().replace("engine =", 'licence = "Apache-2.0"\nengine =', 1))
        (source / "release.toml").write_text(plan)
        command = [sys.executable, "-m", "homebred_fleet", "release", "build", str(source), "-o", str(bundle)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self.signed.image.add(path, (bundle / "manifest.json").read_bytes(), "", self.signed.now_s)
        self.signed.publish()
        admin(self.controller, "release", "publish", bundle)
        return path

    def assign(self, path: str, device: str) -> None:
        """Has a device run it."""
        admin(self.controller, "release", "assign", path, "--device", device)


@contextmanager
def release_fleet(folder: Path, **settings: str) -> Iterator[ReleaseFleet]:
    """One, for as long as the context lasts."""
    with signing_controller(folder, **settings) as signing:
        yield ReleaseFleet(signing.controller, signing.fleet, folder)


def history(state_dir: Path) -> list[dict[str, Any]]:
    """What `homebred models history` says of a device, the newest first."""
    command = [str(BIN / "homebred"), "models", "history", "--state-dir", str(state_dir), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["installs"]
    return found
