"""Checks of what the settings name: state folder, policy, socket. They change nothing and start nothing."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path
from typing import Literal

from homebred_daemon.adapters.accounts import group_id
from homebred_daemon.adapters.detectors.for_lanes import recognizer
from homebred_daemon.adapters.detectors.gazetteer_file import read_gazetteer
from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.adapters.policy_files import PolicyFiles
from homebred_daemon.cli.finding import ERROR, OK, WARNING, Finding
from homebred_daemon.core.sensitivity import ATTACHED_TYPES
from homebred_daemon.errors import ConfigurationError
from homebred_daemon.settings import MetricsSettings
from homebred_protocol.documents.policy import advice

LOW_SPACE_BYTES = 1 << 30
NO_SPACE_BYTES = 64 << 20
CONNECT_TIMEOUT_S = 1.0


def state_folder_finding(folder: Path) -> Finding:
    """Whether ledger and models can be kept."""
    standing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
        return _unwritable(folder, standing)
    free = shutil.disk_usage(standing).free
    shown = f"{folder} is writable, {free / (1 << 30):.1f} GiB free"
    if standing != folder:
        shown = f"{folder} will be made in {standing}, {free / (1 << 30):.1f} GiB free"
    if free >= LOW_SPACE_BYTES:
        return Finding(check="state_folder", status=OK, what=shown)
    return Finding(
        check="state_folder",
        status=ERROR if free < NO_SPACE_BYTES else WARNING,
        what=shown,
        why="ledger and models are kept there; when it is full no decision can be recorded, and so none is made",
        next="free some space, set ledger.max_decisions lower, or move paths.state_dir to a larger disk",
    )


def _unwritable(folder: Path, standing: Path) -> Finding:
    exists = standing == folder
    return Finding(
        check="state_folder",
        status=WARNING if exists else ERROR,
        what=f"{folder} may not be written by user {os.getuid()}" if exists else f"{folder} does not exist",
        why="ledger and models are kept there; the daemon may run as another user, who may"
        if exists
        else f"ledger and models are kept there, and user {os.getuid()} may not make it in {standing}",
        next="run this as the daemon's user, or set paths.state_dir to a folder of your own",
    )


def policy_finding(state_dir: Path, *, policy_file: Path | None, ceiling_file: Path | None) -> Finding:
    """Whether the policy in force can be used, and what it may not have meant."""
    policies = PolicyFiles(state_dir, policy_file=policy_file, ceiling_file=ceiling_file)
    try:
        held = policies.in_force()
    except ConfigurationError as error:
        why = "without a policy no task may be decided, and the daemon does not start"
        return Finding(check="policy", status=ERROR, what=error.message, why=why, next=error.hint)
    name = {"default": "the built-in policy", "file": str(policy_file), "set": "the policy that was set"}[held.origin]
    warnings = advice(held.site.policy, default_detector().entity_types | ATTACHED_TYPES)
    if not warnings or held.origin == "default":  # the built-in policy's one warning is for who writes a policy
        return Finding(check="policy", status=OK, what=f"{name} is valid, {held.site.policy.digest}")
    return Finding(
        check="policy",
        status=WARNING,
        what=f"{name} is valid; {len(warnings)} of its settings may not be meant so",
        why="; ".join(warnings),
        next="see `homebred policy check FILE`, and change what was not meant",
    )


def gazetteer_finding(file: Path | None) -> Finding:
    """Whether what the site knows can be used, and who may read it."""
    if file is None:
        return Finding(check="gazetteer", status=OK, what="none: names and codes of this site are not recognised")
    try:
        known = read_gazetteer(file)
        is_open = bool(file.stat().st_mode & stat.S_IRWXO)
    except (ConfigurationError, OSError) as error:
        what, hint = (error.message, error.hint) if isinstance(error, ConfigurationError) else (str(error), "")
        why = "without it a task that names a patient could leave, and the daemon does not start"
        return Finding(check="gazetteer", status=ERROR, what=what, why=why, next=hint)
    what = f"{file} can be used, {known.bytes_taken / 1_000_000:.1f} MB in memory"
    if not is_open:
        return Finding(check="gazetteer", status=OK, what=what)
    why = "every user of this machine may open it, and it holds what must not leave"
    return Finding(check="gazetteer", status=WARNING, what=what, why=why, next=f"run `chmod o= {file}`")


def recognizer_finding(wanted: Literal["auto", "on", "off"], *, has_cloud: bool) -> Finding:
    """Whether a recognizer of names searches what may leave."""
    if not has_cloud:
        return Finding(check="recognizer", status=OK, what="not needed: no cloud endpoint is configured")
    try:
        names = recognizer(wanted, lambda _: None)
    except ConfigurationError as error:
        why = "the daemon does not start"
        return Finding(check="recognizer", status=ERROR, what=error.message, why=why, next=error.hint)
    if names is not None:
        return Finding(check="recognizer", status=OK, what="installed; it starts with the first text that may leave")
    what = "none: lists of names alone search what may leave, and a policy with require_recognizer lets nothing leave"
    return Finding(check="recognizer", status=OK, what=what)


def metrics_finding(wanted: MetricsSettings) -> Finding:
    """Whether figures can be shown where the settings say, and to whom."""
    if not wanted.are_wanted:
        return Finding(check="metrics", status=OK, what="off: nothing is counted")
    if wanted.socket is None:
        what = f"at port {wanted.port} of 127.0.0.1: every user of this machine may read them; they hold no content"
        return Finding(check="metrics", status=OK, what=what)
    why = "the daemon does not start"
    try:
        readers = f"group {group_id(wanted.group, setting='metrics.group')}" if wanted.group else "no group"
    except ConfigurationError as error:
        return Finding(check="metrics", status=ERROR, what=error.message, why=why, next=error.hint)
    standing = next(parent for parent in wanted.socket.parents if parent.exists())
    if not standing.is_dir():
        hint = "set metrics.socket to a path whose folder is there, or can be made"
        return Finding(check="metrics", status=ERROR, what=f"{standing} is no folder", why=why, next=hint)
    what = f"at {wanted.socket}, for the daemon's user and {readers}"
    return Finding(check="metrics", status=OK, what=what)


def socket_finding(path: Path) -> Finding:
    """Whether a daemon answers at its socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(CONNECT_TIMEOUT_S)
        try:
            client.connect(str(path))
        except OSError as error:
            return _silent(path, error)
    return Finding(check="socket", status=OK, what=f"a daemon listens at {path}")


def _silent(path: Path, error: OSError) -> Finding:
    match error:
        case FileNotFoundError():
            what, hint = "no daemon runs here", "start it: `systemctl start homebred`, or `homebredd` in the foreground"
        case ConnectionRefusedError():
            what, hint = "a daemon ended without removing its socket", "start it again: `systemctl start homebred`"
        case PermissionError():
            what, hint = f"user {os.getuid()} may not use the socket", "ask to be added to the socket's group"
        case _:
            what, hint = (
                f"it cannot be used: {error.strerror or error}",
                "see the daemon's log: `journalctl -u homebred`",
            )
    why = "`homebred ask` and `homebred status` need it; the other commands do not"
    return Finding(check="socket", status=WARNING, what=f"nothing answers at {path}: {what}", why=why, next=hint)
