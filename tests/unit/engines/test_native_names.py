from __future__ import annotations

from pathlib import Path

import pytest

from homebred_engines.native_names import missing_names
from homebred_engines.package_facts import ClassFacts, PackageFacts

FACTS = PackageFacts(
    distribution="sample",
    version="1",
    written="here",
    sources={"s": "here"},
    classes={
        "Runtime": ClassFacts(
            kind="native",
            attributes=("seed",),
            methods={"__init__": {"folder": None}, "__init__ (2)": {"draft": None}, "ask": {"request": None}},
        ),
        "Reason": ClassFacts(kind="native", members=("END",)),
    },
)


def module(tmp_path: Path, *names: str) -> Path:
    path = tmp_path / "module.so"
    path.write_bytes(b"\x7fELF" + b"".join(b"." + name.encode() + b"\0" for name in names))
    return path


def test_a_module_with_every_name_lacks_none(tmp_path: Path) -> None:
    everything = ("Runtime", "seed", "folder", "draft", "ask", "request", "Reason", "END")
    assert missing_names(FACTS, module(tmp_path, *everything)) == []


def test_each_name_that_is_gone_is_told_with_its_class(tmp_path: Path) -> None:
    found = missing_names(FACTS, module(tmp_path, "Runtime", "seed_2", "folder", "ask", "request", "Reason"))
    assert found == ["Runtime: draft is gone", "Runtime: seed is gone", "Reason: END is gone"]


def test_what_is_no_module_at_all_is_an_error(tmp_path: Path) -> None:
    empty = tmp_path / "module.so"
    empty.write_bytes(b"")
    with pytest.raises(ValueError, match="empty"):
        missing_names(FACTS, empty)
