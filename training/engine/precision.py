"""Mixed precision: what the device does well, decided in one place."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Literal, TypeVar

import torch

from models.errors import FewmarkError
from training.config import Recipe

R = TypeVar("R", bound=Recipe)

Precision = Literal["fp32", "bf16", "fp16"]
Choice = Literal["auto", "fp32", "bf16", "fp16"]


def resolve_precision(wanted: str, device: torch.device) -> Precision:
    """ "auto" is bf16 where the hardware computes in it, fp32 elsewhere.

    Raises:
        FewmarkError: fp16 on a CPU, where it is slower than fp32 and has no use.
    """
    if wanted == "fp16" and device.type == "cpu":
        raise FewmarkError("precision fp16 needs a GPU; choose auto, fp32 or bf16 on a CPU")
    if wanted in ("fp32", "bf16", "fp16"):
        return wanted  # type: ignore[return-value]
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device.type == "cpu" and cpu_has_bf16() else "fp32"


def with_precision(recipe: R, precision: str | None) -> R:
    """The recipe with another precision; None leaves it as it is.

    Raises:
        FewmarkError: there is no such precision.
    """
    if precision is None:
        return recipe
    choices: dict[str, Choice] = {"auto": "auto", "fp32": "fp32", "bf16": "bf16", "fp16": "fp16"}
    if precision not in choices:
        raise FewmarkError(f"--precision {precision}: choose auto, fp32, bf16 or fp16")
    return dataclasses.replace(recipe, precision=choices[precision])


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 in hardware (AVX512-BF16 or AMX)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def autocast(precision: Precision, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """The autocast context of a precision; none for fp32."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)
