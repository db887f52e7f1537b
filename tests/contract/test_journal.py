"""Every log, real and fake: what is noted comes out with its fields, and nothing that the catalogue does not allow."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.journald import Journald, decoded
from tests.support.recorded_journal import RecordedJournal

from homebred_daemon import messages
from homebred_daemon.adapters import last_resort, logs
from homebred_daemon.adapters.journald import SOCKET, JournalSocket, encoded, is_journal
from homebred_daemon.adapters.logs import BURST, WINDOW_S, StructuredJournal
from homebred_daemon.errors import ConfigurationError, RequestError
from homebred_daemon.ports.journal import Journal

Written = Callable[[], list[dict[str, str]]]
"""The entries that came out, each with its event's name and fields as text."""


@contextmanager
def fake(folder: Path) -> Iterator[tuple[Journal, Written]]:
    journal = RecordedJournal()
    yield journal, lambda: [{"event": one.event.name, **one.fields} for one in journal.entries]


@contextmanager
def as_json(folder: Path) -> Iterator[tuple[StructuredJournal, Written]]:
    stream = io.StringIO()

    def written() -> list[dict[str, str]]:
        return [{name: str(text) for name, text in json.loads(line).items()} for line in stream.getvalue().splitlines()]

    yield StructuredJournal(logs.lines(stream, as_json=True), "info"), written


@contextmanager
def native(folder: Path) -> Iterator[tuple[StructuredJournal, Written]]:
    journald = Journald(folder / "journal")

    def written() -> list[dict[str, str]]:
        entries = journald.entries()
        return [{name.removeprefix("HOMEBRED_").lower(): text for name, text in entry.items()} for entry in entries]

    yield StructuredJournal(logs.native(JournalSocket(journald.path)), "info"), written
    journald.close()


@pytest.fixture(params=[fake, as_json, native])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Journal, Written]]:
    with request.param(tmp_path) as opened:
        yield opened


@pytest.fixture(params=[as_json, native])
def real_log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Journal, Written]]:
    with request.param(tmp_path) as opened:
        yield opened


def test_what_is_noted_comes_out_with_its_fields(log: tuple[Journal, Written]) -> None:
    journal, written = log
    journal.note(messages.WORKER_ENDED, engine="echo", model="sha256:00", pid=7, exit=-11, seconds=1.5)
    journal.note(messages.RESUMED)
    ended, resumed = written()
    assert (ended["event"], ended["pid"], ended["exit"], ended["engine"]) == ("worker_ended", "7", "-11", "echo")
    assert float(ended["seconds"]) == 1.5
    assert resumed["event"] == "resumed"


def test_an_entry_says_in_words_what_happened_and_what_to_do(
    real_log: tuple[Journal, Written],
) -> None:
    journal, written = real_log
    journal.note(messages.MODEL_PARKED, engine="echo", model="sha256:00", failures=5)
    (entry,) = written()
    assert entry["message"] == "A model is parked after 5 failures."
    assert "homebred models load" in entry["next"]
    assert entry["message_id"] == messages.MODEL_PARKED.message_id


def test_what_the_catalogue_does_not_allow_is_named_and_not_written(
    real_log: tuple[Journal, Written],
) -> None:
    journal, written = real_log
    journal.note(messages.WORKER_GONE, pid=7, prompt="Xylophonia")
    journal.note(messages.START_REFUSED, error_code="Xylophonia has the canary")
    entries = written()
    assert [entry["refused_fields"] for entry in entries] == ["prompt", "error_code"]
    assert "Xylophonia" not in str(entries)


def test_the_fake_takes_what_the_catalogue_does_not_allow_for_a_defect() -> None:
    with pytest.raises(AssertionError, match="may not hold"):
        RecordedJournal().note(messages.WORKER_GONE, pid=7, prompt="hello")
    with pytest.raises(AssertionError, match="speaks of"):
        RecordedJournal().note(messages.WORKER_GONE)


