"""The prior over a face's landmarks: what is vague follows what is certain."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.crop_rule import CropRule
from models.decoding.heatmaps import encode_points
from models.decoding.shape_prior import ShapePrior, decode_face, fit_shape_prior
from models.files.model_file import FaceModel, load_model, save_model
from models.landmark_schemes import IBUG_68
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig

SIGMA = 1.75
MIRROR = torch.tensor(IBUG_68.mirror_permutation)
FACES, LANDMARKS = 600, 68


def _spread(across: float, along: float) -> Tensor:
    """(2, 2) of a map that is spread by that much more than a certain one, in x and in y."""
    return torch.diag(torch.tensor([SIGMA**2 + across, SIGMA**2 + along]))


@pytest.fixture(scope="module")
def shapes() -> Tensor:
    """(N, K, 2) faces of ten numbers each."""
    generator = torch.Generator().manual_seed(1)
    mean = 12 + 40 * torch.rand(LANDMARKS, 2, generator=generator)
    directions = torch.randn(10, LANDMARKS * 2, generator=generator)
    return mean + (0.8 * torch.randn(FACES, 10, generator=generator) @ directions).view(-1, LANDMARKS, 2)


@pytest.fixture(scope="module")
def prior(shapes: Tensor) -> ShapePrior:
    generator = torch.Generator().manual_seed(2)
    seen = shapes + 0.5 * torch.randn(shapes.shape, generator=generator)
    return fit_shape_prior(seen, _spread(0, 0).expand(FACES, LANDMARKS, 2, 2), SIGMA, None)


def test_a_vague_landmark_lies_where_the_others_say(shapes: Tensor, prior: ShapePrior) -> None:
    points, spread = shapes[:20].clone(), _spread(0, 0).repeat(20, LANDMARKS, 1, 1)
    points[:, 5] += torch.tensor([6.0, -4.0])
    believed = prior(points, spread)
    spread[:, 5] = _spread(100, 100)
    doubted = prior(points, spread)
    wrong, right = ((found[:, 5] - shapes[:20, 5]).norm(dim=-1).mean() for found in (believed, doubted))
    assert right < 0.5
    assert wrong > 2 * right
    others = [k for k in range(LANDMARKS) if k != 5]
    assert (doubted - shapes[:20])[:, others].norm(dim=-1).mean() < 0.5


def test_a_landmark_moves_only_where_its_map_is_vague(shapes: Tensor, prior: ShapePrior) -> None:
    """As a chin's: far along the ridge, hardly across it."""
    points, spread = shapes[:20].clone(), _spread(0, 0).repeat(20, LANDMARKS, 1, 1)
    points[:, 5] += torch.tensor([0.0, 6.0])
    spread[:, 5] = _spread(0, 100)
    found = prior(points, spread)[:, 5] - points[:, 5]
    assert found[:, 0].abs().mean() < 0.5
    assert (found[:, 1] + 6).abs().mean() < 0.5


def test_iterations_end_where_a_solver_does(shapes: Tensor, prior: ShapePrior) -> None:
    """The textbook's form of the same: mean + C (C + R)^-1 (points - mean), in float64."""
    generator = torch.Generator().manual_seed(4)
    root = 1.5 * torch.randn(FACES, LANDMARKS, 2, 2, generator=generator)
    excess = root @ root.mT * torch.rand(FACES, LANDMARKS, 1, 1, generator=generator) ** 2
    points = shapes + (torch.linalg.cholesky(excess + 0.01 * torch.eye(2)) @ torch.randn(*shapes.shape, 1)).squeeze(-1)
    found = prior(points, excess + SIGMA**2 * torch.eye(2))
    size = 2 * LANDMARKS
    directions = prior.directions.double().view(size, -1)
    covariance = directions @ torch.diag(1 / prior.precision.double()) @ directions.T
    covariance += prior.residual * torch.eye(size)
    for number in range(20):
        noise = torch.block_diag(*(excess[number].double() + 0.25 * torch.eye(2)))
        off = points[number].flatten().double() - prior.mean.flatten()
        exact = prior.mean.flatten() + covariance @ torch.linalg.solve(covariance + noise, off)
        torch.testing.assert_close(found[number].flatten().double(), exact, rtol=0, atol=0.05)


