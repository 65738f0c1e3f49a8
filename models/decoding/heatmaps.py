"""Heatmaps: points encoded to Gaussians, and decoded back, side by side.

The half-pixel rule, stated here and nowhere else: the centre of the top-left pixel is (0, 0) in crops and in heatmaps
alike, so both grids cover the same square when

    heatmap = (crop + 0.5) * w / S - 0.5        crop = (heatmap + 0.5) * S / w - 0.5

for a crop of side S and a heatmap of side w. Legend: B batch, K landmarks, h, w heatmap height and width.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

# Trained with cross-entropy, a map holds logits; trained with 3FabRec's L2 loss, it imitates a Gaussian of height 1.
HeatmapKind = Literal["logits", "gaussian"]
# Losses of maps put the landmark where a map is highest; losses of coordinates where its mean lies (soft-argmax).
PointKind = Literal["peak", "mean"]

_SHIFTS = 3  # steps of mean shift


class DecodedHeatmaps(NamedTuple):
    """What ``decode_heatmaps`` returns."""

    points: Tensor  # (B, K, 2) float, crop pixels, sub-pixel
    confidence: Tensor  # (B, K) float, 0..1: probability mass around the peak


def heatmap_from_crop(points: Tensor, crop_size: int, heatmap_size: int) -> Tensor:
    """(..., 2) crop pixels to heatmap pixels, by the half-pixel rule."""
    return (points + 0.5) * (heatmap_size / crop_size) - 0.5


def crop_from_heatmap(points: Tensor, crop_size: int, heatmap_size: int) -> Tensor:
    """(..., 2) heatmap pixels to crop pixels, by the half-pixel rule."""
    return (points + 0.5) * (crop_size / heatmap_size) - 0.5


def encode_points(points: Tensor, heatmap_size: int, sigma: float) -> Tensor:
    """Gaussian targets, one channel a landmark, with the peak value 1 at the exact (sub-pixel) position.

    3FabRec, section 3.3.1: "a 2D Normal distribution centered at l_i and a standard deviation of sigma".

    Args:
        points: (B, K, 2) in heatmap pixels; may lie outside, the channel is then cut off or empty.
        heatmap_size: h = w.
        sigma: standard deviation, heatmap pixels.

    Returns:
        (B, K, h, w), 0..1, dtype and device of ``points``.
    """
    grid = torch.arange(heatmap_size, device=points.device, dtype=points.dtype)
    # A Gaussian is separable: two vectors and an outer product instead of h*w exponentials.
    gx = torch.exp(-((grid - points[..., 0:1]) ** 2) / (2 * sigma**2))  # (B, K, w)
    gy = torch.exp(-((grid - points[..., 1:2]) ** 2) / (2 * sigma**2))  # (B, K, h)
    return gy.unsqueeze(-1) * gx.unsqueeze(-2)


def spatial_softmax(heatmaps: Tensor) -> Tensor:
    """(B, K, h, w) logits to probabilities that sum to 1 over each map, in float32."""
    b, k, h, w = heatmaps.shape
    return F.softmax(heatmaps.float().reshape(b, k, h * w), dim=-1).view(b, k, h, w)


def heatmap_probability(heatmaps: Tensor, kind: HeatmapKind) -> Tensor:
    """(B, K, h, w) maps to probabilities that sum to 1 over each map, in float32."""
    if kind == "logits":
        return spatial_softmax(heatmaps)
    # What lies below a tenth of the peak is background, not Gaussian.
    positive = heatmaps.float().relu()
    positive = (positive - 0.1 * positive.amax(dim=(-2, -1), keepdim=True)).relu()
    return positive / positive.sum(dim=(-2, -1), keepdim=True).clamp_min(1e-12)


def expected_position(probability: Tensor) -> Tensor:
    """Mean position under each map (soft-argmax), differentiable everywhere.

    Args:
        probability: (B, K, h, w), each map sums to 1.

    Returns:
        (B, K, 2) x, y in heatmap pixels.
    """
    h, w = probability.shape[-2:]
    xs = torch.arange(w, device=probability.device, dtype=probability.dtype)
    ys = torch.arange(h, device=probability.device, dtype=probability.dtype)
    x = (probability.sum(dim=-2) * xs).sum(dim=-1)
    y = (probability.sum(dim=-1) * ys).sum(dim=-1)
    return torch.stack((x, y), dim=-1)


def _window(size: int, centre: Tensor, radius: float, dtype: torch.dtype) -> Tensor:
    """(..., size) 1 where the grid lies within ``radius`` of ``centre`` (..., 1), else 0."""
    grid = torch.arange(size, device=centre.device, dtype=torch.int64)
    return ((grid - centre).abs() <= radius).to(dtype)


def _shifted(position: Tensor, probability: Tensor, sigma: float) -> Tensor:
    """The mean of each map under a Gaussian window around ``position``: one step of mean shift.

    Args:
        position: (B, K, 2) x, y in heatmap pixels.
        probability: (B, K, h, w).
        sigma: of the window, heatmap pixels.

    Returns:
        (B, K, 2) x, y in heatmap pixels.
    """
    h, w = probability.shape[-2:]
    xs = torch.arange(w, device=probability.device, dtype=probability.dtype)
    ys = torch.arange(h, device=probability.device, dtype=probability.dtype)
    near_x = torch.exp(-((xs - position[..., 0:1]) ** 2) / (2 * sigma**2))  # (B, K, w)
    near_y = torch.exp(-((ys - position[..., 1:2]) ** 2) / (2 * sigma**2))  # (B, K, h)
    along_x = (near_y.unsqueeze(-2) @ probability).squeeze(-2) * near_x  # (B, K, w) mass a column, in the window
    along_y = (probability @ near_x.unsqueeze(-1)).squeeze(-1) * near_y  # (B, K, h) mass a row, in the window
    mass = along_x.sum(dim=-1).clamp_min(1e-12)
    return torch.stack(((along_x * xs).sum(-1) / mass, (along_y * ys).sum(-1) / mass), dim=-1)


def decode_heatmaps(
    heatmaps: Tensor,
    crop_size: int,
    *,
    kind: HeatmapKind = "logits",
    point_kind: PointKind = "peak",
    window_sigma: float = 5.0,
    confidence_radius: int = 3,
) -> DecodedHeatmaps:
    """Sub-pixel points and a confidence a landmark.

    The point is where three steps of mean shift lead from the heatmap's peak, as a probability, under a Gaussian
    window: where two pixels of a ridge are nearly alike, rounding picks the peak, but hardly moves the point. Or it is
    the mean of the whole map, which is differentiable everywhere. The confidence of logits is the probability mass in
    a smaller, square window; that of an imitated Gaussian is the height of its peak (SCAF, section 3.2: heatmaps are
    lower where the model is unsure). Windows instead of gathers keep the shapes static, so that the decoding can be
    exported and captured with the network.

    Args:
        heatmaps: (B, K, h, w), h == w.
        crop_size: side S of the crop that the heatmaps cover, px.
        point_kind: what of the map is the point.
        window_sigma: of the Gaussian window around the peak, heatmap pixels.
        confidence_radius: the square window is 2 * radius + 1 wide; 3 is the 7 x 7 window.

    Returns:
        Points in crop pixels, and confidences.
    """
    h, w = heatmaps.shape[-2:]
    probability = heatmap_probability(heatmaps, kind)
    peak = probability.flatten(-2).argmax(dim=-1, keepdim=True)  # (B, K, 1)
    peak_x, peak_y = peak % w, peak // w
    if kind == "logits":
        in_x = _window(w, peak_x, confidence_radius, probability.dtype)
        in_y = _window(h, peak_y, confidence_radius, probability.dtype)
        # (B, K, 1, h) @ (B, K, h, w) @ (B, K, w, 1): the mass inside, without a masked copy of the map.
        confidence = (in_y.unsqueeze(-2) @ probability @ in_x.unsqueeze(-1)).squeeze(-1).squeeze(-1)
    else:
        confidence = heatmaps.float().amax(dim=(-2, -1))
    confidence = confidence.clamp(0, 1)
    if point_kind == "mean":
        position = expected_position(probability)
    else:
        position = torch.cat((peak_x, peak_y), dim=-1).to(probability.dtype)
        for _ in range(_SHIFTS):
            position = _shifted(position, probability, window_sigma)
    return DecodedHeatmaps(crop_from_heatmap(position, crop_size, w), confidence)


def heatmap_spread(
    heatmaps: Tensor, points: Tensor, *, kind: HeatmapKind = "logits", window_sigma: float = 5.0
) -> Tensor:
    """How far each map is spread around its point, and in which direction.

    Args:
        heatmaps: (B, K, h, w).
        points: (B, K, 2) x, y in heatmap pixels.
        window_sigma: of the Gaussian window around the point.

    Returns:
        (B, K, 2, 2) covariance, heatmap pixels squared.
    """
    probability = heatmap_probability(heatmaps, kind)
    h, w = probability.shape[-2:]
    off_x = torch.arange(w, device=points.device, dtype=points.dtype) - points[..., 0:1]  # (B, K, w)
    off_y = torch.arange(h, device=points.device, dtype=points.dtype) - points[..., 1:2]
    near_x = torch.exp(-(off_x**2) / (2 * window_sigma**2))
    near_y = torch.exp(-(off_y**2) / (2 * window_sigma**2))
    # Moments over y as one product: (B, K, 3, h) @ (B, K, h, w).
    plain, first, second = (torch.stack([near_y * off_y**n for n in range(3)], dim=-2) @ probability).unbind(dim=-2)
    mass = (plain * near_x).sum(dim=-1).clamp_min(1e-12)
    xx = (plain * near_x * off_x**2).sum(dim=-1) / mass
    xy = (first * near_x * off_x).sum(dim=-1) / mass
    yy = (second * near_x).sum(dim=-1) / mass
    return torch.stack((torch.stack((xx, xy), dim=-1), torch.stack((xy, yy), dim=-1)), dim=-2)


def collapse_heatmaps(heatmaps: Tensor, kind: HeatmapKind = "logits") -> Tensor:
    """All landmarks of a face in one map, for display: the largest probability, relative to the map's own peak.

    Each map is weighted by its own certainty: a landmark whose mass is spread out glows faintly and widely.

    Args:
        heatmaps: (B, K, h, w).

    Returns:
        (B, h, w) float32, 0..1.
    """
    collapsed = heatmap_probability(heatmaps, kind).amax(dim=1)
    return collapsed / collapsed.amax(dim=(-2, -1), keepdim=True).clamp_min(1e-12)
