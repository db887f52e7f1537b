from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.tiny_gguf import CONTEXT_TOKENS, write_tiny_gguf

from homebred_engines.api import ModelRefusedError
from homebred_engines.gguf_file import GgufFacts, read_gguf
from homebred_engines.model_room import refuse_oversized

_MOST_MEMORY_BYTES = 16 * 1024 * 1024


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _entry(key: str, value: str | int) -> bytes:
    if isinstance(value, str):
        return _string(key) + struct.pack("<I", 8) + _string(value)
    return _string(key) + struct.pack("<II", 4, value)


def _file(
    entries: dict[str, str | int] | None = None,
    *,
    tensor: tuple[int, int, int] = (32, 0, 0),
    data_bytes: int = 128,
    magic: bytes = b"GGUF",
    version: int = 3,
    tensors: int = 1,
) -> bytes:
    """A file with one tensor of (elements, type, offset), as whole as the arguments let it be."""
    metadata: dict[str, str | int] = {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "llama.context_length": 64,
        "llama.embedding_length": 32,
        "llama.attention.head_count": 4,
    }
    metadata |= entries or {}
    elements, kind, offset = tensor
    head = magic + struct.pack("<IQQ", version, tensors, len(metadata))
    head += b"".join(_entry(key, value) for key, value in metadata.items())
    head += _string("token_embd.weight") + struct.pack("<IQIQ", 1, elements, kind, offset)
    return head + bytes(-len(head) % 32) + bytes(data_bytes)


def test_the_facts_of_a_model_are_read(tiny: Path) -> None:
    facts = read_gguf(tiny)
    assert facts == GgufFacts(
        architecture="llama",
        name="homebred tiny 0",
        licence="Apache-2.0",
        parameters=facts.parameters,
        quantisation="F16",
        context_tokens=CONTEXT_TOKENS,
        embedding_length=64,
        layers=2,
        has_chat_template=True,
        kv_bytes_per_token=2 * 2 * (16 + 16) * 2,
        file_bytes=tiny.stat().st_size,
        shapes=facts.shapes,
    )
    assert facts.shapes["blk.1.attn_k.weight"] == (64, 32)
    assert 100_000 < facts.parameters < 120_000


def test_the_tiny_model_is_the_same_bytes_every_time(tiny: Path, tmp_path: Path) -> None:
    assert write_tiny_gguf(tmp_path / "a.gguf").read_bytes() == tiny.read_bytes()
    assert write_tiny_gguf(tmp_path / "b.gguf", seed=1).read_bytes() != tiny.read_bytes()
    assert not read_gguf(write_tiny_gguf(tmp_path / "c.gguf", chat_template=False)).has_chat_template


def test_a_file_that_is_just_whole_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(_file())
    assert read_gguf(path).parameters == 32


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a GGUF file"),
        (b"GG", "not a GGUF file"),
        (_file(magic=b"PK\x03\x04"), "not a GGUF file"),
        (_file(version=1), "version 1"),
        (_file(version=4), "version 4"),
        (_file(version=3 << 24), "big-endian"),
        (_file(tensors=0), "no tensor"),
        (_file(tensors=2**40), "claims 1099511627776 tensors"),
        (_file(data_bytes=127)[:-31], "truncated"),
        (_file()[:40], "truncated"),
        (_file(data_bytes=129), "oversized"),
        (_file(tensor=(32, 99, 0)), "unknown type 99"),
        (_file(tensor=(0, 0, 0)), "0 elements"),
        (_file(tensor=(2**60, 0, 0)), "elements"),
        (_file(tensor=(33, 2, 0)), "inside a block"),
        (_file(tensor=(32, 0, 32)), "elsewhere"),
        (_file({"general.type": "adapter"}), "not a base model"),
        (_file({"general.architecture": ""}), "not a base model"),
        (_file({"general.architecture": 7}), "no text"),
        (_file({"split.count": 2}), "several"),
        (_file({"llama.block_count": 0}), "block_count"),
        (_file({"llama.context_length": "long"}), "context_length"),
        (_file({"llama.attention.head_count": 0}), "head_count"),
        (_file({"general.alignment": 0}), "alignment"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_file_is_refused_with_what_why_and_what_next(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelRefusedError) as refusal:
        read_gguf(path)
    assert reason in refusal.value.why
    assert "bad.gguf" in refusal.value.why
    assert refusal.value.hint


def test_an_absent_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.gguf", tmp_path):
        with pytest.raises(ModelRefusedError, match="cannot be read"):
            read_gguf(path)


def test_a_model_larger_than_its_budget_is_refused(tiny: Path) -> None:
    facts = read_gguf(tiny)
    needed = facts.file_bytes + facts.kv_bytes_per_token * 1024 * 4
    refuse_oversized(facts, context_tokens=1024, slots=4, memory_budget_bytes=needed)
    with pytest.raises(ModelRefusedError, match="needs about"):
        refuse_oversized(facts, context_tokens=1024, slots=4, memory_budget_bytes=needed - 1)


def _cut(content: bytes, at: int, _: bytes) -> bytes:
    return content[:at]


def _overwrite(content: bytes, at: int, noise: bytes) -> bytes:
    return content[:at] + noise + content[at + len(noise) :]


def _insert(content: bytes, at: int, noise: bytes) -> bytes:
    return content[:at] + noise + content[at:]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.sampled_from([_cut, _overwrite, _insert]),
    at=st.integers(0, 12_000),
    noise=st.binary(min_size=1, max_size=9) | st.sampled_from([b"\xff" * 8, b"\x00" * 8, b"\xff\xff\xff\x7f"]),
)
def test_damage_anywhere_in_the_head_is_refused_or_harmless_and_never_dear(
    tiny: Path, tmp_path: Path, damage: Callable[[bytes, int, bytes], bytes], at: int, noise: bytes
) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damage(tiny.read_bytes(), at, noise))
    tracemalloc.start()
    try:
        read_gguf(path)
    except ModelRefusedError:
        pass
    finally:
        _, most_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most_bytes < _MOST_MEMORY_BYTES
