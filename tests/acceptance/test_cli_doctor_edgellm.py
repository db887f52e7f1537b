"""`homebred doctor` where the engines' interpreter has TensorRT Edge-LLM, or what it takes for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.command_line import homebred
from tests.support.planted_faults import without
from tests.support.stand_in_package import tensorrt_edgellm_facts, write_interpreter, write_stand_in

from homebred_engines.package_facts import PackageFacts

PAYLOADS = Path("tensorrt_edgellm") / "_native" / "payloads"


def compiled_names(facts: PackageFacts) -> bytes:
    """As a compiled module keeps them: each with a zero byte behind it."""
    names = set(facts.classes)
    for each in facts.classes.values():
        names |= {*each.attributes, *each.members}
        names |= {name for method, signature in each.methods.items() for name in (method.split(" ")[0], *signature)}
    return b"\x7fELF\0" + b"".join(name.encode() + b"\0" for name in sorted(names))


def finding(tmp_path: Path, facts: PackageFacts, damage: Callable[[Path], object] | None = None) -> dict[str, str]:
    """What is found of an interpreter whose compiled module has the names of these facts."""
    stand_in = write_stand_in(tmp_path / "stand-in", tensorrt_edgellm_facts())
    module = stand_in / PAYLOADS / "aarch64-jetson-sm87" / "_edgellm_runtime.cpython-312-aarch64-linux-gnu.so"
    module.parent.mkdir(parents=True)
    module.write_bytes(compiled_names(facts))
    if damage is not None:
        damage(module)
    python = write_interpreter(tmp_path, stand_in)
    ended = homebred("doctor", "--json", environ={"HOMEBRED_ENGINE__PYTHON": str(python)})
    found = {each["check"]: each for each in json.loads(ended.out)["findings"]}
    return dict(found["engine_edgellm"])


def test_a_package_as_recorded_is_fine_and_called_never_run_on(tmp_path: Path) -> None:
    found = finding(tmp_path, tensorrt_edgellm_facts())
    assert found["status"] == "ok"
    assert found["what"].startswith("tensorrt-edgellm 0.11.0+stand-in: as recorded of 0.11.0")
    assert "never run" in found["what"]


@pytest.mark.parametrize(
    ("owner", "kind", "name"),
    [
        ("LLMRuntime", "methods", "handle_request"),
        ("LLMGenerationRequest", "attributes", "stream_channels"),
        ("GuideType", "members", "JSON_SCHEMA"),
    ],
)
def test_a_package_that_drifted_is_a_warning_that_names_it(tmp_path: Path, owner: str, kind: str, name: str) -> None:
    found = finding(tmp_path, without(owner, kind, name)(tensorrt_edgellm_facts()))
    assert found["status"] == "warning"
    assert f"{owner}: {name} is gone" in found["what"]
    assert found["why"]
    assert "tensorrt-edgellm==0.11.0" in found["next"]


@pytest.mark.parametrize("damage", [Path.unlink, lambda module: module.write_bytes(b"")], ids=["absent", "empty"])
def test_a_package_without_a_compiled_module_is_a_warning(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    found = finding(tmp_path, tensorrt_edgellm_facts(), damage)
    assert found["status"] == "warning"
    assert "cannot be read" in found["what"]


def test_the_package_is_never_imported(tmp_path: Path) -> None:
    def damage(module: Path) -> None:
        (module.parents[3] / "__init__.py").write_text("raise SystemExit('imported')\n")

    found = finding(tmp_path, tensorrt_edgellm_facts(), damage)
    assert "imported" not in found["what"]
    assert found["status"] == "ok"
