from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

ASSETS = Path(__file__).resolve().parent.parent / "assets"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """``assets/make_demo_clip.py`` as a module."""
    pytest.importorskip("skimage", reason="a portrait lies in scikit-image's wheel")
    spec = importlib.util.spec_from_file_location("make_demo_clip", ASSETS / "make_demo_clip.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_committed_clip_is_what_the_demo_needs() -> None:
    path = ASSETS / "demo.mp4"
    assert path.stat().st_size < 2_500_000
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert stream.type == "video"
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height, stream.pix_fmt) == (1280, 720, "yuv420p")
        assert stream.average_rate == 30
        times = [frame.time for frame in container.decode(stream)]
    assert len(times) == 312
    np.testing.assert_allclose(times, np.arange(312) / 30, atol=1e-4)


def test_the_committed_clip_is_what_the_script_draws(script: ModuleType) -> None:
    clip = script.DemoClip()
    drawn = {index: clip.draw(index) for index in (0, 24, 262)}  # at rest, head turned, both faces
    with av.open(str(ASSETS / "demo.mp4")) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in drawn:
                difference = np.abs(frame.to_ndarray(format="rgb24").astype(np.int16) - drawn[index])
                assert difference.mean() < 2.5
                assert np.percentile(difference, 99) < 14
