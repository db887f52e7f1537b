"""Reads what `strace -f -y -xx` wrote: one finished system call a value, in the order in which they ended.

It knows the form of the lines, not what a call does to a disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

TRACED = (
    "openat,open,creat,mknod,mknodat,write,pwrite64,writev,pwritev,pwritev2,truncate,ftruncate,fallocate,fsync,fdatasync,"
    "sync_file_range,syncfs,sync,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,"
    "rmdir,close,dup,dup2,dup3,fcntl,lseek,mmap,sendto,copy_file_range,sendfile,splice,ioctl"
)
"""The calls that a journal of a folder needs to see."""
RECORDING = ("-f", "-y", "-xx", "-s", "4194304", "-e", f"trace={TRACED}", "-e", "signal=none")

_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?)(.*)")
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_OPENING, _CLOSING = "{[(<", "}])>"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemCall:
    """A call that has ended."""

    name: str
    arguments: tuple[str, ...]
    """As strace writes them."""
    result: int
    """Negative: it failed."""

    def number(self, position: int) -> int:
        """An argument that is a number or a descriptor."""
        return int(self.arguments[position].partition("<")[0], 0)

    def data(self, position: int) -> bytes:
        """An argument that is a buffer, whole."""
        return _unescaped(self.arguments[position])

    def vector(self, position: int) -> bytes:
        """The buffers of an argument that is an iovec, joined."""
        bases = re.findall(r'iov_base=("[^"]*"(?:\.\.\.)?)', self.arguments[position])
        return b"".join(map(_unescaped, bases))

    def path(self, position: int, folder: int | None = None) -> Path:
        """An argument that is a path; a relative one starts at the descriptor in argument `folder`."""
        path = Path(os.fsdecode(self.data(position)))
        if path.is_absolute() or folder is None:
            return path
        found = re.search(r"<([^>]*)>", self.arguments[folder])
        if found is None:
            raise ValueError(f"{self} starts at a folder without a name")
        return Path(os.fsdecode(_unescaped(f'"{found[1]}"'))) / path


def read_calls(lines: Iterable[str]) -> Iterator[SystemCall]:
    """The finished calls; a call of one thread that another's interrupted is put together again."""
    begun: dict[str, str] = {}
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            continue
        thread, text = found[1], found[2]
        if text.endswith(_UNFINISHED):
            begun[thread] = text.removesuffix(_UNFINISHED)
            continue
        if resumed := _RESUMED.match(text):
            text = begun.pop(thread) + resumed[1]
        call = _CALL.fullmatch(text)
        if call is not None and call[3] != "?":
            yield SystemCall(name=call[1], arguments=tuple(_split(call[2])), result=int(call[3], 0))


def _split(text: str) -> Iterator[str]:
    """Arguments; with -xx no string holds a comma or a bracket."""
    depth, start = 0, 0
    for position, character in enumerate(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == "," and not depth:
            yield text[start:position].strip()
            start = position + 1
    if text[start:].strip():
        yield text[start:].strip()


def _unescaped(text: str) -> bytes:
    if not text.startswith('"') or text.endswith("..."):
        raise ValueError(f"{text[:60]} is no buffer that was recorded whole")
    return bytes.fromhex(text.strip('"').replace("\\x", ""))
