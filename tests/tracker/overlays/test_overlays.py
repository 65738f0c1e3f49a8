"""The overlays: pictures against goldens, positions to a fraction of a pixel, and input that is out of bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_faces import CONTEXT, CROP, make_face, two_faces
from goldens import Goldens

from models.errors import FewmarkError
from tracker.geometry.crop import cut_crop
from tracker.overlays import BESIDE, OVERLAYS, OverlayContext, pick_landmark, render
from tracker.overlays.drawing import draw_discs
from tracker.overlays.heatmap import frame_from_heatmap
from tracker.overlays.reconstruction import FULL_ERROR, error_map
from tracker.types import FaceBox, Frame, ImageArray, TrackedFace, TrackingResult

IN_FRAME = [name for name in OVERLAYS if name != BESIDE]  # those that keep the frame's size
# Name of the image -> overlays and context.
PICTURES = {name: ((name,), CONTEXT) for name in OVERLAYS} | {
    "error_map_inset": (("reconstruction",), replace(CONTEXT, error_map=True)),
    "error_map_in_place": (("reconstruction_in_place",), replace(CONTEXT, error_map=True, reconstruction_opacity=0.7)),
    "heatmap_of_one": (("heatmap",), replace(CONTEXT, chosen_landmark=20)),
    "faint_strokes": (("contours", "points", "box"), replace(CONTEXT, stroke_opacity=0.4)),
}


def on_grey(height: int, width: int, *faces: TrackedFace) -> TrackingResult:
    return TrackingResult(Frame(np.full((height, width, 3), 128, np.uint8), 0, 0.0), faces)


def changed(result: TrackingResult, names: list[str]) -> ImageArray:
    """(H, W) how far each pixel was changed."""
    drawn = render(result, names, CONTEXT)
    return np.abs(drawn.astype(int) - result.frame.image).max(axis=2).astype(np.uint8)


def centroid(weights: ImageArray) -> tuple[float, float]:
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return float((x * weights).sum() / weights.sum()), float((y * weights).sum() / weights.sum())


@pytest.mark.parametrize("name", PICTURES)
def test_looks_as_its_golden(name: str, goldens: Goldens) -> None:
    overlays, context = PICTURES[name]
    goldens.check(f"overlay_{name}", render(two_faces(), overlays, context), most_changed=0.02)


@pytest.mark.parametrize("name", OVERLAYS)
def test_draws_on_a_copy(name: str) -> None:
    result = two_faces()
    before = result.frame.image.copy()
    result.frame.image.flags.writeable = False
    drawn = render(result, [name], CONTEXT)
    assert (result.frame.image == before).all()
    both = np.concatenate([before, before], axis=1) if name == BESIDE else before
    assert (drawn != both).any()
    assert drawn.flags.c_contiguous
    assert drawn.dtype == np.uint8


def test_a_bgr_view_is_drawn_on_too() -> None:
    result = two_faces()
    view = replace(result, frame=Frame(result.frame.image[:, ::-1, ::-1], 0, 0.0))
    assert render(view, IN_FRAME, CONTEXT).shape == result.frame.image.shape


def test_no_overlays_or_no_faces_give_the_frame() -> None:
    result = two_faces()
    assert (render(result, [], CONTEXT) == result.frame.image).all()
    empty = replace(result, faces=())
    assert (render(empty, IN_FRAME, CONTEXT) == result.frame.image).all()


def test_the_order_of_the_names_does_not_matter() -> None:
    forwards = render(two_faces(), list(OVERLAYS), CONTEXT)
    assert (render(two_faces(), [*reversed(OVERLAYS), "box"], CONTEXT) == forwards).all()


def test_points_under_the_larger_discs_of_their_confidence_are_not_drawn() -> None:
    result = two_faces()
    drawn, both = (render(result, names, CONTEXT) for names in (["confidence"], ["points", "confidence"]))
    np.testing.assert_array_equal(drawn, both)


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(FewmarkError, match=r"unknown overlay pionts, mesh; choose from .*heatmap, contours, box"):
        render(two_faces(), ["pionts", "box", "mesh"], CONTEXT)


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
    face = replace(face, heatmap=heatmap)
    expected = frame_from_heatmap(face, 16, 16) @ (9, 5, 1)
    assert centroid(changed(on_grey(200, 200, face), ["heatmap"])) == pytest.approx(tuple(expected), abs=0.4)
    # Written out: the map's pixel to the crop's by the half-pixel rule, then to the frame.
    in_crop = (np.array([9, 5]) + 0.5) * CROP / 16 - 0.5
    assert expected == pytest.approx(face.frame_from_crop @ (*in_crop, 1))


def test_cold_places_of_the_heatmap_are_left_alone_and_opacity_is_obeyed() -> None:
    face = make_face(0, (100, 100), 40)
    cold = replace(face, heatmap=np.full((16, 16), 0.03, np.float32))
    assert changed(on_grey(200, 200, cold), ["heatmap"]).max() == 0
    hot = on_grey(200, 200, replace(face, heatmap=np.ones((16, 16), np.float32)))
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
    all_drawn = render(result, IN_FRAME, CONTEXT)
    side, gap = 72, 5
    inset = np.s_[gap + 4 : gap + side - 20, 640 - gap - 2 * side + 4 : 640 - gap - side]
    assert (plain[inset] == 128).all()
    assert (all_drawn[inset] == 128).all()
    columns = np.flatnonzero(changed(result, ["reconstruction"]).any(axis=0))
    assert (columns[0], columns[-1]) == (gap, 640 - gap - 1)


def test_faces_without_heatmap_or_reconstruction_are_left_out() -> None:
    face = replace(make_face(0, (100, 100), 40), heatmap=None, reconstruction=None, recon_error=None)
    assert changed(on_grey(200, 200, face), ["heatmap", "reconstruction"]).max() == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (37, 23), (240, 320)])
@pytest.mark.parametrize(
    ("centre", "half_width"), [((10, 10), 5), ((-4000, 50), 30), ((1e9, -1e9), 40), ((20, 20), 0.0), ((100, 100), 5000)]
)
def test_nothing_is_out_of_bounds(size: tuple[int, int], centre: tuple[float, float], half_width: float) -> None:
    context = replace(CONTEXT, error_map=True, stroke_opacity=0.5, chosen_landmark=3)
    result = on_grey(*size, make_face(0, centre, half_width))
    assert render(result, list(OVERLAYS), context).shape == (size[0], 2 * size[1], 3)


def test_values_that_are_not_finite_are_left_out() -> None:
    face = make_face(0, (100, 100), 40)
    points, confidence = face.points.copy(), face.confidence.copy()
    points[3], confidence[:5], points[7, 0] = np.nan, np.nan, np.inf
    broken = replace(face, points=points, confidence=confidence)
    assert changed(on_grey(200, 200, broken), ["points"]).any()
    nowhere = replace(broken, points=np.full_like(points, np.nan), box=FaceBox(np.full(4, np.nan, np.float32), 0.5))
    render(on_grey(200, 200, broken, nowhere), list(OVERLAYS), CONTEXT)


def with_reconstruction(face: TrackedFace, level: int) -> TrackedFace:
    return replace(face, reconstruction=np.full((CROP, CROP, 3), level, np.uint8))


@pytest.mark.parametrize("roll", [0.0, 0.5])
def test_a_reconstruction_in_place_lies_where_its_crop_was_cut(roll: float) -> None:
    face = make_face(0, (150.3, 140.6), 40, roll)
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8).repeat(20, 0).repeat(20, 1)
    crop = cut_crop(image, face.frame_from_crop, CROP).image
    result = TrackingResult(Frame(image, 0, 0.0), (replace(face, reconstruction=crop),))
    drawn = render(result, ["reconstruction_in_place"], CONTEXT)
    # A reconstruction without error changes nothing but what sampling it twice blurs.
    again = cut_crop(drawn, face.frame_from_crop, CROP).image[8:-8, 8:-8].astype(int)
    assert np.abs(again - crop[8:-8, 8:-8]).mean() < 8


def test_a_reconstruction_in_place_is_as_opaque_as_asked_and_ends_softly() -> None:
    result = on_grey(200, 200, with_reconstruction(make_face(0, (100, 100), 40), 228))
    half = render(result, ["reconstruction_in_place"], replace(CONTEXT, reconstruction_opacity=0.5))
    full = render(result, ["reconstruction_in_place"], CONTEXT)
    assert half[100, 100].tolist() == pytest.approx([178] * 3, abs=2)
    assert full[100, 100].tolist() == pytest.approx([228] * 3, abs=1)
    row = full[100, :, 0].astype(int)
    assert np.abs(np.diff(row)).max() < 30
    assert (row[:30] == 128).all()


def test_a_reconstruction_beside_leaves_the_frame_itself_alone() -> None:
    result = on_grey(200, 240, with_reconstruction(make_face(0, (100, 100), 40), 228))
    drawn = render(result, [BESIDE], replace(CONTEXT, reconstruction_opacity=0.1))
    assert (drawn[:, :240] == 128).all()
    assert drawn[100, 240 + 100].tolist() == pytest.approx([228] * 3, abs=1)


def test_the_error_map_is_the_mean_difference_and_only_there_where_it_is_wanted() -> None:
    face = with_reconstruction(make_face(0, (100, 100), 40), 128 + 16)
    result = on_grey(200, 200, face)
    assert error_map(result.frame.image, face).tolist() == [[round(16 * 255 / FULL_ERROR)] * CROP] * CROP
    exact = on_grey(200, 200, with_reconstruction(face, 128))
    wanted = replace(CONTEXT, error_map=True)
    for shown, context in ((exact, wanted), (exact, CONTEXT)):
        assert np.abs(render(shown, ["reconstruction_in_place"], context).astype(int) - 128).max() <= 1
    with_map, without = (render(result, ["reconstruction_in_place"], context) for context in (wanted, CONTEXT))
    assert np.abs(with_map[100, 100].astype(int) - without[100, 100]).max() > 10


def test_faint_strokes_change_the_frame_by_their_share() -> None:
    result = on_grey(200, 200, make_face(0, (100, 100), 40))
    full, faint = (
        render(result, ["points", "box"], replace(CONTEXT, stroke_opacity=share)).astype(int) - 128
        for share in (1.0, 0.25)
    )
    assert np.abs(faint - full / 4).max() <= 1


def test_the_landmark_that_is_pointed_at_is_picked() -> None:
    near, far = make_face(0, (60, 60), 20), make_face(3, (140, 120), 30, 0.3)
    result = on_grey(200, 220, near, far)
    x, y = (float(v) for v in far.points[5])
    picked = pick_landmark(result, x + 0.7, y - 0.4)
    assert picked is not None
    assert (picked.face_id, picked.index) == (3, 5)
    assert picked.confidence == pytest.approx(float(far.confidence[5]))
    assert pick_landmark(result, x + 220, y) == picked  # the same in the second picture of a pair
    assert pick_landmark(result, 200.0, 10.0) is None
    distant = float(near.points[:, 0].min()) - 9, float(near.points[0, 1])
    assert pick_landmark(result, *distant) is None
    assert pick_landmark(result, *distant, least_reach_px=12) is not None


def test_points_that_are_not_finite_are_not_picked() -> None:
    face = make_face(0, (60, 60), 20)
    lost = replace(face, points=np.full_like(face.points, np.nan))
    assert pick_landmark(on_grey(100, 100, lost), 60, 60) is None
    assert pick_landmark(on_grey(100, 100), 60, 60) is None
