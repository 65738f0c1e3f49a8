"""Cameras: which there are, how one is named, and its frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import cv2
import numpy as np

from models.errors import FewmarkError
from tracker.sources.base import SingleUseSource
from tracker.types import Frame, ImageArray, SourceInfo

OPEN_TIMEOUT_S = 10.0  # Media Foundation takes seconds before the first frame
STALL_TIMEOUT_S = 3.0
_RETRY_S = 0.005


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """One camera of this machine."""

    name: str  # as the system shows it
    stable_id: str  # the device path; on Linux, where paths change on replugging, "vid:pid" in hex where it is known
    index: int  # of OpenCV, for ``backend``; may change on replugging
    backend: int  # cv2.CAP_*

    def __str__(self) -> str:
        return f"{self.index}: {self.name} [{self.stable_id}]"


class Capture(Protocol):
    """The part of cv2.VideoCapture that a camera needs."""

    def isOpened(self) -> bool: ...
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Any]: ...
    def get(self, prop: int, /) -> float: ...
    def set(self, prop: int, value: float, /) -> bool: ...
    def release(self) -> None: ...


def list_cameras() -> list[CameraInfo]:
    """The cameras of this machine, each once, with the first of the system's backends that this OpenCV has."""
    import cv2_enumerate_cameras  # here, as it loads the system's media frameworks

    available = cv2.videoio_registry.getCameraBackends()
    for backend in cv2_enumerate_cameras.supported_backends:
        if backend in available:
            found = [_camera_info(entry, backend) for entry in cv2_enumerate_cameras.enumerate_cameras(backend)]
            if found:
                return sorted(found, key=lambda camera: camera.index)
    return []


def _camera_info(entry: Any, backend: int) -> CameraInfo:
    path = str(entry.path or "")
    usb_id = f"{entry.vid:04x}:{entry.pid:04x}" if entry.vid is not None and entry.pid is not None else ""
    stable_id = usb_id or path if path.startswith("/dev/") else path or usb_id
    return CameraInfo(str(entry.name or path), stable_id, int(entry.index), backend)


def find_camera(wanted: str, cameras: Sequence[CameraInfo]) -> CameraInfo:
    """The one camera that ``wanted`` names: an index ("0"), a stable id, or part of a name in any case.

    Raises FewmarkError, with the list of cameras, if none or more than one fits.
    """
    if wanted.isascii() and wanted.isdigit():
        fitting = [camera for camera in cameras if camera.index == int(wanted)]
    else:
        text = wanted.strip().casefold()
        exact = [camera for camera in cameras if text in (camera.name.casefold(), camera.stable_id.casefold())]
        fitting = exact or [camera for camera in cameras if text and text in camera.name.casefold()]
    if len(fitting) == 1:
        return fitting[0]
    problem = "no such camera" if not fitting else f"fits {len(fitting)} cameras"
    raise FewmarkError(f"camera {wanted!r}: {problem}; {describe_cameras(cameras)}")


def describe_cameras(cameras: Sequence[CameraInfo]) -> str:
    """One line for messages: the cameras to choose from, or that there is none."""
    if not cameras:
        return "no camera was found: connect one, and allow this program to use it"
    return "choose one of " + "; ".join(str(camera) for camera in cameras)


