from __future__ import annotations

import pytest

from homebred_daemon.core.attached_content import NOTHING_ATTACHED, Attachment
from homebred_daemon.core.attachments import attached_content
from homebred_daemon.core.documents import Document
from homebred_daemon.core.sensitivity import raised_classes
from homebred_daemon.core.task_content import requiring
from homebred_protocol.documents.task import Task


def attached(name: str, data: bytes, media_type: str = "") -> Attachment:
    return Attachment(name=name, media_type=media_type, data=data)


NOTE = attached("note.txt", "Grüße an Quill".encode())
WAVE = attached("call.wav", b"RIFF\x24\0\0\0WAVEfmt ")
FILM = attached("", b"\x00\x80", "video/mp4")
PAGE = attached("page.pdf", b"%PDF-1.7\n\xff\xfe\xfd")


def test_a_text_is_a_document_that_detection_reads() -> None:
    content = attached_content([NOTE])
    assert content.documents == (Document(name="note.txt", text="Grüße an Quill"),)
    assert (content.is_searchable, content.requires, content.spans) == (True, frozenset(), ())
    assert "note.txt" in content.text
    assert "Quill" in content.text


@pytest.mark.parametrize(
    ("attachment", "classes", "requires"),
    [
        (WAVE, {"voice"}, {"audio"}),
        (FILM, {"voice", "biometric"}, {"audio", "vision"}),
        (attached("face.jpg", b"\xff\xd8\xff\xe0"), {"biometric"}, {"vision"}),
        (PAGE, set(), {"vision"}),
    ],
)
def test_what_is_no_text_raises_its_class_stays_home_and_takes_a_specialist_for_it(
    attachment: Attachment, classes: set[str], requires: set[str]
) -> None:
    content = attached_content([NOTE, attachment])
    assert raised_classes(content.spans, {}) == classes
    assert (content.is_searchable, set(content.requires)) == (False, requires)
    assert len(content.documents) == 1


def test_nothing_is_nothing() -> None:
    assert attached_content([]) == NOTHING_ATTACHED


def test_a_task_asks_for_what_its_attachments_need() -> None:
    task = Task(task_id="t", requires=("audio",))
    assert requiring(task, frozenset({"audio", "vision"})).requires == ("audio", "vision")
    assert requiring(task, frozenset()) is task
