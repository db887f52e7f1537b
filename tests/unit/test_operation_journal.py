"""Lines as strace writes them, read into operations."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.operation_journal import (
    Made,
    Moved,
    NotModelledError,
    Operation,
    OperationJournal,
    Removed,
    Synced,
    Told,
    Truncated,
    Written,
)


def escaped(text: str) -> str:
    """As `strace -xx` writes it."""
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


class Record:
    """Lines about a folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        (self.root / "deep").mkdir(parents=True)
        (self.root / "deep" / "kept").write_bytes(b"kept")
        self._trace = folder / "trace"

    def path(self, name: str) -> str:
        return f'"{escaped(str(self.root / name))}"'

    def opened(self, name: str, fd: int, flags: str = "O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666") -> str:
        return f"7 openat(AT_FDCWD<{escaped('/')}>, {self.path(name)}, {flags}) = {fd}<{escaped('x')}>"

    def operations(self, *lines: str) -> list[Operation]:
        journal = OperationJournal(self.root)
        self._trace.write_text("".join(line + "\n" for line in lines))
        journal.read(self._trace)
        return journal.operations


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path)


def test_sequential_writes_follow_each_other_and_a_seek(record: Record) -> None:
    found = record.operations(
        record.opened("new", 3),
        '7 write(3<\\x78>, "\\x61\\x62", 2) = 2',
        '7 write(3<\\x78>, "\\x63\\x64", 2) = 1',
        '7 writev(3<\\x78>, [{iov_base="\\x64", iov_len=1}, {iov_base="\\x65", iov_len=1}], 2) = 2',
        "7 lseek(3<\\x78>, 1, SEEK_SET) = 1",
        '7 write(3<\\x78>, "\\x66", 1) = 1',
        '7 pwrite64(3<\\x78>, "\\x67", 1, 9) = 1',
    )
    assert [(each.offset, each.data) for each in found if isinstance(each, Written)] == [
        (0, b"ab"),
        (2, b"c"),
        (3, b"de"),
        (1, b"f"),
        (9, b"g"),
    ]


def test_a_file_is_followed_through_names_copies_of_descriptors_and_threads(record: Record) -> None:
    found = record.operations(
        record.opened("a", 3),
        f"7 rename({record.path('a')}, {record.path('b')}) = 0",
        "7 fcntl(3<\\x78>, F_DUPFD_CLOEXEC, 0) = 5<\\x78>",
        "7 close(3<\\x78>) = 0",
        "8 fsync(5<\\x78> <unfinished ...>",
        '7 sendto(9<socket:[1]>, "\\x6f\\x6b", 2, 0, NULL, 0) = 2',
        "8 <... fsync resumed>)             = 0",
        "7 ftruncate(5<\\x78>, 0) = 0",
    )
    made, moved, told, synced, cut = found
    assert isinstance(made, Made)
    assert moved == Moved(folder=0, name="b", inode=made.inode, old_folder=0, old_name="a")
    assert (told, synced) == (Told(text="ok"), Synced(inode=made.inode, path="b"))
    assert cut == Truncated(inode=made.inode, size=0)


def test_paths_may_start_at_a_descriptor(record: Record) -> None:
    deep = escaped(str(record.root / "deep"))
    (removed,) = record.operations(f'7 unlinkat(4<{deep}>, "{escaped("kept")}", 0) = 0')
    assert isinstance(removed, Removed)
    assert removed.name == "kept"


def test_calls_that_failed_and_files_elsewhere_are_passed_over(record: Record) -> None:
    found = record.operations(
        f"7 unlink({record.path('nothing')}) = -1 ENOENT (No such file or directory)",
        f'7 openat(AT_FDCWD<\\x2f>, "{escaped("/elsewhere")}", O_RDWR|O_CREAT, 0644) = 4<\\x78>',
        '7 write(4<\\x78>, "\\x61", 1) = 1',
        "7 +++ exited with 0 +++",
    )
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3<\\x78>, 0) = 0x7f1eede3d000",
        "ioctl(3<\\x78>, FICLONE, 4<\\x78>) = 0",
        "copy_file_range(4<\\x78>, NULL, 3<\\x78>, NULL, 4096, 0) = 4096",
    ],
)
def test_what_is_not_modelled_stops_the_reading(record: Record, line: str) -> None:
    with pytest.raises(NotModelledError):
        record.operations(record.opened("a", 3), f"7 {line}")


def test_sqlite_s_shared_memory_is_made_anew_after_a_crash_and_may_be_mapped(record: Record) -> None:
    line = "7 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3<\\x78>, 0) = 0x7f1eede3d000"
    assert len(record.operations(record.opened("a.sqlite-shm", 3), line)) == 1
