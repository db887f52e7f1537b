"""`python -m homebred_fleet`: the command line, where its script is not on the path."""

from __future__ import annotations

import sys

from homebred_fleet.cli import main

sys.exit(main())
