"""What the demo brings along: golden sets of which it asks some rows, spread over each."""

from __future__ import annotations

from pathlib import Path

import pytest

from homebred_daemon.demo.content import MEASURED_ROWS, copy_specialist, specialist_folders


@pytest.mark.parametrize("folder", specialist_folders(), ids=lambda folder: folder.name)
@pytest.mark.parametrize("rows", [MEASURED_ROWS, 0])
def test_a_copy_has_so_many_rows_of_each_golden_set_from_its_beginning_to_its_end(
    tmp_path: Path, folder: Path, rows: int
) -> None:
    copy_specialist(folder, tmp_path / "copy", rows)
    assert (tmp_path / "copy" / "specialist.toml").read_bytes() == (folder / "specialist.toml").read_bytes()
    for golden in folder.glob("golden/*.jsonl"):
        whole = golden.read_text().splitlines()
        copied = (tmp_path / "copy" / "golden" / golden.name).read_text().splitlines()
        places = [whole.index(row) for row in copied]
        assert len(set(places)) == (rows or len(whole))
        assert places == sorted(places)
        assert places[0] == 0
        assert places[-1] >= len(whole) - len(whole) // len(copied) - 1
