"""The edgellm engine against what is recorded of TensorRT Edge-LLM 0.11.0; it is no test on TensorRT Edge-LLM.

Each fault that is planted here, in a copy of the engine or in the recorded facts, ends the contract run with its name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.committed_files import ROOT
from tests.support.contract_run import WORDS
from tests.support.edgellm_bundles import write_adapter, write_bundle
from tests.support.planted_faults import planted, without
from tests.support.stand_in_package import tensorrt_edgellm_facts, write_stand_in

from homebred_engines.package_facts import PackageFacts

pytestmark = pytest.mark.slow

PROGRAM = ROOT / "tests" / "support" / "edge_contract_run.py"
INSPECTION = """
import json, tensorrt_edgellm.runtime as runtime
found = {}
for name in json.loads(input()):
    cls = getattr(runtime, name)
    own = {key: value for key, value in vars(cls).items() if not key.startswith("_") and key != "SETTABLE"}
    found[name] = {
        "attributes": sorted(key for key, value in own.items() if isinstance(value, property)),
        "settable": sorted(key for key, value in own.items() if isinstance(value, property) and value.fset),
        "members": sorted(key for key, value in own.items() if isinstance(value, cls)),
        "methods": sorted(key for key, value in own.items() if callable(value) or isinstance(value, classmethod)),
    }
