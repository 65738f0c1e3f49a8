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
from models.decoding.shape_prior import decode_face
from models.files.model_file import FaceModel
from models.networks.interleaved.face_network import FaceNetwork
from models.surgery.folding import fold_batch_norm


class CropGraph(nn.Module):
    """A model from crops to coordinates, its batch normalisation folded; for inference only.

    The network computes in ``dtype``; normalisation, the heatmaps' own layer and decoding always in float32: float16
    knows coordinates beyond 64 px in steps of 1/16 px alone. Every shape but the batch is constant.

    Args:
        heatmaps: also return heatmaps for display.
        reconstruct: also return what the model's reconstructor makes of the crops.
        publish: points and confidences as users get them, with the labels' offset and through the model's calibration;
            the tracker does that by itself.
        dtype: of the network's weights and activations, but for those of the layer that gives the heatmaps.
    """

    channel_mean: Tensor
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
        self.register_buffer("channel_mean", model.network.channel_mean.clone())
        self.network: FaceNetwork = fold_batch_norm(model.network).to(dtype)
        if dtype != torch.float32:
            # From 8 to 16, where many peaks lie, float16 has steps of 1/128: pixels of a blurred peak become equals.
            self.network.head.lin = _InFloat32(self.network.head.lin)
        self.shape_prior = copy.deepcopy(model.shape_prior)
        self.autoencoder: Autoencoder | None = None
        if reconstruct and model.autoencoder is not None:
            self.autoencoder = fold_batch_norm(model.autoencoder).to(dtype)
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
        features = self.network.encoder.features(images.to(self.dtype))
        maps = self.network.head(self.network.decoder, features)
        return (maps, self._reconstruction(images, features.z)) if self.reconstruct else (maps,)

    def normalise(self, crops: Tensor) -> Tensor:
        """(B, S, S, 3) uint8 to (B, 3, S, S) float32 as the encoder knows them."""
        return crops.float().permute(0, 3, 1, 2) / 255 - self.channel_mean  # TensorRT reads uint8 only to cast it

    def read(self, maps: Tensor, landmark: Tensor | None = None) -> list[Tensor]:
        """What ``forward`` returns but for the reconstruction, from the network's heatmaps (B, K, h, h)."""
        maps, kind = maps.float(), self.config.heatmap_kind
        points, confidence = decode_face(maps, self.config.input_size, kind=kind, prior=self.shape_prior)
        if self.label_offset is not None:
            points = points + self.label_offset
        outputs = [points, confidence if self.calibration is None else self.calibration(confidence)]
        if self.heatmaps:
            outputs.append(collapse_heatmaps(maps, kind))
            if landmark is not None:
                outputs.append(collapse_heatmaps(maps.index_select(1, landmark), kind))
        return outputs

    def _reconstruction(self, images: Tensor, z: Tensor) -> Tensor:
        """(B, S, S, 3) uint8, from normalised images and the network's own latent code."""
        own = self.autoencoder
        if own is None:
            image = self.network.decoder(z).float() + self.channel_mean
        else:
            colours = to_side(images + self.channel_mean, own.config.input_size).to(self.dtype)
            image = to_side(own.decode(own.encode(colours)), self.config.input_size).float()
        rgb: Tensor = image.clamp(0, 1).mul(255).round().permute(0, 2, 3, 1).to(torch.uint8)
        return rgb

    def output_names(self, *, landmark: bool = False) -> tuple[str, ...]:
        """Names of what ``forward`` returns, without or with the index of a landmark."""
        names = ["points", "confidence"]
        if self.heatmaps:
            names += ["heatmaps", "landmark_heatmaps"] if landmark else ["heatmaps"]
        return (*names, "reconstructions") if self.reconstruct else tuple(names)


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
