"""A model's graph in ONNX: what TensorRT for RTX is given, and what ``fewmark export`` writes.

Reference: the ONNX exporter of PyTorch that builds on ``torch.export``.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from models.errors import FewmarkError
from tracker.backends.graph import CropGraph

OPSET = 18  # the exporter's own oldest, for the sake of older runtimes


def onnx_graph(graph: CropGraph, *, landmark: bool = False, extra: str = "export") -> Any:
    """The graph as an ``onnx.ModelProto`` with its weights inside.

    Inputs are ``crops`` (batch, S, S, 3) uint8 and with ``landmark`` also ``landmark`` (1,) int64; outputs are those of
    ``CropGraph.output_names``. The batch is dynamic, every other size constant.

    Args:
        landmark: with the index of a landmark as a second input.
        extra: the extra of this project that the user is told to install where ONNX is missing.

    Raises:
        FewmarkError: onnx or onnxscript is not installed.
    """
    try:
        import onnx  # noqa: F401  (the exporter would find out a minute later)
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise FewmarkError(f"ONNX: {error.name} is not installed; pip install 'fewmark[{extra}]'") from error
    size = graph.config.input_size
    # Two crops: a batch of one would be taken for a constant.
    crops, index = torch.zeros(2, size, size, 3, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
    batch = {0: torch.export.Dim("batch")}
    with _quiet():
        program = torch.onnx.export(
            graph,
            (crops, index) if landmark else (crops,),
            dynamo=True,
            dynamic_shapes=(batch, None) if landmark else (batch,),
            input_names=["crops", "landmark"] if landmark else ["crops"],
            output_names=list(graph.output_names(landmark=landmark)),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # None is for the older exporter
    proto = program.model_proto
    _forget_the_source(proto)
    return proto


def _forget_the_source(proto: Any) -> None:
    """Takes out the exporter's notes on every node, which name files and folders of this machine."""
    for part in (proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    for tensor in proto.graph.initializer:
        del tensor.metadata_props[:]
        tensor.ClearField("doc_string")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter tells developers of PyTorch: deprecations inside it, operators of torchvision."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
