"""Disks that are full, and file systems that know no links: said in words, with what is served as it was, or new."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.support.image_repository import SignedFleet, key, manifest
from tests.support.tuf_client import Client
from tuf.ngclient import Updater
from typing_extensions import override

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.adapters.tuf_repository.repository import Repository
from homebred_fleet.errors import StateError

NOW_S = unix_s() - 60
NEW = "models/qa/intake-3/8.json"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a release that is published, and one that waits, signed by all."""
    fleet = SignedFleet(tmp_path_factory.mktemp("template"), now_s=NOW_S)
    fleet.release("qa", "intake-3", 7)
    fleet.publish()
    fleet.release("qa", "intake-3", 8)
    for name in ("models-qa", "snapshot", "timestamp"):
        fleet.image.sign(key(name).signer, NOW_S)
    return fleet.image_folder.parent


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "image", symlinks=True)


def failing_at(number: int, call: str, code: int, patch: pytest.MonkeyPatch) -> list[int]:
    """Lets the n-th of one kind of call fail; how many there were is counted."""
    count, real = [0], getattr(os, call)

    def called(*arguments: object, **named: object) -> object:
        count[0] += 1
        if count[0] >= number:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **named)

    patch.setattr(os, call, called)
    return count


@pytest.mark.parametrize("call", ["fsync", "rename", "link", "mkdir", "symlink"])
def test_a_disk_that_is_full_from_any_call_on_leaves_what_is_served_and_can_be_gone_on_with(
    template: Path,
    tmp_path: Path,
    call: str,
    thorough: bool,  # noqa: FBT001 - a fixture
) -> None:
    number, failed = 0, True
    while failed:
        number += 1 if thorough or number < 3 else 4
        root = shutil.copytree(template, tmp_path / str(number), symlinks=True)
        with pytest.MonkeyPatch.context() as patch:
            failing_at(number, call, errno.ENOSPC, patch)
            try:
                Repository(root).publish(NOW_S)
                failed = False
            except StateError as refused:
                assert "No space left" in refused.message  # noqa: PT017  # one of two ends
        there = Repository(root)
        assert there.check(NOW_S).problems == ()
        if there.contents().prepared:
            there.publish(NOW_S)
        assert Client(tmp_path / f"{number}-device", root / "published").target(NEW)
        assert list(root.rglob(".new-*")) == []
    assert number > 1


def test_a_change_that_cannot_be_kept_is_no_change(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Repository(root)
    before = {one.role: one.prepared for one in there.standings(NOW_S)}
    changes: list[Callable[[], object]] = [
        lambda: there.add("models/qa/intake-3/9.json", manifest("qa", "intake-3", 9), "", NOW_S),
        lambda: there.renew(["root"], NOW_S),
        lambda: there.remove(NEW, NOW_S),
        lambda: there.sign(key("anna").signer, NOW_S),
    ]
    for change in changes:
        with monkeypatch.context() as patch:
            failing_at(1, "fsync", errno.EIO, patch)
            with pytest.raises(StateError, match="cannot be written") as refused:
                change()
            assert refused.value.hint
        assert {one.role: one.prepared for one in there.standings(NOW_S)} == before


def test_what_another_admin_published_is_copied_where_no_second_name_may_be_given_to_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel's `fs.protected_hardlinks` has it for files of another user."""
    link, refused = os.link, []

    def linking(source: str, place: str, **named: object) -> None:
        if not Path(source).name.startswith(".new-"):
            refused.append(source)
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        link(source, place)

    monkeypatch.setattr(os, "link", linking)
    Repository(root).publish(NOW_S)
    assert refused
    assert Repository(root).check(NOW_S).problems == ()
    assert Client(tmp_path / "device", root / "published").target(NEW)


class Served(SimpleHTTPRequestHandler):
    """A static server, as any web server is one."""

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_static_server_serves_it_to_a_client_as_it_comes(root: Path, tmp_path: Path) -> None:
    Repository(root).publish(NOW_S)

    def handler(*arguments: object) -> Served:
        return Served(*arguments, directory=str(root / "published"))  # type: ignore[arg-type]

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = Thread(target=server.serve_forever, daemon=True)
        serving.start()
        base = f"http://127.0.0.1:{server.server_port}"
        (tmp_path / "metadata").mkdir()
        (tmp_path / "targets").mkdir()
        updater = Updater(
            str(tmp_path / "metadata"),
            f"{base}/metadata/",
            str(tmp_path / "targets"),
            f"{base}/targets/",
            bootstrap=(root / "published/metadata/1.root.json").read_bytes(),
        )
        found = updater.get_targetinfo(NEW)
        assert found is not None
        assert Path(updater.download_target(found)).read_bytes() == manifest("qa", "intake-3", 8)
        server.shutdown()
        serving.join(10)