print(json.dumps(found))
"""


def run(tmp_path: Path, facts: PackageFacts, *first: Path) -> subprocess.CompletedProcess[str]:
    """The contract run on a stand-in of these facts, with folders before all others on the path."""
    stand_in = write_stand_in(tmp_path / "stand-in", facts)
    engine = write_bundle(tmp_path / "engine", rows=4)
    adapters = [write_adapter(tmp_path / f"{name}.safetensors", name) for name in ("first", "second")]
    environment = {
        **os.environ,
        "PYTHONPATH": ":".join(map(str, [*first, stand_in, ROOT])),
        "STAND_IN_LOG": str(tmp_path / "batches"),
    }
    command = [sys.executable, str(PROGRAM), *map(str, (engine, *adapters))]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)


def test_the_engine_asks_for_nothing_that_is_not_recorded(tmp_path: Path) -> None:
    ended = run(tmp_path, tensorrt_edgellm_facts())
    assert (ended.returncode, ended.stderr) == (0, "")
    report = json.loads(ended.stdout)
    assert report.pop("version") == "0.11.0+stand-in"
    sampled = report.pop("sampled")
    assert "word40" not in sampled["text"]
    assert sampled["reason"] == "stop"
    assert 0 < sampled["logprobs"] == sampled["tokens"]
    assert report.pop("chance") == 3, "without a seed, each answer has its own"
    assert report == {
        "progress": 1.0,
        "plain": {"text": WORDS, "reason": "stop", "tokens": 51, "logprobs": 0},
        "again": True,
        "whole": 51,
        "schema": {"text": '{"ok": false}', "reason": "stop", "tokens": 3, "logprobs": 0},
        "call": {"text": "At once. ", "reason": "tool_calls", "tokens": 8, "logprobs": 0, "ring": {"ok": True}},
        "must_call": {"text": "", "reason": "tool_calls", "tokens": 5, "logprobs": 0, "wait": {}},
        "cancelled": {"text": "word0 ", "reason": "length", "tokens": 1, "logprobs": 0},
        "adapter": {"text": "first word0 word1 word2 ", "reason": "length", "tokens": 4, "logprobs": 0},
        "swapped": [
            1.0,
            ["sha256:second"],
            {"text": "second word0 word1 word2 ", "reason": "length", "tokens": 4, "logprobs": 0},
        ],
        "beside": [
            [40, "length", "word0"],
            [3, "length", "word0"],
            [5, "length", "second"],
            [20, "length", "word0"],
            [2, "length", "second"],
        ],
        "steps": True,
    }


def test_a_batch_holds_as_many_as_share_it_and_never_two_adapters(tmp_path: Path) -> None:
    assert run(tmp_path, tensorrt_edgellm_facts()).returncode == 0
    batches = [line.split(" ") for line in (tmp_path / "batches").read_text().splitlines()]
    first, *others = batches[-3:]
    assert first == ["1", ""], "the first of five founds a batch at once, and the others wait"
    assert sorted(others) == [["2", ""], ["2", "sha256:second"]]


@pytest.mark.parametrize(
    ("module", "right", "wrong", "named"),
    [
        ("edgellm_library", "engine_dir=plan", "engine=plan", "engine=str"),
        ("edgellm_library", "lora_weights_map=dict", "lora_map=dict", "lora_map=dict"),
        ("edgellm_library", "request.max_generate_length =", "request.max_new_tokens =", "max_new_tokens"),
        ("edgellm_library", "request.lora_weights_name =", "request.lora_name =", "lora_name"),
        ("edgellm_library", "request.stop_strings =", "request.stop =", "'stop'"),
        ("edgellm_library", "request.num_logprobs =", "request.logprobs =", "'logprobs'"),
        ("edgellm_library", "request.stream_channels =", "request.channels =", "'channels'"),
        ("edgellm_library", "request.sampling_seed = secrets.randbits(32) if options.seed is None else options.seed",
         "request.sampling_seed = -1", "sampling_seed: incompatible function arguments"),
        ("edgellm_library", "request.top_k = shared.top_k", "request.top_k = None", "top_k: incompatible"),
        ("edgellm_library", 'type="text", content', 'kind="text", content', "kind=str"),
        ("edgellm_library", "guide=tag or", "schema=tag or", "schema=str"),
        ("edgellm_library", "kinds.JSON_SCHEMA if", "kinds.JSON if", "'JSON'"),
        ("edgellm_library", "else kinds.STRUCTURAL_TAG", "else kinds.JSON_SCHEMA", "json_schema"),
        ("xgrammar_guidance", '"type": "structural_tag"', '"type": "structured_tag"', "ended a generation with ERROR"),
        ("edgellm", "replace(options, stop=())", "options", "half-way"),
        ("edgellm_library", "timeout_ms=_WAIT_MS", "timeout_s=_WAIT_MS", "timeout_s=int"),
        ("edgellm_library", "handle_request(request=request)", "handle_request(batch=request)", "batch="),
        ("edgellm_library", "StreamChannel.create()", "StreamChannel()", "No constructor defined"),
        ("edgellm_library", "list(chunk.token_ids)", "list(chunk.tokens)", "'tokens'"),
        ("edgellm_library", "entry.token_id == token", "entry.id == token", "'id'"),
        ("edgellm_sampling", "min(top_p, WHOLE_NUCLEUS)", "top_p", "Either topK or topP must be set"),
        ("edgellm_plan", "adapter.digest: adapter.path for", 'adapter.digest: adapter.path + ".gone" for',
         "first.safetensors.gone"),
        ("edgellm_plan", "replace(plan.runtime, adapters=paths)", "plan.runtime", "adapter_not_loaded"),
    ],
)  # fmt: skip
def test_a_fault_in_the_engine_ends_the_run_with_its_name(
    tmp_path: Path, module: str, right: str, wrong: str, named: str
) -> None:
    ended = run(tmp_path, tensorrt_edgellm_facts(), planted(tmp_path, module, right, wrong))
    assert ended.returncode == 1
    assert named in ended.stderr.splitlines()[-1]


@pytest.mark.thorough("each is a run of its own; the same of TensorRT-LLM is run every time")
@pytest.mark.parametrize(
    ("owner", "kind", "name"),
    [
        ("LLMRuntime", "methods", "handle_request"),
        ("LLMRuntime", "methods", "count_prompt_tokens"),
        ("LLMRuntime", "methods", "capture_decoding_cuda_graph"),
        ("LLMGenerationRequest", "settable", "lora_weights_name"),
        ("LLMGenerationRequest", "settable", "stream_channels"),
        ("LLMGenerationRequest", "settable", "temperature"),
        ("Request", "settable", "guided_decoding"),
        ("Request", "settable", "sampling_seed"),
        ("GuideType", "members", "JSON_SCHEMA"),
        ("GuideType", "members", "STRUCTURAL_TAG"),
        ("StreamChannel", "methods", "create"),
        ("StreamChannel", "methods", "wait_pop"),
        ("StreamChannel", "methods", "cancel"),
        ("StreamChannel", "methods", "is_finished"),
        ("StreamChunk", "attributes", "token_ids"),
        ("StreamChunk", "attributes", "finished"),
        ("LogprobEntry", "attributes", "token_id"),
    ],
)
def test_what_the_package_has_lost_ends_the_run_with_its_name(tmp_path: Path, owner: str, kind: str, name: str) -> None:
    ended = run(tmp_path, without(owner, kind, name)(tensorrt_edgellm_facts()))
    assert ended.returncode == 1
    assert name in ended.stderr.splitlines()[-1]
    assert "homebred doctor" in ended.stderr.splitlines()[-1]


def test_the_stand_in_is_what_is_recorded(tmp_path: Path) -> None:
    facts = tensorrt_edgellm_facts()
    stand_in = write_stand_in(tmp_path / "stand-in", facts)
    inspected = subprocess.run(
        [sys.executable, "-c", INSPECTION],
        input=json.dumps(list(facts.classes)),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(stand_in)},
    )
    assert json.loads(inspected.stdout) == {
        name: {
            "attributes": list(each.attributes),
            "settable": sorted(each.settable),
            "members": sorted(each.members),
            "methods": sorted({method.split(" (")[0] for method in each.methods} - {"__init__"}),
        }
        for name, each in facts.classes.items()
    }
