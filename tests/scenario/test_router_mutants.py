"""Faults planted in a copy of the router, one at a time: the comparison with the oracle must catch every one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted fault: the first occurrence of `sound` in a file becomes `faulty`."""

    file: str
    sound: str
    faulty: str


CORE = "homebred_daemon/core/"
POLICY = "homebred_protocol/documents/policy.py"
REGISTRY = "homebred_protocol/documents/registry.py"

# fmt: off
MUTANTS = [
    Mutant(CORE + "routing.py", "return unknown or bool(bound)", "return bool(bound)"),
    Mutant(CORE + "routing.py", "return unknown or bool(bound)", "return unknown"),
    Mutant(CORE + "routing.py", "best.margin >= self.minimum_margin", "best.margin > self.minimum_margin"),
    Mutant(CORE + "routing.py", "if task.minimum_margin is None else task.minimum_margin", "if True else 0.0"),
    Mutant(CORE + "routing.py", "situation.classes != PUBLIC_ONLY", "'public' not in situation.classes"),
    Mutant(CORE + "routing.py", "if risk > policy.maximum_residual_risk:", "if risk >= policy.maximum_residual_risk:"),
    Mutant(CORE + "routing.py", "if risk is None:", "if risk is None and False:"),
    Mutant(CORE + "routing.py", '("air_gap", not policy.air_gap),', ""),
    Mutant(CORE + "routing.py", '("caller_may_not_escalate", rights.may_escalate),', ""),
    Mutant(CORE + "routing.py", 'frozenset({"air_gap", ', "frozenset({"),
    Mutant(CORE + "routing.py", '"link_metered", "link_down"', '"link_down"'),
    Mutant(CORE + "routing.py", "rights.adds_classes | declared | inputs.detected", "rights.adds_classes | declared"),
    Mutant(CORE + "routing.py", "rights.adds_classes | declared | inputs.detected", "declared | inputs.detected"),
    Mutant(CORE + "routing.py", "if allowed else []", "if True else []"),
    Mutant(CORE + "routing.py", "best = situation.best_at_floor\n    if best is not None:", "best = situation.best\n    if best is not None:"),
    Mutant(CORE + "routing.py", "    meets_the_margin,\n    escalates,", "    escalates,\n    meets_the_margin,"),
    Mutant(CORE + "lanes.py", "-self.margin, self.specialist.size_rank", "-self.margin, -self.specialist.size_rank"),
    Mutant(CORE + "lanes.py", "candidate.specialist.size_rank < best", "candidate.specialist.size_rank <= best"),
    Mutant(CORE + "lanes.py", "(candidate.specialist.size_rank, candidate.specialist.id)", "(0, candidate.specialist.id)"),
    Mutant(CORE + "lanes.py", "specialist.p95_s <= task.deadline_s", "specialist.p95_s < task.deadline_s"),
    Mutant(CORE + "lanes.py", "specialist.max_context >= task.context_tokens", "specialist.max_context > task.context_tokens"),
    Mutant(CORE + "lanes.py", "round(there, DECIMALS) > round(here, DECIMALS)", "there >= here"),
    Mutant(CORE + "lanes.py", "if specialist.id not in unavailable and suits", "if suits"),
    Mutant(CORE + "fitness.py", "1.6448536269514722", "1.959963984540054"),
    Mutant(CORE + "fitness.py", "agreement = max(agreement - n / 2, 0.0)", "agreement = agreement + 0"),
    Mutant(CORE + "fitness.py", "if reference_samples else reference", "if True else reference"),
    Mutant(CORE + "callers.py", "rights.may_escalate and may_escalate", "rights.may_escalate or may_escalate"),
    Mutant(CORE + "callers.py", "workflows & named", "workflows | named"),
    Mutant(CORE + "link.py", "link is Link.METERED and metered_escalation", "link is Link.METERED"),
    Mutant(POLICY, "air_gap=policy.air_gap or ceiling.air_gap", "air_gap=policy.air_gap"),
    Mutant(POLICY, "return max(asked, bound)", "return asked"),
    Mutant(POLICY, "policy.local_only_classes | ceiling.local_only_classes", "policy.local_only_classes"),
    Mutant(REGISTRY, "specialist.workflows.get(workflow) or specialist", "specialist.workflows.get(workflow) if workflow in specialist.workflows and specialist.workflows[workflow].samples else specialist"),
    Mutant(REGISTRY, "fitness is not None and fitness.samples", "fitness is not None"),
]
# fmt: on


def planted(mutant: Mutant, folder: Path) -> Path:
    """A copy of the packages with the fault in it."""
    shutil.copytree(ROOT / "daemon" / "homebred_daemon", folder / "homebred_daemon")
    shutil.copytree(ROOT / "proto" / "homebred_protocol", folder / "homebred_protocol")
    shutil.copytree(ROOT / "engines" / "homebred_engines", folder / "homebred_engines")
    path = folder / mutant.file
    text = path.read_text()
    assert mutant.sound in text, f"{mutant.file} no longer holds {mutant.sound!r}: plant the fault anew"
    path.write_text(text.replace(mutant.sound, mutant.faulty, 1))
    return folder


def comparison(packages: Path) -> subprocess.CompletedProcess[str]:
    """The thinned comparison, run on other packages than the installed ones."""
    return subprocess.run(
        [sys.executable, "-m", "tests.support.differences"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{packages}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{Path(mutant.file).stem}:{mutant.sound[:40]}")
def test_a_planted_fault_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    found = comparison(planted(mutant, tmp_path))
    assert found.returncode == 1, f"survived: {mutant}\n{found.stderr[-2000:]}"


@pytest.mark.slow
@pytest.mark.thorough("half a minute; the whole comparison of the sound router runs in test_contract")
def test_the_sound_router_survives_the_thinned_comparison(tmp_path: Path) -> None:
    unchanged = Mutant(CORE + "routing.py", "RULES", "RULES")
    found = comparison(planted(unchanged, tmp_path))
    assert found.returncode == 0, found.stderr
