"""The backend: which engine is asked what.

Legend: B crops, S crop side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends.base import LANDMARKS_ONLY, Prediction, PredictionRequest
from tracker.backends.engine_build import EngineNotBuilt, start_build
from tracker.backends.engine_cache import engine_path, load_engine
from tracker.backends.tensorrt_rtx.build import (
    MAX_BATCH,
    NAME,
    compile_landmarks,
    compile_with_reconstruction,
    engine_key,
)
from tracker.backends.tensorrt_rtx.runtime import EngineRunner, usable_gpu
from tracker.types import ImageArray


class TensorRtRtxBackend:
    """Landmarks and heatmaps have an engine, opened at the start; reconstructions another, on their first request.

    The network computes in float16, normalisation and decoding in float32.
    """

    name = NAME

    def __init__(self, model: FaceModel, *, build: bool = True, report: Callable[[str], None] | None = None) -> None:
        """
        Args:
            build: build the engine, some ten seconds, if it is not in the cache.
            report: receives how far that is, several times a second.

        Raises:
            EngineNotBuilt: it is not in the cache and must not be built.
            FewmarkError: TensorRT for RTX can't be used here: the extra, the driver or a supported GPU is missing.
        """
        self.device = f"{usable_gpu()}, fp16"
        self._model = model
        self._landmarks = self._open(reconstruct=False, build=build, report=report)
        self._with_reconstruction: EngineRunner | None = None
        size = model.network.config.input_size
        # Kernels are made on the first run: here, not in the first frame.
        self._landmarks.run(np.zeros((1, size, size, 3), np.uint8), 0, ())

    def predict(self, crops: ImageArray, request: PredictionRequest = LANDMARKS_ONLY) -> Prediction:
        runner = self._landmarks
        if request.reconstructions:
            if self._with_reconstruction is None:
                self._with_reconstruction = self._open(reconstruct=True, build=True, report=None)
            runner = self._with_reconstruction
        shown = "heatmaps" if request.heatmap_of is None else "landmark_heatmaps"
        wanted = ["points", "confidence"]
        wanted += [shown] if request.heatmaps else []
        wanted += ["reconstructions"] if request.reconstructions else []
        chunks = [
            runner.run(crops[start : start + MAX_BATCH], request.heatmap_of or 0, tuple(wanted))
            for start in range(0, len(crops), MAX_BATCH)
        ]
        found = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in wanted}
        return Prediction(found["points"], found["confidence"], found.get(shown), found.get("reconstructions"))

    def close(self) -> None:
        for runner in (self._landmarks, self._with_reconstruction):
            if runner is not None:
                runner.close()

    def _open(self, *, reconstruct: bool, build: bool, report: Callable[[str], None] | None) -> EngineRunner:
        """The engine out of the cache, where it is built first if it is not there or of no use."""
        key = engine_key(self._model, reconstruct=reconstruct)
        path = engine_path(key)
        plan = load_engine(key)
        if plan is not None:
            try:
                return EngineRunner(plan, path.with_suffix(".kernels"))
            except FewmarkError:
                if not build:
                    raise
                path.unlink(missing_ok=True)
        elif not build:
            raise EngineNotBuilt(key)
        start_build(compile_with_reconstruction if reconstruct else compile_landmarks, self._model, key).wait(report)
        plan = load_engine(key)
        if plan is None:
            raise FewmarkError(
                f"{path}: not readable right after it was written; make room on that disk, then try again"
            )
        return EngineRunner(plan, path.with_suffix(".kernels"))
