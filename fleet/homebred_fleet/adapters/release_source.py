"""A specialist's folder as a release is built of it: plain files alone, reached without following a link.

What is elsewhere, what never ends and what was not downloaded whole has no place in a release: links, pipes, devices,
files with holes. It reads; what is in the files, it does not know.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Final

from homebred_fleet.adapters.plain_files import NotPlainError, opened
from homebred_fleet.core.releases import Form, Wanted
from homebred_fleet.errors import RequestError
from homebred_protocol.documents.release_files import MAX_DEPTH, MAX_FILES, path_problem

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOTHING_ELSE: Final = "a release brings plain files alone: put the file itself there"


class SourceFolder:
    """One folder; its own path may lead over links, what is in it may not."""

    def __init__(self, folder: Path) -> None:
        self.path = folder

    @contextmanager
    def opened(self, path: str) -> Iterator[IO[bytes]]:
        """A file below the folder, open at its beginning.

        Raises:
            RequestError: there is no plain and whole file.
        """
        *folders, name = path.split("/")
        with ExitStack() as open_until_the_end:
            with self._reading(path), self._folder(folders) as folder:
                file = open_until_the_end.enter_context(opened(name, folder=folder))
                self._refuse_holes(path, file.fileno())
            yield file  # whatever goes wrong with it out there is not this folder's fault

    def has(self, path: str) -> bool:
        """Whether anything has that name."""
        return os.path.lexists(self.path / path)

    def read(self, path: str, max_bytes: int) -> bytes:
        """A whole small file. Raises RequestError where it is none, or longer."""
        with self.opened(path) as file, self._reading(path):
            pieces, left = [], max_bytes + 1
            while left and (piece := file.read(left)):
                pieces.append(piece)
                left -= len(piece)
        if not left:
            raise RequestError(f"{self.path / path} has more than {max_bytes:,} bytes", hint="shorten it")
        return b"".join(pieces)

    def lengths(self, wanted: Sequence[Wanted]) -> dict[str, int]:
        """Bytes of all files that are wanted, by path; none of them is read.

        Raises:
            RequestError: one is not there, or is not what a release may bring.
        """
        found: dict[str, int] = {}
        for each in wanted:
            paths = self._files_of(each)
            if not paths:
                raise RequestError(f"{self.path / each.name} is empty", hint=f"fill it: {each.why}")
            if len(found) + len(paths) > MAX_FILES:
                raise RequestError(f"{self.path} brings more than {MAX_FILES:,} files", hint=_NOTHING_ELSE)
            for path in paths:
                with self.opened(path) as file:
                    found[path] = os.fstat(file.fileno()).st_size
        return found

    def strangers(self, wanted: Sequence[Wanted], known: Sequence[str]) -> tuple[str, ...]:
        """What is in the folder and nobody names; hidden things are not told."""
        named = {each.name.partition("/")[0] for each in wanted} | set(known)
        with self._reading(""):
            names = sorted(path.name for path in self.path.iterdir())
        return tuple(name for name in names if name not in named and not name.startswith("."))

    def _files_of(self, wanted: Wanted) -> list[str]:
        """Paths of a file, or of what is in a folder but hidden names."""
        if problem := path_problem(wanted.name):
            raise RequestError(f"{wanted.name!r} cannot be in a release: {problem}", hint=f"rename it: {wanted.why}")
        if wanted.form is Form.FILE or (wanted.form is Form.EITHER and not self._is_folder(wanted.name)):
            return [wanted.name]
        names = self._below(wanted.name.split("/"), MAX_DEPTH)
        return [f"{wanted.name}/{name}" for name in islice(names, MAX_FILES + 1)]

    def _is_folder(self, name: str) -> bool:
        try:
            return stat.S_ISDIR((self.path / name).lstat().st_mode)
        except OSError:
            return False

    def _below(self, parts: list[str], levels: int) -> Iterator[str]:
        path = "/".join(parts)
        with self._reading(path), self._folder(parts) as folder, os.scandir(folder) as entries:
            names = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        for name, is_folder in names:
            if name.startswith("."):  # what version control and downloaders leave is no part of a folder's digest
                continue
            if problem := path_problem(name):
                raise RequestError(f"{path}/{name!r} cannot be in a release: {problem}", hint="rename it")
            if not is_folder:
                yield name
            elif levels > 1:
                yield from (f"{name}/{below}" for below in self._below([*parts, name], levels - 1))
            else:
                raise RequestError(f"{self.path / path} has folders too deep within one another", hint=_NOTHING_ELSE)

    def _refuse_holes(self, path: str, descriptor: int) -> None:
        length = os.fstat(descriptor).st_size
        if length and os.lseek(descriptor, 0, os.SEEK_HOLE) < length:
            raise RequestError(
                f"{self.path / path} has holes: it was not written to its end",
                hint="fetch it again; if zeros are what it means, `cp --sparse=never` writes them out",
            )
        os.lseek(descriptor, 0, os.SEEK_SET)

    @contextmanager
    def _folder(self, parts: Sequence[str]) -> Iterator[int]:
        """The descriptor of a folder below this one."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts:
                inner = os.open(part, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        place = self.path / path
        try:
            yield
        except NotPlainError:
            raise RequestError(f"{place} is no plain file", hint=_NOTHING_ELSE) from None
        except OSError as error:
            is_over_link = any(one.is_symlink() for one in _way_to(self.path, path))
            if is_over_link and error.errno in {errno.ELOOP, errno.ENOTDIR}:
                raise RequestError(f"{place} is a link, or leads over one", hint=_NOTHING_ELSE) from None
            hint = "check that it is there and may be read"
            raise RequestError(f"{place} cannot be read: {error.strerror}", hint=hint) from None


def _way_to(folder: Path, path: str) -> Iterator[Path]:
    for part in path.split("/"):
        folder = folder / part
        yield folder
