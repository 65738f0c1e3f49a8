"""Labels that a model gives unlabelled faces, and what becomes of them in training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.errors import FewmarkError
from models.landmark_schemes import IBUG_68, scheme_from_names
from models.networks.interleaved.face_network import FaceNetworkConfig
from models.registry import open_model
from tracker.geometry.crop import box_around_points, cut_crop, frame_from_crop_matrix
from training.config import AugmentationConfig, LandmarkRecipe, UnlabelledConfig
from training.datasets import get_dataset
from training.faces.face_labels import label_faces, load_face_labels
from training.stages.starting_point import StartingPoint
from training.stages.teacher import Teacher


@pytest.fixture(scope="module")
def faces(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten crops of 256 px, cut as fast128 wants them."""
    folder, rule = tmp_path_factory.mktemp("crops"), open_model("fast128").crop_rule
    for number, face in enumerate(get_dataset("300w").read(shared_data / "300w", "train").samples[:200:20]):
        matrix = frame_from_crop_matrix(box_around_points(face.points, face.scheme), 256, rule)
        crop = cv2.cvtColor(cut_crop(face.load_image(), matrix, 256).image, cv2.COLOR_RGB2BGR)
        cv2.imencode(".png", crop)[1].tofile(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def labels(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return label_faces("fast128", [faces], tmp_path_factory.mktemp("labels") / "six.safetensors", limit=6)


def recipe_for(labels: Path, faces: Path, size: int) -> LandmarkRecipe:
    return LandmarkRecipe(
        name="taught",
        network=FaceNetworkConfig(input_size=size, heatmap_size=64, width=0.125),
        unlabelled=UnlabelledConfig(labels=labels, roots=(faces,), weight=1.0, batch_size=6, min_confidence=0.0),
    )


def test_every_nth_face_is_labelled(labels: Path) -> None:
    found = load_face_labels(labels)
    prefix = found.names[0].removesuffix("0")
    assert found.names == tuple(f"{prefix}{number}" for number in (0, 1, 3, 5, 7, 9))
    assert (found.scheme, found.crop_size) == (IBUG_68.name, 128)
    assert found.points.shape == (6, 68, 2)
    # The crops are cut around faces: the eyes lie above the mouth, and the model is sure of them.
    assert (found.points[:, 36:48, 1].mean(1) < found.points[:, 48:68, 1].mean(1)).all()
    assert found.confidence.mean() > 0.5


@pytest.mark.parametrize("size", [128, 256])
def test_labels_serve_at_any_size_of_the_same_crops(labels: Path, faces: Path, size: int) -> None:
    recipe = recipe_for(labels, faces, size)
    teacher = Teacher(recipe, IBUG_68)
    assert len(teacher) == 6
    batch = teacher.batch(0, StartingPoint(recipe).build_network(IBUG_68), torch.device("cpu"))
    model = open_model("fast128").network
    with torch.inference_mode():
        seen = model.locate(F.interpolate(batch.images, size=128, mode="area")).points
    assert (found_at(size, seen) - batch.points).norm(dim=-1).median() < 0.01 * size


def test_a_prior_is_not_learned_beside_another_models_labels(labels: Path, faces: Path) -> None:
    recipe = recipe_for(labels, faces, 128)
    with pytest.raises(FewmarkError, match="shape_faces is for labels by the moving average"):
        Teacher(replace(recipe, unlabelled=replace(recipe.unlabelled, shape_faces=100)), IBUG_68)


def test_a_prior_needs_more_than_a_handful_of_faces(faces: Path) -> None:
    few = UnlabelledConfig(roots=(faces,), weight=1.0, shape_faces=5)
    with pytest.raises(FewmarkError, match="shape_faces = 5: so few faces tell nothing of others"):
        Teacher(LandmarkRecipe(name="few", unlabelled=few), IBUG_68)


def found_at(size: int, points: Tensor) -> Tensor:
    """Pixels of a 128 px crop as those of one with another side."""
    return (points + 0.5) * size / 128 - 0.5


def test_the_moving_average_labels_a_face_and_its_mirror_image_alike(faces: Path) -> None:
    recipe = LandmarkRecipe(
        name="taught",
        start_from=Path("fast128"),
        network=FaceNetworkConfig(input_size=128, heatmap_size=64, width=0.5, skip_connections=True),
        unlabelled=UnlabelledConfig(roots=(faces,), weight=1.0, batch_size=8, min_confidence=0.0),
    )
    average = StartingPoint(recipe).build_network(IBUG_68).eval()
    always, never = (
        Teacher(replace(recipe, augmentation=AugmentationConfig(flip=share)), IBUG_68).batch(
            0, average, torch.device("cpu")
        )
        for share in (1.0, 0.0)
    )
    assert torch.equal(always.images, never.images.flip(-1))
    mirror = torch.tensor(IBUG_68.mirror_permutation)
    mirrored = never.points[:, mirror] * torch.tensor([-1.0, 1.0]) + torch.tensor([127.0, 0.0])
    torch.testing.assert_close(always.points, mirrored, rtol=0, atol=1e-3)
    torch.testing.assert_close(always.weights, never.weights[:, mirror])
    with torch.inference_mode():
        ways = [average.locate(batch.images) for batch in (never, always)]
    there = torch.where(torch.tensor([True, False]), 127 - ways[1].points[:, mirror], ways[1].points[:, mirror])
    torch.testing.assert_close(never.points, (ways[0].points + there) / 2, rtol=0, atol=1e-2)


def test_labels_that_do_not_fit_are_refused(labels: Path, faces: Path, tmp_path: Path) -> None:
    recipe = recipe_for(labels, faces, 128)
    with pytest.raises(FewmarkError, match="labels by 300w-68, the data are of two"):
        Teacher(recipe, scheme_from_names("two", ["left_eye", "right_eye"]))
    other = tmp_path / faces.name
    other.mkdir()
    (other / "0.png").write_bytes((faces / "0.png").read_bytes())
    with pytest.raises(FewmarkError, match=r"labels .*1, which is not among the faces"):
        Teacher(replace(recipe, unlabelled=replace(recipe.unlabelled, roots=(other,))), IBUG_68)
    with pytest.raises(FewmarkError, match="no such file of face labels"):
        load_face_labels(tmp_path / "none.safetensors")


def test_a_stopped_labelling_keeps_what_it_has(faces: Path, tmp_path: Path) -> None:
    path = label_faces("fast128", [faces], tmp_path / "part.safetensors", should_stop=lambda: True)
    found = load_face_labels(path)
    assert 0 < len(found.names) < 10
    assert len(found.points) == len(found.names)
    assert np.isfinite(found.points.numpy()).all()
