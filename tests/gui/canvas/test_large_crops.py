"""A model of 256 px crops that carries an autoencoder of 128 px does in the window what the others do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PyQt6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from gui.live import LiveWorkspace
from gui.services import Services
from gui.video import VideoWorkspace
from models.autoencoder.autoencoder import Autoencoder, AutoencoderConfig
from models.crop_rule import CropRule
from models.files.model_file import FaceModel, save_model
from models.landmark_schemes import IBUG_68
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig
from models.surgery.growing import grow_network
from tracker.live import LivePicture
from tracker.playback.viewer import Picture
from tracker.types import TrackedFace

PATIENCE_MS = 180_000  # a busy machine is no failure
SIDE = 256
OVERLAYS = ("points", "heatmap", "reconstruction")


@pytest.fixture(scope="module")
def grown_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small one; its weights are random, so that what it shows is noise."""
    torch.manual_seed(0)
    small = FaceNetwork(FaceNetworkConfig(68, input_size=SIDE // 2, heatmap_size=64, width=0.25))
    autoencoder = Autoencoder(AutoencoderConfig(SIDE // 2, width=0.25)).eval()
    model = FaceModel("grown", grow_network(small).eval(), IBUG_68, CropRule(), carries=autoencoder)
    path = tmp_path_factory.mktemp("models") / "grown.safetensors"
    save_model(path, model)
    return path


@pytest.fixture
def services_with_it(services: Services, grown_model: Path) -> Services:
    services.settings.update("tracking", model=str(grown_model), backend="eager", min_confidence=0.0)
    return services


def complete(faces: tuple[TrackedFace, ...]) -> bool:
    """Whether there is a face with all that is shown of it."""
    return any(face.heatmap is not None and face.reconstruction is not None for face in faces)


def check(picture: LivePicture | Picture, face: TrackedFace) -> None:
    """Everything of a face is as large as its crop, and the inset's three tiles are drawn."""
    assert face.crop_size == SIDE
    assert face.reconstruction is not None
    assert face.reconstruction.shape == (SIDE, SIDE, 3)
    assert face.heatmap is not None
    assert face.heatmap.shape == (64, 64)
    assert face.recon_error is not None
    assert face.recon_error > 0
    frame = picture.tracked.result.frame if isinstance(picture, LivePicture) else picture.frame
    height = frame.image.shape[0]
    changed = (picture.image != frame.image).any(axis=2)
    assert changed[: height // 5, -height // 2 :].mean() > 0.7


def test_live(open_live: Callable[..., LiveWorkspace], qtbot: QtBot, services_with_it: Services) -> None:
    services_with_it.settings.update("live", camera="demo", overlays=OVERLAYS, error_map=True, mirror=False)
    live = open_live()
    qtbot.waitUntil(
        lambda: live.picture is not None and complete(live.picture.tracked.result.faces), timeout=PATIENCE_MS
    )
    assert live.picture is not None
    check(live.picture, live.picture.tracked.result.faces[0])
    # The list has a thumbnail of the crop beside that of the reconstruction.
    qtbot.waitUntil(lambda: bool(live.picture and live.picture.crops), timeout=PATIENCE_MS)
    assert {crop.shape for crop in (live.picture.crops or {}).values()} == {(SIDE, SIDE, 3)}
    texts = [label.text() for label in live.faces.findChildren(QLabel) if label.isVisible()]
    assert any(text.startswith("error ") for text in texts)


def test_video(
    open_workspace: Callable[[], VideoWorkspace], qtbot: QtBot, services_with_it: Services, film: Path
) -> None:
    services_with_it.settings.update("video", overlays=OVERLAYS, error_map=True, process_at_once=True)
    workspace = open_workspace()
    workspace.open_inputs([str(film)])

    def faces() -> tuple[TrackedFace, ...]:
        picture = workspace.stage.picture
        return picture.result.faces if picture is not None and picture.result is not None else ()

    qtbot.waitUntil(lambda: complete(faces()), timeout=PATIENCE_MS)
    picture = workspace.stage.picture
    assert picture is not None
    check(picture, faces()[0])
    assert {crop.shape for crop in picture.crops.values()} == {(SIDE, SIDE, 3)}
    services_with_it.settings.update("video", overlays=("reconstruction_beside",))

    def stands_beside() -> bool:
        picture = workspace.stage.picture
        if picture is None or picture.panes != 2 or not any(face.reconstruction is not None for face in faces()):
            return False
        own, beside = np.hsplit(picture.image, 2)
        return bool((own == picture.frame.image).all() and (own != beside).any())

    qtbot.waitUntil(stands_beside, timeout=PATIENCE_MS)
