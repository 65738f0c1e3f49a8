from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.decoding.heatmaps import decode_heatmaps, encode_points
from models.landmark_schemes import IBUG_68
from training.evaluation.metrics import area_under_ced, ced_curve, failure_rate, nme_per_face, point_errors
from training.losses.heatmap_losses import (
    LOSSES,
    Coordinates,
    CrossEntropy,
    CrossEntropyWithCoordinates,
    HeatmapL2,
    HeatmapLoss,
)

POINTS = torch.tensor([[[20.3, 30.2], [40.0, 10.5], [5.5, 60.0]]])
VISIBLE = torch.ones(1, 3)


def perfect(name: str, sigma: float) -> torch.Tensor:
    maps = encode_points(POINTS, 64, sigma)
    return maps if name == "l2" else maps.clamp_min(1e-30).log()


@pytest.mark.parametrize("loss", [HeatmapL2(), CrossEntropy(), CrossEntropyWithCoordinates(coordinate_weight=0.0)])
def test_the_true_map_has_the_least_loss_and_no_gradient(loss: HeatmapLoss) -> None:
    name = loss.name
    maps = perfect(name, 1.75).requires_grad_()
    value = loss(maps, POINTS, VISIBLE)
    value.backward()
    assert maps.grad is not None
    assert maps.grad.abs().max() < 1e-5
    for other in (perfect(name, 3.0), torch.zeros(1, 3, 64, 64), perfect(name, 1.75).roll(3, dims=-1)):
        assert loss(other, POINTS, VISIBLE) > value


@pytest.mark.parametrize("name", LOSSES)
def test_unlabelled_landmarks_do_not_count(name: str) -> None:
    loss = LOSSES[name]()
    maps = torch.randn(1, 3, 64, 64, requires_grad=True)
    loss(maps, POINTS, torch.tensor([[1.0, 0.0, 1.0]])).backward()
    assert maps.grad is not None
    assert maps.grad[0, 1].abs().max() == 0
    assert maps.grad[0, 0].abs().max() > 0
    assert loss(maps, POINTS, torch.zeros(1, 3)) == 0


def test_a_landmark_far_outside_the_map_is_left_out() -> None:
    away = torch.tensor([[[-90.0, 5.0]]])
    assert CrossEntropy()(torch.randn(1, 1, 64, 64), away, torch.ones(1, 1)) == 0


def test_coordinates_alone_ask_for_the_mean_of_a_map_and_not_for_its_width() -> None:
    loss = Coordinates()
    narrow, wide, elsewhere = perfect("coordinates", 1.0), perfect("coordinates", 1.75), torch.zeros(1, 3, 64, 64)
    assert loss(narrow, POINTS, VISIBLE) < 0.1
    assert loss(wide, POINTS, VISIBLE) < 0.1
    assert loss(elsewhere, POINTS, VISIBLE) > 10


@pytest.mark.parametrize("name", LOSSES)
def test_training_on_a_loss_finds_the_points_where_it_says_that_they_are_read(name: str) -> None:
    maps = torch.zeros(1, 3, 64, 64, requires_grad=True)
    loss = LOSSES[name]()
    optimiser = torch.optim.Adam([maps], lr=0.2)
    for _ in range(150):
        optimiser.zero_grad()
        loss(maps, POINTS, VISIBLE).backward()
        optimiser.step()
    found = decode_heatmaps(maps, 64, kind=loss.heatmap_kind, point_kind=loss.point_kind)
    assert (found.points - POINTS).abs().max() < 0.3


def test_errors_are_in_units_of_the_outer_eye_corners() -> None:
    truth = np.zeros((2, 68, 2), np.float32)
    truth[:, 45] = (30, 40)  # 50 px from point 36
    predicted = truth + np.array([3, 4], np.float32)
    visible = np.ones((2, 68), bool)
    visible[1, :36] = False
    errors = point_errors(predicted, truth, visible, IBUG_68)
    np.testing.assert_allclose(nme_per_face(errors), 0.1, rtol=1e-5)
    assert np.isnan(errors[1, :36]).all()


def test_failures_and_area_by_hand() -> None:
    nme = np.array([0.02, 0.04, 0.10, 0.20, np.inf], np.float32)
    assert failure_rate(nme) == pytest.approx(0.4)
    assert area_under_ced(nme) == pytest.approx((0.8 + 0.6) / 5)
    _, y = ced_curve(nme)
    assert y[0] == 0
    assert y[-1] == pytest.approx(0.6)
    assert (np.diff(y) >= 0).all()


@given(st.lists(st.floats(0, 0.3), min_size=1, max_size=50))
def test_the_area_is_that_under_the_curve(values: list[float]) -> None:
    nme = np.array(values, np.float32)
    x, y = ced_curve(nme)
    assert area_under_ced(nme) == pytest.approx(float(np.trapezoid(y, x)) / 0.1, abs=2e-3)
