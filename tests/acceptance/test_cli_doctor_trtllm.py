"""`homebred doctor` where the engines' interpreter has TensorRT-LLM, or what it takes for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.command_line import homebred
from tests.support.stand_in_package import tensorrt_llm_facts, write_interpreter, write_stand_in

from homebred_engines.package_facts import PackageFacts


def finding(tmp_path: Path, damage: Callable[[Path], object] | None = None) -> dict[str, str]:
    """What is found of an interpreter with real models in place of the stand-in's, as far as their text goes."""
    stand_in = write_stand_in(tmp_path / "stand-in", tensorrt_llm_facts())
    generated = stand_in / "tensorrt_llm" / "_generated.py"
    text = "class BaseModel: pass\n\n" + generated.read_text()
    for name, facts in tensorrt_llm_facts().classes.items():
        if facts.kind == "model":
            text = text.replace(f"@dataclass(kw_only=True, slots=False)\nclass {name}:", f"class {name}(BaseModel):")
    generated.write_text(text)
    if damage is not None:
        damage(generated)
    python = write_interpreter(tmp_path, stand_in)
    ended = homebred("doctor", "--json", environ={"HOMEBRED_ENGINE__PYTHON": str(python)})
    found = {each["check"]: each for each in json.loads(ended.out)["findings"]}
    return dict(found["engine_trtllm"])


def test_a_package_as_recorded_is_fine_and_called_never_run_on(tmp_path: Path) -> None:
    found = finding(tmp_path)
    assert found["status"] == "ok"
    assert found["what"].startswith("tensorrt-llm 1.2.1+stand-in: as recorded of 1.2.1")
    assert "never run" in found["what"]


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ("    seed: object", "    random_seed: object", "SamplingParams: seed is gone"),
        (
            "max_tokens: object = 32",
            "max_tokens: object = 64",
            "SamplingParams: max_tokens was 32 by default and is 64",
        ),
        ("def abort(self)", "def cancel(self)", "RequestOutput.abort is gone"),
        ("class LoraConfig:", "class LoraSettings:", "LoraConfig is in none of tensorrt_llm.lora_manager"),
    ],
)
def test_a_package_that_drifted_is_a_warning_that_names_it(tmp_path: Path, right: str, wrong: str, named: str) -> None:
    def damage(generated: Path) -> None:
        assert right in generated.read_text()
        generated.write_text(generated.read_text().replace(right, wrong))

    found = finding(tmp_path, damage)
    assert found["status"] == "warning"
    assert named in found["what"]
    assert found["why"]
    assert "tensorrt-llm==1.2.1" in found["next"]


def test_a_package_that_cannot_be_read_is_a_warning(tmp_path: Path) -> None:
    found = finding(tmp_path, lambda generated: generated.write_text("def ("))
    assert found["status"] == "warning"
    assert "cannot be read" in found["what"]


def test_the_package_is_never_imported(tmp_path: Path) -> None:
    def damage(generated: Path) -> None:
        (generated.parent / "__init__.py").write_text("raise SystemExit('imported')\n")

    found = finding(tmp_path, damage)
    assert "imported" not in found["what"]
    assert found["status"] == "ok"


def test_many_differences_are_counted(tmp_path: Path) -> None:
    facts = tensorrt_llm_facts()
    empty: PackageFacts = replace(facts, classes={"LLM": facts.classes["LLM"]})
    python = write_interpreter(tmp_path, write_stand_in(tmp_path / "stand-in", empty))
    ended = homebred("doctor", environ={"HOMEBRED_ENGINE__PYTHON": str(python)})
    assert "; and 3 more" in ended.out
