"""Published 3FabRec checkpoints to our model files: a change of key prefixes, nothing lost that inference needs.

A published checkpoint is a folder with ``meta.json`` and ``saae.mdl``, a torch-saved dict whose ``state_dict`` holds
the encoder ``Q.*``, the decoder ``P.*``, the landmark head ``LMH.*`` (absent after unsupervised training alone) and the
discriminators ``D_z.*`` and ``D.*``, which only training needs.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.files.model_file import FaceModel
from models.landmark_schemes import IBUG_68, LandmarkScheme
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig

_PREFIXES = {"Q.": "encoder.", "P.": "decoder.", "LMH.": "head."}
_TRAINING_ONLY = ("D_z.", "D.")
# The published head defines a fifth ITL that its forward pass never uses.
_UNUSED = ("LMH.t5.",)


@dataclass(frozen=True, slots=True)
class Imported:
    """A converted checkpoint, and what of it was left behind."""

    model: FaceModel
    left_out: tuple[str, ...]  # keys of the published checkpoint that inference does not need


def our_key(published: str) -> str | None:
    """The key in our state dict for a published one; None for what only training needs.

    Raises:
        FewmarkError: a key that belongs to no known part.
    """
    if published.startswith((*_TRAINING_ONLY, *_UNUSED)):
        return None
    for theirs, ours in _PREFIXES.items():
        if published.startswith(theirs):
            return ours + published.removeprefix(theirs)
    raise FewmarkError(f"key {published!r} belongs to no known part of a 3FabRec checkpoint")


def published_key(ours: str) -> str:
    """The inverse of ``our_key``."""
    for theirs, prefix in _PREFIXES.items():
        if ours.startswith(prefix):
            return theirs + ours.removeprefix(prefix)
    raise FewmarkError(f"key {ours!r} has no counterpart in a published 3FabRec checkpoint")


def import_3fabrec(folder: Path, *, scheme: LandmarkScheme | None = None) -> Imported:
    """Reads a published checkpoint.

    Args:
        folder: holds ``meta.json`` (``input_size``, ``output_size``, ``z_dim``, ``num_landmarks``) and ``saae.mdl``.
        scheme: names the landmarks; without one, 68 landmarks are 300-W's and others are numbered.

    Raises:
        FewmarkError: a file is missing or unreadable, or its contents don't have that layout.
    """
    meta_path, weights_path = folder / "meta.json", folder / "saae.mdl"
    for path in (meta_path, weights_path):
        if not path.is_file():
            raise FewmarkError(
                f"{path}: missing; a published 3FabRec checkpoint is a folder with meta.json and saae.mdl"
            )
    try:
        meta = json.loads(meta_path.read_text(encoding="utf-8"))
        input_size = int(meta.get("input_size", 256))
        output_size = int(meta.get("output_size", input_size))
        z_dim = int(meta.get("z_dim", 99))
        num_landmarks = meta.get("num_landmarks")
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise FewmarkError(f"{meta_path}: not readable ({error})") from error
    if output_size != input_size:
        raise FewmarkError(
            f"{meta_path}: output_size {output_size} differs from input_size {input_size}; not supported"
        )
    try:
        loaded = torch.load(weights_path, map_location="cpu", weights_only=True)
        published: dict[str, Tensor] = loaded["state_dict"]
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FewmarkError(f"{weights_path}: not a checkpoint that can be loaded safely ({reason})") from error

    state: dict[str, Tensor] = {}
    left_out: list[str] = []
    for key, value in published.items():
        ours = our_key(key)
        if ours is None:
            left_out.append(key)
        else:
            state[ours] = value
    has_head = any(key.startswith("head.") for key in state)
    if not has_head:
        raise FewmarkError(f"{weights_path}: holds no landmark head (LMH.*): train one on it first")
    found = state["head.lin.weight"].shape[1]  # of a transposed convolution: (in, out, 4, 4)
    if num_landmarks is not None and int(num_landmarks) != found:
        raise FewmarkError(f"{meta_path}: num_landmarks is {num_landmarks}, but saae.mdl has {found} heatmaps")
    if scheme is None:
        numbered = LandmarkScheme(f"3fabrec-{found}", tuple(f"point_{i}" for i in range(found)))
        scheme = IBUG_68 if found == IBUG_68.num_points else numbered
    network = FaceNetwork(FaceNetworkConfig(found, input_size, 128, z_dim=z_dim, heatmap_kind="gaussian"))
    expected = network.state_dict()
    if problems := _differences(expected, state):
        raise FewmarkError(f"{weights_path}: does not have the published layout ({problems})")
    network.load_state_dict(state)
    # The published code cuts from 25 % of the face's height above the brows to 15 % below the chin, upright.
    model = FaceModel(
        f"3fabrec-{folder.name}",
        network.eval(),
        scheme,
        CropRule(margin=1.4, lift=0.05, level=False),
        reconstructs=True,
        provenance={"imported_from": "published 3FabRec checkpoint", "meta": meta},
    )
    return Imported(model, tuple(left_out))


def _differences(expected: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    missing = sorted(set(expected) - set(found))
    surplus = sorted(set(found) - set(expected))
    shapes = [
        f"{published_key(k)} is {tuple(found[k].shape)}, not {tuple(expected[k].shape)}"
        for k in sorted(set(expected) & set(found))
        if expected[k].shape != found[k].shape
    ]
    parts = [f"missing {published_key(missing[0])} and {len(missing) - 1} more"] if missing else []
    parts += [f"unknown {published_key(surplus[0])} and {len(surplus) - 1} more"] if surplus else []
    return "; ".join(parts + shapes[:3])
