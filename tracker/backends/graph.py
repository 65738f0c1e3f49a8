"""What compilers are given: normalisation, network, decoding and confidence as one module, uint8 crops in.

Legend: B crops, K landmarks, S crop side, h heatmap side.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from models.autoencoder.autoencoder import Autoencoder, to_side
from models.decoding.calibration import ConfidenceCalibration
from models.decoding.heatmaps import collapse_heatmaps
from models.files.model_file import FaceModel
from models.networks.base import LandmarkNetwork, ReconstructingNetwork
from models.surgery.folding import fold_batch_norm


class CropGraph(nn.Module):
    """A model from crops to coordinates, its batch normalisation folded; for inference only.

    The network computes in ``dtype``; normalisation, the heatmaps' own layer and decoding always in float32: float16
    knows coordinates beyond 64 px in steps of 1/16 px alone. Every shape but the batch is constant. Of the network it
    knows what ``models/networks/base.py`` says, and no more.

    Args:
        heatmaps: also return heatmaps for display.
        reconstruct: also return what the model's reconstructor makes of the crops.
        publish: points and confidences as users get them, with the labels' offset and through the model's calibration;
            the tracker does that by itself.
        dtype: of the network's weights and activations, but for those of the layer that gives the heatmaps.
    """

    label_offset: Tensor | None  # (2,) crop pixels

    def __init__(
        self,
        model: FaceModel,
        *,
        heatmaps: bool = False,
        reconstruct: bool = False,
        publish: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.config = model.network.config
        self.heatmaps, self.reconstruct, self.dtype = heatmaps, reconstruct, dtype
        self.network = _in_dtype(fold_batch_norm(model.network), dtype)
        self.shape_prior = copy.deepcopy(model.shape_prior)
        reconstructor = model.reconstructor if reconstruct else None
        self.autoencoder: Autoencoder | None = None
        if isinstance(reconstructor, Autoencoder):
            self.autoencoder = fold_batch_norm(reconstructor).to(dtype)
        offset = [model.label_offset * self.config.input_size, 0] if publish and model.label_offset else None
        self.register_buffer("label_offset", None if offset is None else torch.tensor(offset))
        calibration = model.calibration if publish else None
        self.calibration = None if calibration is None else _CalibrationCurves(calibration)
        self.eval().requires_grad_(False)

    def forward(self, crops: Tensor, landmark: Tensor | None = None) -> tuple[Tensor, ...]:
        """Everything that was asked for, from one pass of the encoder.

        Args:
            crops: (B, S, S, 3) uint8 RGB.
            landmark: (1,) int64, index of the one whose own heatmaps are wanted beside those of all; with ``heatmaps``.

        Returns:
            In the order of ``output_names``: points (B, K, 2) float32 in crop pixels; confidences (B, K) float32,
            0..1; with ``heatmaps`` those of all landmarks collapsed, (B, h, h) float32, 0..1, and if there is
            a ``landmark`` likewise its own; with ``reconstruct`` (B, S, S, 3) uint8 RGB.
        """
        maps, *reconstruction = self.see(crops)
        return (*self.read(maps, landmark), *reconstruction)

    def see(self, crops: Tensor) -> tuple[Tensor, ...]:
        """The network's heatmaps (B, K, h, h), and with ``reconstruct`` what ``forward`` returns last."""
        images = self.normalise(crops)
        network, own = self.network, self.autoencoder
        if not self.reconstruct:
            return (network.heatmaps(images.to(self.dtype)),)
        if own is None:
            assert isinstance(network, ReconstructingNetwork)
            maps, z = network.heatmaps_and_code(images.to(self.dtype))
            return maps, _as_pixels(network.decode(z))
        colours = to_side(network.normalisation.undo(images), own.config.input_size).to(self.dtype)
        shown = to_side(own.decode(own.encode(colours)), self.config.input_size)
        return network.heatmaps(images.to(self.dtype)), _as_pixels(shown.float())

    def normalise(self, crops: Tensor) -> Tensor:
        """(B, S, S, 3) uint8 to (B, 3, S, S) float32 as the encoder knows them."""
        images: Tensor = self.network.normalisation(crops.float().permute(0, 3, 1, 2) / 255)
        return images  # TensorRT reads uint8 only to cast it

    def read(self, maps: Tensor, landmark: Tensor | None = None) -> list[Tensor]:
        """What ``forward`` returns but for the reconstruction, from the network's heatmaps (B, K, h, h)."""
        maps, kind = maps.float(), self.config.heatmap_kind
        points, confidence = self.network.read(maps, self.shape_prior)
        if self.label_offset is not None:
            points = points + self.label_offset
        outputs = [points, confidence if self.calibration is None else self.calibration(confidence)]
        if self.heatmaps:
            outputs.append(collapse_heatmaps(maps, kind))
            if landmark is not None:
                outputs.append(collapse_heatmaps(maps.index_select(1, landmark), kind))
        return outputs

    def output_names(self, *, landmark: bool = False) -> tuple[str, ...]:
        """Names of what ``forward`` returns, without or with the index of a landmark."""
        names = ["points", "confidence"]
        if self.heatmaps:
            names += ["heatmaps", "landmark_heatmaps"] if landmark else ["heatmaps"]
        return (*names, "reconstructions") if self.reconstruct else tuple(names)


def _in_dtype(network: LandmarkNetwork, dtype: torch.dtype) -> LandmarkNetwork:
    """The network in ``dtype``, but for what stays in float32; changed in place."""
    if dtype == torch.float32:
        return network
    normalisation = copy.deepcopy(network.normalisation)
    network.to(dtype)
    network.normalisation = normalisation
    # From 8 to 16, where many peaks lie, float16 has steps of 1/128: pixels of a blurred peak become equals.
    network.set_submodule(network.heatmap_layer, _InFloat32(network.last_layer))
    return network


def _as_pixels(images: Tensor) -> Tensor:
    """(B, 3, S, S) in about 0..1 to (B, S, S, 3) uint8."""
    pixels: Tensor = images.clamp(0, 1).mul(255).round().permute(0, 2, 3, 1).to(torch.uint8)
    return pixels


class _InFloat32(nn.Module):
    """A layer that computes in float32, whatever comes before it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.float()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x.float())
        return out


class _CalibrationCurves(nn.Module):
    """``ConfidenceCalibration.apply`` as a sum of ramps: (B, K) raw confidences to (B, K) calibrated ones, 0..1."""

    knots: Tensor  # (M - 1,) where each ramp begins
    widths: Tensor  # (M - 1,)
    starts: Tensor  # (K,) probability at confidence 0
    slopes: Tensor  # (K, M - 1)

    def __init__(self, calibration: ConfidenceCalibration) -> None:
        super().__init__()
        knots = torch.tensor(calibration.knots)
        curves = torch.tensor(calibration.curves)[list(calibration.curve_of_landmark)]  # (K, M)
        self.register_buffer("knots", knots[:-1])
        self.register_buffer("widths", knots.diff())
        self.register_buffer("starts", curves[:, 0])
        self.register_buffer("slopes", curves.diff(dim=1) / knots.diff())

    def forward(self, confidence: Tensor) -> Tensor:
        climbed = torch.minimum((confidence.unsqueeze(-1) - self.knots).relu(), self.widths)  # (B, K, M - 1)
        return (self.starts + (climbed * self.slopes).sum(dim=-1)).clamp(0, 1)
