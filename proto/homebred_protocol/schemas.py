"""Which versions of the fleet's messages a reader understands: three before its own, and one after.

A controller of one version serves devices of N-3 to N+1; a device hears a controller of the same range. Fields are only
ever added, so that an older message lacks some and a newer one has some that are passed over.
"""

from __future__ import annotations

CURRENT = 1
"""What is written by this version."""
BEFORE = 3
AFTER = 1


def is_readable(schema: int, own: int = CURRENT) -> bool:
    """Whether a message of this schema is understood by a reader of `own`."""
    return schema >= 1 and own - BEFORE <= schema <= own + AFTER
