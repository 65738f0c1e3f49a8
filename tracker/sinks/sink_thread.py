"""Writing in a thread of its own, so that the next frame is tracked meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from queue import Full, Queue
from threading import Thread

from tracker.sinks.base import ResultSink
from tracker.types import TrackingResult

QUEUE_RESULTS = 8  # that may wait; each holds its frame


class SinkThread:
    """Calls ``write`` with every result, in their order, and ``finish`` at the end, in one thread of its own.

    Nothing is dropped unless ``drop_when_full``. What goes wrong in the thread is raised by the next ``put`` or by
    ``raise_failure``; nothing more is written then, and ``finish`` is still called. All methods are for one thread.

    Args:
        name: of the thread.
    """

    def __init__(
        self,
        write: Callable[[TrackingResult], None],
        finish: Callable[[], None],
        *,
        name: str,
        drop_when_full: bool = False,
    ) -> None:
        self._write, self._finish = write, finish
        self._drop_when_full = drop_when_full
        self._queue: Queue[TrackingResult | None] = Queue(QUEUE_RESULTS)
        self._failure: Exception | None = None
        self._failure_told = False
        self._ended = False
        # A daemon, so that a caller who forgets to end it can still leave.
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def has_failed(self) -> bool:
        return self._failure is not None

    def put(self, result: TrackingResult) -> bool:
        """Hands a result over, waiting while the queue is full; with ``drop_when_full`` instead False: dropped."""
        if self._failure is not None:
            self._failure_told = True
            raise self._failure
        try:
            self._queue.put(result, block=not self._drop_when_full)
        except Full:
            return False
        return True

    def end(self) -> None:
        """Waits until everything is written and finished. A second call does nothing. Raises nothing."""
        if not self._ended:
            self._ended = True
            self._queue.put(None)
            self._thread.join()

    def raise_failure(self) -> None:
        """Raises what went wrong and was not told yet; after ``end``."""
        if self._failure is not None and not self._failure_told:
            self._failure_told = True
            raise self._failure

    def _run(self) -> None:
        while (result := self._queue.get()) is not None:
            if self._failure is not None:
                continue  # emptied, so that a waiting put returns
            try:
                self._write(result)
            except Exception as error:  # handed to the caller's thread
                self._failure = error
        try:
            self._finish()
        except Exception as error:  # handed to the caller's thread
            self._failure = self._failure or error


class ThreadedSink(ResultSink):
    """Sends results to other sinks in a thread of its own; it owns and closes them.

    ``write`` waits where they fall behind. An error of theirs is raised by the next ``write`` or by ``close``; the
    others have got the same results by then, or one more.
    """

    def __init__(self, sinks: Sequence[ResultSink]) -> None:
        self._sinks = tuple(sinks)
        self._thread = SinkThread(self._write_all, self._close_all, name="write tables")

    def write(self, result: TrackingResult) -> None:
        self._thread.put(result)

    def close(self) -> None:
        self._thread.end()
        self._thread.raise_failure()

    def _write_all(self, result: TrackingResult) -> None:
        for sink in self._sinks:
            sink.write(result)

    def _close_all(self) -> None:
        with ExitStack() as stack:  # closes them all, whatever one of them raises
            for sink in self._sinks:
                stack.callback(sink.close)
