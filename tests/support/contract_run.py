"""The contract run of the trtllm engine: everything it asks of TensorRT-LLM, once, in the interpreter that runs this.

Usage: python contract_run.py CHECKPOINT_FOLDER ADAPTER_FOLDER. Prints what came back as JSON; where the package does
not do as recorded, it says what and ends with 1. It takes whatever `tensorrt_llm` is on the path, stand-in or real.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from homebred_engines import api
from homebred_engines.tool_prompts import written_call
from homebred_engines.trtllm import TrtLlmEngine

WORDS = " ".join(f"word{number}" for number in range(50))
SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
TOOLS = (api.Tool(name="ring", parameters=json.dumps(SCHEMA)), api.Tool(name="wait"))
CALL = "At once. " + written_call(api.ToolCall(id="", name="ring", arguments='{"ok": true}'))
"""Of a model that answers with what it is asked."""


async def main(model: Path, adapter: Path) -> dict[str, object]:
    options = api.LoadOptions(model_path=str(model), model_digest="sha256:run", context_tokens=512, slots=2)
    engine = TrtLlmEngine()
    progress = [step async for step in engine.load(options)]
    report: dict[str, object] = {"progress": progress[-1], "version": engine.stats().engine_version}
    report["plain"] = await answer(engine, api.GenerateOptions())
    sampled = api.GenerateOptions(temperature=0.5, top_p=0.9, top_k=20, seed=7, stop=("word40",), logprobs=True)
    report["sampled"] = await answer(engine, sampled)
    report["schema"] = await answer(engine, api.GenerateOptions(json_schema=json.dumps(SCHEMA)))
    report["call"] = await answer(engine, api.GenerateOptions(tools=TOOLS, stop=("arguments",)), CALL)
    report["must_call"] = await answer(engine, api.GenerateOptions(tools=TOOLS, tool_choice="wait"))
    report["cancelled"] = await cancelled(engine)
    report["counted"] = await steps_are_counted(engine)
    await engine.unload()
    report["adapter"] = await with_adapter(engine, options, adapter)
    return report


async def answer(engine: api.Engine, options: api.GenerateOptions, asked: str = WORDS) -> dict[str, object]:
    """One whole generation."""
    events = [event async for event in engine.generate(question(asked), options)]
    finished = events[-1]
    assert isinstance(finished, api.Finished)
    deltas = [event for event in events if isinstance(event, api.Delta)]
    return {
        "text": "".join(delta.text for delta in deltas),
        "reason": finished.reason.value,
        "tokens": finished.usage.completion_tokens,
        "logprobs": sum(len(delta.logprobs) for delta in deltas),
        **{call.name: json.loads(call.arguments) for call in finished.tool_calls},
    }


async def cancelled(engine: TrtLlmEngine) -> bool:
    """Whether a stream that was given up is followed by another."""
    stream = engine.generate(question(), api.GenerateOptions())
    await anext(stream)
    await stream.aclose()
    return bool(await answer(engine, api.GenerateOptions(max_tokens=1)))


async def steps_are_counted(engine: TrtLlmEngine) -> bool:
    """Whether the package's own statistics tell of a step that no stream has heard of: they come a little later."""
    heard = engine.progress()
    for _ in range(100):
        if engine.progress() > heard:
            return True
        await asyncio.sleep(0.02)
    raise api.EngineFailedError("get_stats tells of no step.")


async def with_adapter(engine: TrtLlmEngine, options: api.LoadOptions, folder: Path) -> dict[str, object]:
    """An answer with an adapter, the model loaded with room for some, and one with it set on the loaded model."""
    adapter = api.Adapter(digest="sha256:orders", path=str(folder))
    asked = api.GenerateOptions(adapter=adapter.digest, max_tokens=3)
    assert [step async for step in engine.load(replace(options, adapters=(adapter,)))]
    first = await answer(engine, asked)
    for adapters in ((), (adapter,)):
        assert [step async for step in engine.set_adapters(adapters)]
    again = await answer(engine, asked)
    other = replace(adapter, digest="sha256:other", path=str(copied(folder)))
    assert [step async for step in engine.set_adapters((adapter, other))]
    await answer(engine, replace(asked, adapter=other.digest))
    await engine.unload()
    assert [step async for step in engine.load(options)]  # without room for any
    unread = engine.generate(question(), api.GenerateOptions())
    await anext(unread)
    await asyncio.wait_for(changed(engine, adapter), 60)  # a reader that does not read holds nothing up
    assert isinstance([event async for event in unread][-1], api.Finished)
    loaded_again = await answer(engine, asked)
    await engine.unload()
    return {"loaded_with": first, "set": again, "loaded_again": loaded_again}


async def changed(engine: TrtLlmEngine, adapter: api.Adapter) -> None:
    assert [step async for step in engine.set_adapters((adapter,))]


def copied(folder: Path) -> Path:
    """The same adapter in another place, which makes it another."""
    return Path(shutil.copytree(folder, folder.with_name("other")))


def question(asked: str = WORDS) -> Sequence[api.Message]:
    return [api.Message(role="system", content="Be brief."), api.Message(role="user", content=asked)]


if __name__ == "__main__":
    try:
        sys.stdout.write(json.dumps(asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))) + "\n")
    except api.EngineError as error:
        sys.exit(f"{error.code}: {error.why} {error.hint}")
