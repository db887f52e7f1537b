from __future__ import annotations

import pytest

from homebred_protocol.schemas import is_readable


@pytest.mark.parametrize(("schema", "is_so"), [(6, False), (7, True), (10, True), (11, True), (12, False)])
def test_three_before_and_one_after_are_read(schema: int, *, is_so: bool) -> None:
    assert is_readable(schema, own=10) is is_so


def test_a_message_without_a_schema_is_not_read() -> None:
    assert not is_readable(0, own=1)
    assert not is_readable(-1, own=1)
