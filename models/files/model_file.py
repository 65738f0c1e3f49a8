"""Model files: safetensors, with everything else as plain JSON in the file's own header. No pickled classes.

One file is one model: the shape of the network, its landmark scheme, the crop rule it was trained with, and where it
came from. Weights may be stored in half precision; they are computed with in float32 unless a backend decides
otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.crop_rule import CropRule
from models.decoding.calibration import ConfidenceCalibration, calibration_from_dict
from models.decoding.shape_prior import ShapePrior
from models.errors import FewmarkError
from models.files.header import HEADER_KEY
from models.landmark_schemes import LandmarkScheme, scheme_from_dict
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig

FORMAT = "fewmark-model"
FORMAT_VERSION = 4  # 2: a model may carry an autoencoder; 3: a prior over its landmarks; 4: its labels' offset
_AUTOENCODER_PREFIX = "autoencoder."
_PRIOR_PREFIX = "shape_prior."


@dataclass(slots=True)
class FaceModel:
    """A network together with what is needed to use it.

    Fine-tuning for landmarks spoils the network's own reconstruction (SCAF, section 4.4). A model may therefore carry
    the autoencoder of stage 1 as it was: it runs only when a reconstruction is asked for.
    """

    name: str
    network: FaceNetwork
    scheme: LandmarkScheme
    crop_rule: CropRule
    reconstructs: bool = False  # the network's own decoder does, or there is an autoencoder; else its RGB is noise
    provenance: dict[str, Any] = field(default_factory=dict)  # plain JSON: data, recipe, metrics, versions
    calibration: ConfidenceCalibration | None = None  # None: confidences stay as decoding gives them
    autoencoder: Autoencoder | None = None  # for the network's crops, or the same ones at half their side
    shape_prior: ShapePrior | None = None  # what makes points of heatmaps that are vague; None: decoding alone does
    label_offset: float = 0.0  # of a crop's side: by how much its labels lie to the right of what it can learn of them

    def __post_init__(self) -> None:
        if self.autoencoder is None:
            return
        side, wanted = self.autoencoder.config.input_size, self.network.config.input_size
        if wanted % side:
            raise FewmarkError(
                f"the autoencoder takes {side} px crops, the network {wanted} px; they don't fit together"
            )
        self.reconstructs = True

    @property
    def reconstructor(self) -> FaceNetwork | Autoencoder:
        """What makes reconstructions of crops; meaningful only if ``reconstructs``."""
        return self.network if self.autoencoder is None else self.autoencoder

    @property
    def confidence_meaning(self) -> str:
        """What the tracker's confidences are, for headers and legends."""
        if self.calibration is not None:
            return self.calibration.meaning
        raw = "probability mass around" if self.network.config.heatmap_kind == "logits" else "height of"
        return f"not calibrated: {raw} the heatmap's peak"

    def calibrated(self, confidence: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raw confidences (..., K) as they are published: through the calibration, if there is one."""
        return confidence if self.calibration is None else self.calibration.apply(confidence)

    def as_labelled(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (..., 2), pixels of level crops, as they are published: where the people put them who labelled faces.

        A network that learned from faces and their mirror images sees landmarks where a mirror leaves them. Labels may
        all lie to one side of that (``training/crops/label_offset.py``).
        """
        return points + np.array([self.label_offset * self.network.config.input_size, 0], np.float32)


def save_model(path: Path, model: FaceModel, *, half: bool = False) -> None:
    """Writes the file whole or not at all.

    Args:
        half: store floating-point weights as float16, as far as it can hold them.
    """
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "name": model.name,
        "scheme": model.scheme.to_dict(),
        "crop_rule": asdict(model.crop_rule),
        "reconstructs": model.reconstructs,
        "provenance": model.provenance,
        "label_offset": model.label_offset,
    }
    if model.calibration is not None:
        header["calibration"] = model.calibration.to_dict()
    prior = model.shape_prior.state_dict() if model.shape_prior else {}
    more = {_PRIOR_PREFIX + key: value for key, value in prior.items()}
    write_with_autoencoder(path, model.network, model.autoencoder, header, half=half, more=more)


