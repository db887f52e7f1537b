"""A release as it is built and read: the same bytes from the same folder, whole or not at all, plain files alone."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from tests.support import release_scenarios
from tests.support.power_cuts import scratch_folder
from tests.support.release_sources import FOREIGN_BASE, PLAN, ROWS, SPECIALIST, contents, write_source
from tests.support.specialists import write_specialist, write_specialist_of_folders

from homebred_daemon.adapters.model_store import ModelStore
from homebred_fleet.adapters.release_building import build_release
from homebred_fleet.adapters.release_folder import ReleaseFolder, read_manifest_file
from homebred_fleet.adapters.release_source import SourceFolder
from homebred_fleet.adapters.release_stage import BLOBS, MANIFEST, RESERVE_BYTES, Progress, Stage, staged, unheard
from homebred_fleet.errors import RequestError, StateError
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.release import canonical_bytes, read_release
from homebred_protocol.documents.release_values import FRAME_BYTES

PLAIN_PLAN = 'version = 1\nfamily = "birds"\nnumber = 1\nlicence = "Apache-2.0"\nclasses = ["public"]\n'
BUILDING = (
    "from pathlib import Path; from homebred_fleet.adapters.release_building import build_release;"
    "build_release(Path({source!r}), Path({target!r}))"
)
GATE = '[gate.golden."say.again"]\nminimum_ppm = 500_000\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source")


def refusal_of(source: Path, target: Path) -> str:
    """What is said against building; nothing of it is left."""
    with pytest.raises(RequestError) as caught:
        build_release(source, target)
    assert not target.exists()
    assert not list(target.parent.glob(".new-*"))
    assert caught.value.hint
    return caught.value.message


def test_a_release_holds_its_manifest_and_each_file_by_its_digest(source: Path, tmp_path: Path) -> None:
    built = build_release(source, tmp_path / "out")
    held = contents(tmp_path / "out")
    assert held.pop(MANIFEST) == built.body == canonical_bytes(built.manifest)
    assert read_release(built.body) == built.manifest
    originals = contents(source)
    assert {file.path for file in built.manifest.files} == originals.keys() - {"release.toml"}
    for file in built.manifest.files:
        body = held.pop(f"{BLOBS}/{file.digest.removeprefix('sha256:')}")
        assert (body, file.length) == (originals[file.path], len(body))
    assert held == {}


def test_the_same_folder_gives_the_same_bytes_whatever_is_around_it(tmp_path: Path) -> None:
    first, second = write_source(tmp_path / "a"), write_source(tmp_path / "elsewhere" / "b", backwards=True)
    for number, path in enumerate(second.rglob("*")):
        os.utime(path, (number, number * 1_000))
        path.chmod(0o700)
    (second / ".cache").mkdir()
    (second / "notes.txt").write_text("nobody names this")
    found = []
    for folder, umask, variables in (
        (first, 0o000, {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "1"}),
        (second, 0o277, {"LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "2"}),
    ):
        target = folder.parent / "out"
        program = BUILDING.format(source=str(folder), target=str(target))
        command = [sys.executable, "-c", f"import os; os.umask({umask}); {program}"]
        subprocess.run(command, env=os.environ | variables, check=True)
        modes = {str(path.relative_to(target)): path.stat().st_mode for path in target.rglob("*")}
        found.append((contents(target), modes, target.stat().st_mode))
    assert found[0] == found[1]
    assert stat.S_IMODE(found[0][2]) == 0o700


def test_a_large_file_is_cut_into_frames_each_with_its_digest(tmp_path: Path) -> None:
    base = os.urandom(2 * FRAME_BYTES + 3)
    announced: list[int] = []
    heard: list[int] = []

    def watching(total_bytes: int) -> AbstractContextManager[Progress]:
        announced.append(total_bytes)
        return nullcontext(heard.append)

    built = build_release(write_source(tmp_path / "source", base=base), tmp_path / "out", watching)
    assert announced == [sum(heard)] == [sum(file.length for file in built.manifest.files)]
    (file,) = (file for file in built.manifest.files if file.path == "base.gguf")
    pieces = [base[start : start + FRAME_BYTES] for start in range(0, len(base), FRAME_BYTES)]
    assert [f"sha256:{frame}" for frame in file.frames] == [digest_of(piece) for piece in pieces]
    assert (file.digest, built.manifest.constraints.base_digest) == (digest_of(base), digest_of(base))


def test_memory_is_bounded_however_long_a_file_is(tmp_path: Path) -> None:
    write_source(tmp_path / "source", base=bytes(range(256)) * (20 * FRAME_BYTES // 256) + b"x")
    program = BUILDING.format(source=str(tmp_path / "source"), target=str(tmp_path / "out"))
    told = "; print(Path('/proc/self/status').read_text())"
    done = subprocess.run([sys.executable, "-c", program + told], capture_output=True, text=True, check=True)
    (peak_kb,) = (int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("VmHWM:"))
    assert peak_kb < 64 * 1024  # the interpreter, and four frames


def test_files_with_the_same_bytes_are_kept_once(source: Path, tmp_path: Path) -> None:
    shutil.copy(source / "adapter/adapter_config.json", source / "adapter/tokenizer.json")
    built = build_release(source, tmp_path / "out")
    assert len(list((tmp_path / "out" / BLOBS).iterdir())) == len(built.manifest.files) - 1


def test_what_nobody_names_is_left_out_and_told_and_hidden_names_are_no_part(source: Path, tmp_path: Path) -> None:
    whole = build_release(source, tmp_path / "first").body
    (source / "README.md").write_text("for people")
    (source / ".git").mkdir()
    (source / "adapter" / ".gitattributes").write_text("x")
    built = build_release(source, tmp_path / "second")
    assert (built.left_out, built.body) == (("README.md",), whole)


def test_a_base_that_is_named_by_its_digest_stays_where_it_is(tmp_path: Path) -> None:
    specialist, plan = FOREIGN_BASE
    built = build_release(write_source(tmp_path / "s", specialist=specialist, plan=plan), tmp_path / "out")
    assert built.left_out == ("base.gguf",)
    assert built.manifest.base is not None
    assert built.manifest.base.digest == built.manifest.constraints.base_digest


@pytest.mark.parametrize("write", [write_specialist, write_specialist_of_folders])
def test_what_was_built_is_what_a_devices_store_takes(write: Callable[[Path], Path], tmp_path: Path) -> None:
    source = write(tmp_path / "source")
    (source / "release.toml").write_text(PLAIN_PLAN + GATE)
    manifest = build_release(source, tmp_path / "out").manifest
    there = tmp_path / "on the device"
    for file in manifest.files:
        (there / file.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "out" / BLOBS / file.digest.removeprefix("sha256:"), there / file.path)
    stored = ModelStore(tmp_path / "store").add(there).specialist
    assert stored.manifest.id == manifest.id
    assert stored.base_digest == manifest.constraints.base_digest


def linked_file(source: Path) -> str:
    (source / "base.gguf").rename(source.parent / "elsewhere.gguf")
    (source / "base.gguf").symlink_to(source.parent / "elsewhere.gguf")
    return "base.gguf is a link, or leads over one"


def linked_folder(source: Path) -> str:
    (source / "adapter").rename(source.parent / "elsewhere")
    (source / "adapter").symlink_to(source.parent / "elsewhere")
    return "adapter is a link, or leads over one"


def link_in_a_folder(source: Path) -> str:
    (source / "adapter" / "more.bin").symlink_to("/etc/hostname")
    return "adapter/more.bin is a link, or leads over one"


def link_on_the_way(source: Path) -> str:
    (source / "golden").rename(source.parent / "elsewhere")
    (source / "golden").symlink_to(source.parent / "elsewhere")
    return "golden/intake.extract.jsonl is a link, or leads over one"


def pipe(source: Path) -> str:
    (source / "base.gguf").unlink()
    os.mkfifo(source / "base.gguf")
    return "base.gguf is no plain file"


def listening_socket(source: Path) -> str:
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(source / "adapter")  # a socket's path is short
        listening.bind("sock")
        os.chdir(here)
    return "adapter/sock cannot be read"


def folder_for_a_file(source: Path) -> str:
    (source / "base.gguf").unlink()
    (source / "base.gguf").mkdir()
    return "base.gguf is no plain file"


def file_for_a_folder(source: Path) -> str:
    shutil.rmtree(source / "adapter")
    (source / "adapter").write_text("x")
    return "adapter cannot be read: Not a directory"


def hole(source: Path) -> str:
    os.truncate(source / "base.gguf", 1 << 40)
    return "base.gguf has holes: it was not written to its end"


def missing(source: Path) -> str:
    (source / "base.gguf").unlink()
    return "base.gguf cannot be read: No such file or directory"


def nothing_in_a_folder(source: Path) -> str:
    shutil.rmtree(source / "adapter")
    (source / "adapter").mkdir()
    (source / "adapter" / ".hidden").write_text("x")
    return "adapter is empty"


def name_that_steers_a_terminal(source: Path) -> str:
    (source / "adapter" / "a\x1b[2J").write_text("x")
    return "cannot be in a release: it holds a control character or a backslash"


def name_that_is_no_text(source: Path) -> str:
    (source / "adapter" / os.fsdecode(b"\xff")).write_text("x")
    return "cannot be in a release: it holds a control character or a backslash"


def names_too_much_alike(source: Path) -> str:
    (source / "adapter" / "Adapter_config.json").write_text("x")
    return "are too much alike"


def folders_too_deep(source: Path) -> str:
    (source / "adapter" / "/".join("abcdefghij")).mkdir(parents=True)
    return "has folders too deep within one another"


def very_many_files(source: Path) -> str:
    for number in range(1_001):
        (source / "adapter" / str(number)).touch()
    return "brings more than 1,000 files"


def no_plan(source: Path) -> str:
    (source / "release.toml").unlink()
    return "release.toml is not there"


def no_toml(source: Path) -> str:
    (source / "release.toml").write_text("version = ")
    return "release.toml is not TOML"


def endless_number(source: Path) -> str:
    (source / "release.toml").write_text(f"version = {'9' * 5_000}")
    return "release.toml is not TOML"


def no_utf8(source: Path) -> str:
    (source / "specialist.toml").write_bytes(b"\xff")
    return "specialist.toml is not TOML"


def endless_plan(source: Path) -> str:
    with (source / "release.toml").open("a") as file:
        file.write("#" * (1024 * 1024))
    return "release.toml has more than 1,048,576 bytes"


def wrong_golden_row(source: Path) -> str:
    with (source / "golden/intake.extract.jsonl").open("a") as file:
        file.write('{"input": "a"}\n')
    return 'golden/intake.extract.jsonl: "line 4".expected: does not suit the scorer json_equal'


def solved_example_among_golden_rows(source: Path) -> str:
    example = f'[[prompt.examples]]\ninput = "{ROWS[0]["input"]}"\noutput = "x"\n[workflows'
    (source / "specialist.toml").write_text(SPECIALIST.replace("[workflows", example, 1))
    return '"line 1": has the input of a few-shot example'


def no_schema(source: Path) -> str:
    (source / "specialist.toml").write_text(SPECIALIST.replace('{"type": "object"}', "{"))
    return "prompt.response_schema: is not JSON"


def long_title(source: Path) -> str:
    (source / "specialist.toml").write_text(SPECIALIST.replace("Reads an", "Reads " * 50))
    return "its manifest: title: is"


WRONG = [
    linked_file,
    linked_folder,
    link_in_a_folder,
    link_on_the_way,
    pipe,
    listening_socket,
    folder_for_a_file,
    file_for_a_folder,
    hole,
    missing,
    nothing_in_a_folder,
    name_that_steers_a_terminal,
    name_that_is_no_text,
    names_too_much_alike,
    folders_too_deep,
    very_many_files,
    no_plan,
    no_toml,
    no_utf8,
    endless_number,
    endless_plan,
    wrong_golden_row,
    solved_example_among_golden_rows,
    no_schema,
    long_title,
]


@pytest.mark.parametrize("spoil", WRONG, ids=lambda spoil: spoil.__name__)
def test_what_no_device_could_take_is_refused_and_nothing_is_left(
    spoil: Callable[[Path], str], source: Path, tmp_path: Path
) -> None:
    complaint = spoil(source)
    assert complaint in refusal_of(source, tmp_path / "out" / "release")


def test_all_that_is_wrong_with_both_documents_is_told_at_once(source: Path, tmp_path: Path) -> None:
    (source / "specialist.toml").write_text(SPECIALIST.replace('"llamacpp"', '"No Engine"'))
    (source / "release.toml").write_text(PLAN.replace("number = 7", "number = 0"))
    told = refusal_of(source, tmp_path / "out")
    assert "specialist.toml: engine: is 'No Engine'" in told
    assert "release.toml: number: is 0" in told


def test_a_folder_that_is_there_stays_as_it_is_and_an_empty_one_is_filled(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    build_release(source, target)
    held = contents(target)
    with pytest.raises(RequestError, match="is there already"):
        build_release(source, target)
    assert contents(target) == held
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RequestError, match="is there already"):
        build_release(source, tmp_path / "link")


def test_a_release_is_not_built_into_what_it_is_built_of(source: Path) -> None:
    with pytest.raises(RequestError, match="is in the folder that is built of"):
        build_release(source, source / "adapter" / "out")
    assert not (source / "adapter" / "out").exists()


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="bytes free, and the release takes"), staged(tmp_path / "out", 1 << 60):
        raise AssertionError("nothing is staged")
    free_bytes = shutil.disk_usage(tmp_path).free
    assert free_bytes > 2 * RESERVE_BYTES
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_as_long_as_it_was_is_told(source: Path, tmp_path: Path) -> None:
    stage = Stage(tmp_path, unheard)
    with SourceFolder(source).opened("base.gguf") as file:
        file.read(1)
        with pytest.raises(RequestError, match=r"base\.gguf changed while the release was being built"):
            stage.take(file, source / "base.gguf")


@pytest.mark.parametrize("path", ["specialist.toml", "golden/intake.extract.jsonl"])
def test_what_was_checked_is_what_is_copied_or_the_build_ends(path: str, source: Path, tmp_path: Path) -> None:
    def meddling(_total_bytes: int) -> AbstractContextManager[Progress]:
        (source / path).write_bytes((source / path).read_bytes().swapcase())
        return nullcontext(lambda _more_bytes: None)

    with pytest.raises(RequestError, match="changed while the release was being built"):
        build_release(source, tmp_path / "out", meddling)
    assert [entry.name for entry in tmp_path.iterdir()] == ["source"]


def test_what_is_wrong_with_the_copy_is_not_told_of_the_source(source: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(StateError, match="out cannot be written: No space left on device"),
        staged(tmp_path / "out", 0),
        SourceFolder(source).opened("base.gguf"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_what_others_left_beside_hinders_nobody(source: Path, tmp_path: Path) -> None:
    place = tmp_path / "releases"
    (place / ".new-release-half" / "blobs").mkdir(parents=True)
    (place / ".new-release-file").touch()
    (place / ".new-release-link").symlink_to(source)
    build_release(source, place / "out")
    assert sorted(path.name for path in place.iterdir()) == [".new-release-file", ".new-release-link", "out"]


def test_one_build_does_not_take_another_ones_folder_for_a_leftover(source: Path, tmp_path: Path) -> None:
    place = tmp_path / "releases"
    with staged(place / "first", 0) as outer:
        build_release(source, place / "second")
        with SourceFolder(source).opened("base.gguf") as file:
            outer.take(file, source / "base.gguf")
        outer.finish(b"{}")
    assert sorted(path.name for path in place.iterdir()) == ["first", "second"]


def killed_before(number: int, root: Path) -> bool:
    """Builds in a child that is killed before its n-th call on files below the folder; whether it survived."""
    child = os.fork()
    if not child:
        left = number

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            place = arguments[0] if arguments else None
            if isinstance(place, str | Path) and str(place).startswith(str(root / "built")):
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        build_release(root / release_scenarios.SOURCE, root / release_scenarios.BUILT)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_kill_before_any_step_leaves_a_whole_release_or_none_and_the_next_build_tidies_up() -> None:
    number, survived, whole = 0, False, 0
    with scratch_folder() as scratch:
        while not survived:
            number += 1
            root = scratch / str(number)
            root.mkdir()
            release_scenarios.prepare(root)
            survived = killed_before(number, root)
            whole += (root / release_scenarios.BUILT).exists()
            release_scenarios.check(root, ())
    assert number > 25
    assert 0 < whole < number


def blob(folder: Path, path: str) -> Path:
    manifest, _ = ReleaseFolder(folder).manifest()
    (digest,) = (file.digest for file in manifest.files if file.path == path)
    return folder / BLOBS / digest.removeprefix("sha256:")


def test_a_release_tells_what_of_it_is_missing_damaged_or_foreign(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    manifest = build_release(source, folder).manifest
    release = ReleaseFolder(folder)
    assert release.condition(manifest, reads=True).is_whole
    changed, gone = blob(folder, "base.gguf"), blob(folder, "specialist.toml")
    linked = blob(folder, "adapter/adapter_config.json")
    changed.chmod(0o600)
    changed.write_bytes(changed.read_bytes().swapcase())
    assert release.condition(manifest, reads=False).is_whole
    gone.unlink()
    linked.unlink()
    linked.symlink_to("/etc/hostname")
    (folder / BLOBS / "stranger").touch()
    condition = release.condition(manifest, reads=True)
    assert condition.missing == (f"sha256:{gone.name}",)
    assert condition.damaged == tuple(sorted((f"sha256:{changed.name}", f"sha256:{linked.name}")))
    assert condition.strangers == ("stranger",)
    assert not condition.is_whole


def test_a_file_that_is_no_manifest_is_refused_in_words(source: Path, tmp_path: Path) -> None:
    for name, body, complaint in (
        (
            "large",
            b" " * (1024 * 1024 + 1),
            "(the document): is no manifest: it has more than 1,048,576",
        ),
        ("text", b"version = 1", "is no manifest: it is not JSON"),
        ("spaced", b"{ }", "it is not written canonically"),
    ):
        (tmp_path / name).write_bytes(body)
        with pytest.raises(RequestError) as caught:
            read_manifest_file(tmp_path / name)
        assert complaint in caught.value.message
    os.mkfifo(tmp_path / "pipe")
    for name, complaint in (
        ("pipe", "is no plain file"),
        ("nowhere", "cannot be read"),
        ("source", "it is no plain file"),
    ):
        with pytest.raises(RequestError, match=complaint):
            read_manifest_file(tmp_path / name)
