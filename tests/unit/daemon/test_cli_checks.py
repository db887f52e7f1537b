"""What the doctor's checks find."""

from __future__ import annotations

import os
import resource
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from homebred_daemon.cli.finding import Finding
from homebred_daemon.cli.machine_checks import clock_finding, gpu_finding, open_files_finding, python_finding
from homebred_daemon.cli.site_checks import (
    gazetteer_finding,
    metrics_finding,
    policy_finding,
    socket_finding,
    state_folder_finding,
)
from homebred_daemon.settings import MetricsSettings


def assert_helps(finding: Finding) -> None:
    assert finding.what
    assert finding.why
    assert finding.next


def test_an_old_python_is_an_error_and_a_new_one_is_not() -> None:
    assert python_finding((3, 10, 14), "3.10.14").status == "error"
    assert_helps(python_finding((3, 10, 14), "3.10.14"))
    assert python_finding((3, 11, 0), "3.11.0").status == "ok"


def test_few_open_files_are_a_warning() -> None:
    assert open_files_finding(256).status == "warning"
    assert_helps(open_files_finding(256))
    assert open_files_finding(1024).status == "ok"
    assert open_files_finding(resource.RLIM_INFINITY).status == "ok"


def test_a_clock_at_its_epoch_is_an_error() -> None:
    assert clock_finding(datetime(1970, 1, 1, tzinfo=UTC)).status == "error"
    assert_helps(clock_finding(datetime(1970, 1, 1, tzinfo=UTC)))
    assert clock_finding(datetime(2026, 11, 23, tzinfo=UTC)).status == "ok"


def test_no_gpu_is_fine_and_what_would_need_one_is_said(tmp_path: Path) -> None:
    finding = gpu_finding([tmp_path / "nvidia0"])
    assert finding.status == "ok"
    assert "TensorRT-LLM" in finding.why
    (tmp_path / "nvidia0").touch()
    assert str(tmp_path / "nvidia0") in gpu_finding([tmp_path / "nvidia0"]).what


def test_a_state_folder_that_exists_or_can_be_made_is_fine(tmp_path: Path) -> None:
    assert "is writable" in state_folder_finding(tmp_path).what
    assert f"will be made in {tmp_path}" in state_folder_finding(tmp_path / "a" / "b").what


def test_a_state_folder_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = state_folder_finding(tmp_path / "file" / "state")
    assert finding.status == "error"
    assert_helps(finding)


def test_a_state_folder_that_is_a_file_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    assert state_folder_finding(tmp_path / "state").status != "ok"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_state_folder_of_another_user_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert state_folder_finding(tmp_path).status == "warning"
    assert state_folder_finding(tmp_path / "below").status == "error"


def test_the_built_in_policy_is_fine(tmp_path: Path) -> None:
    assert policy_finding(tmp_path, policy_file=None, ceiling_file=None).status == "ok"


def test_a_policy_that_may_not_be_meant_so_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('air_gap = true\nlocal_only_classes = ["client"]\n')
    finding = policy_finding(tmp_path, policy_file=file, ceiling_file=None)
    assert finding.status == "warning"
    assert "air_gap" in finding.why
    assert_helps(finding)


def test_a_gazetteer_is_checked_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    file = tmp_path / "known.jsonl"
    file.write_text('{"text": "Anna Müller", "class": "patient"}\n')
    file.chmod(0o640)
    assert gazetteer_finding(None).status == gazetteer_finding(file).status == "ok"
    file.chmod(0o644)
    assert gazetteer_finding(file).status == "warning"
    assert_helps(gazetteer_finding(file))
    file.write_text("{}")
    assert gazetteer_finding(file).status == "error"
    assert_helps(gazetteer_finding(file))


def test_a_policy_that_was_set_is_the_one_that_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("escalation = 7\n")
    finding = policy_finding(tmp_path, policy_file=None, ceiling_file=None)
    assert (finding.status, "policy.toml:1" in finding.what) == ("error", True)


def test_a_wrong_policy_is_an_error_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text("air_gap = 1\n")
    finding = policy_finding(tmp_path, policy_file=file, ceiling_file=None)
    assert finding.status == "error"
    assert f"{file}:1" in finding.what
    assert_helps(finding)


def test_a_listening_socket_is_fine_and_a_silent_one_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert "no daemon runs here" in socket_finding(path).what
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert "ended without removing its socket" in socket_finding(path).what
        assert_helps(socket_finding(path))
        listener.listen()
        assert socket_finding(path).status == "ok"


def test_a_socket_path_that_no_socket_can_have_is_a_warning() -> None:
    assert socket_finding(Path("/" + "x" * 200)).status == "warning"


def test_figures_that_nobody_wants_are_fine_and_so_is_a_port_whose_readers_are_said() -> None:
    assert metrics_finding(MetricsSettings()).what == "off: nothing is counted"
    finding = metrics_finding(MetricsSettings(port=9464))
    assert finding.status == "ok"
    assert "every user" in finding.what


def test_a_socket_for_figures_needs_a_folder_or_one_that_can_be_made(tmp_path: Path) -> None:
    assert "no group" in metrics_finding(MetricsSettings(socket=tmp_path / "new" / "metrics.sock")).what
    (tmp_path / "file").touch()
    finding = metrics_finding(MetricsSettings(socket=tmp_path / "file" / "metrics.sock"))
    assert finding.status == "error"
    assert_helps(finding)


def test_a_group_for_figures_that_this_machine_does_not_know_is_an_error(tmp_path: Path) -> None:
    socket = tmp_path / "metrics.sock"
    finding = metrics_finding(MetricsSettings(socket=socket, group="no-such-group"))
    assert finding.status == "error"
    assert "metrics.group" in finding.what
    assert_helps(finding)
    assert "group 0" in metrics_finding(MetricsSettings(socket=socket, group="0")).what
