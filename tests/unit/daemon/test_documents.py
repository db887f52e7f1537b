from __future__ import annotations

from homebred_daemon.core.documents import Document, last_of_user, with_documents
from homebred_engines.api import Message

USER, ASSISTANT = Message(role="user", content="Sum it up."), Message(role="assistant", content="Done.")
LEASE = Document(name="lease.txt", text="Two rooms.")


def test_documents_stand_below_what_the_user_said_last() -> None:
    turns = with_documents([USER, ASSISTANT, USER, ASSISTANT], [LEASE, Document(name="", text="x")])
    assert [turn.content for turn in turns] == [
        "Sum it up.",
        "Done.",
        "Sum it up.\n\n--- lease.txt ---\nTwo rooms.\n\n--- document ---\nx",
        "Done.",
    ]


def test_without_documents_nothing_changes() -> None:
    assert with_documents([USER], []) == (USER,)


def test_a_user_who_said_nothing_hands_them_over() -> None:
    instructions = Message(role="system", content="Sum up what is attached.")
    handed = Message(role="user", content=LEASE.shown())
    assert with_documents([instructions], [LEASE]) == (instructions, handed)
    assert with_documents([ASSISTANT], [LEASE]) == (ASSISTANT, handed)
    assert last_of_user([ASSISTANT]) is None
