"""The daemon's places in the file system: the right to them, the public socket, the private folder behind it.

Everything is done under a lock that a second daemon does not get, and before anything is bound: grpcio would silently
take the path of a live server. What a killed daemon left behind is removed.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from pathlib import Path
from typing import Final

from homebred_daemon.errors import ConfigurationError, SecondDaemonError, StateError

LOCK_NAME: Final = "daemon.lock"
"""Of the lock file in a folder that is all the daemon's."""
PRIVATE_FOLDER: Final = "private"
PRIVATE_SOCKET: Final = "grpc.sock"
BACKLOG: Final = 128
_MAX_PATH_BYTES: Final = 107  # sun_path of unix(7), less its closing zero
_OWNER_ONLY: Final = 0o600
_WITH_GROUP: Final = 0o660
_FOLDER_HINT: Final = "check that its folder exists and belongs to this user, or choose another with --runtime-dir"


class SoleRight:
    """The right to be the only daemon that uses something, by a lock file beside it; until `release` or the end."""

    def __init__(self, lock_file: Path) -> None:
        """Takes it, and makes the file's folder (0700) where there is none.

        Raises:
            SecondDaemonError: another daemon has it.
            StateError: the folder cannot be used.
        """
        folder = lock_file.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _OWNER_ONLY)
        except OSError as error:
            raise StateError(
                f"the folder {folder} cannot be used: {error.strerror}",
                hint="check that it belongs to the daemon's user, or choose another with --state-dir or --runtime-dir",
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise SecondDaemonError(f"another daemon serves from {folder}") from None

    def release(self) -> None:
        """Gives it back."""
        os.close(self._lock)


class OwnSocket:
    """A public socket that the daemon makes itself: `listener`, until `remove`."""

    def __init__(self, path: Path, *, gid: int | None, setting: str = "access.group") -> None:
        """Binds and listens; only the daemon's user may connect, or with a gid that group too.

        `setting` is where the group was named.

        Raises:
            StateError: something else stands there, or it cannot be made.
            ConfigurationError: the daemon's user may not hand it to that group.
        """
        self._path = path
        self.listener = socket.socket(socket.AF_UNIX)
        try:
            _remove_leftover(path)
            self.listener.bind(str(path))
            self._inode = path.stat().st_ino
            _admit_group(path, gid, setting)  # nobody can connect before listen
            self.listener.listen(BACKLOG)
        except OSError as error:
            self.listener.close()
            raise StateError(f"the socket {path} cannot be made: {error.strerror}", hint=_FOLDER_HINT) from error
        except BaseException:
            self.listener.close()
            raise

    def remove(self) -> None:
        """Closes it, and takes the path away where it is still this socket's."""
        self.listener.close()
        try:
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()
        except FileNotFoundError:
            pass  # somebody emptied the folder before us


def private_socket(runtime_dir: Path) -> Path:
    """The path of gRPC's own socket, in a folder that nobody else can enter.

    Raises:
        StateError: the folder cannot be made so.
        ConfigurationError: the path is too long for a socket.
    """
    folder = runtime_dir / PRIVATE_FOLDER
    path = folder / PRIVATE_SOCKET
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise ConfigurationError(
            f"the socket {path} is {len(os.fsencode(path))} bytes long; Unix sockets allow {_MAX_PATH_BYTES}",
            hint="write a shorter path for paths.runtime_dir",
        )
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StateError(f"{folder} is no folder of this user", hint="move it away, or choose another runtime_dir")
        folder.chmod(0o700)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"the folder {folder} cannot be made: {error.strerror}", hint=_FOLDER_HINT) from error
    return path


def _remove_leftover(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StateError(f"{path} is not a socket", hint="move it away, or choose another socket path")
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise StateError(f"another process serves {path}", hint="stop it first")
    path.unlink()


def _admit_group(path: Path, gid: int | None, setting: str) -> None:
    """Mode and group of the socket, and for the group the way through its folder where that is our own."""
    path.chmod(_OWNER_ONLY)
    if gid is None:
        return
    try:
        _give_to_group(path, gid)
        path.chmod(_WITH_GROUP)
        folder = path.parent.stat()
        if folder.st_uid == os.geteuid() and not folder.st_mode & stat.S_IXOTH:
            _give_to_group(path.parent, gid)
            path.parent.chmod(stat.S_IMODE(folder.st_mode) | stat.S_IXGRP)
    except PermissionError:
        raise ConfigurationError(
            f"{setting} is {gid}, and the daemon's user may not give its socket to that group",
            hint="make the daemon's user a member of it and start it again, or name another group",
        ) from None


def _give_to_group(path: Path, gid: int) -> None:
    """Not where it is the group's already: the packaged service may not call chown(2)."""
    if path.stat().st_gid != gid:
        os.chown(path, -1, gid)
