from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.generated_documents import trace_documents

from homebred_daemon.core.measures import OTHER
from homebred_daemon.core.traces import DECIDE, ENGINES, ESCALATE, GENERATE, KINDS, TraceParent, fitted, one_traceparent
from homebred_daemon.ports.cloud import CloudError
from homebred_engines import registry
from homebred_engines.api import FinishReason

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_well_formed_parent_is_taken() -> None:
    parent = TraceParent(trace_id=TRACE, span_id=SPAN)
    for flags in ("01", "00"):
        assert one_traceparent([f"00-{TRACE}-{SPAN}-{flags}"]) == parent


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        [f"00-{TRACE}-{SPAN}-01"] * 2,
        [f"00-{TRACE}-{SPAN}"],
        [f"00-{TRACE}-{SPAN}-01-more"],
        [f"ff-{TRACE}-{SPAN}-01"],
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE.upper()}-{SPAN}-01"],
        [f"00-{TRACE}-{SPAN}-01\n"],
        [f"00-{TRACE[:-1]}-{SPAN}-01"],
        ["Ottilie Zorngiebel"],
    ],
    ids=str,
)
def test_no_other_is(headers: list[str]) -> None:
    assert one_traceparent(headers) is None


@given(st.text(), st.text())
def test_no_word_of_a_task_is_a_word_of_a_span(one: str, other: str) -> None:
    for kind in KINDS:
        said = fitted(kind, (one, other)[: len(kind.labels)])
        assert len(said) == len(kind.labels)
        for label, word in zip(kind.labels, said, strict=True):
            assert word == OTHER or word in label.words


def test_what_is_known_is_told() -> None:
    assert fitted(DECIDE, ("local", "local_only")) == ("local", "local_only")
    assert fitted(ESCALATE, ()) == (OTHER,)
    assert {*registry.ENGINES} <= {*ENGINES}
    for reason in FinishReason:
        assert fitted(GENERATE, ("echo", reason.value)) == ("echo", reason.value)
    for error in CloudError.__subclasses__():
        assert fitted(ESCALATE, (error.code,)) == (error.code,)


@pytest.mark.parametrize(("path", "text"), trace_documents().items(), ids=lambda part: getattr(part, "name", ""))
def test_the_page_of_traces_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text() == text, f"run packaging/tools/trace_docs.py and commit {path.name}"
