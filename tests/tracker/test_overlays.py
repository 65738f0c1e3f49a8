"""The overlays: pictures against goldens, positions to a fraction of a pixel, and input that is out of bounds."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import FewmarkError
from tracker.overlays import OVERLAYS, OverlayContext, render
from tracker.overlays.drawing import draw_discs
from tracker.overlays.heatmap import frame_from_heatmap
from tracker.types import FaceBox, Frame, ImageArray, TrackedFace, TrackingResult

GOLDEN: dict[str, Any] = runpy.run_path(str(Path(__file__).parent / "golden" / "make_overlay_goldens.py"))
CONTEXT: OverlayContext = GOLDEN["CONTEXT"]
CROP: int = GOLDEN["CROP"]


def golden_result() -> TrackingResult:
    result: TrackingResult = GOLDEN["make_result"]()
    return result


def make_face(face_id: int, centre: tuple[float, float], half_width: float, roll: float = 0.0) -> TrackedFace:
    face: TrackedFace = GOLDEN["make_face"](face_id, centre, half_width, roll)
    return face


def on_grey(height: int, width: int, *faces: TrackedFace) -> TrackingResult:
    return TrackingResult(Frame(np.full((height, width, 3), 128, np.uint8), 0, 0.0), faces)


def changed(result: TrackingResult, names: list[str]) -> ImageArray:
    """(H, W) how far each pixel was changed."""
    drawn = render(result, names, CONTEXT)
    return np.abs(drawn.astype(int) - result.frame.image).max(axis=2).astype(np.uint8)


def centroid(weights: ImageArray) -> tuple[float, float]:
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return float((x * weights).sum() / weights.sum()), float((y * weights).sum() / weights.sum())


@pytest.mark.parametrize("name", OVERLAYS)
def test_looks_as_its_golden(name: str) -> None:
    drawn = render(golden_result(), [name], CONTEXT)
    assert not GOLDEN["differs"](drawn, GOLDEN["read_golden"](name)), f"look at {GOLDEN['golden_path'](name)}"


@pytest.mark.parametrize("name", OVERLAYS)
def test_draws_on_a_copy(name: str) -> None:
    result = golden_result()
    before = result.frame.image.copy()
    result.frame.image.flags.writeable = False
    drawn = render(result, [name], CONTEXT)
    assert (result.frame.image == before).all()
    assert (drawn != before).any()
    assert drawn.flags.c_contiguous
    assert drawn.dtype == np.uint8


def test_a_bgr_view_is_drawn_on_too() -> None:
    result = golden_result()
    view = dataclasses.replace(result, frame=Frame(result.frame.image[:, ::-1, ::-1], 0, 0.0))
    assert render(view, list(OVERLAYS), CONTEXT).shape == result.frame.image.shape


def test_no_overlays_or_no_faces_give_the_frame() -> None:
    result = golden_result()
    assert (render(result, [], CONTEXT) == result.frame.image).all()
    empty = dataclasses.replace(result, faces=())
    assert (render(empty, list(OVERLAYS), CONTEXT) == result.frame.image).all()


def test_the_order_of_the_names_does_not_matter() -> None:
    forwards = render(golden_result(), list(OVERLAYS), CONTEXT)
    assert (render(golden_result(), [*reversed(OVERLAYS), "box"], CONTEXT) == forwards).all()


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(FewmarkError, match=r"unknown overlay pionts, mesh; choose from heatmap, contours, box, points"):
        render(golden_result(), ["pionts", "box", "mesh"], CONTEXT)


@pytest.mark.parametrize("radius", [1.0, 2.4, 7.0])
@pytest.mark.parametrize("centre", [(20.0, 20.0), (20.25, 19.5), (20.5, 20.75)])
def test_discs_stand_at_sub_pixel_positions(centre: tuple[float, float], radius: float) -> None:
    image = np.full((41, 41, 3), 24, np.uint8)  # the rim's colour, so that the disc alone is seen
    draw_discs(image, np.array([centre], np.float32), [(250, 250, 250)], radius)
    assert centroid(image[:, :, 0] - 24) == pytest.approx(centre, abs=0.1)


@pytest.mark.parametrize("roll", [0.0, 0.5])
def test_a_peak_of_the_heatmap_lies_over_its_landmark(roll: float) -> None:
    face = make_face(0, (101.3, 80.6), 40, roll)
    heatmap = np.zeros((16, 16), np.float32)
    heatmap[5, 9] = 1
    face = dataclasses.replace(face, heatmap=heatmap)
    expected = frame_from_heatmap(face, 16, 16) @ (9, 5, 1)
    assert centroid(changed(on_grey(200, 200, face), ["heatmap"])) == pytest.approx(tuple(expected), abs=0.4)
    # Written out: the map's pixel to the crop's by the half-pixel rule, then to the frame.
    in_crop = (np.array([9, 5]) + 0.5) * CROP / 16 - 0.5
    assert expected == pytest.approx(face.frame_from_crop @ (*in_crop, 1))


def test_cold_places_of_the_heatmap_are_left_alone_and_opacity_is_obeyed() -> None:
    face = make_face(0, (100, 100), 40)
    cold = dataclasses.replace(face, heatmap=np.full((16, 16), 0.03, np.float32))
    assert changed(on_grey(200, 200, cold), ["heatmap"]).max() == 0
    hot = on_grey(200, 200, dataclasses.replace(face, heatmap=np.ones((16, 16), np.float32)))
    weak, strong = (
        render(hot, ["heatmap"], OverlayContext(CONTEXT.scheme, heatmap_opacity=share))[100, 100].astype(int) - 128
        for share in (0.3, 0.9)
    )
    assert np.abs(strong - 3 * weak).max() <= 4


def test_strokes_grow_with_the_face() -> None:
    small = int((changed(on_grey(240, 320, make_face(0, (160, 90), 80)), ["points"]) > 20).sum())
    large = int((changed(on_grey(960, 1280, make_face(0, (640, 360), 320)), ["points"]) > 20).sum())
    assert 6 < large / small < 16  # up to 16 times the area; the rim has a least width


def test_insets_show_the_untouched_frame_and_as_many_faces_as_fit() -> None:
    faces = [make_face(i, (40 + 50 * (i % 12), 30 + 60 * (i // 12)), 15) for i in range(40)]
    result = on_grey(360, 640, *faces)
    plain = render(result, ["reconstruction"], CONTEXT)
    all_drawn = render(result, list(OVERLAYS), CONTEXT)
    side, gap = 72, 5
    inset = np.s_[gap + 4 : gap + side - 20, 640 - gap - 2 * side + 4 : 640 - gap - side]
    assert (plain[inset] == 128).all()
    assert (all_drawn[inset] == 128).all()
    columns = np.flatnonzero(changed(result, ["reconstruction"]).any(axis=0))
    assert (columns[0], columns[-1]) == (gap, 640 - gap - 1)


def test_faces_without_heatmap_or_reconstruction_are_left_out() -> None:
    face = dataclasses.replace(make_face(0, (100, 100), 40), heatmap=None, reconstruction=None, recon_error=None)
    assert changed(on_grey(200, 200, face), ["heatmap", "reconstruction"]).max() == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (37, 23), (240, 320)])
@pytest.mark.parametrize(
    ("centre", "half_width"), [((10, 10), 5), ((-4000, 50), 30), ((1e9, -1e9), 40), ((20, 20), 0.0), ((100, 100), 5000)]
)
def test_nothing_is_out_of_bounds(size: tuple[int, int], centre: tuple[float, float], half_width: float) -> None:
    assert render(on_grey(*size, make_face(0, centre, half_width)), list(OVERLAYS), CONTEXT).shape == (*size, 3)


def test_values_that_are_not_finite_are_left_out() -> None:
    face = make_face(0, (100, 100), 40)
    points, confidence = face.points.copy(), face.confidence.copy()
    points[3], confidence[:5], points[7, 0] = np.nan, np.nan, np.inf
    broken = dataclasses.replace(face, points=points, confidence=confidence)
    assert changed(on_grey(200, 200, broken), ["points"]).any()
    nowhere = dataclasses.replace(
        broken, points=np.full_like(points, np.nan), box=FaceBox(np.full(4, np.nan, np.float32), 0.5)
    )
    render(on_grey(200, 200, broken, nowhere), list(OVERLAYS), CONTEXT)
