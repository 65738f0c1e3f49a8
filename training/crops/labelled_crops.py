"""Labelled faces in RAM, and batches of augmented crops of them.

Legend: N faces, B batch, K landmarks, C side of a stored crop, S side of a crop.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from models.crop_rule import CropRule
from models.errors import FewmarkError
from models.landmark_schemes import LandmarkScheme
from tracker.geometry.crop import box_around_points, cut_crop, frame_from_crop_matrix, invert, transform_points
from training.config import AugmentationConfig
from training.crops.random_appearance import change_appearance
from training.crops.random_crops import random_crops, stored_size
from training.crops.random_draws import Share
from training.datasets import FaceSample

CPU = torch.device("cpu")


class Batch(NamedTuple):
    """What a training step learns from."""

    images: Tensor  # (B, 3, S, S) float32, 0..1
    points: Tensor  # (B, K, 2) float32, crop pixels
    visible: Tensor  # (B, K) float32: 1 where the landmark is labelled


@dataclass(frozen=True, slots=True, eq=False)
class LabelledCrops:
    """Faces cut once, with room around the crop for augmentation; ``load_crops`` makes them."""

    images: Tensor  # (N, 3, C, C) uint8 RGB
    points: Tensor  # (N, K, 2) float32, pixels of the stored crop
    visible: Tensor  # (N, K) float32, 1 or 0
    scheme: LandmarkScheme
    size: int  # S: the exact crop is the central S x S square
    rule: CropRule
    skipped: tuple[str, ...] = ()  # "file: reason" of images that can't be read

    def __len__(self) -> int:
        return len(self.images)

    def augmented(
        self,
        chosen: Tensor,
        config: AugmentationConfig,
        generator: torch.Generator,
        share: Share = Share(),
        device: torch.device = CPU,
    ) -> Batch:
        """A batch of randomly changed crops.

        Args:
            chosen: (B,) int64, numbers of the faces.
            generator: on the CPU.
            share: which images of the whole batch these are.
            device: where the batch is made; what travels there is uint8.
        """
        stored, points, visible = (
            x[chosen].to(device, non_blocking=True) for x in (self.images, self.points, self.visible)
        )
        mirror = torch.tensor(self.scheme.mirror_permutation, device=device)
        crops = random_crops(stored, self.size, config, generator, points, mirror, self.rule, share)
        assert crops.points is not None
        visible = torch.where(crops.mirrored[:, None], visible[:, mirror], visible)
        return Batch(change_appearance(crops.images, config, generator, share), crops.points, visible)

    def shifted(self, to_right: float) -> LabelledCrops:
        """The same faces with all labels moved to the right, by a share of the crop's side."""
        return dataclasses.replace(self, points=self.points + torch.tensor([to_right * self.size, 0.0]))

    def spread(self, count: int) -> LabelledCrops:
        """``count`` of the faces, evenly spread over all; or all, where there are no more."""
        if count >= len(self):
            return self
        chosen = torch.linspace(0, len(self) - 1, count).round().long()
        return dataclasses.replace(
            self, images=self.images[chosen], points=self.points[chosen], visible=self.visible[chosen]
        )

    def exact(self, batch_size: int) -> Iterator[Batch]:
        """All faces in their order, as the tracker would cut them."""
        first = (self.images.shape[-1] - self.size) // 2
        centre = slice(first, first + self.size)
        for start in range(0, len(self), batch_size):
            part = slice(start, start + batch_size)
            images = self.images[part, :, centre, centre].float().div_(255)
            yield Batch(images, self.points[part] - first, self.visible[part])


def mirrored(batch: Batch, scheme: LandmarkScheme) -> Batch:
    """The same faces in a mirror; points that are left and right change places."""
    order = torch.tensor(scheme.mirror_permutation)
    points = mirror_points(batch.points, order, batch.images.shape[-1])
    return Batch(batch.images.flip(-1), points, batch.visible[:, order])


def mirror_points(points: Tensor, order: Tensor, size: int) -> Tensor:
    """Points (B, K, 2) of crops, pixels, as those of their mirror images; ``order`` (K,) int64 is the scheme's."""
    points = points[:, order]  # a copy
    points[..., 0] = size - 1 - points[..., 0]
    return points


def load_crops(
    samples: Sequence[FaceSample], size: int, rule: CropRule, room_for: AugmentationConfig = AugmentationConfig()
) -> LabelledCrops:
    """Decodes each photo once and keeps the face, cut by the crop rule around its points.

    Args:
        samples: of one landmark scheme.
        size: S, px.
        room_for: the augmentation that the stored crops leave room for; the default leaves none.

    Raises:
        FewmarkError: no image can be read, or the faces don't fit into the memory.
    """
    if not samples:
        raise FewmarkError("no labelled faces to load")
    scheme = samples[0].scheme
    side = stored_size(size, room_for, rule)
    wide = dataclasses.replace(rule, margin=rule.margin * side / size)
    try:
        images = torch.empty((len(samples), 3, side, side), dtype=torch.uint8)
    except RuntimeError as error:
        needed = len(samples) * 3 * side**2 / 2**30
        raise FewmarkError(f"{len(samples)} faces need {needed:.1f} GiB of memory; train on fewer of them") from error
    points = np.empty((len(samples), scheme.num_points, 2), np.float32)
    pixels = images.numpy()

    def cut(number: int) -> str | None:
        sample = samples[number]
        try:
            photo = sample.load_image()
        except FewmarkError as error:
            return str(error)
        frame_from_crop = frame_from_crop_matrix(box_around_points(sample.points, scheme), side, wide)
        pixels[number] = cut_crop(photo, frame_from_crop, side).image.transpose(2, 0, 1)
        points[number] = transform_points(sample.points, invert(frame_from_crop))
        return None

    console = Console(stderr=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            numbers = pool.map(cut, range(len(samples)))
            hidden = not console.is_terminal or len(samples) == 1
            problems = list(
                track(numbers, "cutting faces", len(samples), console=console, transient=True, disable=hidden)
            )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    skipped = tuple(problem for problem in problems if problem is not None)
    if len(skipped) == len(samples):
        raise FewmarkError(f"none of {len(samples)} images can be read; the first: {skipped[0]}")
    visible = torch.from_numpy(np.stack([sample.visible for sample in samples]).astype(np.float32))
    crops = LabelledCrops(images, torch.from_numpy(points), visible, scheme, size, rule, skipped)
    if not skipped:
        return crops
    good = torch.tensor([problem is None for problem in problems])
    return dataclasses.replace(crops, images=images[good], points=crops.points[good], visible=visible[good])
