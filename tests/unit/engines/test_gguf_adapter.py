from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.tiny_gguf import write_tiny_adapter, write_tiny_gguf

from homebred_engines.api import AdapterRefusedError
from homebred_engines.gguf_adapter import GgufAdapterFacts, read_gguf_adapter, refuse_foreign
from homebred_engines.gguf_file import GgufFacts, read_gguf

DIGEST, OTHER_DIGEST = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
_QUERY = "blk.0.attn_q.weight"
_MOST_MEMORY_BYTES = 16 * 1024 * 1024


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adapters")


@pytest.fixture(scope="module")
def base(folder: Path) -> GgufFacts:
    return read_gguf(write_tiny_gguf(folder / "base.gguf"))


@pytest.fixture(scope="module")
def tiny(folder: Path) -> Path:
    return write_tiny_adapter(folder / "tiny.gguf")


def write_adapter(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    *,
    kind: str = gguf.GGUFType.ADAPTER,
    method: str = "lora",
    architecture: str = "llama",
    alpha: float | str | None = 8.0,
    base_digest: str = "",
) -> Path:
    """A file that says what it is told to; shapes are in the file's order of dimensions."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(kind)
    writer.add_string("adapter.type", method)
    if isinstance(alpha, str):
        writer.add_string("adapter.lora.alpha", alpha)
    elif alpha is not None:
        writer.add_float32("adapter.lora.alpha", alpha)
    writer.add_string("homebred.base_digest", base_digest)
    for name, shape in (shapes or {f"{_QUERY}.lora_a": (64, 4), f"{_QUERY}.lora_b": (4, 64)}).items():
        writer.add_tensor(name, np.zeros(tuple(reversed(shape)), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def pair(first: tuple[int, ...], second: tuple[int, ...], target: str = _QUERY) -> dict[str, tuple[int, ...]]:
    return {f"{target}.lora_a": first, f"{target}.lora_b": second}


def test_the_facts_of_an_adapter_are_read(tiny: Path) -> None:
    facts = read_gguf_adapter(tiny)
    assert facts == GgufAdapterFacts(
        file_name="tiny.gguf",
        architecture="llama",
        name="homebred tiny adapter 1",
        alpha=4.0,
        rank=4,
        pairs=facts.pairs,
        base_digest="",
        file_bytes=tiny.stat().st_size,
    )
    targets = [f"blk.{block}.{part}.weight" for block in (0, 1) for part in ("attn_output", "ffn_down")]
    assert {name: each.target[:2] for name, each in facts.pairs.items()} == dict(
        zip(targets, [(64, 64), (128, 64)] * 2, strict=True)
    )


def test_the_tiny_adapter_is_the_same_bytes_every_time(tiny: Path, tmp_path: Path) -> None:
    assert write_tiny_adapter(tmp_path / "a.gguf").read_bytes() == tiny.read_bytes()
    assert write_tiny_adapter(tmp_path / "b.gguf", seed=2).read_bytes() != tiny.read_bytes()


def test_the_rank_is_that_of_the_largest_pair_and_alpha_may_be_left_out(tmp_path: Path) -> None:
    shapes = pair((64, 4), (4, 64)) | pair((64, 8), (8, 32), "blk.0.attn_k.weight")
    facts = read_gguf_adapter(write_adapter(tmp_path / "x.gguf", shapes, alpha=None, base_digest=DIGEST))
    assert (facts.rank, facts.alpha, facts.base_digest) == (8, 0.0, DIGEST)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "model"}, "not a LoRA adapter"),
        ({"method": "control_vector"}, "not a LoRA adapter"),
        ({"architecture": ""}, "not a LoRA adapter"),
        ({"alpha": "large"}, "adapter.lora.alpha"),
        ({"alpha": float("nan")}, "adapter.lora.alpha"),
        ({"alpha": float("inf")}, "adapter.lora.alpha"),
        ({"alpha": -1.0}, "adapter.lora.alpha"),
        ({"base_digest": "sha256:a"}, "homebred.base_digest"),
        ({"shapes": {"blk.0.attn_norm.weight": (64,)}}, "no factor of a LoRA pair"),
        ({"shapes": {".lora_a": (64, 4), ".lora_b": (4, 64)}}, "no factor of a LoRA pair"),
        ({"shapes": {f"{_QUERY}.lora_a": (64, 4)}}, "lacks the tensor 'blk.0.attn_q.weight.lora_b'"),
        ({"shapes": {f"{_QUERY}.lora_b": (4, 64)}}, "lacks the tensor 'blk.0.attn_q.weight.lora_a'"),
        ({"shapes": pair((64, 4), (8, 64))}, "64 x 4 with 8 x 64"),
        ({"shapes": pair((4, 64), (4, 64))}, "share no rank"),
        ({"shapes": pair((64, 4, 2), (4, 64, 3))}, "64 x 4 x 2 x 1 with 4 x 64 x 3 x 1"),
        ({"shapes": pair((64, 4), (8, 265), "token_embd.weight")}, "share no rank"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_whole_lora_adapter_is_refused(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    path = write_adapter(tmp_path / "bad.gguf", **change)  # type: ignore[arg-type]  # one of several types
    with pytest.raises(AdapterRefusedError) as refusal:
        read_gguf_adapter(path)
    assert reason in refusal.value.why
    assert "bad.gguf" in refusal.value.why
    assert refusal.value.hint


def test_a_base_model_another_format_and_an_absent_file_are_refused(folder: Path, base: GgufFacts) -> None:
    assert base.architecture == "llama"
    (folder / "text").write_text("LoRA")
    for name, reason in (("base.gguf", "not a LoRA adapter"), ("text", "not a GGUF"), ("absent", "cannot be read")):
        with pytest.raises(AdapterRefusedError, match=reason):
            read_gguf_adapter(folder / name)


@pytest.mark.parametrize(
    "shapes",
    [
        pair((64, 4), (4, 64)),
        pair((64, 1), (1, 32), "blk.1.attn_v.weight"),
        pair((64, 2), (2, 128), "blk.1.ffn_up.weight"),
        pair((128, 2), (2, 64), "blk.1.ffn_down.weight"),
        pair((4, 265), (4, 64), "token_embd.weight"),
        pair((64, 4), (4, 265), "output.weight"),
    ],
    ids=lambda shapes: next(iter(shapes)),
)
def test_an_adapter_that_fits_its_base_is_taken(
    tmp_path: Path, base: GgufFacts, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    refuse_foreign(read_gguf_adapter(write_adapter(tmp_path / "x.gguf", shapes)), base, DIGEST)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"architecture": "qwen2"}, "for the architecture 'qwen2', the base is 'llama'"),
        ({"blocks": 3}, "'blk.2.attn_output.weight', which the base does not have"),
        ({"width": 32}, "'blk.0.attn_output.weight' as one of 32 x 32; the base's has 64 x 64"),
        ({"base_digest": OTHER_DIGEST}, f"made for the base {OTHER_DIGEST}, and this base is {DIGEST}"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_adapter_for_another_base_is_refused_with_what_why_and_what_next(
    tmp_path: Path, base: GgufFacts, change: dict[str, object], reason: str
) -> None:
    path = write_tiny_adapter(tmp_path / "foreign.gguf", **change)  # type: ignore[arg-type]  # one of several types
    with pytest.raises(AdapterRefusedError) as refusal:
        refuse_foreign(read_gguf_adapter(path), base, DIGEST)
    assert reason in refusal.value.why
    assert refusal.value.why.startswith("foreign.gguf ")
    assert "made for" in refusal.value.hint


def test_an_embedding_with_its_factors_the_wrong_way_round_is_refused(tmp_path: Path, base: GgufFacts) -> None:
    shapes = pair((4, 64), (4, 265), "token_embd.weight")
    with pytest.raises(AdapterRefusedError, match="as one of 265 x 64; the base's has 64 x 265"):
        refuse_foreign(read_gguf_adapter(write_adapter(tmp_path / "x.gguf", shapes)), base, "")


def test_digests_are_compared_where_both_are_known(tmp_path: Path, base: GgufFacts) -> None:
    adapter = read_gguf_adapter(write_tiny_adapter(tmp_path / "x.gguf", base_digest=DIGEST))
    refuse_foreign(adapter, base, DIGEST)
    refuse_foreign(adapter, base, "")
    refuse_foreign(replace(adapter, base_digest=""), base, OTHER_DIGEST)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, 1500),
    noise=st.binary(max_size=9) | st.sampled_from([b"\xff" * 8, b"\x00" * 8, b"\xff\xff\xff\x7f"]),
    kept=st.integers(-9, 9),
)
def test_damage_anywhere_is_refused_or_harmless_and_never_dear(
    tiny: Path, tmp_path: Path, at: int, noise: bytes, kept: int
) -> None:
    path, whole = tmp_path / "damaged.gguf", tiny.read_bytes()
    path.write_bytes(whole[:at] + noise + whole[max(0, at + kept) :])
    tracemalloc.start()
    try:
        read_gguf_adapter(path)
    except AdapterRefusedError:
        pass
    finally:
        _, most_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most_bytes < _MOST_MEMORY_BYTES
