"""The contract run of the edgellm engine: everything it asks of TensorRT Edge-LLM, once, in this interpreter.

Usage: python edge_contract_run.py ENGINE_FOLDER ADAPTER ADAPTER. Prints what came back as JSON; where the package does
not do as recorded, it says what and ends with 1. It takes whatever `tensorrt_edgellm` is on the path, stand-in or real.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.contract_run import CALL, SCHEMA, TOOLS, answer, question

from homebred_engines import api
from homebred_engines.edgellm import EdgeLlmEngine


async def main(model: Path, adapters: Sequence[api.Adapter]) -> dict[str, object]:
    first, second = adapters
    options = api.LoadOptions(model_path=str(model), model_digest="sha256:run", slots=4, adapters=(first,))
    engine = EdgeLlmEngine()
    progress = [step async for step in engine.load(options)]
    report: dict[str, object] = {"progress": progress[-1], "version": engine.stats().engine_version}
    report["plain"] = await answer(engine, api.GenerateOptions(temperature=0))
    sampled = api.GenerateOptions(temperature=0.5, top_p=0.9, top_k=20, seed=7, stop=("word40",), logprobs=True)
    report["sampled"] = await answer(engine, sampled)
    report["again"] = report["sampled"] == await answer(engine, sampled)
    report["chance"] = len({json.dumps(await answer(engine, api.GenerateOptions())) for _ in range(3)})
    report["whole"] = (await answer(engine, api.GenerateOptions(temperature=0.5, top_p=1.0, top_k=0)))["tokens"]
    report["schema"] = await answer(engine, api.GenerateOptions(json_schema=json.dumps(SCHEMA)))
    report["call"] = await answer(engine, api.GenerateOptions(temperature=0, tools=TOOLS, stop=("arguments",)), CALL)
    report["must_call"] = await answer(engine, api.GenerateOptions(tools=TOOLS, tool_choice="wait"))
    report["cancelled"] = await cancelled(engine)
    report["adapter"] = await answer(engine, greedy(first, 4))
    progress = [step async for step in engine.set_adapters([second])]
    report["swapped"] = [progress[-1], engine.stats().adapters, await answer(engine, greedy(second, 4))]
    report["beside"] = await beside(engine, second)
    report["steps"] = engine.progress() > 0
    await engine.unload()
    return report


def greedy(adapter: api.Adapter | None, max_tokens: int) -> api.GenerateOptions:
    return api.GenerateOptions(temperature=0, max_tokens=max_tokens, adapter=adapter.digest if adapter else "")


async def cancelled(engine: api.Engine) -> dict[str, object]:
    """What is answered after a stream was given up."""
    stream = engine.generate(question(), greedy(None, 0))
    await anext(stream)
    await stream.aclose()
    return await answer(engine, greedy(None, 1))


async def beside(engine: api.Engine, adapter: api.Adapter) -> list[object]:
    """Answers of one batch, each as long as it was asked for, and of those that had to wait for another adapter."""
    wanted = [(None, 40), (None, 3), (adapter, 5), (None, 20), (adapter, 2)]
    answers = await asyncio.gather(*(answer(engine, greedy(*each)) for each in wanted))
    return [[each["tokens"], each["reason"], str(each["text"]).split()[0]] for each in answers]


if __name__ == "__main__":
    folder, *paths = map(Path, sys.argv[1:])
    served = [api.Adapter(digest=f"sha256:{path.stem}", path=str(path)) for path in paths]
    try:
        sys.stdout.write(json.dumps(asyncio.run(main(folder, served))) + "\n")
    except api.EngineError as error:
        sys.exit(f"{error.code}: {error.why} {error.hint}")
