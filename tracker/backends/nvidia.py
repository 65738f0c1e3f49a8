"""What NVIDIA has to offer here: a driver, and a torch that can use its GPU; and if not, why."""

from __future__ import annotations

import ctypes
import sys
import warnings

import torch


def driver_version() -> str | None:
    """The CUDA version that the NVIDIA driver speaks, such as "13.0"; None where there is no driver.

    Asks the driver itself, which needs neither a CUDA build of torch nor a GPU.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int()
    if driver.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def why_no_cuda() -> str:
    """Why torch does not compute on an NVIDIA GPU here, and what would help; "" if it does."""
    version = driver_version()
    if version is None:
        return "no NVIDIA driver"
    if torch.version.cuda is None:
        return f"torch is the CPU build, and there is an NVIDIA driver (CUDA {version}): install torch's CUDA build"
    with warnings.catch_warnings(record=True) as caught:  # torch says there what is wrong with the driver
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return ""
    said = f" ({str(caught[0].message).splitlines()[0]})" if caught else ""
    return f"torch (CUDA {torch.version.cuda}) finds no GPU behind the NVIDIA driver (CUDA {version}){said}"