class TestLevels:
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[tuple[StructuredJournal, Written]]:
        with as_json(tmp_path) as opened:
            yield opened

    def test_what_is_less_severe_is_not_written(self, log: tuple[StructuredJournal, Written]) -> None:
        journal, written = log
        assert journal.set_level("warning") == "info"
        journal.note(messages.RESUMED)
        journal.note(messages.MANAGER_SILENT)
        assert journal.level == "warning"
        assert [entry["event"] for entry in written()] == ["manager_silent"]

    def test_a_change_is_noted(self, log: tuple[StructuredJournal, Written]) -> None:
        journal, written = log
        journal.set_level("debug")
        assert written()[0]["severity"] == "debug"

    def test_an_unknown_one_is_refused_and_changes_nothing(self, log: tuple[StructuredJournal, Written]) -> None:
        journal, _ = log
        with pytest.raises(RequestError, match="loud"):
            journal.set_level("loud")
        assert journal.level == "info"


class TestWhatCannotBeWritten:
    def test_is_counted_and_said_later(self) -> None:
        stream = io.StringIO()
        written, is_full = [], True
        write = logs.lines(stream, as_json=True)

        def output(entry: Any) -> None:
            if is_full:
                raise BlockingIOError
            written.append(entry.event.name)
            write(entry)

        journal = StructuredJournal(output, "info")
        journal.note(messages.RESUMED)
        journal.note(messages.RESUMED)
        is_full = False
        journal.note(messages.RESUMED)
        assert written == ["resumed", "entries_lost"]
        assert json.loads(stream.getvalue().splitlines()[-1])["count"] == 2

    def test_to_a_closed_stream_harms_nobody(self) -> None:
        stream = io.StringIO()
        journal = StructuredJournal(logs.lines(stream, as_json=True), "info")
        stream.close()
        journal.note(messages.RESUMED)

    def test_to_a_journal_that_is_gone_or_does_not_read_harms_nobody(self, tmp_path: Path) -> None:
        journald = Journald(tmp_path / "journal")
        journal = StructuredJournal(logs.native(JournalSocket(journald.path)), "info")
        for number in range(BURST):
            journal.note(messages.WORKER_GONE, pid=number)
        came = len(journald.entries())
        journald.close()
        journal.note(messages.RESUMED)
        again = Journald(tmp_path / "journal")
        journal.note(messages.RESUMED)
        told = [entry["HOMEBRED_EVENT"] for entry in again.entries()]
        again.close()
        assert came > 0
        assert told == ["resumed", "entries_lost"]


def test_a_flood_of_one_kind_is_held_back_and_counted() -> None:
    stream, now_s = io.StringIO(), 0.0
    journal = StructuredJournal(logs.lines(stream, as_json=True), "info", lambda: now_s)
    for _ in range(BURST + 50):
        journal.note(messages.CALLER_UNREAD, principal="uid:7")
    journal.note(messages.RESUMED)
    now_s = WINDOW_S
    journal.note(messages.CALLER_UNREAD, principal="uid:7")
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(written) == BURST + 3
    assert [entry["event"] for entry in written[-3:]] == ["resumed", "entries_held_back", "caller_unread"]
    assert (written[-2]["kind"], written[-2]["count"]) == ("caller_unread", 50)


class TestTheNativeProtocol:
    @given(fields=st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True), st.text()))
    def test_any_text_arrives_as_it_was(self, fields: dict[str, str]) -> None:
        assert decoded(encoded(fields)) == fields

    def test_a_text_of_one_line_is_written_as_one(self) -> None:
        assert encoded({"MESSAGE": "a=b"}) == b"MESSAGE=a=b\n"

    def test_a_text_of_several_lines_has_its_length_before_it(self) -> None:
        assert encoded({"MESSAGE": "a\nb"}) == b"MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n"

    def test_what_no_datagram_holds_comes_in_a_sealed_file(self, tmp_path: Path) -> None:
        journald = Journald(tmp_path / "journal")
        way = JournalSocket(journald.path)
        way.send({"MESSAGE": "x" * (1 << 20)})
        (entry,) = journald.entries()
        journald.close()
        assert len(entry["MESSAGE"]) == 1 << 20

    def test_the_journal_is_where_journal_stream_says(self, tmp_path: Path) -> None:
        """systemd.exec(5), $JOURNAL_STREAM: device and inode in decimal, separated by a colon."""
        with (tmp_path / "stderr").open("w") as stream:
            about = os.fstat(stream.fileno())
            assert is_journal(stream.fileno(), {"JOURNAL_STREAM": f"{about.st_dev}:{about.st_ino}"})
            assert not is_journal(stream.fileno(), {"JOURNAL_STREAM": f"{about.st_dev}:{about.st_ino + 1}"})
            assert not is_journal(stream.fileno(), {})


