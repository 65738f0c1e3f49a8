"""PyTorch as it is: runs everywhere, and is what every other backend is measured against."""

from __future__ import annotations

import copy
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from models.autoencoder.autoencoder import Autoencoder
from models.decoding.heatmaps import collapse_heatmaps
from models.errors import FewmarkError
from models.files.model_file import FaceModel
from models.networks.base import ReconstructingNetwork
from models.surgery.folding import Module, fold_batch_norm
from tracker.backends.base import LANDMARKS_ONLY, Prediction, PredictionRequest
from tracker.types import FloatArray, ImageArray


class EagerBackend:
    """Float32 on the CPU, CUDA or Apple's GPU, batch normalisation folded."""

    name = "eager"

    def __init__(self, model: FaceModel, device: str | None = None) -> None:
        """
        Args:
            device: a torch device; None takes the first of CUDA, MPS and CPU that is there.

        Raises:
            FewmarkError: the device is not there.
        """
        self._device = torch.device(device or best_device())
        self._model = model
        self.crop_size = model.network.config.input_size
        try:
            self._network = self._prepared(model.network)
        except (RuntimeError, AssertionError) as error:
            raise FewmarkError(f"device {device}: not usable ({str(error).splitlines()[0]}); leave it out") from error
        self._shape_prior = copy.deepcopy(model.shape_prior).to(self._device) if model.shape_prior else None
        self.device = _describe(self._device)

    @torch.inference_mode()
    def predict(self, crops: ImageArray, request: PredictionRequest = LANDMARKS_ONLY) -> Prediction:
        # (B, S, S, 3) memory seen as (B, 3, S, S) is already channels_last.
        images = torch.from_numpy(crops).to(self._device).permute(0, 3, 1, 2).float().div_(255)
        network, kind = self._network, self._network.config.heatmap_kind
        maps = network(images)
        decoded = network.read(maps, self._shape_prior)
        shown = maps if request.heatmap_of is None else maps[:, [request.heatmap_of]]
        return Prediction(
            points=_numpy(decoded.points),
            confidence=_numpy(decoded.confidence),
            heatmaps=_numpy(collapse_heatmaps(shown, kind)) if request.heatmaps else None,
            reconstructions=_to_images(self._reconstructor.reconstruct(images)) if request.reconstructions else None,
        )

    def close(self) -> None:
        """Nothing is held beyond the object itself."""

    @cached_property
    def _reconstructor(self) -> ReconstructingNetwork | Autoencoder:
        """Made on the first request: the self-test of other backends never asks for it."""
        wanted = self._model.reconstructor
        if wanted is self._model.network and isinstance(self._network, ReconstructingNetwork):
            return self._network
        return self._prepared(wanted)

    def _prepared(self, network: Module) -> Module:
        folded = fold_batch_norm(network).to(self._device)
        # cuDNN and oneDNN have their fastest convolutions for this layout.
        return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def best_device() -> str:
    """The torch device that eager would take: "cuda", "mps" or "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type.upper()


def _numpy(tensor: Tensor) -> FloatArray:
    return tensor.float().cpu().numpy()


def _to_images(images: Tensor) -> ImageArray:
    """(B, 3, S, S) in 0..1 to (B, S, S, 3) uint8."""
    array = images.mul(255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return np.ascontiguousarray(array)
