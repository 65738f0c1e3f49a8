"""Live sessions that are listened to."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from threading import enumerate as all_threads
from typing import Any

import pytest
import torch

from models.crop_rule import CropRule
from models.decoding.heatmaps import decode_heatmaps, heatmap_from_crop, heatmap_spread
from models.decoding.shape_prior import fit_shape_prior
from models.files.model_file import FaceModel, save_model
from models.landmark_schemes import IBUG_68
from models.networks.interleaved.face_network import FaceNetwork, FaceNetworkConfig
from models.registry import open_model
from tracker.backends.engine_cache import engine_directory
from tracker.backends.self_test import self_test_crops
from tracker.live import EventKind, LiveConfig, LiveEvent, LivePicture, LiveSession
from tracker.types import ImageArray

PATIENCE_S = 180.0  # a busy machine is no failure


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Holds the cache directory of this test and of the processes that it starts, with nothing in it."""
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    if not engine_directory().is_relative_to(tmp_path):
        pytest.skip(f"the cache directory of {sys.platform} can't be moved")
    return tmp_path


@pytest.fixture(scope="module")
def model() -> FaceModel:
    """The shipped model that is quickest; a module that tests with others has a fixture of its own."""
    return open_model("fast128")


@pytest.fixture(scope="module")
def crops(model: FaceModel) -> ImageArray:
    """Real crops as the model takes them."""
    return self_test_crops(model.network.config.input_size, model.crop_rule)


@pytest.fixture(scope="module")
def model_with_prior(model: FaceModel, crops: ImageArray) -> FaceModel:
    """The model with a prior over faces like those of the crops."""
    generator = torch.Generator().manual_seed(1)
    images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    size = model.network.config.input_size
    with torch.inference_mode():
        maps = model.network(images)
        points = heatmap_from_crop(decode_heatmaps(maps, size).points, size, maps.shape[-1])
        spread = heatmap_spread(maps, points)
    shapes = points.repeat(100, 1, 1) * (1 + 0.05 * torch.randn(100 * len(points), 1, 2, generator=generator))
    prior = fit_shape_prior(shapes, spread.repeat(100, 1, 1, 1), 1.75, torch.tensor(model.scheme.mirror_permutation))
    return replace(model, shape_prior=prior)


class Listener:
    """Owns a session, and keeps what it says."""

    def __init__(self, config: LiveConfig | None = None, **parts: Any) -> None:
        self.heard = Event()
        self.events: list[LiveEvent] = []
        self.pictures: list[LivePicture] = []
        self.session = LiveSession(config or LiveConfig(), on_picture=self.heard.set, on_event=self.heard.set, **parts)

    def until(self, condition: Callable[[], Any]) -> None:
        """Listens until the condition holds."""
        deadline = time.perf_counter() + PATIENCE_S
        while True:
            self.heard.wait(0.05)
            self.heard.clear()
            self.events += self.session.take_events()
            picture = self.session.take_picture()
            if picture is not None:
                self.pictures.append(picture)
            if condition():
                return
            assert time.perf_counter() < deadline, f"not in time; events: {self.events}"

    def has(self, kind: EventKind) -> bool:
        return any(event.kind is kind for event in self.events)

    def text(self, kind: EventKind) -> str:
        return next(event.text for event in reversed(self.events) if event.kind is kind)

    @property
    def last(self) -> LivePicture:
        return self.pictures[-1]


@contextmanager
def _listening(config: LiveConfig | None = None, **parts: Any) -> Iterator[Listener]:
    """A session that ends every thread it began."""
    before = set(all_threads())
    listener = Listener(config, **parts)
    try:
        yield listener
    finally:
        assert listener.session.close(PATIENCE_S)
        for thread in set(all_threads()) - before:
            thread.join(PATIENCE_S)  # MediaPipe's own ends a moment after its detector was closed
            assert not thread.is_alive(), f"{thread.name} is still running"


@pytest.fixture(scope="session")
def listening() -> Callable[..., AbstractContextManager[Listener]]:
    """Opens a live session; the block that it is opened in ends all of its threads."""
    return _listening


@pytest.fixture(scope="module")
def without_reconstruction(model: FaceModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quickest shipped model as training leaves one that has no autoencoder."""
    path = tmp_path_factory.mktemp("models") / "landmarks.safetensors"
    save_model(path, replace(model, carries=None, reconstructs=False), half=True)
    return path


@pytest.fixture(scope="module")
def reconstructing_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that claims to reconstruct; its weights are random, so that what it shows is noise."""
    torch.manual_seed(0)
    network = FaceNetwork(FaceNetworkConfig(68, input_size=128, heatmap_size=64, width=0.25)).eval()
    path = tmp_path_factory.mktemp("models") / "noise.safetensors"
    save_model(path, FaceModel("noise", network, IBUG_68, CropRule(), reconstructs=True))
    return path
