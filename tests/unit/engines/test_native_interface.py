from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

from homebred_engines.native_interface import native_facts
from homebred_engines.package_facts import ClassFacts, drift, shipped_facts
from homebred_engines.package_source import open_source

INTERFACE = '''
class Reason:
    """
    Members:
    """
    END: typing.ClassVar[Reason]
    LENGTH: typing.ClassVar[Reason]
    __members__: typing.ClassVar[dict[str, Reason]]
    def __eq__(self, other: typing.Any) -> bool:
        ...
    @property
    def name(self) -> str:
        ...

class Runtime:
    label: str
    @typing.overload
    def __init__(self, folder: str, adapters: collections.abc.Mapping[str, str] = {}, cache: Cache = ...) -> None:
        ...
    @typing.overload
    def __init__(self, folder: str, draft: typing.SupportsInt) -> None:
        ...
    @staticmethod
    def create(size: int = 1) -> Runtime:
        ...
    @property
    def seed(self) -> int | None:
        ...
    @seed.setter
    def seed(self, arg0: typing.SupportsInt | None) -> None:
        ...
    @property
    def reason(self) -> Reason:
        ...
'''
RUNTIME = ClassFacts(
    kind="native",
    attributes=("label", "reason", "seed"),
    settable={"label": "str", "seed": "int | None"},
    methods={
        "__init__": {"folder": None, "adapters": "{}", "cache": "…"},
        "__init__ (2)": {"folder": None, "draft": None},
        "create": {"size": "1"},
    },
)


def read(text: str, name: str) -> ClassFacts:
    classes = {each.name: each for each in ast.parse(text).body if isinstance(each, ast.ClassDef)}
    return native_facts(classes[name])


def test_what_can_be_read_assigned_and_called_is_told_apart() -> None:
    assert read(INTERFACE, "Runtime") == RUNTIME
    assert list(read(INTERFACE, "Runtime").methods["__init__"]) == ["folder", "adapters", "cache"]


def test_an_enumeration_has_its_own_instances_as_members() -> None:
    assert read(INTERFACE, "Reason") == ClassFacts(kind="native", attributes=("name",), members=("END", "LENGTH"))


def test_interface_text_stands_in_where_a_module_has_no_source(tmp_path: Path) -> None:
    (tmp_path / "compiled.pyi").write_text(INTERFACE)
    (tmp_path / "plain.py").write_text("from compiled import Runtime\n")
    source = open_source(tmp_path)
    assert source.class_facts("Runtime", ["compiled"]) == RUNTIME
    assert source.class_facts("Runtime", ["plain"]) == RUNTIME
    (tmp_path / "compiled.py").write_text("class Runtime: pass\n")
    assert open_source(tmp_path).class_facts("Runtime", ["compiled"]) == ClassFacts()


def test_each_way_in_which_a_compiled_class_may_drift_is_named() -> None:
    found = replace(
        RUNTIME,
        settable={"label": "str"},
        methods={name: each for name, each in RUNTIME.methods.items() if name != "__init__ (2)"},
    )
    assert drift({"Runtime": RUNTIME}, {"Runtime": found}) == [
        "Runtime.seed cannot be assigned any more",
        "Runtime.__init__ (2) is gone",
    ]
    narrower = replace(RUNTIME, settable={**RUNTIME.settable, "seed": "int"})
    assert drift({"Runtime": RUNTIME}, {"Runtime": narrower}) == ["Runtime.seed was int | None and is int"]
    reason = read(INTERFACE, "Reason")
    assert drift({"Reason": reason}, {"Reason": replace(reason, members=("END",))}) == ["Reason.LENGTH is gone"]


def test_the_shipped_facts_of_tensorrt_edge_llm_say_where_they_are_from() -> None:
    facts = shipped_facts("tensorrt_edgellm-0.11.0.json")
    assert (facts.distribution, facts.version) == ("tensorrt-edgellm", "0.11.0")
    (source,) = facts.sources.values()
    assert "no engine was loaded and nothing was generated" in source
    assert {each.kind for each in facts.classes.values()} == {"native"}
    assert facts.classes["LLMRuntime"].methods["__init__"]["lora_weights_map"] == "{}"
    assert facts.classes["Request"].settable["sampling_seed"] == "int | None"
    assert facts.classes["FinishReason"].members == (
        "CANCELLED", "END_ID", "ERROR", "LENGTH", "NOT_FINISHED", "STOP_WORDS",
    )  # fmt: skip
