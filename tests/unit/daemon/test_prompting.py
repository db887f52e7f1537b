from __future__ import annotations

from dataclasses import replace

from homebred_daemon.core.prompting import messages_for, messages_for_chat, options_for
from homebred_engines.api import GenerateOptions, Message
from homebred_protocol.documents.specialist import Example, Prompt, ServedWorkflow, SpecialistManifest

BARE = SpecialistManifest(digest="", id="a", title="A", engine="echo", workflows={"*": ServedWorkflow()})
FULL = replace(
    BARE,
    prompt=Prompt(
        system="Read the order.",
        template="Order: {input}\nJSON:",
        examples=(Example(input="one tea", output='{"tea": 1}'), Example(input="two", output="{}")),
        max_tokens=50,
        temperature=0.25,
        stop=("\n",),
        response_schema='{"type": "object"}',
    ),
)
SHOWN = [
    ("user", "Order: one tea\nJSON:"),
    ("assistant", '{"tea": 1}'),
    ("user", "Order: two\nJSON:"),
    ("assistant", "{}"),
]


def pairs(messages: tuple[Message, ...]) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in messages]


def test_a_text_is_asked_after_the_system_message_and_the_examples() -> None:
    assert pairs(messages_for(FULL, "a cake")) == [
        ("system", "Read the order."),
        *SHOWN,
        ("user", "Order: a cake\nJSON:"),
    ]


def test_a_specialist_without_a_prompt_is_asked_the_text_alone() -> None:
    assert pairs(messages_for(BARE, "a cake")) == [("user", "a cake")]


def test_a_chat_follows_the_examples_and_its_user_turns_go_through_the_template() -> None:
    turns = (
        Message(role="user", content="a cake"),
        Message(role="assistant", content='{"cake": 1}'),
        Message(role="user", content="make it two"),
    )
    assert pairs(messages_for_chat(FULL, turns)) == [
        ("system", "Read the order."),
        *SHOWN,
        ("user", "Order: a cake\nJSON:"),
        ("assistant", '{"cake": 1}'),
        ("user", "Order: make it two\nJSON:"),
    ]


def test_a_callers_system_messages_come_after_the_manifests_in_one_message() -> None:
    turns = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="a"),
        Message(role="system", content="Be kind."),
    )
    assert pairs(messages_for_chat(FULL, turns))[0] == ("system", "Read the order.\n\nBe brief.\n\nBe kind.")
    assert [message.role for message in messages_for_chat(FULL, turns)].count("system") == 1
    assert pairs(messages_for_chat(BARE, turns)) == [("system", "Be brief.\n\nBe kind."), ("user", "a")]


def test_a_text_and_a_chat_of_one_turn_are_asked_alike() -> None:
    assert messages_for(FULL, "x") == messages_for_chat(FULL, (Message(role="user", content="x"),))


def test_what_the_caller_leaves_open_comes_from_the_manifest() -> None:
    assert options_for(FULL, GenerateOptions(seed=3, logprobs=True, top_k=5)) == GenerateOptions(
        max_tokens=50,
        temperature=0.25,
        stop=("\n",),
        json_schema='{"type": "object"}',
        seed=3,
        logprobs=True,
        top_k=5,
    )


def test_a_callers_schema_stop_strings_and_temperature_win() -> None:
    asked = GenerateOptions(temperature=0.0, stop=("END",), json_schema='{"type": "array"}')
    options = options_for(FULL, asked)
    assert (options.temperature, options.stop, options.json_schema) == (0.0, ("END",), '{"type": "array"}')


def test_the_manifests_token_limit_bounds_the_callers_where_it_is_set() -> None:
    assert options_for(FULL, GenerateOptions(max_tokens=500)).max_tokens == 50
    assert options_for(FULL, GenerateOptions(max_tokens=5)).max_tokens == 5
    assert options_for(BARE, GenerateOptions(max_tokens=500)).max_tokens == 500
    assert options_for(BARE, GenerateOptions()).max_tokens == 0


def test_a_manifest_is_greedy_unless_it_says_otherwise() -> None:
    assert options_for(BARE, GenerateOptions()).temperature == 0.0
