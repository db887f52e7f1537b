"""Bounds that a device and its controller share: what the one may say is what the other takes.

What a bound of one side alone is stands with that side.
"""

from __future__ import annotations

MAX_CLAIMED = 2**62
"""Of a desired state's version or a stop's epoch, as somebody else claims to have seen it: it leaves room above."""
MAX_GIVEN = 2**62 + 2**61
"""Of a version or an epoch, which is a floor for a device once it is taken: one above this would leave no room for a
later one. It is above all that a controller gives out, since that counts on from at most MAX_CLAIMED."""
MAX_SEQ = 2**40
"""Of an event within a boot, and of what a gap counts: a thousand a second for 35 years."""
MAX_LABELS = 64
"""Of a device."""
MAX_SENTENCE = 1_024
"""Characters: what is wrong, why, and what to do next; or a value that a device answers with."""
