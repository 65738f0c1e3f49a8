"""What an engine is made of, from the listing that TensorRT for RTX logs when it has built it.

Its engine inspector says the same, but wants a GPU to load the engine onto.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from models.errors import FewmarkError

_LAYER = re.compile(
    r"^\s*Name: (?P<name>.+?), LayerType: (?P<kind>\w+), Inputs: \[(?P<inputs>.*?)\], "
    r"Constants: \[(?P<constants>.*?)\], Outputs: \[(?P<outputs>.*?)\], TacticName:",
    re.MULTILINE,
)
_TENSOR = re.compile(r"\{ Name: (?P<name>[^,]+), Dimensions: \[(?P<shape>[-\d,]*)\].*?Datatype: (?P<datatype>\w+)")
_END = re.compile(
    r"^\s*Name: (?P<name>[^,]+), IOMode: (?P<mode>Input|Output), DataType: (?P<datatype>\w+), "
    r"Dimensions: \[(?P<shape>[-\d,]*)\].*?ProfileInfo: \[(?P<profile>.*)\]",
    re.MULTILINE,
)
_LARGEST = re.compile(r"MaxShape: \[(\d+)")
_SMALLEST = re.compile(r"MinShape: \[(\d+)")


@dataclass(frozen=True, slots=True)
class EngineTensor:
    """An array that goes into a layer, lies in it or comes out of it."""

    name: str
    shape: tuple[int, ...]  # -1: the batch
    datatype: str  # TensorRT's word: Half, Float, UInt8, Int64 ...


@dataclass(frozen=True, slots=True)
class EngineLayer:
    """One kernel, or several that run as one."""

    name: str
    kind: str  # TensorRT's word: correlation (a convolution), deconv, gemm, kgen (generated code) ...
    inputs: tuple[EngineTensor, ...]
    constants: tuple[EngineTensor, ...]
    outputs: tuple[EngineTensor, ...]

    @property
    def weights(self) -> tuple[EngineTensor, ...]:
        """The learnt matrices and convolution kernels among the constants, without biases and scales."""
        return tuple(t for t in self.constants if sum(side > 1 for side in t.shape) >= 2)


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """An engine's layers in the order in which they run, and its ends."""

    layers: tuple[EngineLayer, ...]
    inputs: tuple[EngineTensor, ...]
    outputs: tuple[EngineTensor, ...]
    batch: tuple[int, int]  # smallest and largest

    @property
    def weight_datatypes(self) -> frozenset[str]:
        """Of all weights of all layers; an engine of one precision has one."""
        return frozenset(tensor.datatype for layer in self.layers for tensor in layer.weights)


def describe_engine(messages: Iterable[str]) -> EngineDescription:
    """The engine that was built, from all that the builder logged.

    Raises:
        FewmarkError: the builder listed no layers, or none of the engine's ends.
    """
    listing = next((message for message in messages if message.lstrip().startswith("Layers:")), "")
    layers = tuple(
        EngineLayer(
            found["name"], found["kind"], *(_tensors(found[part]) for part in ("inputs", "constants", "outputs"))
        )
        for found in _LAYER.finditer(listing)
    )
    ends = list(_END.finditer(listing))
    smallest, largest = _SMALLEST.search(listing), _LARGEST.search(listing)
    if not layers or not ends or smallest is None or largest is None:
        raise FewmarkError("TensorRT for RTX did not list the engine's layers, so that its precision is not known")
    return EngineDescription(
        layers,
        tuple(_tensor(end) for end in ends if end["mode"] == "Input"),
        tuple(_tensor(end) for end in ends if end["mode"] == "Output"),
        (int(smallest[1]), int(largest[1])),
    )


def _tensors(listed: str) -> tuple[EngineTensor, ...]:
    return tuple(_tensor(found) for found in _TENSOR.finditer(listed))


def _tensor(found: re.Match[str]) -> EngineTensor:
    shape = tuple(int(side) for side in found["shape"].split(",") if side)
    return EngineTensor(found["name"], shape, found["datatype"])