def load_model(path: Path) -> FaceModel:
    """Reads a model file; the networks come in float32, in evaluation mode, on the CPU.

    Raises:
        FewmarkError: the file is missing, damaged, no model of ours, or of a newer format.
    """
    header, tensors = read_safetensors(path, "model file")
    check_format(path, header, FORMAT, FORMAT_VERSION, "a model")
    try:
        prior = {
            key.removeprefix(_PRIOR_PREFIX): tensors.pop(key) for key in [*tensors] if key.startswith(_PRIOR_PREFIX)
        }
        network, autoencoder = networks_of(header, tensors)
        scheme, calibration = scheme_from_dict(header["scheme"]), header.get("calibration")
        if calibration is not None and len(calibration["curve_of_landmark"]) != scheme.num_points:
            raise FewmarkError(f"{path}: calibrated for another number of landmarks; calibrate the model again")
        return FaceModel(
            name=header["name"],
            network=network,
            scheme=scheme,
            crop_rule=CropRule(**header["crop_rule"]),
            reconstructs=bool(header["reconstructs"]),
            provenance=header.get("provenance", {}),
            calibration=None if calibration is None else calibration_from_dict(calibration),
            autoencoder=autoencoder,
            shape_prior=ShapePrior(**prior) if prior else None,
            label_offset=float(header.get("label_offset", 0)),
        )
    except (KeyError, TypeError, RuntimeError) as error:
        raise FewmarkError(f"{path}: its header and its weights don't fit together ({error})") from error


def write_with_autoencoder(
    path: Path,
    network: FaceNetwork,
    autoencoder: Autoencoder | None,
    header: dict[str, Any],
    *,
    half: bool,
    more: Mapping[str, Tensor] = MappingProxyType({}),
) -> None:
    """Writes a network, and the autoencoder that it carries, as ``networks_of`` reads them.

    Args:
        more: further tensors, which are not for ``networks_of``.
    """
    header, state = header | {"network": asdict(network.config)}, {**network.state_dict(), **more}
    if autoencoder is not None:
        header["autoencoder"] = asdict(autoencoder.config)
        state |= {_AUTOENCODER_PREFIX + key: value for key, value in autoencoder.state_dict().items()}
    write_safetensors(path, state, header, half=half)


def networks_of(header: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[FaceNetwork, Autoencoder | None]:
    """The network of a file and the autoencoder that it carries, in evaluation mode.

    Raises:
        KeyError, TypeError, RuntimeError: header and tensors don't fit together.
    """
    network, autoencoder = FaceNetwork(FaceNetworkConfig(**header["network"])), None
    carried = {key: value for key, value in tensors.items() if key.startswith(_AUTOENCODER_PREFIX)}
    network.load_state_dict({key: value for key, value in tensors.items() if key not in carried})
    if "autoencoder" in header:
        autoencoder = Autoencoder(AutoencoderConfig(**header["autoencoder"])).eval()
        autoencoder.load_state_dict({key.removeprefix(_AUTOENCODER_PREFIX): value for key, value in carried.items()})
    return network.eval(), autoencoder


def check_format(path: Path, header: dict[str, Any], wanted: str, newest: int, what: str) -> None:
    """Raises FewmarkError where a file is of another format or of a newer version."""
    if header.get("format") != wanted:
        raise FewmarkError(f"{path}: holds {header.get('format', 'something else')}, not {what}")
    if header.get("version", 0) > newest:
        raise FewmarkError(f"{path}: format version {header['version']} is newer than this program; update Fewmark")


def write_safetensors(path: Path, state: dict[str, Tensor], header: dict[str, Any], *, half: bool) -> None:
    """Writes tensors and a JSON header into one file, whole or not at all."""
    tensors = {key: (halved(value) if half else value).detach().cpu().contiguous() for key, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    # Not save_file: it makes files that nobody but their owner may read, whatever the umask says.
    partial.write_bytes(save(tensors, metadata={HEADER_KEY: json.dumps(header)}))
    partial.replace(path)


def halved(value: Tensor) -> Tensor:
    """A floating-point tensor as float16; one with larger values than that can hold stays as it is."""
    if not value.is_floating_point() or not bool((value.abs() <= torch.finfo(torch.float16).max).all()):
        return value
    return value.half()


def read_safetensors(path: Path, what: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The JSON header and the tensors, as float32, of a file that ``write_safetensors`` wrote.

    Args:
        what: what the file should be, for the error message.

    Raises:
        FewmarkError: the file is missing, damaged, or none of ours.
    """
    if not path.is_file():
        raise FewmarkError(f"{path}: no such {what}; check the path")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if HEADER_KEY not in metadata:
                raise FewmarkError(f"{path}: a safetensors file, but not a Fewmark model (no header of ours)")
            header: dict[str, Any] = json.loads(metadata[HEADER_KEY])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no dict: keys() is its API)
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise FewmarkError(f"{path}: not a readable model file ({error}); obtain it again") from error
    return header, {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}


def count_parameters(module: torch.nn.Module) -> int:
    """Number of trainable and frozen parameters together."""
    return sum(p.numel() for p in module.parameters())
