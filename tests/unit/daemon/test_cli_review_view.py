"""What a reviewer is shown and given of a task: it comes from whoever sent it."""

from __future__ import annotations

from pathlib import Path

import pytest

from homebred_daemon.cli.review_view import message_json, save_attachments
from homebred_daemon.errors import RequestError
from homebred_protocol.v1 import control_pb2 as wire
from homebred_protocol.v1.inference_pb2 import Attachment, Message, ToolCall


def shown(*names: str) -> wire.ShowReviewResponse:
    return wire.ShowReviewResponse(attachments=[Attachment(name=name, data=b"bytes") for name in names])


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("letter.txt", "1-letter.txt"),
        ("../../letter.txt", "1-letter.txt"),
        ("/etc/passwd", "1-passwd"),
        ("..", "1-attachment"),
        ("", "1-attachment"),
        (".profile", "1-profile"),
        ("a\0b\n\u202ec.txt", "1-a_b__c.txt"),
        ("名" * 400 + ".txt", "1-" + "名" * 56 + ".txt"),
    ],
)
def test_no_name_leads_out_of_the_folder_or_is_too_long_for_it(tmp_path: Path, name: str, saved: str) -> None:
    save_attachments(shown(name, "second.txt"), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {saved, "2-second.txt"}
    assert (tmp_path / saved).read_bytes() == b"bytes"
    assert (tmp_path / saved).stat().st_mode & 0o077 == 0


def test_no_file_that_is_there_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "1-letter.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match="cannot be written"):
        save_attachments(shown("letter.txt"), tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_turn_keeps_its_calls_and_what_it_answers() -> None:
    call = ToolCall(id="c", name="ring", arguments="{}")
    told = {"id": "c", "name": "ring", "arguments": "{}"}
    assert message_json(Message(role="user", content="x")) == {"role": "user", "content": "x"}
    assert message_json(Message(role="assistant", tool_calls=[call]))["tool_calls"] == [told]
    assert message_json(Message(role="tool", content="rang", tool_call_id="c"))["tool_call_id"] == "c"
