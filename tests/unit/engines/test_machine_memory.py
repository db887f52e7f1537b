from __future__ import annotations

from pathlib import Path

import pytest

from homebred_engines.api import EngineFailedError
from homebred_engines.machine_memory import available_bytes


def test_the_kernels_own_estimate_counts(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:   5000000 kB\n")
    assert available_bytes(meminfo) == 5_000_000 * 1024


def test_a_kernel_that_does_not_say_is_an_error(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 1 kB\n")
    with pytest.raises(EngineFailedError, match="does not say"):
        available_bytes(meminfo)
