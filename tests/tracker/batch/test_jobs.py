"""From what the user typed to sources with stems of their own; no tracker is needed here."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import FewmarkError
from tracker.batch import Job, OutputChoice, Selection, expected_frames, plan_jobs
from tracker.types import SourceInfo


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def specs(*inputs: object) -> list[str]:
    return [job.spec for job in plan_jobs([str(item) for item in inputs])]


def stems(*inputs: object) -> list[str]:
    return [job.stem for job in plan_jobs([str(item) for item in inputs])]


def test_a_folder_stands_for_its_videos_and_for_its_images_as_one(tmp_path: Path) -> None:
    touch(tmp_path, "b.MP4", "a.mov", "1.png", "2.jpg", "notes.txt", ".hidden.mp4", "sub/c.mp4", "a.annotated.mp4")
    assert specs(tmp_path) == [str(tmp_path / "a.mov"), str(tmp_path / "b.MP4"), str(tmp_path)]


def test_a_folder_of_videos_is_not_asked_for_images(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "notes.txt", "a.csv")
    assert specs(tmp_path) == [str(tmp_path / "a.mp4")]


def test_what_names_nothing_stays_for_its_opening_to_say(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    nothing = [str(tmp_path / name) for name in ("empty", "missing.mp4", "*.mp4", "**/*.mov", "x" * 300)]
    assert specs(*nothing) == nothing


def test_patterns_are_expanded_as_a_shell_would(tmp_path: Path) -> None:
    touch(tmp_path, "a1.mp4", "a2.mp4", "b.mp4", "a3/x.mp4", "a1.annotated.mp4", "[1].mp4")
    assert specs(tmp_path / "a*") == [str(tmp_path / name) for name in ("a1.mp4", "a2.mp4", "a3/x.mp4")]
    assert specs(tmp_path / "**" / "x.*") == [str(tmp_path / "a3" / "x.mp4")]
    assert specs(tmp_path / "[1].mp4") == [str(tmp_path / "[1].mp4")]


def test_a_source_that_is_named_twice_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    monkeypatch.chdir(tmp_path)
    assert specs("a.mp4", "./a.mp4", tmp_path, "b.mp4") == ["a.mp4", str(tmp_path / "b.mp4")]


def test_cameras_and_addresses_are_left_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "0/a.mp4")  # "0" is the camera, "./0" the folder
    typed = ["0", "camera:C[9]20", "http://host/stream?name=*", "./0"]
    assert specs(*typed) == [*typed[:3], str(Path("0") / "a.mp4")]


def test_passwords_are_neither_shown_nor_stored() -> None:
    (job,) = plan_jobs(["rtsp://me:secret@10.0.0.7:554/door?channel=1"])
    assert "secret" in job.spec
    assert "secret" not in job.name + job.stem
    assert job.stem == "rtsp_me_10_0_0_7_554_door_channel_1"


def test_stems_are_file_names_made_longer_only_where_needed(tmp_path: Path) -> None:
    touch(tmp_path, "d1/clip.v2.mp4", "d1/A.mp4", "d1/a.mov", "d2/clip.v2.mp4", "d2/ b c.mp4", "photos/1.png")
    assert stems(tmp_path / "d1") == ["A.mp4", "a.mov", "clip.v2"]
    assert stems(tmp_path / "d1", tmp_path / "d2", tmp_path / "photos") == [
        *("A.mp4", "a.mov", "d1_clip.v2.mp4"),
        *(" b c", "d2_clip.v2.mp4", "photos"),
    ]


def test_the_folder_here_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "photos/1.png")
    monkeypatch.chdir(tmp_path / "photos")
    assert stems(".") == ["photos"]


@given(st.lists(st.text("aA.1_/", min_size=1, max_size=8), min_size=1, max_size=12))
def test_stems_are_unique_whatever_the_case(inputs: list[str]) -> None:
    names = ["missing/" + item for item in inputs]
    found = [stem.casefold() for stem in stems(*names)]
    assert len(set(found)) == len(found)
    assert not any("/" in stem for stem in found)


@pytest.mark.parametrize(("start_s", "end_s", "seconds"), [(2, 2, None), (3, 1, None), (None, None, 0), (0, 5, -1)])
def test_a_selection_that_holds_no_frame_is_refused(
    start_s: float | None, end_s: float | None, seconds: float | None
) -> None:
    with pytest.raises(FewmarkError, match=r"not after start|no duration"):
        Selection(start_s=start_s, end_s=end_s, seconds=seconds)


def test_progress_knows_how_many_frames_to_expect() -> None:
    video = SourceInfo("a", 8, 8, 25.0, 100, is_live=False)
    camera = SourceInfo("c", 8, 8, 30.0, None, is_live=True)
    photos = SourceInfo("p", 8, 8, None, 7, is_live=False, are_stills=True)
    ten_seconds = Selection(seconds=10)
    assert expected_frames(video, Selection()) == 100
    assert expected_frames(video, Selection(start_s=1, end_s=3, seconds=9)) == 50
    assert expected_frames(video, ten_seconds) == 100
    assert expected_frames(camera, Selection()) is None
    assert expected_frames(camera, ten_seconds) == 300
    assert expected_frames(photos, ten_seconds) == 7


def test_an_impossible_choice_of_files_is_refused() -> None:
    with pytest.raises(FewmarkError, match="nothing to write"):
        OutputChoice(csv=False)
    with pytest.raises(FewmarkError, match=r"overlay 'sparkles' is unknown; choose from .*heatmap, "):
        OutputChoice(video=True, overlays=("points", "sparkles"))


def test_a_job_knows_its_file() -> None:
    assert Job("a/b.mp4", "b").path == Path("a/b.mp4")
    assert Job("0", "0").path is None
    assert Job("https://host/a.mp4", "a").path is None
