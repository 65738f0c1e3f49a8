"""A backend that gets better while it is used: one runs at once, and another takes over when it has been made."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock, Thread

from models.errors import FewmarkError
from tracker.backends.base import LANDMARKS_ONLY, Backend, PassedOver, Prediction, PredictionRequest
from tracker.types import ImageArray

_log = logging.getLogger(__name__)


class UpgradingBackend:
    """Runs the backend at hand; a thread makes the better one, which the next ``predict`` goes over to.

    The exchange happens between two calls in the thread that makes them, so no call ever waits for it.
    """

    def __init__(self, at_hand: Backend, better: str, make: Callable[[Callable[[str], None]], Backend]) -> None:
        """
        Args:
            better: the name of the better backend.
            make: makes it, tests it and has run it once; called in a thread with what receives its progress, for
                people. Raises FewmarkError if it can't be had.
        """
        self._running, self._better = at_hand, better
        self._made: Backend | None = None
        self._pending: PassedOver | None = PassedOver(better, "is being made", pending=True)
        self._closed = False
        self._lock = Lock()  # of the three above
        Thread(target=self._work, args=(make,), name=f"making backend {better}", daemon=True).start()

    @property
    def name(self) -> str:
        return self._running.name

    @property
    def device(self) -> str:
        return self._running.device

    @property
    def pending(self) -> PassedOver | None:
        """How far the better backend is, or why there is none; None once it runs."""
        with self._lock:
            return self._pending

    def predict(self, crops: ImageArray, request: PredictionRequest = LANDMARKS_ONLY) -> Prediction:
        self._take_over()
        return self._running.predict(crops, request)

    def close(self) -> None:
        """What is still being made is closed once it is there."""
        with self._lock:
            self._closed = True
            made, self._made = self._made, None
        if made is not None:
            made.close()
        self._running.close()

    def _take_over(self) -> None:
        with self._lock:
            made, self._made = self._made, None
            if made is None:
                return
            before, self._running, self._pending = self._running, made, None
        before.close()

    def _work(self, make: Callable[[Callable[[str], None]], Backend]) -> None:
        try:
            made = make(self._progress)
        except FewmarkError as error:
            reason = str(error).removeprefix(f"backend {self._better}: ")
        except Exception as error:  # the backend at hand goes on whatever happens to the other
            _log.exception("backend %s can't be made", self._better)
            reason = f"can't be made ({error!r})"
        else:
            with self._lock:
                if not self._closed:
                    self._made = made
                    return
            made.close()
            return
        with self._lock:
            self._pending = PassedOver(self._better, reason)

    def _progress(self, text: str) -> None:
        with self._lock:
            self._pending = PassedOver(self._better, text, pending=True)
