"""Builds dist/homebred_VERSION_ARCH.deb: the daemon and its libraries as wheels, for one Python of one architecture.

Usage: python packaging/tools/build_deb.py [--arch amd64|arm64] [--output FOLDER] [--compression gzip|xz|none].

It needs no compiler and no root. Libraries are those of packaging/locks/device.lock, checked by digest; they lie in a
folder of their own, laid out as a virtual environment of the distribution's Python, so that workers find them by that
interpreter's name.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "packaging" / "locks" / "device.lock"
CACHE = ROOT / ".cache" / "deb"
DIST = ROOT / "dist"
PYTHON = (3, 11)
"""Of Debian 12."""
DEPENDS = "[python3 (>= 3.11), python3 (<< 3.12), libc6 (>= 2.34), libgomp1, libstdc++6, systemd]"
RELEASE = "1~bookworm"
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
GLIBC_MINORS = range(36, 16, -1)
"""Of the glibc versions that wheels may ask for: Debian 12 has 2.36."""
NEVER_ON_A_DEVICE = ("*.pyi", "__pycache__", "tests", "test", "direct_url.json", "homebred_fleet", "bin")
SETTINGS = {
    'runtime_dir = "/run/homebred"': 'runtime_dir = "/run/homebred/daemon"',
    'may do everything.\ngroup = ""': 'may do everything.\ngroup = "homebred"',  # of [access]; [metrics] has one too
}
"""Where the packaged settings differ from the defaults: as homebred.service and homebred.socket have it."""
LAUNCHER = """#!/usr/lib/homebred/bin/python3 -IsE
import sys

from {module} import main

sys.exit(main())
"""
COMMANDS = {"homebred": "homebred_daemon.cli", "homebredd": "homebred_daemon.__main__"}


def main() -> int:
    """Builds, and prints the package's path."""
    parser = argparse.ArgumentParser(description="Builds the .deb.")
    machines = {machine: debian for debian, machine in ARCHITECTURES.items()}
    parser.add_argument("--arch", choices=ARCHITECTURES, default=machines.get(platform.machine(), "amd64"))
    parser.add_argument("--output", type=Path, default=DIST, help="folder of the package")
    parser.add_argument(
        "--compression", choices=("gzip", "xz", "none"), default="gzip", help="xz: smaller, and minutes"
    )
    given = parser.parse_args()
    architecture = given.arch
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)
        packages = stage / "lib" / f"python{PYTHON[0]}.{PYTHON[1]}" / "site-packages"
        shutil.copytree(libraries(architecture), packages)
        install(packages, "--no-deps", str(own_wheel(stage)))
        prune(packages)
        write_launchers(stage)
        package = packed(stage, given.output, architecture, given.compression)
    print(package)
    return 0


def libraries(architecture: str) -> Path:
    """A folder with everything in the lock, made once a lock."""
    folder = CACHE / f"{architecture}-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        print(f"== installing the libraries of {LOCK.relative_to(ROOT)} for {architecture}, once", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="partial-", dir=CACHE, ignore_cleanup_errors=True) as partial:
            made = Path(partial) / "libraries"
            install(made, *platform_flags(architecture), "--require-hashes", "-r", str(LOCK))
            prune(made)
            with suppress(OSError):  # somebody else was first
                made.rename(folder)
    return folder


def platform_flags(architecture: str) -> Iterator[str]:
    """Has pip choose wheels for the device, whatever this machine is."""
    machine = ARCHITECTURES[architecture]
    yield from ("--only-binary", ":all:", "--implementation", "cp", "--python-version", ".".join(map(str, PYTHON)))
    for minor in GLIBC_MINORS:
        yield from ("--platform", f"manylinux_2_{minor}_{machine}")
    yield from ("--platform", f"manylinux2014_{machine}")


def install(target: Path, *arguments: str) -> None:
    """Runs pip into a folder."""
    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(target), *arguments)


def own_wheel(folder: Path) -> Path:
    """The project's own wheel."""
    build = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation")
    run("-m", "pip", "wheel", *build, "--wheel-dir", str(folder / "wheel"), str(ROOT))
    return next((folder / "wheel").glob("*.whl"))


def prune(folder: Path) -> None:
    """Takes away what no device needs."""
    for pattern in NEVER_ON_A_DEVICE:
        for path in list(folder.rglob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def write_launchers(stage: Path) -> None:
    """The commands, their interpreter's environment, and the packaged settings."""
    (stage / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = true\n")
    for command, module in COMMANDS.items():
        (stage / command).write_text(LAUNCHER.format(module=module))
    (stage / "homebred.toml").write_text(packaged_settings())


def packaged_settings() -> str:
    """The default settings with what the units have decided."""
    text = (ROOT / "packaging" / "config" / "homebred.toml").read_text()
    for default, packaged in SETTINGS.items():
        if text.count(default) != 1:
            raise SystemExit(f"packaging/config/homebred.toml does not say {default} exactly once")
        text = text.replace(default, packaged)
    return text.replace("Every value written here is the default: a key may be left out.", "A key may be left out.")


def packed(stage: Path, output: Path, architecture: str, compression: str) -> Path:
    """The finished package."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    output.mkdir(exist_ok=True, parents=True)
    package = output / f"homebred_{version}_{architecture}.deb"
    template = (ROOT / "packaging" / "deb" / "nfpm.yaml").read_text()
    values = {"STAGE": str(stage), "ARCH": architecture, "VERSION": version, "RELEASE": RELEASE, "DEPENDS": DEPENDS}
    values["COMPRESSION"] = compression
    for name, value in values.items():
        template = template.replace("${" + name + "}", value)
    (stage / "nfpm.yaml").write_text(template)
    nfpm = Path(sys.executable).with_name("nfpm")
    command = [nfpm, "package", "--packager", "deb", "--config", stage / "nfpm.yaml", "--target", package]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr, env=dict(os.environ))  # noqa: S603  # our own tool
    return package


def run(*arguments: str) -> None:
    """Runs this interpreter."""
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=sys.stderr)  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