def test_noise_is_not_taken_for_variety(shapes: Tensor) -> None:
    """Answers that are uncertain by a lot, and say so, tell what the faces are like as well as certain ones."""
    generator = torch.Generator().manual_seed(3)
    noisy = shapes + 3 * torch.randn(shapes.shape, generator=generator)
    told, untold = (
        fit_shape_prior(noisy, _spread(excess, excess).expand(FACES, LANDMARKS, 2, 2), SIGMA, None)
        for excess in (9.0, 0.0)
    )
    assert told.residual < 0.3 * untold.residual


def test_with_mirror_images_left_and_right_are_alike(shapes: Tensor) -> None:
    prior = fit_shape_prior(shapes, _spread(0, 0).expand(FACES, LANDMARKS, 2, 2), SIGMA, MIRROR)
    middle = prior.mean[:, 0].mean()
    torch.testing.assert_close(prior.mean[MIRROR, 0] - middle, middle - prior.mean[:, 0])
    torch.testing.assert_close(prior.mean[MIRROR, 1], prior.mean[:, 1])
    torch.testing.assert_close(middle, shapes.mean(dim=0)[:, 0].mean())  # where the faces are, they stay


def test_mirrored_faces_get_mirrored_answers(shapes: Tensor) -> None:
    prior = fit_shape_prior(shapes, _spread(0, 0).expand(FACES, LANDMARKS, 2, 2), SIGMA, MIRROR)
    points, spread = shapes[:3].clone(), _spread(2, 5).repeat(3, LANDMARKS, 1, 1)
    spread[..., 0, 1] = spread[..., 1, 0] = 1.5
    middle = prior.mean[:, 0].mean()

    def mirrored(values: Tensor) -> Tensor:
        return torch.stack((2 * middle - values[:, MIRROR, 0], values[:, MIRROR, 1]), dim=-1)

    turned = spread[:, MIRROR] * torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    there = prior(mirrored(points), turned)
    torch.testing.assert_close(mirrored(there), prior(points, spread), rtol=0, atol=0.01)


@pytest.mark.parametrize("landmarks", [1, 5])
def test_few_landmarks_have_a_prior_too(shapes: Tensor, landmarks: int) -> None:
    spread = _spread(1, 1).expand(FACES, landmarks, 2, 2)
    prior = fit_shape_prior(shapes[:, :landmarks], spread, SIGMA, None)
    found = prior(shapes[:, :landmarks], spread)
    assert found.isfinite().all()
    assert (found - shapes[:, :landmarks]).norm(dim=-1).mean() < 1


def test_it_travels_with_its_model(shapes: Tensor, prior: ShapePrior, tmp_path: Path) -> None:
    network = FaceNetwork(FaceNetworkConfig(LANDMARKS, input_size=128, heatmap_size=64, width=0.25)).eval()
    save_model(tmp_path / "a.safetensors", FaceModel("a", network, IBUG_68, CropRule(), shape_prior=prior), half=True)
    read = load_model(tmp_path / "a.safetensors").shape_prior
    assert read is not None
    spread = _spread(2, 5).expand(FACES, LANDMARKS, 2, 2)
    torch.testing.assert_close(read(shapes, spread), prior(shapes, spread), rtol=0, atol=0.1)


def test_decoding_asks_the_prior(shapes: Tensor, prior: ShapePrior) -> None:
    """A landmark whose map has two peaks, the higher one wrong."""
    maps = encode_points(shapes[:4].clamp(5, 58), 64, SIGMA)
    wrong = (shapes[:4, 5] + 12) % 64
    maps[:, 5] = maps[:, 5] + 1.2 * encode_points(wrong.unsqueeze(1), 64, SIGMA)[:, 0]
    logits = (maps + 1e-4).log()
    alone, asked = (decode_face(logits, 64, prior=which).points[:, 5] for which in (None, prior))
    right = shapes[:4, 5].clamp(5, 58)
    assert (asked - right).norm(dim=-1).mean() < (alone - right).norm(dim=-1).mean()
