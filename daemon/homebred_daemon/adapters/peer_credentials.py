"""Asks the kernel who is at the other end of a Unix socket (unix(7): SO_PEERCRED, SO_PEERGROUPS).

What it says holds for the moment of connect(2); nothing that the peer itself sends is looked at.
"""

from __future__ import annotations

import errno
import socket
import struct

from homebred_daemon.core.access import Peer
from homebred_daemon.errors import UnattestedError

MAX_GROUPS = 1024
"""Every decision's record names the caller's groups: whoever is in more is turned away."""
_SO_PEERGROUPS = 59  # asm-generic/socket.h; the socket module does not name it
_CREDENTIALS = struct.Struct("3i")
_GID_BYTES = 4
_SHORT_BYTES = 1024  # the most that getsockopt of the socket module takes


def attested_peer(connection: socket.socket) -> Peer:
    """The process that connected.

    Raises:
        UnattestedError: the kernel does not say, or names more than MAX_GROUPS groups.
    """
    try:
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, gid = _CREDENTIALS.unpack(told)
        supplementary = _supplementary_groups(connection)
    except OSError as error:
        raise UnattestedError(f"the kernel does not say who connected: {error.strerror}") from error
    return Peer(uid=uid, gids=(gid, *supplementary), pid=pid)


def _supplementary_groups(connection: socket.socket) -> tuple[int, ...]:
    try:
        told = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _SHORT_BYTES)
    except OSError as error:
        if error.errno == errno.ENOPROTOOPT:
            return ()  # a kernel before 4.13 attests the first group alone
        if error.errno != errno.ERANGE:
            raise
        told = _many_groups(connection)
    return struct.unpack(f"{len(told) // _GID_BYTES}I", told)


def _many_groups(connection: socket.socket) -> bytes:
    """The same through the C library, which takes any length."""
    import ctypes  # noqa: PLC0415  # 1 MB that hardly anybody's groups call for

    library = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(MAX_GROUPS * _GID_BYTES)
    length = ctypes.c_uint(len(buffer))
    failed = library.getsockopt(connection.fileno(), socket.SOL_SOCKET, _SO_PEERGROUPS, buffer, ctypes.byref(length))
    if failed and ctypes.get_errno() == errno.ERANGE:
        raise UnattestedError(
            f"the caller is in more than {MAX_GROUPS} groups", hint="call as a user that is in fewer groups"
        )
    if failed:
        raise OSError(ctypes.get_errno(), "getsockopt(SO_PEERGROUPS) failed")
    return buffer.raw[: length.value]
