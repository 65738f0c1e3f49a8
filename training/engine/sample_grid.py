"""Pictures to judge an autoencoder by: input, reconstruction, random faces, and the way from one face to another."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from models.autoencoder.autoencoder import Autoencoder
from tracker.types import ImageArray


@torch.no_grad()
def write_sample_grid(autoencoder: Autoencoder, images: Tensor, path: Path, seed: int = 0) -> None:
    """Four rows of N pictures as a PNG.

    Row 1: the faces; row 2: their reconstructions; row 3: faces of random latent codes; row 4: reconstructions on the
    straight line from the first face's code to the last one's (3FabRec, figures 3 and 4).

    Args:
        images: (N, 3, S, S) float32 in 0..1, N at least 2.
    """
    autoencoder.eval()
    z = autoencoder.encode(images)
    generator = torch.Generator().manual_seed(seed)
    random_codes = torch.randn(z.shape, generator=generator).to(z)
    way = torch.linspace(0, 1, len(z), device=z.device)[:, None]
    rows = (images, *(autoencoder.decode(codes) for codes in (z, random_codes, torch.lerp(z[:1], z[-1:], way))))
    grid = np.concatenate([np.concatenate(list(_to_uint8(row)), axis=1) for row in rows], axis=0)
    encoded = cv2.imencode(".png", grid[..., ::-1])[1]
    encoded.tofile(path)  # cv2.imwrite can't open non-ASCII paths on Windows


def _to_uint8(images: Tensor) -> ImageArray:
    return np.asarray((images.float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy(), np.uint8)
