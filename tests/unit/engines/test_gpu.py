from __future__ import annotations

import pytest

from homebred_engines.api import ModelRefusedError
from homebred_engines.gpu import architecture_of_device_tree, architecture_of_query, refuse_other_gpu

ORIN = b"nvidia,p3737-0000+p3701-0000\0nvidia,tegra234\0nvidia,tegra23x\0"
THOR = b"nvidia,p3971-0089+p3834-0008\0nvidia,tegra264\0"


@pytest.mark.parametrize(
    ("printed", "architecture"),
    [
        ("9.0\n", "sm_90"),
        ("8.9\n8.9\n", "sm_89"),
        ("12.0\n8.6\n", "sm_120"),
        ("[N/A]\n", ""),
        ("", ""),
        ('Field "compute_cap" is not a valid field to query.\n', ""),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", ""),
    ],
)
def test_nvidias_tool_tells_the_first_gpus_architecture(printed: str, architecture: str) -> None:
    assert architecture_of_query(printed) == architecture


@pytest.mark.parametrize(
    ("compatible", "architecture"),
    [(ORIN, "sm_87"), (THOR, "sm_110"), (b"raspberrypi,5-model-b\0brcm,bcm2712\0", ""), (b"", ""), (b"\xff\0", "")],
)
def test_a_jetson_is_told_by_its_device_tree(compatible: bytes, architecture: str) -> None:
    assert architecture_of_device_tree(compatible) == architecture


@pytest.mark.parametrize(("built_for", "device"), [("sm_87", "sm_87"), ("", "sm_87"), ("", "")])
def test_what_was_built_for_this_gpu_or_for_any_is_taken(built_for: str, device: str) -> None:
    refuse_other_gpu(built_for, device)


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("sm_110", r"built for sm_87 \(Jetson Orin\), and this device has sm_110 \(Jetson Thor\)"),
        ("sm_90", "this device has sm_90; TensorRT's engines run on no other"),
        ("", "no GPU was found here"),
    ],
)
def test_what_was_built_for_another_is_refused_with_what_to_do_next(device: str, why: str) -> None:
    with pytest.raises(ModelRefusedError, match=why) as refusal:
        refuse_other_gpu("sm_87", device)
    assert "homebred engines build" in refusal.value.hint
