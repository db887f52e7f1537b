"""A policy, a registry and tasks as files and lines, for commands that are driven from outside."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

POLICY = """
version = 1
[workflows."intake.normalise"]
floor = 0.8
[models."cloud/default"]
fitness = 0.92
tokens_per_s = 60
price_per_1k_tokens = 0.004
[callers."uid:1001"]
adds_classes = ["patient"]
workflows = ["intake.normalise"]
"""

REGISTRY = {
    "specialists": [
        {
            "id": "norm-small",
            "engine": "echo",
            "workflows": {"intake.normalise": {"fitness": 0.94, "samples": 200, "reference_fitness": 0.92}},
            "size_rank": 1,
            "tokens_per_s": 40,
        },
        {
            "id": "norm-large",
            "engine": "echo",
            "workflows": {"intake.normalise": {"fitness": 0.97, "samples": 200, "reference_fitness": 0.92}},
            "size_rank": 2,
            "tokens_per_s": 15,
        },
        {
            "id": "general",
            "engine": "echo",
            "workflows": {"*": {"fitness": 0.6, "samples": 80, "reference_fitness": 0.9}},
            "size_rank": 3,
            "tokens_per_s": 12,
        },
    ]
}

SENTENCES = (
    "The patient asks to move the appointment to Tuesday.",
    "Mail me at jo.miller@example.org about the invoice.",
    "def main(): return os.environ['TOKEN']",
    "Write two cheerful lines about spring bread.",
    "Compare three ways to store vaccines when the power fails.",
    "IBAN DE89 3704 0044 0532 0130 00, due on the fifth.",
)


def write_policy(folder: Path) -> Path:
    """POLICY as a file."""
    path = folder / "policy.toml"
    path.write_text(POLICY, encoding="utf-8")
    return path


def write_registry(folder: Path) -> Path:
    """REGISTRY as a file."""
    path = folder / "registry.json"
    path.write_text(json.dumps(REGISTRY), encoding="utf-8")
    return path


def route_arguments(folder: Path, link: str = "up") -> list[str | Path]:
    """`homebred route` with both files, made here."""
    return ["route", "--policy", write_policy(folder), "--registry", write_registry(folder), "--link", link, "--jsonl"]


def task(task_id: str = "t", **fields: Any) -> dict[str, Any]:
    """A task of the repeated workflow, public unless a field says otherwise."""
    plain = {"task_id": task_id, "workflow": "intake.normalise", "text": "hello", "data_classes": ["public"]}
    return plain | fields


def tasks(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Tasks of every kind, over all branches of the procedure."""
    draw = random.Random(seed)
    return [
        task(
            f"task-{number}",
            text=draw.choice(SENTENCES),
            workflow=draw.choice(("intake.normalise", "notes.summarise", None)),
            kind=draw.choice(("repeat", "tool_loop", "synthesis", "drafting", "other")),
            data_classes=draw.choice(([], ["public"], ["public", "patient"], ["misspelt"])),
            allows_escalation=draw.random() < 0.7,
            minimum_margin=draw.choice((None, 0.01, 1.0)),
        )
        for number in range(count)
    ]


def json_lines(documents: list[dict[str, Any]]) -> str:
    """One document a line."""
    return "".join(json.dumps(document) + "\n" for document in documents)
