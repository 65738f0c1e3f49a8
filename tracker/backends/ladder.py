"""Which backend runs: the first, from the fastest down, that works here and agrees with eager on real faces."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends.base import Backend, PassedOver, PredictionRequest
from tracker.backends.cuda_graphs import CudaGraphsBackend
from tracker.backends.eager import EagerBackend, best_device
from tracker.backends.engine_build import EngineNotBuilt
from tracker.backends.openvino import OpenVinoBackend
from tracker.backends.self_test import Deviation, SelfTest
from tracker.backends.tensorrt import TensorRtBackend
from tracker.backends.tensorrt_rtx import TensorRtRtxBackend
from tracker.backends.upgrading import UpgradingBackend

_log = logging.getLogger(__name__)

# From the fastest down.
BACKENDS: dict[str, Callable[..., Backend]] = {
    "tensorrt": TensorRtBackend,
    "tensorrt_rtx": TensorRtRtxBackend,
    "cuda_graphs": CudaGraphsBackend,
    "openvino": OpenVinoBackend,
    "eager": EagerBackend,
}
ENGINE_BACKENDS = ("tensorrt", "tensorrt_rtx")  # need an engine that has to be built

# What a backend tries, one after the other, where that is more than one form. The last is the surest.
_FORMS: dict[str, tuple[dict[str, Any], ...]] = {
    "openvino": ({}, {"precision": "f32"}),
    "eager": ({}, {"device": "cpu"}),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """The backend that runs, and why none of the better ones does."""

    backend: Backend
    refused: tuple[PassedOver, ...]  # from the best down

    @property
    def passed_over(self) -> tuple[PassedOver, ...]:
        """As of now: one that is still being made comes first, and leaves the list when it takes over."""
        if not isinstance(self.backend, UpgradingBackend) or (pending := self.backend.pending) is None:
            return self.refused
        return (pending, *self.refused)


@dataclass(frozen=True, slots=True)
class Rung:
    """How a backend does here."""

    backend: str  # a name of BACKENDS
    device: str  # "" where it does not run
    deviation: Deviation | None  # None where it could not even be tested
    reason: str  # why it can't be used, or is not where "auto" chooses; "" where it is or could be
    chosen: bool = False  # by "auto"
    start_s: float | None = None  # making and testing it, where it runs; the first may have eager run as well


def choose_backend(
    name: str, model: FaceModel, *, upgrade: bool = False, report: Callable[[str], None] | None = None
) -> Choice:
    """The backend of that name, or with "auto" the best that works.

    Args:
        upgrade: with "auto", build the best backend's missing engine in the background, and go over to it once it is
            there.
        report: where a backend is forced by name, receives how far the building of its engine is.

    Raises:
        FewmarkError: unknown, or forced by name and it does not work here.
    """
    test = SelfTest(model)
    if name != "auto":
        return Choice(_forced(name, model, test, report), ())
    refused: list[PassedOver] = []
    to_build = ""
    for rung in BACKENDS:
        if reason := _why_beside_the_point(rung):
            refused.append(PassedOver(rung, reason))
            continue
        try:
            chosen, _ = _tested(rung, model, test, _without_building(rung), refused)
        except EngineNotBuilt as error:
            if upgrade and not to_build:
                to_build = rung
            else:
                refused.append(PassedOver(rung, _reason(rung, error)))
        except Exception as error:  # whatever its libraries raise: the next one runs
            refused.append(PassedOver(rung, _reason(rung, error)))
        else:
            return Choice(_upgrading(chosen, to_build, model, test) if to_build else chosen, tuple(refused))
    raise FewmarkError("no backend works here: " + "; ".join(map(str, refused)))


def survey(model: FaceModel) -> Iterator[Rung]:
    """Tests every backend, the best first; builds no engines."""
    test = SelfTest(model)
    is_chosen = False
    for name in BACKENDS:
        began = time.perf_counter()
        try:
            backend, deviation = _tested(name, model, test, _without_building(name), [])
        except _Deviates as error:
            yield Rung(name, "", error.deviation, _reason(name, error))
        except Exception as error:  # a finding like any other
            yield Rung(name, "", None, _reason(name, error))
        else:
            reason = _why_beside_the_point(name)
            chosen, is_chosen = not reason and not is_chosen, is_chosen or not reason
            yield Rung(name, backend.device, deviation, reason, chosen, time.perf_counter() - began)
            backend.close()


class _Deviates(FewmarkError):
    """It runs, and computes something else than eager does."""

    def __init__(self, name: str, deviation: Deviation) -> None:
        super().__init__(f"backend {name}: differs from eager by {deviation}")
        self.deviation = deviation


def _why_beside_the_point(name: str) -> str:
    """Why "auto" does not even try a backend here; "" if it does."""
    if name == "openvino" and (device := best_device()) != "cpu":
        return f"computes on the CPU, and eager has a GPU here ({device})"
    return ""


def _without_building(name: str) -> dict[str, Any]:
    return {"build": False} if name in ENGINE_BACKENDS else {}


def _tested(
    name: str, model: FaceModel, test: SelfTest, options: dict[str, Any], refused: list[PassedOver]
) -> tuple[Backend, Deviation]:
    """The first form of a backend that agrees with eager; those that don't are added to ``refused``, but for the last.

    Raises:
        _Deviates: none does.
        Exception: it can't be made or not be run; a FewmarkError, or what its libraries raise.
    """
    forms = _FORMS.get(name, ({},))
    for form in forms:
        backend = BACKENDS[name](model, **options, **form)
        if name == "eager" and (form or best_device() == "cpu"):
            return backend, Deviation(0.0, 0.0, 0.0)  # the reference itself
        try:
            deviation = test.deviation(backend)
        except BaseException:
            backend.close()
            raise
        if deviation.is_small:
            return backend, deviation
        backend.close()
        failure = _Deviates(name, deviation)
        if form is not forms[-1]:
            refused.append(PassedOver(name, f"on {backend.device} it {_reason(name, failure)}"))
    raise failure


def _forced(name: str, model: FaceModel, test: SelfTest, report: Callable[[str], None] | None) -> Backend:
    """
    Raises:
        FewmarkError: it is unknown or does not work here, whatever the reason.
    """
    if name not in BACKENDS:
        raise FewmarkError(f"backend {name!r} is unknown; choose auto or one of {', '.join(BACKENDS)}")
    try:
        return _tested(name, model, test, {"report": report} if name in ENGINE_BACKENDS else {}, [])[0]
    except FewmarkError:
        raise
    except Exception as error:  # of a library that is broken or does not fit
        raise FewmarkError(f"backend {name}: {_reason(name, error)}") from error


def run_once(backend: Backend, model: FaceModel) -> None:
    """Makes what a backend makes on its first request, before that would hold up the video."""
    size = model.network.config.input_size
    request = PredictionRequest(heatmaps=True, reconstructions=not model.why_no_reconstruction)
    backend.predict(np.zeros((1, size, size, 3), np.uint8), request)


def _upgrading(at_hand: Backend, better: str, model: FaceModel, test: SelfTest) -> Backend:
    """Goes over to the better backend once its engine is built."""

    def make(report: Callable[[str], None]) -> Backend:
        backend = _forced(better, model, test, report)
        run_once(backend, model)
        return backend

    return UpgradingBackend(at_hand, better, make)


def _reason(name: str, error: BaseException) -> str:
    """The first line of what an error says, without the backend's name."""
    if not isinstance(error, FewmarkError):
        _log.info("backend %s", name, exc_info=error)
    lines = str(error).splitlines()
    return lines[0].removeprefix(f"backend {name}: ") if lines else repr(error)
