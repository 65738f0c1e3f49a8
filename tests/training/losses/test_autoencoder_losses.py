"""Stage 1's losses against the paper's equations, written out."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch.nn import functional as F

from training.evaluation.image_metrics import rmse, ssim
from training.losses.autoencoder_losses import (
    STABILITY,
    contrast_and_correlation,
    discriminator_loss,
    face_window,
    fooling_loss,
    reconstruction_l1,
    structural_loss,
)


def test_contrast_and_correlation_is_equation_1_for_every_window() -> None:
    generator = torch.Generator().manual_seed(1)
    a, b = (255 * torch.rand(2, 3, 12, 10, generator=generator) for _ in range(2))
    got = contrast_and_correlation(a, b, 5)
    assert got.shape == (2, 3, 8, 6)
    for n, c, y, x in ((0, 0, 0, 0), (1, 2, 7, 5), (0, 1, 3, 2)):
        wa, wb = (t[n, c, y : y + 5, x : x + 5].double().numpy() for t in (a, b))
        sa, sb, sab = wa.std(), wb.std(), ((wa - wa.mean()) * (wb - wb.mean())).mean()
        contrast = (2 * sa * sb + STABILITY) / (sa**2 + sb**2 + STABILITY)
        correlation = (sab + STABILITY / 2) / (sa * sb + STABILITY / 2)
        assert got[n, c, y, x].item() == pytest.approx(contrast * correlation, abs=1e-4)


def test_structural_loss_ignores_brightness_and_punishes_blur() -> None:
    generator = torch.Generator().manual_seed(2)
    image = torch.rand(1, 3, 32, 32, generator=generator)
    blurred = F.avg_pool2d(image, 3, stride=1, padding=1)
    assert structural_loss(image, image, 11).item() == pytest.approx(0, abs=1e-4)
    assert structural_loss(image * 0.5 + 0.25, image * 0.5, 11).item() == pytest.approx(0, abs=1e-3)
    assert structural_loss(blurred, image, 11).item() > 0.2


def test_structural_loss_has_finite_gradients_on_flat_images() -> None:
    flat = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    structural_loss(flat, torch.rand(1, 3, 16, 16), 5).backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()


def test_reconstruction_loss_is_in_8_bit_units() -> None:
    assert reconstruction_l1(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.1)).item() == pytest.approx(25.5)


def test_errors_around_the_face_count_less() -> None:
    weights = face_window(64, border=0.25)
    assert weights.shape == (64, 64)
    assert weights[32, 32].item() == pytest.approx(1, abs=0.01)
    assert weights[0, 0].item() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(face_window(64, border=1.0), torch.ones(64, 64))
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    middle, corner = image.clone(), image.clone()
    middle[..., 24:40, 24:40] = 0.5
    corner[..., :16, :16] = 0.5
    assert reconstruction_l1(middle, image, weights) > 3 * reconstruction_l1(corner, image, weights)
    assert structural_loss(middle, image, 11, weights) > 3 * structural_loss(corner, image, 11, weights)
    everywhere = torch.ones(64, 64)
    for loss in (reconstruction_l1, partial(structural_loss, window=11)):
        torch.testing.assert_close(loss(middle, image, weights=everywhere), loss(middle, image))


def test_a_fooled_discriminator_loses_what_the_generator_gains() -> None:
    fooled, sure = torch.full((4,), 3.0), torch.full((4,), -3.0)
    assert fooling_loss(fooled) < fooling_loss(sure)
    assert discriminator_loss(fooled, sure) < discriminator_loss(sure, fooled)


def test_ssim_and_rmse_agree_with_scikit_image() -> None:
    rng = np.random.default_rng(3)
    a = rng.random((64, 64, 3), np.float32)
    b = np.clip(a + rng.normal(0, 0.1, a.shape), 0, 1).astype(np.float32)
    expected = structural_similarity(
        255 * a, 255 * b, data_range=255, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    ta, tb = (torch.from_numpy(x).permute(2, 0, 1)[None] for x in (a, b))
    assert ssim(ta, tb).item() == pytest.approx(expected, abs=5e-3)
    assert rmse(ta, tb).item() == pytest.approx(255 * np.sqrt(((a - b) ** 2).mean()), rel=1e-5)
