"""Which architecture this device's GPU has, and whether an engine was built for it; what NVIDIA's tool says of it.

TensorRT's engines run on the architecture that they were built for and no other. nvidia-smi tells it where there is one
that knows; a Jetson's device tree names its chip.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from homebred_engines.api import ModelRefusedError

_DEVICE_TREE = Path("/proc/device-tree/compatible")
_CHIPS = {"nvidia,tegra194": "sm_72", "nvidia,tegra234": "sm_87", "nvidia,tegra264": "sm_110"}
"""By the name of a Jetson's chip: Xavier, Orin, Thor."""
_CAPABILITY = re.compile(r"(\d{1,2})\.(\d)")
_TIMEOUT_S = 10.0
_NAMES = {"sm_72": "Jetson Xavier", "sm_87": "Jetson Orin", "sm_110": "Jetson Thor"}


def device_architecture() -> str:
    """Of the GPU that is used by default, such as `sm_87`; empty: there is none that tells."""
    return architecture_of_query(ask_nvidia_smi("compute_cap")) or architecture_of_device_tree(_device_tree())


def ask_nvidia_smi(figure: str, *, command: str = "nvidia-smi") -> str:
    """What NVIDIA's tool prints of the first GPU, without its unit; empty: there is none, or it does not say."""
    path = shutil.which(command)
    if path is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - the driver's own tool, without a shell
            [path, f"--query-gpu={figure}", "--format=csv,noheader,nounits", "--id=0"],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def architecture_of_query(printed: str) -> str:
    """What NVIDIA's tool says of a GPU's `compute_cap`; empty: nothing."""
    first = printed.partition("\n")[0].strip()
    matched = _CAPABILITY.fullmatch(first)
    return f"sm_{matched[1]}{matched[2]}" if matched else ""


def architecture_of_device_tree(compatible: bytes) -> str:
    """Of a Jetson, by its device tree's `compatible`: names that each end with a zero byte; empty: it is none."""
    names = compatible.decode("ascii", errors="replace").split("\0")
    return next((_CHIPS[name] for name in names if name in _CHIPS), "")


def refuse_other_gpu(built_for: str, device: str) -> None:
    """Raises ModelRefusedError where an engine was built for another architecture than the device has.

    Args:
        built_for: as its build manifest says; empty: for any.
        device: as `device_architecture` says.
    """
    if not built_for or built_for == device:
        return
    here = f"this device has {_told(device)}" if device else "no GPU was found here"
    raise ModelRefusedError(
        f"It was built for {_told(built_for)}, and {here}; TensorRT's engines run on no other architecture.",
        hint="Build it on this device from the same checkpoint: homebred engines build --engine edgellm.",
    )


def _told(architecture: str) -> str:
    name = _NAMES.get(architecture)
    return f"{architecture} ({name})" if name else architecture


def _device_tree() -> bytes:
    try:
        return _DEVICE_TREE.read_bytes()
    except OSError:
        return b""
