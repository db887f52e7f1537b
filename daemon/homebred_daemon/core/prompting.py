"""What a specialist's engine is asked: its messages and options, from the manifest and the caller's task.

It knows no model's chat template (the engine applies that) and counts no tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from homebred_engines import api
from homebred_protocol.documents.specialist import Prompt, SpecialistManifest


def messages_for(manifest: SpecialistManifest, text: str) -> tuple[api.Message, ...]:
    """The conversation for a task of one text: system, examples, the text in the template."""
    return messages_for_chat(manifest, (api.Message(role="user", content=text),))


def messages_for_chat(manifest: SpecialistManifest, turns: Sequence[api.Message]) -> tuple[api.Message, ...]:
    """The conversation for a task given as turns: system, examples, then the caller's turns.

    A caller's system messages are appended to the manifest's, which stands first. Every user turn goes through the
    template, as the examples' do: one shape throughout, and a single turn is asked like the same text.
    """
    prompt = manifest.prompt
    systems = [prompt.system, *(turn.content for turn in turns if turn.role == "system")]
    system = "\n\n".join(content for content in systems if content)
    head = (api.Message(role="system", content=system),) if system else ()
    return (*head, *_example_turns(prompt), *(_templated(prompt, turn) for turn in turns if turn.role != "system"))


def options_for(manifest: SpecialistManifest, asked: api.GenerateOptions) -> api.GenerateOptions:
    """The caller's options where given, else the manifest's; its `max_tokens` bounds the caller's."""
    prompt = manifest.prompt
    limits = [limit for limit in (asked.max_tokens, prompt.max_tokens) if limit]
    return replace(
        asked,
        max_tokens=min(limits, default=0),
        temperature=prompt.temperature if asked.temperature is None else asked.temperature,
        stop=asked.stop or prompt.stop,
        json_schema=asked.json_schema or prompt.response_schema,
    )


def _example_turns(prompt: Prompt) -> tuple[api.Message, ...]:
    return tuple(
        api.Message(role=role, content=content)
        for example in prompt.examples
        for role, content in (("user", prompt.render(example.input)), ("assistant", example.output))
    )


def _templated(prompt: Prompt, turn: api.Message) -> api.Message:
    return replace(turn, content=prompt.render(turn.content)) if turn.role == "user" else turn
