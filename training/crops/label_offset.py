"""How far labels lie to one side of what a network can learn of them.

Nobody sees from a face whether it is a mirror image. A network that learns from faces and their mirror images therefore
finds landmarks where a mirror leaves them; whatever part of the labels a mirror turns round is beyond it. In 300-W as
it is at hand, all labels lie 0.8 to 0.9 pixels of the photo to the right, as if one had been added to pixels once too
often: 0.8 % of the eye distance. Up and down, networks learn whatever there is. So that both directions follow the
labels alike, what is missing is measured on the training faces, stored in the model, and added to its answers. Training
does so on its way, and teaches labels without it from then on, so that a face and its mirror image tell the same; for
a model that is finished, without it or with another:

    python -m training.crops.label_offset MODEL.safetensors PATH/TO/300W --out FILE
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import math
from pathlib import Path

import torch
from torch import Tensor

from models.decoding.shape_prior import ShapePrior
from models.files.model_file import load_model, save_model
from models.networks.base import LandmarkNetwork
from training.crops.labelled_crops import LabelledCrops, load_crops, mirror_points
from training.datasets import get_dataset, split_validation
from training.evaluation.calibration import fits_into_half

EARLY = 50  # steps of a run after which it is measured first
MEASURED_FACES = 128  # the mean error of so many differs from that of all by a tenth of the offset
_BATCH = 16


class LabelOffset:
    """The offset of a run's labels: the largest that was seen on the way.

    A few faces are learned by heart, each one and its mirror image, and then hide it: so it is looked for early, when
    the network still takes faces for faces, and again later, when it knows better.
    """

    def __init__(self, *, mirrors: bool) -> None:
        """With ``mirrors``, the network learns from mirror images; otherwise it learns the offset itself."""
        self.value = 0.0  # in units of the crop's side
        self._mirrors = mirrors

    def look(
        self, network: LandmarkNetwork, crops: LabelledCrops, device: torch.device, prior: ShapePrior | None
    ) -> float:
        """The value, after a measurement more; arguments as for ``measure_label_offset``."""
        if self._mirrors:
            self.value = max(self.value, measure_label_offset(network, crops, device, prior), key=abs)
        return self.value

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"value": torch.tensor(self.value, dtype=torch.float64)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Goes on with what ``state`` gave."""
        self.value = float(state["value"])


@torch.no_grad()
def measure_label_offset(
    network: LandmarkNetwork, crops: LabelledCrops, device: torch.device, prior: ShapePrior | None = None
) -> float:
    """The part of the labels' offset to the right that is surely there, in units of the crop's side.

    Args:
        network: trained on the same faces and their mirror images.
        crops: labelled faces; of many, ``MEASURED_FACES`` are looked at.
        prior: the model's own.

    Returns:
        0 where the landmarks have no mirror pairs, or where chance alone may explain the offset; else the mean over
        faces, less the more it differs between them (as the positive-part estimate of James and Stein does).
    """
    if not crops.scheme.mirror_pairs:
        return 0.0
    network.eval()
    prior = copy.deepcopy(prior).to(device) if prior else None
    order = torch.tensor(crops.scheme.mirror_permutation)
    offsets: list[float] = []
    for batch in crops.spread(MEASURED_FACES).exact(_BATCH):
        looks = (batch.images, batch.images.flip(-1))
        found, in_mirror = (
            network.locate(images.to(device).contiguous(memory_format=torch.channels_last), prior).points.cpu()
            for images in looks
        )
        seen = (found + mirror_points(in_mirror, order, crops.size)) / 2
        to_right = (batch.points - seen)[..., 0] * batch.visible
        offsets += (to_right.sum(dim=1) / batch.visible.sum(dim=1) / crops.size).tolist()
    return shrunken_mean(torch.tensor([offset for offset in offsets if math.isfinite(offset)]))


def shrunken_mean(values: Tensor) -> float:
    """The mean of (N,) values, nearer to 0 the larger its standard error is against it; 0 of fewer than two."""
    if len(values) < 2:
        return 0.0
    mean, error = float(values.double().mean()), float(values.double().std()) / math.sqrt(len(values))
    return mean * max(0.0, 1 - (error / mean) ** 2) if mean else 0.0


def main() -> None:
    """Writes a model once more, with the offset of the labels that it was trained on."""
    parser = argparse.ArgumentParser(description="Measures the offset of a finished model's labels.")
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path, help="what it was trained on")
    parser.add_argument("--dataset", default="300w")
    parser.add_argument("--validation", type=float, default=0.1, help="the share that it was not trained on")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    model = load_model(args.model)
    faces, _ = split_validation(get_dataset(args.dataset).read(args.data, "train").samples, args.validation)
    crops = load_crops(faces, model.network.config.input_size, model.crop_rule)
    offset = measure_label_offset(model.network, crops, torch.device("cpu"), model.shape_prior)
    half = fits_into_half(model.network, model.autoencoder)
    save_model(args.out, dataclasses.replace(model, label_offset=offset), half=half)
    print(f"{args.out}: labels lie {offset:+.5f} crop sides to the right")


if __name__ == "__main__":
    main()
