import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.decoding.heatmaps import (
    collapse_heatmaps,
    crop_from_heatmap,
    decode_heatmaps,
    encode_points,
    expected_position,
    heatmap_from_crop,
    heatmap_spread,
    spatial_softmax,
)


def gaussian_logits(points: torch.Tensor, size: int, sigma: float) -> torch.Tensor:
    """Maps whose softmax is exactly a sampled Gaussian around each point, (B, K, 2) in heatmap pixels."""
    return encode_points(points, size, sigma).clamp_min(1e-30).log()


@given(st.floats(-50, 300), st.sampled_from([128, 256]), st.sampled_from([64, 128]))
def test_crop_and_heatmap_pixels_convert_both_ways(x: float, crop_size: int, heatmap_size: int) -> None:
    points = torch.tensor([[x, -x]], dtype=torch.float64)
    there = heatmap_from_crop(points, crop_size, heatmap_size)
    torch.testing.assert_close(crop_from_heatmap(there, crop_size, heatmap_size), points)


def test_the_grids_share_their_outer_edges() -> None:
    # The left edge of the first pixel is -0.5 in both, the right edge of the last one S - 0.5 and w - 0.5.
    edges = torch.tensor([[-0.5, 127.5]])
    torch.testing.assert_close(heatmap_from_crop(edges, 128, 64), torch.tensor([[-0.5, 63.5]]))


@settings(max_examples=50, deadline=None)
@given(st.floats(8, 55), st.floats(8, 55), st.floats(1.0, 2.5))
def test_decoding_inverts_encoding_to_a_hundredth_of_a_pixel(x: float, y: float, sigma: float) -> None:
    points = torch.tensor([[[x, y]]])
    decoded = decode_heatmaps(gaussian_logits(points, 64, sigma), 64, point_kind="mean")
    assert (decoded.points - points).abs().max() < 0.01
    # A window of 11 x 11 cuts off the tails, a little more on one side than on the other.
    windowed = decode_heatmaps(gaussian_logits(points, 64, sigma), 64)
    assert (windowed.points - points).abs().max() < 0.12


def test_decoded_points_are_in_crop_pixels() -> None:
    points = torch.tensor([[[20.0, 30.0]]])
    decoded = decode_heatmaps(gaussian_logits(points, 64, 1.5), 256)
    torch.testing.assert_close(decoded.points, crop_from_heatmap(points, 256, 64), atol=0.1, rtol=0)


def test_confidence_falls_as_the_mass_spreads() -> None:
    centre = torch.tensor([[[32.0, 32.0]]])
    values = [decode_heatmaps(gaussian_logits(centre, 64, s), 64).confidence.item() for s in (1, 2, 4, 8)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.98
    assert decode_heatmaps(torch.zeros(1, 1, 64, 64), 64).confidence.item() == pytest.approx(16 / 64**2, rel=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(1.0, 3.0), st.floats(0.3, 1.0), st.floats(-math.pi, math.pi))
def test_the_spread_is_the_maps_covariance(along: float, narrower: float, angle: float) -> None:
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    lengths = torch.tensor([along**2, max(along * narrower, 0.8) ** 2], dtype=torch.float64)
    covariance = turn @ torch.diag(lengths) @ turn.T
    point = torch.tensor([31.3, 30.6], dtype=torch.float64)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    off = torch.stack((x, y), dim=-1) - point
    logits = -0.5 * (off @ torch.linalg.inv(covariance) * off).sum(dim=-1)
    found = heatmap_spread(logits[None, None], point[None, None].float())[0, 0]
    # The product with the window's Gaussian is a Gaussian again.
    windowed = torch.linalg.inv(torch.linalg.inv(covariance) + torch.eye(2) / 25)
    torch.testing.assert_close(found, windowed, rtol=0.01, atol=0.01, check_dtype=False)


def test_a_peak_at_the_border_stays_inside() -> None:
    logits = torch.full((1, 4, 64, 64), -20.0)
    for k, (y, x) in enumerate([(0, 0), (0, 63), (63, 0), (63, 63)]):
        logits[0, k, y, x] = 20
    decoded = decode_heatmaps(logits, 64)
    expected = torch.tensor([[[0.0, 0], [63, 0], [0, 63], [63, 63]]])
    torch.testing.assert_close(decoded.points, expected, atol=0.02, rtol=0)
    assert (decoded.confidence > 0.99).all()


def test_imitated_gaussians_decode_as_well() -> None:
    points = torch.tensor([[[20.3, 30.6], [40.0, 12.2]]])
    maps = 0.8 * encode_points(points, 64, 3.0) + 0.02 * torch.randn(1, 2, 64, 64)
    decoded = decode_heatmaps(maps, 64, kind="gaussian")
    assert (decoded.points - points).abs().max() < 0.3
    assert ((decoded.confidence - 0.8).abs() < 0.1).all()
    empty = decode_heatmaps(torch.zeros(1, 1, 64, 64), 64, kind="gaussian")
    assert torch.isfinite(empty.points).all()
    assert empty.confidence.item() == 0


def test_a_point_outside_the_map_leaves_an_empty_channel() -> None:
    assert encode_points(torch.tensor([[[-40.0, 10.0]]]), 64, 1.75).max() < 1e-6


def test_the_expected_position_has_gradients() -> None:
    logits = torch.zeros(1, 1, 16, 16, requires_grad=True)
    expected_position(spatial_softmax(logits)).sum().backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0


def test_the_collapsed_map_peaks_at_one() -> None:
    maps = gaussian_logits(torch.tensor([[[10.0, 10.0], [40.0, 40.0]]]), 64, 1.5)
    collapsed = collapse_heatmaps(maps)
    assert collapsed.shape == (1, 64, 64)
    assert collapsed.max().item() == pytest.approx(1)
    assert collapsed[0, 10, 10] > 0.9
    assert collapsed[0, 40, 40] > 0.9
    assert collapsed[0, 25, 25] < 0.01
