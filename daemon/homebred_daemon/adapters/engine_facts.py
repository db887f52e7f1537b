"""What this device and its engines are, as the interpreter that runs the engines says: for the constraints of releases.

It is asked once, in a process of its own, when the first release is looked at. It judges nothing.
"""

from __future__ import annotations

import asyncio
import os
import platform
from pathlib import Path

from homebred_daemon.adapters.device_memory import free_gpu_bytes
from homebred_daemon.adapters.engine_interpreter import probe
from homebred_daemon.core.compatibility import DeviceFacts
from homebred_daemon.errors import EngineUnavailableError
from homebred_engines.gpu import device_architecture
from homebred_engines.registry import ENGINES

SHARE_OF_ALL = 0.9
"""Of the machine's memory: the rest is the daemon's and the system's."""


class EngineFacts:
    """Of one interpreter. One event loop."""

    def __init__(self, python: Path, *, memory_bytes: int) -> None:
        """`memory_bytes` is what models may take; 0: what the machine has."""
        self._python = python
        self._memory_bytes = memory_bytes
        self._turn = asyncio.Lock()
        self._found: dict[str, str] | None = None
        """Versions of the engines that can be started."""
        self._of_device: tuple[str, int] = ("", 0)

    async def of(self, engine: str) -> DeviceFacts:
        """The device, with the version of one engine.

        Raises:
            EngineUnavailableError: the interpreter does not run.
        """
        async with self._turn:
            if self._found is None:
                self._of_device = await asyncio.to_thread(self._device)
                self._found = await asyncio.to_thread(self._engines)
        gpu_architecture, memory_bytes = self._of_device
        return DeviceFacts(
            engines=tuple(self._found),
            engine_version=self._found.get(engine, ""),
            architecture=platform.machine(),
            gpu_architecture=gpu_architecture,
            memory_bytes=memory_bytes,
        )

    def _device(self) -> tuple[str, int]:
        """Architecture of the GPU, and bytes that models may take."""
        all_bytes = int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * SHARE_OF_ALL)
        return device_architecture(), self._memory_bytes or free_gpu_bytes() or all_bytes

    def _engines(self) -> dict[str, str]:
        try:
            steps, ending = probe(self._python)
        except OSError as error:
            raise EngineUnavailableError(
                f"{self._python} cannot be started: {error.strerror}",
                hint="set engine.python to an interpreter of Python 3.10 or newer",
            ) from error
        if "packages" not in steps:
            raise EngineUnavailableError(f"{self._python} does not run {ending}".rstrip(), hint="run `homebred doctor`")
        told = {name: steps.get(f"engine {name}", {"error": ending or "not reached"}) for name in ENGINES}
        return {name: each["version"] for name, each in told.items() if not each["error"]}
