"""The prior over a face's landmarks: what is vague follows what is certain."""

import pytest
import torch
from torch import Tensor

from models.landmark_schemes import IBUG_68
from models.shape_prior import ShapePrior, fit_shape_prior

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
    believed = prior.most_likely(points, spread, SIGMA)
    spread[:, 5] = _spread(100, 100)
    doubted = prior.most_likely(points, spread, SIGMA)
    wrong, right = ((found[:, 5] - shapes[:20, 5]).norm(dim=-1).mean() for found in (believed, doubted))
    assert right < 0.5
    assert wrong > 2 * right
    others = [k for k in range(LANDMARKS) if k != 5]
    assert (doubted - shapes[:20])[:, others].norm(dim=-1).mean() < 0.5


def test_a_landmark_moves_only_where_its_map_is_vague(shapes: Tensor, prior: ShapePrior) -> None:
    """As a chin's: far along the ridge, hardly across it."""
    free = ShapePrior(
        prior.mean, torch.eye(2 * LANDMARKS, dtype=torch.float64)
    )  # landmarks that know nothing of others
    points, spread = shapes[:1].clone(), _spread(0, 0).repeat(1, LANDMARKS, 1, 1)
    points[0, 5] = prior.mean[10:12] + 6
    spread[0, 5] = _spread(100, 0)
    found = free.most_likely(points, spread, SIGMA)[0, 5] - prior.mean[10:12]
    assert found[0] < 0.1
    assert found[1] > 4


def test_noise_is_not_taken_for_variety(shapes: Tensor) -> None:
    """Answers that are uncertain by a lot, and say so, give nearly the covariance of the faces themselves."""
    generator = torch.Generator().manual_seed(3)
    noisy = shapes + 3 * torch.randn(shapes.shape, generator=generator)
    told = fit_shape_prior(noisy, _spread(9, 9).expand(FACES, LANDMARKS, 2, 2), SIGMA, None)
    untold = fit_shape_prior(noisy, _spread(0, 0).expand(FACES, LANDMARKS, 2, 2), SIGMA, None)
    true = torch.cov(shapes.flatten(1).double().T)
    assert torch.linalg.norm(told.covariance - true) < 0.7 * torch.linalg.norm(untold.covariance - true)


def test_with_mirror_images_left_and_right_are_alike(shapes: Tensor) -> None:
    prior = fit_shape_prior(shapes, _spread(0, 0).expand(FACES, LANDMARKS, 2, 2), SIGMA, MIRROR)
    mean = prior.mean.view(LANDMARKS, 2)
    middle = mean[:, 0].mean()
    torch.testing.assert_close(mean[MIRROR, 0] - middle, middle - mean[:, 0])
    torch.testing.assert_close(mean[MIRROR, 1], mean[:, 1])
    blocks = prior.covariance.view(LANDMARKS, 2, LANDMARKS, 2)
    signs = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    turned = blocks[MIRROR][:, :, MIRROR] * signs.view(1, 2, 1, 1) * signs
    torch.testing.assert_close(turned, blocks)
    assert torch.linalg.eigvalsh(prior.covariance).min() > 0
    torch.testing.assert_close(middle, shapes.double().mean(dim=0)[:, 0].mean())  # where the faces are, they stay


def test_mirrored_faces_get_mirrored_answers(shapes: Tensor) -> None:
    prior = fit_shape_prior(shapes, _spread(0, 0).expand(FACES, LANDMARKS, 2, 2), SIGMA, MIRROR)
    points, spread = shapes[:3].clone(), _spread(2, 5).repeat(3, LANDMARKS, 1, 1)
    spread[..., 0, 1] = spread[..., 1, 0] = 1.5
    middle = prior.mean.view(LANDMARKS, 2)[:, 0].mean().float()

    def mirrored(values: Tensor) -> Tensor:
        return torch.stack((2 * middle - values[:, MIRROR, 0], values[:, MIRROR, 1]), dim=-1)

    turned = spread[:, MIRROR] * torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    there = prior.most_likely(mirrored(points), turned, SIGMA)
    torch.testing.assert_close(mirrored(there), prior.most_likely(points, spread, SIGMA), rtol=0, atol=1e-3)
