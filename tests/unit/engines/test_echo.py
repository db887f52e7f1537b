from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_engines.api import (
    Adapter,
    AdapterRefusedError,
    InvalidRequestError,
    ModelRefusedError,
    UnsupportedOptionError,
)
from homebred_engines.echo_script import EchoAdapter, EchoScript, read_adapter_file, read_model_file, read_prompt
from homebred_engines.json_instance import fits, smallest_instance


def _write(tmp_path: Path, document: object) -> str:
    path = tmp_path / "echo.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def test_no_model_file_means_no_misbehaviour() -> None:
    assert read_model_file("") == EchoScript()


def test_a_model_file_sets_behaviours(tmp_path: Path) -> None:
    path = _write(tmp_path, {"format": "homebred-echo", "token_delay_s": 1, "replies": {"ping": "pong"}})
    script = read_model_file(path)
    assert script == EchoScript(token_delay_s=1, replies={"ping": "pong"})
    assert read_prompt("ping", script) == (script, "pong")


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"format": "other"},
        {"format": "homebred-echo", "speed": 1},
        {"format": "homebred-echo", "hang_after": "3"},
        {"format": "homebred-echo", "hang_after": True},
        {"format": "homebred-echo", "refuse_load": "It has to be."},
    ],
    ids=str,
)
def test_a_model_file_that_is_none_is_refused(tmp_path: Path, document: object) -> None:
    with pytest.raises(ModelRefusedError):
        read_model_file(_write(tmp_path, document))


def test_a_prompt_overrides_for_one_generation_and_its_directive_is_not_echoed() -> None:
    script, text = read_prompt("[echo token_delay_s=0.5 crash_after=3]\nhello", EchoScript())
    assert script == EchoScript(token_delay_s=0.5, crash_after=3)
    assert text == "hello"


@pytest.mark.parametrize("setting", ["speed=1", "hang_after=soon", "replies=1", "crash_on_load=1", "load_delay_s=1"])
def test_a_directive_that_is_none_is_refused(setting: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_prompt(f"[echo {setting}]\nhello", EchoScript())


_scalars: st.SearchStrategy[dict[str, object]] = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "minLength": 2, "maxLength": 3},
        {"type": "integer", "minimum": 5},
        {"type": "integer", "maximum": -2},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {"type": ["string", "null"]},
        {"enum": ["a", 1, None]},
        {"const": {"k": [1]}},
        {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "string"}]},
    ]
)
_schemas: st.SearchStrategy[dict[str, object]] = st.recursive(
    _scalars,
    lambda inner: (
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(
            lambda properties: {
                "type": "object",
                "properties": properties,
                "required": sorted(properties)[:2],
                "additionalProperties": False,
            }
        )
        | st.tuples(inner, st.integers(0, 2)).map(lambda pair: {"type": "array", "items": pair[0], "minItems": pair[1]})
    ),
    max_leaves=4,
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-6, 6) | st.sampled_from(["", "a", "ab", "abcd", 1.0, 2.5]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=4,
)


@given(_schemas)
def test_the_smallest_instance_is_one(schema: dict[str, object]) -> None:
    jsonschema_rs.validate(schema, smallest_instance(schema))


@given(_values, _schemas)
def test_fits_agrees_with_a_real_validator(value: object, schema: dict[str, object]) -> None:
    assert fits(value, schema) == jsonschema_rs.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    "schema", [{"not": {}}, {"type": "object", "properties": {"a": True}, "required": ["a"]}, {"enum": []}], ids=str
)
def test_a_schema_beyond_the_known_is_refused(schema: dict[str, object]) -> None:
    with pytest.raises(UnsupportedOptionError):
        smallest_instance(schema)


def test_an_adapter_file_says_what_it_changes_and_for_which_model(tmp_path: Path) -> None:
    path = _write(tmp_path, {"format": "homebred-echo-adapter", "says": "aye", "base_digest": "sha256:a"})
    adapter = Adapter(digest="sha256:1", path=path)
    assert read_adapter_file(adapter, "sha256:a") == EchoAdapter(says="aye", base_digest="sha256:a")
    with pytest.raises(AdapterRefusedError, match="was made for sha256:a, and the model is sha256:b") as refused:
        read_adapter_file(adapter, "sha256:b")
    assert refused.value.adapter == "sha256:1"


@pytest.mark.parametrize(
    "document", [[], {}, {"format": "homebred-echo"}, {"format": "homebred-echo-adapter", "speed": "1"}], ids=str
)
def test_an_adapter_file_that_is_none_is_refused(tmp_path: Path, document: object) -> None:
    with pytest.raises(AdapterRefusedError):
        read_adapter_file(Adapter(digest="sha256:1", path=_write(tmp_path, document)), "sha256:a")


def test_an_adapter_file_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterRefusedError, match="No such file"):
        read_adapter_file(Adapter(digest="sha256:1", path=str(tmp_path / "none")), "sha256:a")