class TestFormats:
    def opened(self, log_format: str, tmp_path: Path, environ: Mapping[str, str] | None = None) -> str:
        with (tmp_path / "stderr").open("w+") as stream:
            logs.opened(log_format, "info", environ or {}, stream).note(messages.WORKER_GONE, pid=7)
            stream.seek(0)
            return stream.read()

    @pytest.mark.parametrize("log_format", ["auto", "json"])
    def test_lines_are_json_where_no_journal_listens(self, log_format: str, tmp_path: Path) -> None:
        assert json.loads(self.opened(log_format, tmp_path))["message"] == "Worker 7 is gone."

    def test_the_console_is_for_people(self, tmp_path: Path) -> None:
        line = self.opened("console", tmp_path)
        assert "Worker 7 is gone." in line
        assert "message_id" not in line

    @pytest.mark.skipif(SOCKET.exists(), reason="a journal listens here")
    def test_a_journal_that_is_not_there_is_said_at_the_start(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="no journal listens"):
            self.opened("journal", tmp_path)


class TestWhatNobodyCatches:
    """Type and place of it, never the words."""

    CANARY = "Xylophonia has the canary"

    @pytest.fixture
    def journal(self) -> Iterator[RecordedJournal]:
        """Every hook is put back as it was."""
        import logging  # noqa: PLC0415

        held = sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning, logging.root.handlers
        journal = RecordedJournal()
        last_resort.install(journal)
        yield journal
        sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning, logging.root.handlers = held
        assert self.CANARY.partition(" ")[0] not in str(journal.entries)

    def fault(self) -> ValueError:
        try:
            raise ValueError(self.CANARY)  # noqa: TRY301
        except ValueError as error:
            return error

    def test_a_crash_is_noted_by_type_and_place(self, journal: RecordedJournal) -> None:
        last_resort.crash(journal, self.fault())
        (entry,) = journal.entries
        assert entry.fields["error_type"] == "ValueError"
        assert entry.fields["where"].endswith(":fault")

    def test_each_fault_of_a_group_is_noted(self, journal: RecordedJournal) -> None:
        inner = ExceptionGroup(self.CANARY, [self.fault(), KeyError(self.CANARY)])
        last_resort.defect(journal, ExceptionGroup(self.CANARY, [inner]))
        assert [entry.fields["error_type"] for entry in journal.entries] == ["ValueError", "KeyError"]

    def test_what_a_library_reports_is_noted_by_its_name(self, journal: RecordedJournal) -> None:
        import logging  # noqa: PLC0415

        try:
            raise ValueError(self.CANARY)  # noqa: TRY301
        except ValueError:
            logging.getLogger("grpc._cython.cygrpc").exception("it said %s", self.CANARY)
        (entry,) = journal.entries
        assert entry.fields["library"] == "grpc._cython.cygrpc"
        assert entry.fields["severity"] == "error"
        assert entry.fields["error_type"] == "ValueError"

    def test_a_threads_fault_is_noted(self, journal: RecordedJournal) -> None:
        def work() -> None:
            raise ValueError(self.CANARY)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert journal.names == ["defect"]

    def test_a_warning_is_noted(self, journal: RecordedJournal) -> None:
        warnings.showwarning(self.CANARY, UserWarning, "/x/library.py", 7)
        assert journal.entries[0].fields["where"] == "library.py:7"

    def test_a_fault_that_a_loop_reports_is_noted(self, journal: RecordedJournal) -> None:
        handle = last_resort.loop_handler(journal)
        handle(None, {"message": self.CANARY, "exception": self.fault()})
        handle(None, {"message": self.CANARY})
        assert journal.names == ["defect", "library_reported"]
