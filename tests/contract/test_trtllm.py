"""The trtllm engine against what is recorded of TensorRT-LLM 1.2.1; it is no test on TensorRT-LLM.

Each fault that is planted here, in a copy of the engine or in the recorded facts, ends the contract run with its name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.support.checkpoints import write_checkpoint
from tests.support.committed_files import ROOT
from tests.support.contract_run import WORDS
from tests.support.peft_folders import random_factors, write_peft_folder
from tests.support.planted_faults import planted, without
from tests.support.stand_in_package import tensorrt_llm_facts, write_stand_in

from homebred_engines.package_facts import ClassFacts, PackageFacts, drift
from homebred_engines.package_source import open_source

pytestmark = pytest.mark.slow

PROGRAM = ROOT / "tests" / "support" / "contract_run.py"
INSTALLED = find_spec("tensorrt_llm")


def run(tmp_path: Path, facts: PackageFacts, *first: Path) -> subprocess.CompletedProcess[str]:
    """The contract run on a stand-in of these facts, with folders before all others on the path."""
    stand_in = write_stand_in(tmp_path / "stand-in", facts)
    adapter = write_peft_folder(tmp_path / "adapter", random_factors())
    command = [sys.executable, str(PROGRAM), str(write_checkpoint(tmp_path / "checkpoint")), str(adapter)]
    environment = {**os.environ, "PYTHONPATH": ":".join(map(str, [*first, stand_in]))}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)


def test_the_engine_asks_for_nothing_that_is_not_recorded(tmp_path: Path) -> None:
    ended = run(tmp_path, tensorrt_llm_facts())
    assert (ended.returncode, ended.stderr) == (0, "")
    report = json.loads(ended.stdout)
    assert report.pop("version") == "1.2.1+stand-in"
    assert report.pop("sampled") == {
        "text": WORDS.partition("word40")[0],
        "reason": "stop",
        "tokens": 40,
        "logprobs": 40,
    }
    in_its_voice = {"text": "adapter word0 word1 ", "reason": "length", "tokens": 3, "logprobs": 0}
    assert report == {
        "progress": 1.0,
        "plain": {"text": WORDS, "reason": "stop", "tokens": 50, "logprobs": 0},
        "schema": {"text": '{"ok": false}', "reason": "stop", "tokens": 2, "logprobs": 0},
        "call": {"text": "At once. ", "reason": "tool_calls", "tokens": 7, "logprobs": 0, "ring": {"ok": True}},
        "must_call": {"text": "", "reason": "tool_calls", "tokens": 4, "logprobs": 0, "wait": {}},
        "cancelled": True,
        "counted": True,
        "adapter": {"loaded_with": in_its_voice, "set": in_its_voice, "loaded_again": in_its_voice},
    }


@pytest.mark.parametrize(
    ("module", "right", "wrong", "named"),
    [
        ("trtllm_library", "seed=options.seed", "random_seed=options.seed", "random_seed"),
        ("trtllm_library", "sampling_params=self", "sampling=self", "sampling"),
        ("trtllm_library", '"max_batch_size"', '"max_batch"', "max_batch"),
        ("trtllm_library", "max_gpu_total_bytes=", "max_gpu_bytes=", "max_gpu_bytes"),
        ("trtllm_library", "GuidedDecodingParams(json=", "GuidedDecodingParams(schema=", "schema"),
        ("trtllm_library", "structural_tag=guidance", "tag=guidance", "tag"),
        ("xgrammar_guidance", '"type": "structural_tag"', '"type": "structured_tag"', "no structural tag"),
        ("xgrammar_guidance", '"begin": CALL_BEGIN', '"start": CALL_BEGIN', "no format that is stood in for"),
        ("xgrammar_guidance", '"stop_after_first": True', '"stop_after_first": False', "stop_after_first"),
        ("trtllm", "replace(options, stop=())", "options", "half-way"),
        ("trtllm_library", "max_lora_rank=", "max_rank=", "max_rank"),
        ("trtllm_library", "lora_target_modules=list(plan.adapters.modules),", "", "lora_target_modules is empty"),
        ("trtllm_serving", "len(self._numbers) + 1", "1", "the number 1 is that of"),
        ("trtllm_library", ", lora_path=adapter.path", "", "lora_path () does not exist"),
        ("trtllm_library", '"guided_decoding_backend": GUIDED_DECODER,', "", "guided_decoding_backend"),
        ("trtllm_library", '"enable_iter_perf_stats": True,', "", "get_stats tells of no step"),
        ("trtllm_run", "completion.text_diff", "completion.text_delta", "text_delta"),
        ("trtllm_run", "output.cached_tokens", "output.tokens_cached", "tokens_cached"),
        ("trtllm_run", "self._output.abort()", "self._output.cancel()", "cancel"),
    ],
)
def test_a_fault_in_the_engine_ends_the_run_with_its_name(
    tmp_path: Path, module: str, right: str, wrong: str, named: str
) -> None:
    ended = run(tmp_path, tensorrt_llm_facts(), planted(tmp_path, module, right, wrong))
    assert ended.returncode == 1
    assert named in ended.stderr.splitlines()[-1]


def test_the_librarys_own_limit_of_an_answer_is_never_left_to_stand(tmp_path: Path) -> None:
    ended = run(tmp_path, tensorrt_llm_facts(), planted(tmp_path, "trtllm_library", "max_tokens=max_tokens,", ""))
    plain = json.loads(ended.stdout)["plain"]
    assert (plain["tokens"], plain["reason"]) == (32, "length"), "the fault shows, as the whole run above does not"


@pytest.mark.parametrize(
    ("owner", "kind", "name"),
    [
        ("SamplingParams", "fields", "guided_decoding"),
        ("GuidedDecodingParams", "fields", "structural_tag"),
        ("SamplingParams", "fields", "top_k"),
        ("KvCacheConfig", "fields", "free_gpu_memory_fraction"),
        ("TorchLlmArgs", "fields", "enable_chunked_prefill"),
        ("LoRARequest", "fields", "lora_int_id"),
        ("LoraConfig", "fields", "max_cpu_loras"),
        ("CompletionOutput", "attributes", "token_ids_diff"),
        ("CompletionOutput", "attributes", "logprobs_diff"),
        ("RequestOutput", "attributes", "outputs"),
        ("RequestOutput", "methods", "abort"),
        ("LLM", "methods", "generate_async"),
        ("LLM", "methods", "shutdown"),
        ("LLM", "attributes", "tokenizer"),
        ("TransformersTokenizer", "methods", "apply_chat_template"),
    ],
)
def test_what_the_package_has_lost_ends_the_run_with_its_name(tmp_path: Path, owner: str, kind: str, name: str) -> None:
    ended = run(tmp_path, without(owner, kind, name)(tensorrt_llm_facts()))
    assert ended.returncode == 1
    assert name in ended.stderr.splitlines()[-1]
    assert "homebred doctor" in ended.stderr.splitlines()[-1]


def test_the_stand_in_is_what_is_recorded(tmp_path: Path) -> None:
    facts = tensorrt_llm_facts()
    source = open_source(write_stand_in(tmp_path / "stand-in", facts))
    found = {name: source.class_facts(name, each.places) for name, each in facts.classes.items()}
    recorded = {name: _without_pydantic(each) for name, each in facts.classes.items()}
    assert drift(recorded, found) == []


def test_the_extras_constraints_are_of_the_recorded_version_and_no_lock_holds_it() -> None:
    facts = tensorrt_llm_facts()
    constraints = (ROOT / "packaging" / "locks" / "trtllm.constraints").read_text()
    assert f"\n{facts.distribution}=={facts.version}\n" in constraints
    assert facts.distribution not in (ROOT / "requirements.lock").read_text()


@pytest.mark.skipif(INSTALLED is None, reason="tensorrt_llm is not installed here")
def test_the_installed_package_is_what_is_recorded() -> None:
    assert INSTALLED is not None
    assert INSTALLED.origin is not None
    source, facts = open_source(Path(INSTALLED.origin).parents[1]), tensorrt_llm_facts()
    found = {name: source.class_facts(name, each.places) for name, each in facts.classes.items()}
    assert drift(facts.classes, found) == []


def _without_pydantic(facts: ClassFacts) -> ClassFacts:
    return replace(facts, kind="dataclass", keyword_only=True) if facts.kind == "model" else facts
