"""The names of devices, sites, boots and commands: what may be one, so that none is ever more than a name.

A device's name is its certificate's common name, its MQTT client id and a level of its topics: `+`, `#` and `/` would
be read as patterns by a broker (CVE-2017-7650).
"""

from __future__ import annotations

import re

DEVICE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""Lower case alone: two names that differ in case are too easily taken for each other."""
SITE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
BOOT = re.compile(r"[0-9a-f]{32}")
COMMAND = re.compile(r"[0-9a-f]{32}")
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,61}[a-z0-9])?")
"""Key or value of a label."""
CONTROLLER = "homebred-fleet"
"""Common name and client id of the controller's own certificate; no device has it."""
TENANT = "default"


def is_device_id(text: str) -> bool:
    """Whether a device may be called so."""
    return text != CONTROLLER and DEVICE.fullmatch(text) is not None


def is_site(text: str) -> bool:
    """Whether a site may be called so."""
    return SITE.fullmatch(text) is not None


def is_boot_id(text: str) -> bool:
    """Whether it is the id of a start of the daemon: 128 random bits in hexadecimal."""
    return BOOT.fullmatch(text) is not None


def is_command_id(text: str) -> bool:
    """Whether it is the id of a command: 128 random bits in hexadecimal."""
    return COMMAND.fullmatch(text) is not None


def is_label(text: str) -> bool:
    """Whether it may be a label's key or its value."""
    return LABEL.fullmatch(text) is not None
