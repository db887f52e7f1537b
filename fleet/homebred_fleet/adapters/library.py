"""What devices ask for over the broker, from the folders and the database that HTTPS answers from: the same, no more.

Who asks is who the topic says; nothing in a request says it. A file is read no further than the page that is asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from homebred_fleet.adapters.signed_files import SignedFiles
from homebred_fleet.core.enrolment import Device
from homebred_fleet.ports.documents import Documents
from homebred_fleet.ports.identities import Identities
from homebred_protocol import blocks, trusted_files
from homebred_protocol.trusted_files import Page, answer_of

PAGE_BYTES: Final = 16 * 1024
"""Of a signed file: 8 s at the least rate that a device puts up with, which gives up after 10 s of silence."""
ABSENT: Final = Page(length=-1, body=b"")


class FleetLibrary:
    """Fulfils `ports.library.Library`."""

    def __init__(self, identities: Identities, signed: SignedFiles, blobs: Documents) -> None:
        self._identities = identities
        self._signed = signed
        self._blobs = blobs

    def answer(self, device: str, operation: str, body: bytes) -> bytes | None:
        """As the port says."""
        known = self._identities.device(device)
        if known is None or known.state != "enrolled":
            return None
        try:
            match operation:
                case trusted_files.REQUEST:
                    return answer_of(self._signed_page(known, *trusted_files.read_request(body)))
                case blocks.REQUEST:
                    return answer_of(self._block(known, blocks.read_request(body)))
        except ValueError:
            return None
        return None

    def _signed_page(self, device: Device, name: str, offset: int) -> Page:
        found = self._signed.find(device.id, name)
        match found:
            case None:
                return ABSENT
            case bytes():
                return Page(length=len(found), body=found[offset : offset + PAGE_BYTES])
            case _:
                return _page(found, offset, PAGE_BYTES)

    def _block(self, device: Device, block: blocks.Block) -> Page:
        path = self._blobs.for_site(block.digest, device.site)
        return ABSENT if path is None else _page(path, block.begin, block.length)


def _page(path: Path, begin: int, length: int) -> Page:
    try:
        with path.open("rb") as file:
            whole = file.seek(0, 2)
            file.seek(min(begin, whole))  # a file system refuses places far beyond its largest file
            return Page(length=whole, body=file.read(length))
    except FileNotFoundError:  # a newer publication took its place meanwhile
        return ABSENT
