"""Which detectors look at a text, by lane. They find nothing here.

The local lane looks for what has a pattern and for what the site knows. A text that may leave is searched for names as
well, with the name lists of this package and, where the extra `ner` is installed, a recognizer in a process of its own.
"""

from __future__ import annotations

from pathlib import Path

from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.adapters.detectors.tiers import Tiers
from homebred_daemon.core.sensitivity import Detector


def local_detector(gazetteer_file: Path | None) -> Detector:
    """What looks at every task. None: the site names no list of what it knows.

    Raises:
        ConfigurationError: the list cannot be used.
    """
    if gazetteer_file is None:
        return default_detector()
    from homebred_daemon.adapters.detectors.gazetteer_file import read_gazetteer  # noqa: PLC0415  # only where named

    return Tiers([default_detector(), read_gazetteer(gazetteer_file)])


def cloud_detector(local: Detector, *further: Detector) -> Tiers:
    """What masks a text that may leave: all that the local lane looks for, names, and the further detectors.

    Args:
        local: the local lane's.
        further: `ner.NerDetector` where `ner.is_installed()`.
    """
    from homebred_daemon.adapters.detectors.cloud_context import CloudContext  # noqa: PLC0415  # only where a text may leave
    from homebred_daemon.adapters.detectors.names import NameDetector  # noqa: PLC0415

    return Tiers([local, *further, NameDetector(), CloudContext()])
