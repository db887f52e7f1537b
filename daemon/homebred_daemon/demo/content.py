"""What the demo brings along: specialists with golden sets, a policy, and tasks with the story around each."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SPECIALISTS = HERE / "specialists"
POLICY = HERE / "policy.toml"
MEASURED_ROWS = 30
"""Of each golden set, unless the whole story is asked for: on the same side of the demo's floors as all of them."""

ROWS = {
    1: "private data: local first, never cloud",
    2: "a repeated task with a stable format: a local specialist",
    3: "a tool loop: a local cascade, small to larger",
    4: "ambiguous synthesis: escalate, redacted",
    5: "public drafting: the lane with the higher measured utility",
    6: "offline: local only, and work goes on",
}
"""The contract's six rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneTask:
    """One task of the story."""

    row: int
    """Which row of the contract it shows."""
    link: str
    """The link as it stands in this scene: `up`, `metered` or `down`."""
    story: str
    """Who asks what, and why it matters."""
    task: dict[str, Any]
    """The task's document."""


def specialist_folders() -> list[Path]:
    """The folders of the demo's specialists, by name."""
    return sorted(path for path in SPECIALISTS.iterdir() if (path / "specialist.toml").is_file())


def copy_specialist(folder: Path, to: Path, rows: int) -> None:
    """A specialist's folder with so many rows of each golden set, spread evenly over it; 0: all of them."""
    shutil.copytree(folder, to)
    for golden in to.glob("golden/*.jsonl") if rows else ():
        lines = golden.read_text("utf-8").splitlines(keepends=True)
        golden.write_text("".join(lines[number * len(lines) // rows] for number in range(rows)), "utf-8")


def scene_tasks() -> list[SceneTask]:
    """The story's tasks: first those with a link, then those without, each in the order written."""
    scenes = [_scene(json.loads(line)) for line in (HERE / "tasks.jsonl").read_text(encoding="utf-8").splitlines()]
    return sorted(scenes, key=lambda scene: scene.link == "down")


def escalated_tasks() -> list[SceneTask]:
    """What is given to a cloud model, in the order written."""
    return [_scene(json.loads(line)) for line in (HERE / "escalations.jsonl").read_text(encoding="utf-8").splitlines()]


def _scene(document: dict[str, Any]) -> SceneTask:
    row, link, story = (document.pop(name) for name in ("row", "link", "story"))
    return SceneTask(row=row, link=link, story=story, task=document)
