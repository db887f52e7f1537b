from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from tests.support.committed_files import ROOT
from tests.support.sample_packages import write_files, write_pages, write_wheel

from homebred_engines.package_source import open_source

FORMS = [write_files, write_wheel, write_pages]
TOOL = ROOT / "packaging" / "tools" / "engine_facts.py"


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_each_form_of_a_package_shows_the_same_facts(write: Callable[[Path], Path], tmp_path: Path) -> None:
    source = open_source(write(tmp_path))
    engine = source.class_facts("Engine", ["sample", "sample.api"])
    assert engine is not None
    assert (engine.kind, engine.attributes) == ("class", ("asked", "model", "tokenizer"))
    assert engine.methods == {
        "close": {"timeout": "2"},
        "__init__": {"model": None, "*": None, "slots": "1", "**kwargs": None},
        "probe": {"path": "'/dev'"},
        "ask": {"text": None, "*words": None, "limit": "32"},
    }
    options = source.class_facts("Options", ["sample", "sample.options"])
    assert options is not None
    assert (options.kind, options.keyword_only, options.slots) == ("dataclass", True, True)
    assert list(options.fields.items()) == [("limit", "32"), ("stop", "None"), ("words", "list()")]
    assert options.attributes == ("length",)


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_a_model_has_the_fields_of_its_bases(write: Callable[[Path], Path], tmp_path: Path) -> None:
    cache = open_source(write(tmp_path)).class_facts("Cache", ["sample.options"])
    assert cache is not None
    assert cache.kind == "model"
    assert cache.fields == {"name": None, "fraction": "0.9", "pages": "list()", "size": None}


def test_a_name_is_followed_through_stars_and_other_names(tmp_path: Path) -> None:
    source = open_source(write_files(tmp_path))
    assert source.class_facts("Settings", ["sample"]) == source.class_facts("Options", ["sample.options"])
    assert source.class_facts("Cache", ["sample"]) is None
    assert source.class_facts("Engine", ["nowhere", "sample"]) is not None


def test_modules_that_import_each_other_end(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from b import *\n")
    (tmp_path / "b.py").write_text("from a import *\nclass C(C): pass\n")
    source = open_source(tmp_path)
    assert source.class_facts("D", ["a"]) is None
    assert source.class_facts("C", ["a"]) is not None


def test_what_is_neither_wheel_nor_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "nothing")


def test_an_installed_package_is_read_as_it_runs() -> None:
    read = open_source(Path(typer.__file__).parents[1]).class_facts("Typer", ["typer"])
    assert read is not None
    runs = inspect.signature(typer.Typer.__init__).parameters
    assert [name for name in read.methods["__init__"] if name != "*"] == [name for name in runs if name != "self"]
    assert {"command", "add_typer"} < set(read.methods)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def outline(tmp_path: Path, *names: str) -> Path:
    classes = {name: {"places": ["sample", "sample.options"], "source": "s", "kind": "dataclass"} for name in names}
    document = {"format": "homebred-package-facts", "distribution": "sample", "version": "0", "written": "by hand"}
    path = tmp_path / "outline.json"
    path.write_text(json.dumps({**document, "sources": {"s": "here"}, "classes": classes}))
    return path


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_the_tool_writes_facts_that_the_same_source_fits(write: Callable[[Path], Path], tmp_path: Path) -> None:
    source = write(tmp_path / "source") if write is not write_wheel else write(tmp_path)
    written = run(source, "--like", outline(tmp_path, "Options"), "--version", "1", "--from", "a sample")
    assert (written.returncode, written.stderr) == (0, "")
    facts = tmp_path / "facts.json"
    facts.write_text(written.stdout)
    assert json.loads(written.stdout)["sources"] == {"read": "a sample"}
    compared = run(source, "--like", facts, "--compare")
    assert (compared.returncode, compared.stdout) == (0, f"{source.name} is as recorded of 1\n")


def test_the_tool_names_what_is_missing_and_what_drifted(tmp_path: Path) -> None:
    source = write_files(tmp_path / "source")
    written = run(source, "--like", outline(tmp_path, "Options", "Absent"), "--version", "1")
    assert written.returncode == 1
    assert written.stderr == "Absent is in none of sample, sample.options: left out\n"
    facts = tmp_path / "facts.json"
    facts.write_text(written.stdout.replace('"limit": "32"', '"limit": "16",\n"gone": "1"'))
    compared = run(source, "--like", facts, "--compare")
    assert compared.returncode == 1
    assert compared.stdout == "Options: limit was 16 by default and is 32\nOptions: gone is gone\n"
