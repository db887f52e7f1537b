"""Which detectors look at a text, by lane. They find nothing here.

The local lane looks for what has a pattern and for what the site knows. A text that may leave is searched for names as
well, with the name lists of this package and, where the extra `ner` is installed, a recognizer in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.adapters.detectors.tiers import Tiers
from homebred_daemon.core.sensitivity import Detector
from homebred_daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from homebred_daemon.adapters.detectors.ner import NerDetector


def local_detector(*gazetteer_files: Path | None) -> Detector:
    """What looks at every task: for what has a pattern, and for what is on any of the lists; None is none.

    Raises:
        ConfigurationError: the list cannot be used.
    """
    named = [path for path in gazetteer_files if path is not None]
    if not named:
        return default_detector()
    from homebred_daemon.adapters.detectors.gazetteer_file import read_gazetteer  # noqa: PLC0415  # only where named

    return Tiers([default_detector(), *map(read_gazetteer, named)])


def recognizer(wanted: Literal["auto", "on", "off"], failed: Callable[[str], None]) -> NerDetector | None:
    """The recognizer of names, not yet started; close it. None: there is none, or it is not wanted.

    Args:
        wanted: auto: where it is installed.
        failed: hears why a text could not be searched; from any thread.

    Raises:
        ConfigurationError: it is wanted and not installed.
    """
    if wanted == "off":
        return None
    from homebred_daemon.adapters.detectors import ner  # noqa: PLC0415  # only where a text may leave

    if ner.is_installed():
        return ner.NerDetector(failed=failed)
    if wanted == "on":
        raise ConfigurationError(
            'detection.recognizer is "on", and no recognizer of names is installed',
            hint='install the extra `ner`, or write "auto" or "off"',
        )
    return None


def cloud_detector(local: Detector, *further: Detector) -> Detector:
    """What masks a text that may leave: names, what the other detectors look for, and what is beside it.

    Args:
        local: the local lane's.
        further: `ner.NerDetector` where `ner.is_installed()`.
    """
    from homebred_daemon.adapters.detectors.cloud_context import CloudContext  # noqa: PLC0415  # only where a text may leave
    from homebred_daemon.adapters.detectors.growing import Growing  # noqa: PLC0415
    from homebred_daemon.adapters.detectors.names import NameDetector  # noqa: PLC0415

    return Growing(Tiers([local, *further, NameDetector(), CloudContext()]))
