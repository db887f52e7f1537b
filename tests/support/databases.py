"""The two databases that the controller's store is held to: a SQLite file, and a real PostgreSQL on a Unix socket.

One server is started per test session, as the user postgres (it refuses root); each test has a database of its own in
it, copied from an empty one. Where PostgreSQL is not installed, its half is skipped, saying so.
"""

from __future__ import annotations

import functools
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from homebred_fleet.adapters.store.database import Database

KINDS = ("sqlite", "postgresql")
_VERSIONS = Path("/usr/lib/postgresql")
_numbers = itertools.count(1)
_QUICK = "-c fsync=off -c full_page_writes=off -c max_connections=60 -c shared_buffers=32MB"
"""Kills are survived without fsync; power cuts are PostgreSQL's own business."""


class Server:
    """A PostgreSQL of this session's."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder = folder
        self._binaries = binaries

    def start(self) -> None:
        """Makes the cluster and waits until it answers."""
        data = self.folder / "data"
        self._run("initdb", "-D", str(data), "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        self.resume()

    def resume(self) -> None:
        """Starts it where it has been before, and waits until it answers."""
        options = f"{_QUICK} -c listen_addresses='' -c unix_socket_directories={self.folder}"
        data, log = str(self.folder / "data"), str(self.folder / "log")
        self._run("pg_ctl", "-D", data, "-w", "-t", "60", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Ends it at once, as a crash does."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def make_database(self, *, like: str = "template1") -> str:
        """The address of a new one: empty, or a copy of another to which nobody is connected."""
        name = f"fleet_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}".encode())
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def drop_database(self, url: str) -> None:
        """Removes it, whoever is still connected."""
        name = url.partition("@/")[2].partition("?")[0]
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def _run(self, program: str, *arguments: str) -> None:
        user = "postgres" if os.geteuid() == 0 else None
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            user=user,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the server keeps it: a pipe would never end
            stderr=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            log = self.folder / "log"
            raise RuntimeError(f"{program}: {done.returncode}\n{log.read_text() if log.exists() else ''}")


def why_no_postgresql() -> str:
    """Empty where it can be started."""
    if not _newest_binaries():
        return "PostgreSQL is not installed (apt-get install postgresql)"
    if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        return "there is no user postgres to start PostgreSQL as"
    return ""


def _newest_binaries() -> Path | None:
    found = [path for path in _VERSIONS.glob("*/bin") if (path / "initdb").exists()]
    return max(found, key=lambda path: float(path.parent.name), default=None)


@contextmanager
def running_postgresql() -> Iterator[Server]:
    """A server in a folder of its own, gone afterwards."""
    binaries = _newest_binaries()
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="hbpg", dir="/tmp"))  # a socket's path may have 107 bytes
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = Server(folder, binaries)
    try:
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """The session's server; skips where there can be none."""
    if why := why_no_postgresql():
        pytest.skip(why)
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new database's address, of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/fleet.db"
        return
    server: Server = request.getfixturevalue("postgresql")
    url = server.make_database()
    yield url
    server.drop_database(url)


@pytest.fixture(scope="session")
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The address of a new database of a kind that has its tables already: a copy, since migrating takes a while."""

    @functools.cache
    def model(kind: str) -> str:
        folder = tmp_path_factory.mktemp("model")
        server = request.getfixturevalue("postgresql") if kind == "postgresql" else None
        url = server.make_database() if server is not None else f"sqlite:///{folder}/fleet.db"
        opened = Database(url)
        opened.upgrade()
        opened.close()
        return url

    def copy(kind: str) -> str:
        if kind == "postgresql":
            server: Server = request.getfixturevalue("postgresql")
            return server.make_database(like=model(kind).partition("@/")[2].partition("?")[0])
        path = tmp_path_factory.mktemp("copy") / "fleet.db"
        shutil.copy(model(kind).removeprefix("sqlite:///"), path)
        return f"sqlite:///{path}"

    return copy


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, migrated: Callable[[str], str]) -> Iterator[Database]:
    """A new database with its tables, of each kind in turn."""
    url = migrated(request.param)
    server: Server | None = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    opened = Database(url)
    yield opened
    opened.close()
    if server is not None:
        server.drop_database(url)
