"""Model files: safetensors, with everything else as plain JSON in the file's own header. No pickled classes.

One file is one model: the shape of the network, its landmark scheme, the crop rule it was trained with, and where it
came from. Weights may be stored in half precision; they are computed with in float32 unless a backend decides
otherwise.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.face_network import FaceNetwork, FaceNetworkConfig
from models.landmark_schemes import LandmarkScheme, scheme_from_dict

FORMAT = "fewmark-model"
FORMAT_VERSION = 1
_HEADER_KEY = "fewmark"


@dataclass(slots=True)
class FaceModel:
    """A network together with what is needed to use it."""

    name: str
    network: FaceNetwork
    scheme: LandmarkScheme
    crop_rule: CropRule
    reconstructs: bool = False  # the decoder was trained to reconstruct images; else its RGB output is noise
    provenance: dict[str, Any] = field(default_factory=dict)  # plain JSON: data, recipe, metrics, versions


def save_model(path: Path, model: FaceModel, *, half: bool = False) -> None:
    """Writes the file whole or not at all.

    Args:
        half: store floating-point weights as float16.
    """
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "name": model.name,
        "network": asdict(model.network.config),
        "scheme": model.scheme.to_dict(),
        "crop_rule": asdict(model.crop_rule),
        "reconstructs": model.reconstructs,
        "provenance": model.provenance,
    }
    tensors = {
        key: (value.half() if half and value.is_floating_point() else value).detach().cpu().contiguous()
        for key, value in model.network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    # Not save_file: it makes files that nobody but their owner may read, whatever the umask says.
    partial.write_bytes(save(tensors, metadata={_HEADER_KEY: json.dumps(header)}))
    partial.replace(path)


def load_model(path: Path) -> FaceModel:
    """Reads a model file; the network comes in float32, in evaluation mode, on the CPU.

    Raises:
        FewmarkError: the file is missing, damaged, no model of ours, or of a newer format.
    """
    if not path.is_file():
        raise FewmarkError(f"{path}: no such model file; `fewmark models` lists those that are shipped")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if _HEADER_KEY not in metadata:
                raise FewmarkError(f"{path}: a safetensors file, but not a Fewmark model (no header of ours)")
            header = json.loads(metadata[_HEADER_KEY])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no dict: keys() is its API)
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise FewmarkError(f"{path}: not a readable model file ({error}); obtain it again") from error
    if header.get("version", 0) > FORMAT_VERSION:
        raise FewmarkError(f"{path}: format version {header['version']} is newer than this program; update Fewmark")
    try:
        network = FaceNetwork(FaceNetworkConfig(**header["network"]))
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
        return FaceModel(
            name=header["name"],
            network=network.eval(),
            scheme=scheme_from_dict(header["scheme"]),
            crop_rule=CropRule(**header["crop_rule"]),
            reconstructs=bool(header["reconstructs"]),
            provenance=header.get("provenance", {}),
        )
    except (KeyError, TypeError, RuntimeError) as error:
        raise FewmarkError(f"{path}: its header and its weights don't fit together ({error})") from error


def count_parameters(module: torch.nn.Module) -> int:
    """Number of trainable and frozen parameters together."""
    return sum(p.numel() for p in module.parameters())