class CameraSource(SingleUseSource):
    """Frames of a camera, as they come.

    ``time_s`` is ``time.perf_counter()`` just after the frame was grabbed; ``index`` counts the frames delivered. The
    frame that proves on opening that the camera works is not delivered: it would be stale.

    ``width``, ``height`` [px] and ``frame_rate`` [frames/s] are requests; what the camera does instead is in ``info``
    and ``warnings``. Nothing is read ahead. A frame that fails or is no image is tried again; the iteration raises
    FewmarkError once none has come for ``stall_timeout_s`` (unplugged, or taken by another program). A driver that
    blocks in its own read cannot be interrupted; it returns after the driver's own time limit.

    Raises FewmarkError on opening if the camera cannot be opened or gives no frame within ``open_timeout_s``; the
    message lists ``cameras``.
    """

    def __init__(
        self,
        camera: CameraInfo,
        *,
        width: int | None = None,
        height: int | None = None,
        frame_rate: float | None = None,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        stall_timeout_s: float = STALL_TIMEOUT_S,
        cameras: Sequence[CameraInfo] = (),
        capture_factory: Callable[[int, int], Capture] = cv2.VideoCapture,
    ) -> None:
        super().__init__(camera.name)
        self._stall_timeout_s = stall_timeout_s
        self._last_problem = ""
        self._closed = False
        self._capture = capture_factory(camera.index, camera.backend)
        try:
            if not self._capture.isOpened():
                raise FewmarkError(
                    f"camera {camera}: cannot be opened; close other programs that use it and allow access to it, or "
                    + describe_cameras(cameras or [camera])
                )
            self._request(width, height, frame_rate)
            first = self._next_image(open_timeout_s)
            if first is None:
                raise FewmarkError(
                    f"camera {camera}: opened, but gave no frame within {open_timeout_s:g} s{self._last_problem}; "
                    "reconnect it, or " + describe_cameras(cameras or [camera])
                )
        except BaseException:
            self.close()
            raise
        size = first[0].shape[1], first[0].shape[0]
        if (width or size[0], height or size[1]) != size:
            self.warnings.append(f"camera {self._name}: asked for {width}x{height}, it gives {size[0]}x{size[1]}")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        known_rate = float(rate) if 1.0 <= rate <= 1000.0 else None  # drivers also answer 0, -1 and NaN
        self.info = SourceInfo(self._name, *size, known_rate, None, is_live=True)

    def _iterate(self) -> Iterator[Frame]:
        index = 0
        while not self._closed:
            grabbed = self._next_image(self._stall_timeout_s)
            if grabbed is None:
                raise FewmarkError(
                    f"camera {self._name}: no frame for {self._stall_timeout_s:g} s after {index} frames"
                    f"{self._last_problem}; check its cable and whether another program took it"
                )
            yield Frame(grabbed[0], index, grabbed[1])
            index += 1

    def close(self) -> None:
        super().close()
        self._closed = True
        self._capture.release()

    def _request(self, width: int | None, height: int | None, frame_rate: float | None) -> None:
        if (width or 0) > 640 or (height or 0) > 480:
            # Uncompressed pictures of this size do not fit through USB 2 at 30 frames/s.
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        for prop, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, width),
            (cv2.CAP_PROP_FRAME_HEIGHT, height),
            (cv2.CAP_PROP_FPS, frame_rate),
        ):
            if value is not None:
                self._capture.set(prop, value)

    def _next_image(self, timeout_s: float) -> tuple[ImageArray, float] | None:
        """The next image and the time it was grabbed at; None if there is none within ``timeout_s``."""
        # perf_counter: time.monotonic ticks in 16 ms on Windows before Python 3.13.
        deadline = time.perf_counter() + timeout_s
        while True:
            try:
                ok = self._capture.grab()
                grabbed_at = time.perf_counter()
                image = self._capture.retrieve()[1] if ok else None
            except cv2.error as error:
                ok, image, grabbed_at = False, None, time.perf_counter()
                self._last_problem = f" ({error.err})"
            rgb = _to_rgb(image)
            if rgb is not None:
                self._last_problem = ""
                return rgb, grabbed_at
            if ok:
                self._last_problem = " (what it sends is no image)"
            if grabbed_at >= deadline:
                return None
            time.sleep(_RETRY_S)


def _to_rgb(image: Any) -> ImageArray | None:
    """A camera's BGR, BGRA or grey image as RGB; None if it is none of these."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.size == 0 or image.ndim not in (2, 3):
        return None
    channels = 1 if image.ndim == 2 else image.shape[2]
    conversion = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}.get(channels)
    return None if conversion is None else cast(ImageArray, cv2.cvtColor(image, conversion))
