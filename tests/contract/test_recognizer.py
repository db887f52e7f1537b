"""The recognizer of names in its child process: the real one where it is installed, and children that misbehave."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from homebred_daemon.adapters.detectors import for_lanes, ner
from homebred_daemon.adapters.detectors.ner import NerDetector, is_installed
from homebred_daemon.core.sensitivity import Detector, Span
from homebred_daemon.errors import ConfigurationError, DetectionError

# Answers every text with one entity over its first word, in the protocol of `ner_child`.
WELL_BEHAVED = """
import json, os, sys
stream = open(0, "r+b", buffering=0)
def read(length):
    received = b""
    while len(received) < length and (chunk := stream.read(length - len(received))):
        received += chunk
    return received
while head := read(4):
    text = read(int.from_bytes(head, "big")).decode()
    answer = json.dumps([[0, len(text.split()[0]), "PERSON"]]).encode()
    os.write(0, len(answer).to_bytes(4, "big") + answer)
"""
HANGING = "import time; time.sleep(600)"
DYING = "import sys; sys.exit(3)"
BABBLING = "import os; os.read(0, 4); os.write(0, (5).to_bytes(4, 'big') + b'[[1, ')"
BOASTING = "import os; os.read(0, 4); os.write(0, b'\\xff\\xff\\xff\\xff')"
TRICKLING = "import os, time\nos.write(0, (9).to_bytes(4, 'big'))\nwhile True: os.write(0, b'['); time.sleep(0.2)"


def child(program: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", program)


@pytest.fixture
def recognizer() -> Iterator[NerDetector]:
    with NerDetector(command=child(WELL_BEHAVED), rest_s=0) as made:
        yield made


@pytest.mark.parametrize(
    ("wanted", "is_installed", "kind"),
    [("auto", True, NerDetector), ("on", True, NerDetector), ("off", True, type(None)), ("auto", False, type(None))],
)
def test_it_is_there_where_it_is_installed_and_not_unwanted(
    *, wanted: Any, is_installed: bool, kind: type[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ner, "is_installed", lambda: is_installed)
    assert type(for_lanes.recognizer(wanted, print)) is kind


def test_one_that_is_wanted_and_not_there_is_complained_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ner, "is_installed", lambda: False)
    with pytest.raises(ConfigurationError, match="no recognizer of names is installed"):
        for_lanes.recognizer("on", print)


def test_entities_come_back_where_they_stand(recognizer: NerDetector) -> None:
    assert recognizer.detect("Zorblatt called") == (Span(0, 8, "PERSON", 3),)
    assert recognizer.detect("Quuxley too") == (Span(0, 7, "PERSON", 3),)


def test_a_long_text_goes_in_pieces_with_offsets_of_the_whole(recognizer: NerDetector) -> None:
    text = "word " * 9000
    spans = recognizer.detect(text)
    assert len(spans) > 1
    assert {text[span.start : span.end] for span in spans} == {"word"}


def test_after_a_failure_it_rests_and_whoever_runs_it_hears_why() -> None:
    why: list[str] = []
    with NerDetector(command=child(DYING), rest_s=0.5, failed=why.append) as recognizer:
        for failures in (1, 1):  # the second text finds it at rest
            with pytest.raises(DetectionError):
                recognizer.detect("Zorblatt called")
            assert len(why) == failures
        time.sleep(0.6)
        with pytest.raises(DetectionError):
            recognizer.detect("Zorblatt called")
    assert len(why) == 2
    assert set(why) <= {"ConnectionError", "BrokenPipeError", "ConnectionResetError"}


def test_a_text_without_letters_asks_nobody() -> None:
    with NerDetector(command=child(DYING)) as recognizer:
        assert recognizer.detect("12 / 34") == recognizer.detect("") == ()


def test_half_a_surrogate_pair_moves_no_offset(recognizer: NerDetector) -> None:
    assert recognizer.detect("\ud800ab c") == (Span(0, 3, "PERSON", 3),)


@pytest.mark.parametrize("program", [HANGING, DYING, BABBLING, BOASTING, TRICKLING])
def test_a_child_that_misbehaves_is_a_clear_error_and_is_killed(program: str) -> None:
    with NerDetector(command=child(program), start_deadline_s=1.0) as recognizer:
        with pytest.raises(DetectionError, match="the recognizer of names") as raised:
            recognizer.detect("Zorblatt called")
        assert "Zorblatt" not in str(raised.value)
        assert recognizer._child is None


def test_a_command_that_cannot_be_started_is_the_same_error() -> None:
    with NerDetector(command=("/nowhere/at-all",)) as recognizer, pytest.raises(DetectionError):
        recognizer.detect("Zorblatt called")


def test_after_a_death_the_next_text_starts_another(recognizer: NerDetector) -> None:
    recognizer.detect("Zorblatt called")
    assert recognizer._child is not None
    recognizer._child.kill()
    recognizer._child.wait()
    with pytest.raises(DetectionError):
        recognizer.detect("Zorblatt called")
    assert recognizer.detect("Zorblatt called") != ()


def test_the_child_ends_with_whoever_started_it() -> None:
    starter = (
        "import os\nfrom homebred_daemon.adapters.detectors.ner import NerDetector\n"
        f"one = NerDetector(command={child(WELL_BEHAVED)!r})\none.detect('Zorblatt')\n"
        "print(one._child.pid, flush=True)\nos._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", starter], capture_output=True, text=True, check=True)
    assert _ends(int(done.stdout))


def _ends(pid: int) -> bool:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(process, "rb", buffering=0) as file:
        return bool(select.select([file], [], [], 10)[0])


@pytest.mark.skipif(not is_installed(), reason="the extra `ner` is not installed (packaging/locks/ner.lock)")
def test_the_real_recognizer_finds_a_person_and_loads_nothing_here() -> None:
    text = "Barack Obama was born in Hawaii and worked for Google."
    with NerDetector() as recognizer:
        detector: Detector = recognizer
        found = {(text[span.start : span.end], span.type) for span in detector.detect(text)}
    assert ("Barack Obama", "PERSON") in found
    assert "spacy" not in sys.modules
    assert detector.entity_types >= {"LOCATION", "ORGANIZATION", "PERSON"}
