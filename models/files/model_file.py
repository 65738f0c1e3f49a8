"""Model files: safetensors, with everything else as plain JSON in the file's own header.

One file is one model: the shape of the network, its landmark scheme, the crop rule it was trained with, and where it
came from. Weights may be stored in half precision; they are computed with in float32 unless a backend decides
otherwise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.autoencoder.autoencoder import Autoencoder
from models.crop_rule import CropRule
from models.decoding.calibration import ConfidenceCalibration, calibration_from_dict
from models.decoding.shape_prior import ShapePrior
from models.errors import FewmarkError
from models.files.autoencoder_file import DeferredAutoencoder
from models.files.network_parts import networks_header, networks_of, networks_state
from models.files.safetensors_file import FileFormat, header_fits, take_prefixed, with_prefix
from models.landmark_schemes import LandmarkScheme, scheme_from_dict
from models.networks.base import LandmarkNetwork, ReconstructingNetwork

# 2: a model may carry an autoencoder; 3: a prior over its landmarks; 4: its labels' offset; 5: the kind of its network
MODEL_FORMAT = FileFormat("fewmark-model", 5, "a model")
_PRIOR_PREFIX = "shape_prior."


@dataclass(slots=True)
class FaceModel:
    """A network together with what is needed to use it.

    Fine-tuning for landmarks spoils the network's own reconstruction (SCAF, section 4.4). A model may therefore carry
    the autoencoder of stage 1 as it was: it runs only when a reconstruction is asked for.
    """

    name: str
    network: LandmarkNetwork
    scheme: LandmarkScheme
    crop_rule: CropRule
    reconstructs: bool = False  # the network's own decoder does, or there is an autoencoder; else its RGB is noise
    provenance: dict[str, Any] = field(default_factory=dict)  # plain JSON: data, recipe, metrics, versions
    calibration: ConfidenceCalibration | None = None  # None: confidences stay as decoding gives them
    carries: Autoencoder | DeferredAutoencoder | None = None  # what ``autoencoder`` returns, read or not yet read
    shape_prior: ShapePrior | None = None  # what makes points of heatmaps that are vague; None: decoding alone does
    label_offset: float = 0.0  # of a crop's side: by how much its labels lie to the right of what it can learn of them

    def __post_init__(self) -> None:
        if isinstance(self.carries, Autoencoder):
            self._check_side(self.carries)
        self.reconstructs = self.reconstructs or self.carries is not None

    @property
    def autoencoder(self) -> Autoencoder | None:
        """The autoencoder that it carries: for the network's crops, or the same ones at half their side.

        Raises:
            FewmarkError: it is only now to be read, and can't be, or does not fit the network.
        """
        if not isinstance(self.carries, DeferredAutoencoder):
            return self.carries
        autoencoder = self.carries.get()
        self._check_side(autoencoder)
        return autoencoder

    @property
    def reconstructor(self) -> ReconstructingNetwork | Autoencoder:
        """What makes reconstructions of crops.

        Raises:
            FewmarkError: nothing does, or the autoencoder can't be read.
        """
        if (autoencoder := self.autoencoder) is not None:
            return autoencoder
        if self.reconstructs and isinstance(self.network, ReconstructingNetwork):
            return self.network
        raise FewmarkError(
            f"model {self.name} was not trained to reconstruct faces, so it has no reconstruction to show"
        )

    @property
    def why_no_reconstruction(self) -> str:
        """Why it can't show what it makes of a face, for people; "" if it can. Reads the autoencoder to find out."""
        try:
            _ = self.reconstructor
        except FewmarkError as error:
            return str(error)
        return ""

    def _check_side(self, autoencoder: Autoencoder) -> None:
        side, wanted = autoencoder.config.input_size, self.network.config.input_size
        if wanted % side:
            raise FewmarkError(
                f"the autoencoder takes {side} px crops, the network {wanted} px; they don't fit together"
            )

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

    Raises:
        FewmarkError: the autoencoder that it carries is only now to be read, and can't be.
    """
    header = {
        "name": model.name,
        "scheme": model.scheme.to_dict(),
        "crop_rule": asdict(model.crop_rule),
        "reconstructs": model.reconstructs,
        "provenance": model.provenance,
        "label_offset": model.label_offset,
        **networks_header(model.network, model.autoencoder),
    }
    if model.calibration is not None:
        header["calibration"] = model.calibration.to_dict()
    prior = with_prefix(_PRIOR_PREFIX, model.shape_prior.state_dict()) if model.shape_prior else {}
    MODEL_FORMAT.write(path, header, networks_state(model.network, model.autoencoder) | prior, half=half)


def load_model(path: Path) -> FaceModel:
    """Reads a model file; the networks come in float32, in evaluation mode, on the CPU.

    Raises:
        FewmarkError: the file is missing, damaged, no model of ours, or of a newer format.
    """
    header, tensors = MODEL_FORMAT.read(path, "model file")
    with header_fits(path):
        prior = take_prefixed(_PRIOR_PREFIX, tensors)
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
            carries=autoencoder,
            shape_prior=ShapePrior(**prior) if prior else None,
            label_offset=float(header.get("label_offset", 0)),
        )


def count_parameters(module: torch.nn.Module) -> int:
    """Number of trainable and frozen parameters together."""
    return sum(p.numel() for p in module.parameters())
