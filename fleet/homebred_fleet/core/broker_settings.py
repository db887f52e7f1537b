"""What mosquitto is told: its configuration as text, for 2.0 (Debian 12) and newer. It knows no file's content."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PACKET_BYTES = 1_200_000
"""A message of 1 MiB with its topic and properties."""
MAX_QUEUED = 1000
"""For a client that is away: commands and acknowledgements; what is retained needs no queue."""
MAX_QUEUED_BYTES = 32 * 1024 * 1024
"""For a client that does not read what it asks for: a thousand blocks of a release would be a quarter of a gigabyte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFiles:
    """Absolute paths that the configuration names."""

    access: str
    authorities: str
    certificate: str
    key: str
    revocation_list: str
    data: str
    pid: str


def configuration(files: BrokerFiles, *, port: int, listen: str, user: str) -> str:
    """The text of mosquitto.conf.

    Args:
        files: what it reads.
        port: the TLS listener's.
        listen: address that it binds; empty: every address.
        user: whom it becomes where root starts it.
    """
    lines = (
        "# mosquitto for a homebred fleet: generated, see `homebred-fleet broker config`.",
        f"user {user}",
        f"pid_file {files.pid}",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages true",
        "",
        "# Nobody without a certificate; its common name is user name and client id, so nobody takes another's place.",
        f"listener {port} {listen}".rstrip(),
        "allow_anonymous false",
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        f"acl_file {files.access}",
        f"cafile {files.authorities}",
        f"certfile {files.certificate}",
        f"keyfile {files.key}",
        f"crlfile {files.revocation_list}",
        "",
        "# Bounds. What matters is retained, or on a disk at either end: queues may be short.",
        f"max_packet_size {MAX_PACKET_BYTES}",
        f"max_queued_messages {MAX_QUEUED}",
        f"max_queued_bytes {MAX_QUEUED_BYTES}",
        "max_inflight_messages 50",
        "max_keepalive 600",
        "",
        "# Sessions and retained messages outlive a good restart; after a crash the controller says them again",
        "persistence true",
        f"persistence_location {files.data}/",
        "autosave_interval 300",
    )
    return "\n".join((*lines, ""))
