"""A folder that somebody carried here, opened for an import: its signed files and its blobs. It believes none of it."""

from __future__ import annotations

import stat
from pathlib import Path

from homebred_daemon.adapters.carried_blobs import CarriedBlobs
from homebred_daemon.adapters.trust.folder_source import FolderSource
from homebred_daemon.errors import RequestError
from homebred_daemon.ports.carrying import Carried
from homebred_protocol.trusted_files import CARRIED

_HINT = "name the folder that `homebred-fleet bundle make` wrote, by a path that the daemon's user can read"


def open_carried(folder: Path) -> Carried:
    """What can be asked of a folder.

    Raises:
        RequestError: it is no folder that was made to be carried, or cannot be read.
    """
    if not folder.is_absolute():
        raise RequestError(f"{folder} is no absolute path", hint=_HINT)
    try:
        mode = (folder / CARRIED).lstat().st_mode
    except OSError as error:
        raise RequestError(f"{folder} holds nothing to be imported: {error.strerror}", hint=_HINT) from error
    if not stat.S_ISDIR(mode):
        raise RequestError(f"{folder / CARRIED} is no folder", hint=_HINT)
    blobs = CarriedBlobs(folder)
    return Carried(trust=FolderSource(folder), blobs=blobs, close=blobs.close)
