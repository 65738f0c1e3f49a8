"""Engines built in a process of their own: no thread of this one waits for the compiler, and its crash stays there."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

from models.errors import FewmarkError
from models.files.model_file import FaceModel
from tracker.backends.engine_cache import EngineKey, engine_directory, engine_path, load_engine, store_engine

_log = logging.getLogger(__name__)

Compile = Callable[[FaceModel], bytes]  # a function that another process can import: of a module, not of a class

_POLL_S = 0.2
_running: dict[Path, EngineBuild] = {}  # one build an engine, whoever waits for it
_running_lock = Lock()


class EngineNotBuilt(FewmarkError):
    """A backend could run here, once its engine is built."""

    def __init__(self, key: EngineKey) -> None:
        now = "is being built right now" if is_being_built(key) else "is not built yet; `fewmark build-engine` does so"
        super().__init__(f"backend {key['backend']}: its engine {now}")


class EngineBuild:
    """One engine on its way into the cache. Ends with the program, and leaves nothing half done then."""

    def __init__(self, compile_model: Compile, model: FaceModel, key: EngineKey) -> None:
        self._backend, self._started_s = key["backend"], time.monotonic()
        self._lock = Lock()
        self._outcome: str | None = None  # "": it is in the cache; else why not
        context = multiprocessing.get_context("spawn")  # a forked process could not use CUDA
        self._answers, answer = context.Pipe(duplex=False)
        # Pickled here, for multiprocessing would move the weights into shared memory.
        arguments = answer, compile_model, pickle.dumps(model), dict(key)
        self._process = context.Process(target=_build, args=arguments, name=f"building {key['backend']}", daemon=True)
        self._process.start()
        answer.close()

    @property
    def progress(self) -> str:
        """How far it is, for people; another text every ten seconds."""
        seconds = int(time.monotonic() - self._started_s) // 10 * 10
        return f"its engine is being built ({seconds // 60}:{seconds % 60:02d})"

    @property
    def is_running(self) -> bool:
        return self._process.is_alive()

    def wait(self, on_wait: Callable[[str], None] | None = None) -> None:
        """Returns when the engine is in the cache.

        Args:
            on_wait: receives ``progress``, whenever it says something new.

        Raises:
            FewmarkError: it could not be built.
        """
        told = ""
        while self._process.is_alive():
            if on_wait is not None and (progress := self.progress) != told:
                told = progress
                on_wait(told)
            self._process.join(_POLL_S)
        with self._lock:
            if self._outcome is None:
                try:
                    self._outcome = self._answers.recv()
                except EOFError:
                    self._outcome = f"its compiler ended with exit code {self._process.exitcode}"
        if self._outcome:
            raise FewmarkError(f"backend {self._backend}: its engine can't be built: {self._outcome}; see {log_path()}")

    def cancel(self) -> None:
        """Ends it; what was there before stays."""
        self._process.terminate()
        self._process.join()


def start_build(compile_model: Compile, model: FaceModel, key: EngineKey) -> EngineBuild:
    """Builds an engine in the background; if this program does so already, that build.

    Args:
        compile_model: a function of a module; runs in another process.
    """
    path = engine_path(key)
    with _running_lock:
        build = _running.get(path)
        if build is None or not build.is_running:
            _running[path] = build = EngineBuild(compile_model, model, key)
        return build


def is_being_built(key: EngineKey) -> bool:
    """Whether any program of this user builds it now."""
    lock = _lock_of(key)
    if not Path(lock.lock_file).exists():
        return False
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True


def log_path() -> Path:
    """What the compiler of the last build had to say."""
    return engine_directory() / "build.log"


def _lock_of(key: EngineKey) -> FileLock:
    return FileLock(engine_path(key).with_suffix(".lock"))


def _build(answer: Connection, compile_model: Compile, pickled: bytes, key: EngineKey) -> None:
    """In the process of its own."""
    engine_directory().mkdir(parents=True, exist_ok=True)
    with log_path().open("w", encoding="utf-8") as log, contextlib.redirect_stderr(log), _lock_of(key):
        for stream in (sys.__stdout__, sys.__stderr__):  # compilers write to them past Python
            if stream is not None:
                os.dup2(log.fileno(), stream.fileno())
        logging.basicConfig(stream=log, level=logging.INFO)
        try:
            if load_engine(key) is None:  # else another program built it while this one waited for the lock
                store_engine(key, compile_model(pickle.loads(pickled)))
        except Exception as error:  # whatever a compiler raises: the other process says it
            _log.exception("no engine")
            answer.send(str(error).splitlines()[0] if str(error) else repr(error))
        else:
            answer.send("")
