"""Compiled engines in the user's cache directory: found again only where nothing that they depend on has changed."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import torch

from models.decoding import calibration, heatmaps, shape_prior
from models.errors import FewmarkError
from models.files.model_file import FaceModel
from models.files.safetensors_file import read_safetensors, write_safetensors
from models.networks.registry import network_header
from models.surgery import folding
from tracker.backends import graph
from tracker.machine.cache_folder import cache_folder
from tracker.version import fewmark_version

_log = logging.getLogger(__name__)

# Name -> value of everything that invalidates an engine; "backend" names the file for people.
EngineKey = Mapping[str, str]


def engine_directory() -> Path:
    """Where engines lie; it need not exist yet, and may be deleted at any time."""
    return cache_folder() / "engines"


def engine_path(key: EngineKey) -> Path:
    """The file of the engine with this key, whether it is there or not."""
    digest = hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()
    return engine_directory() / f"{key['backend']}-{digest[:20]}.safetensors"


def weights_hash(model: FaceModel, *, reconstruct: bool = False) -> str:
    """SHA-256 over shapes and weights, and this program's version, which compiles them.

    And over the code that becomes part of an engine: a developer changes it without another version.

    Args:
        reconstruct: also over the autoencoder that the model carries, which is read where it was not yet.
    """
    digest = hashlib.sha256(json.dumps([fewmark_version(), network_header(model.network)]).encode())
    networks = [model.network, model.shape_prior, model.autoencoder if reconstruct else None]
    code = sorted({type(part).__module__ for network in networks if network for part in network.modules()})
    ours = [sys.modules[name] for name in code if not name.startswith("torch.")]
    digest.update(code_hash(*ours, calibration, folding, graph, heatmaps, shape_prior).encode())
    for network in networks:
        for name, tensor in network.state_dict().items() if network is not None else ():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def code_hash(*parts: ModuleType | Callable[..., object]) -> str:
    """SHA-256 over source code; "" where a program was packed without it."""
    try:
        return hashlib.sha256("".join(map(inspect.getsource, parts)).encode()).hexdigest()
    except (OSError, TypeError):  # TypeError: a network that was typed at a prompt
        return ""


def load_engine(key: EngineKey) -> bytes | None:
    """The engine with this key; None if it was never built, or its file is damaged."""
    path = engine_path(key)
    if not path.is_file():
        return None
    try:
        header, tensors = read_safetensors(path, "engine")
        engine = tensors["engine"].numpy().tobytes()
        if header["key"] != dict(key) or header["sha256"] != hashlib.sha256(engine).hexdigest():
            raise FewmarkError(f"{path}: damaged; it is built again")
    except (FewmarkError, KeyError) as error:
        _log.warning("%s", error)
        return None
    with contextlib.suppress(OSError):  # a cache that can be read alone
        os.utime(path)  # for ``drop_oldest``
    return engine


def store_engine(key: EngineKey, engine: bytes) -> Path:
    """Writes the file whole or not at all, in place of one that was there.

    Raises:
        FewmarkError: it can't be written.
    """
    path = engine_path(key)
    header = {"key": dict(key), "sha256": hashlib.sha256(engine).hexdigest()}
    contents = torch.frombuffer(bytearray(engine), dtype=torch.uint8)
    try:
        write_safetensors(path, {"engine": contents}, header, half=False)
    except OSError as error:
        raise FewmarkError(
            f"{path}: can't be written ({error.strerror}); free some space, or mend its rights"
        ) from error
    return path


def drop_oldest(backend: str, keep: int) -> None:
    """Deletes the engines of a backend but for the ``keep`` that were used last."""
    with contextlib.suppress(OSError):  # another process may do the same, or have one open
        files = sorted(engine_directory().glob(f"{backend}-*.safetensors"), key=lambda path: path.stat().st_mtime)
        for path in files[:-keep]:
            path.unlink()
