"""The linear code against NumPy's singular value decomposition, and an autoencoder that starts as one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.autoencoder.linear_code import LinearCode
from models.errors import FewmarkError
from models.surgery.folding import fold_batch_norm
from models.surgery.growing import grow_autoencoder
from training.stages.principal_components import principal_components

SHAPE = AutoencoderConfig(128, z_dim=12, width=0.125, linear_side=16)


@pytest.fixture(scope="module")
def images() -> Tensor:
    """(60, 3, 128, 128) smooth coloured noise in 0..1: strong components and weak ones."""
    noise = torch.randn(60, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    return torch.sigmoid(F.interpolate(noise, size=(128, 128), mode="bicubic"))


def test_it_is_the_best_linear_code_of_its_length(images: Tensor) -> None:
    code = principal_components(images, 12, seed=0, side=16)
    small = code.small(images).numpy()
    centred = small - small.mean(axis=0)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    best = np.abs((u[:, :12] * s[:12]) @ vt[:12] - centred)
    found = code.small(code.decode(code.encode(images), 16)).numpy() - small
    assert np.square(found).mean() < 1.02 * np.square(best).mean()
    np.testing.assert_allclose(code.deviations.numpy(), s[:12] / 59**0.5, rtol=0.02)


def test_what_is_emphasised_is_shown_better(images: Tensor) -> None:
    emphasis = torch.full((24, 24), 0.2)
    emphasis[6:18, 6:18] = 1.0
    plain, emphatic = (principal_components(images, 12, seed=0, side=24, emphasis=e) for e in (None, emphasis))

    def errors(code: LinearCode) -> tuple[float, float]:
        squares = (code.decode(code.encode(images), 128) - images).square()
        middle = squares[..., 36:92, 36:92].mean().item()
        return middle, squares.mean().item()

    assert errors(emphatic)[0] < 0.8 * errors(plain)[0]
    assert errors(plain)[1] < errors(emphatic)[1]
    torch.testing.assert_close(emphatic.encode(images).std(dim=0), torch.ones(12), atol=1e-2, rtol=0)


def test_its_codes_have_the_prior_s_mean_and_deviation(images: Tensor) -> None:
    code = principal_components(images, 12, seed=0, side=16)
    z = code.encode(images)
    assert z.mean(dim=0).abs().max() < 1e-3
    torch.testing.assert_close(z.std(dim=0), torch.ones(12), atol=1e-3, rtol=0)
    torch.testing.assert_close(code.encode(code.decode(z, 16)), z, atol=1e-3, rtol=0)
    assert float(code.importance.sum()) == pytest.approx(1)


@torch.inference_mode()
def test_an_autoencoder_starts_as_its_linear_code(images: Tensor) -> None:
    torch.manual_seed(0)
    code = principal_components(images, 12, seed=0, side=16)
    autoencoder = Autoencoder(SHAPE).eval()
    autoencoder.start_linear(code)
    reconstruction, z = autoencoder(images)
    torch.testing.assert_close(z, code.encode(images))
    torch.testing.assert_close(reconstruction, code.decode(z, 128))
    folded = fold_batch_norm(autoencoder)
    torch.testing.assert_close(folded.reconstruct(images), autoencoder.reconstruct(images), atol=1e-4, rtol=1e-3)
    large = grow_autoencoder(autoencoder).eval()
    assert large.config.linear_side == 16
    torch.testing.assert_close(large(F.interpolate(images, scale_factor=2))[1], z)


def test_where_a_linear_code_does_not_belong_it_is_told() -> None:
    with pytest.raises(FewmarkError, match="130 px is too large for faces of 128 px"):
        Autoencoder(AutoencoderConfig(128, linear_side=130))
    with pytest.raises(ValueError, match="no linear code"):
        Autoencoder(AutoencoderConfig(128, z_dim=8, width=0.125)).start_linear(
            principal_components(torch.rand(9, 3, 32, 32), 8, 0)
        )
