"""Sources through the real tracker into files: what is written, what is kept, what is computed again."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from models.errors import FewmarkError
from tracker.batch import SIDECAR_SUFFIX, Job, JobReport, OutputChoice, Selection, plan_jobs, run_job
from tracker.batch.claim import claimed
from tracker.config import TrackerConfig
from tracker.files.assets import demo_clip
from tracker.following.pipeline import FaceTracker, open_tracker
from tracker.overlays import RECONSTRUCTIONS, OverlayContext, render
from tracker.sinks import JsonLinesSink, OpenFaceCsvSink
from tracker.sinks.mp4_writer import Mp4Writer
from tracker.sources import open_source
from tracker.types import ImageArray, SourceInfo, TrackingResult

CSV = OutputChoice()
ALL = OutputChoice(csv=True, jsonl=True, video=True)


@pytest.fixture(scope="module")
def tracker() -> Iterator[FaceTracker]:
    with open_tracker(TrackerConfig(backend="eager")) as tracker:
        yield tracker


@pytest.fixture(scope="module")
def faces() -> list[ImageArray]:
    """The demo clip's first frames at 480x270."""
    with open_source(demo_clip()) as source:
        return [np.asarray(cv2.resize(frame.image, (480, 270)), np.uint8) for frame in islice(source, 10)]


def write_video(path: Path, images: list[ImageArray], *, audio: bool = False, scale: float = 1) -> Path:
    """The images at 25 frames/s, over a silent sound track if wanted."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = (int(side * scale) // 2 * 2 for side in images[0].shape[1::-1])
        stream.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=16_000, layout="mono") if audio else None
        for image in images:
            resized = np.asarray(cv2.resize(image, (stream.width, stream.height)), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(resized, "rgb24")))
        container.mux(stream.encode(None))
        if sound is not None:
            for i in range(len(images) * 640 // 1024 + 1):
                silence = AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                silence.sample_rate, silence.pts, silence.time_base = 16_000, i * 1024, Fraction(1, 16_000)
                container.mux(sound.encode(silence))
            container.mux(sound.encode(None))
    return path


@pytest.fixture
def clip(tmp_path: Path, faces: list[ImageArray]) -> Path:
    return write_video(tmp_path / "clip.mp4", faces)


def job_for(source: object) -> Job:
    (job,) = plan_jobs([str(source)])
    return job


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def sidecar(out: Path, stem: str) -> Any:
    return json.loads((out / f"{stem}{SIDECAR_SUFFIX}").read_text())


def after(frames: int) -> Callable[[], bool]:
    """A request to stop that is made once so many frames are done."""
    asked = iter(range(1000))
    return lambda: next(asked) >= frames


def test_a_video_gets_its_files_and_a_sidecar(tmp_path: Path, tracker: FaceTracker, faces: list[ImageArray]) -> None:
    source = write_video(tmp_path / "clip.mp4", faces, audio=True)
    out = tmp_path / "deep" / "out"
    opened: list[SourceInfo] = []
    results: list[TrackingResult] = []
    report = run_job(job_for(source), tracker, ALL, out, on_open=opened.append, on_result=results.append)

    assert sorted(path.name for path in out.iterdir()) == [
        *("clip.annotated.mp4", "clip.csv", "clip.fewmark.json", "clip.jsonl")
    ]
    assert {path.name for path in report.outputs} == {"clip.annotated.mp4", "clip.csv", "clip.jsonl"}
    assert (report.frames, report.frames_with_face) == (10, 10)
    assert report.finished
    assert not report.already_done
    assert report.warnings == []
    assert report.stage_ms.keys() >= {"detect", "network"}
    assert opened[0].frame_count == len(results) == 10

    table = rows(out / "clip.csv")
    assert [int(row["frame"]) for row in table] == list(range(1, 11))
    assert {row["face_id"] for row in table} == {"0"}
    assert len((out / "clip.jsonl").read_text().splitlines()) == 11
    with av.open(str(out / "clip.annotated.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert sum(1 for _ in container.decode(video=0)) == 10

    written = sidecar(out, "clip")
    assert (written["format"], written["version"], written["model"]) == ("fewmark-run", 1, tracker.model.name)
    assert (written["backend"], written["device"]) == ("eager", tracker.backend.device)
    assert (written["frames"], written["frames_with_face"], written["warnings"]) == (10, 10, [])
    assert sorted(written["files"]) == ["clip.annotated.mp4", "clip.csv", "clip.jsonl"]
    request = written["request"]
    assert request["source"] == source.resolve().as_posix()
    assert request["source_bytes"] == source.stat().st_size
    assert request["source_modified_ns"] == source.stat().st_mtime_ns
    assert request["selection"] == {}
    assert request["config"]["detection"]["detector"] == "auto"
    assert len(request["model_sha256"]) == 64


def test_what_is_done_is_not_done_again_until_something_changes(
    tmp_path: Path, tracker: FaceTracker, clip: Path
) -> None:
    out, job, short = tmp_path / "out", job_for(clip), Selection(end_s=0.1)

    def run(choice: OutputChoice = CSV, selection: Selection = short, overwrite: bool = False) -> JobReport:
        return run_job(job, tracker, choice, out, selection=selection, overwrite=overwrite)

    assert not run().already_done
    again = run()
    assert again.already_done
    assert again.finished
    assert again.outputs == [out / "clip.csv"]
    assert run(OutputChoice(overlays=("box",))).already_done  # no video: its overlays are beside the point
    assert not run(overwrite=True).already_done
    assert not run(OutputChoice(jsonl=True)).already_done
    assert not run().already_done
    assert not run(selection=Selection(end_s=0.05)).already_done
    (out / "clip.csv").unlink()
    assert not run().already_done
    os.utime(clip, (1, 1))
    assert not run().already_done
    (out / f"clip{SIDECAR_SUFFIX}").write_text('{"request": 3')
    assert not run().already_done
    assert run().already_done


def test_a_stopped_run_leaves_whole_files_and_is_done_again(tmp_path: Path, tracker: FaceTracker, clip: Path) -> None:
    report = run_job(job_for(clip), tracker, ALL, tmp_path / "out", should_stop=after(4))
    assert not report.finished
    assert report.frames == 4
    assert len(rows(tmp_path / "out" / "clip.csv")) == 4
    with av.open(str(tmp_path / "out" / "clip.annotated.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 4
    assert not (tmp_path / "out" / f"clip{SIDECAR_SUFFIX}").exists()
    report = run_job(job_for(clip), tracker, ALL, tmp_path / "out")
    assert (report.finished, report.already_done, report.frames) == (True, False, 10)


def test_the_files_of_a_whole_run_stay_until_the_new_ones_are_whole(
    tmp_path: Path, tracker: FaceTracker, clip: Path
) -> None:
    out, job = tmp_path / "out", job_for(clip)
    again = partial(run_job, job, tracker, ALL, out, overwrite=True, keep_earlier=True)
    first = again(should_stop=after(4))  # nothing to keep yet: what was tracked is there
    assert (first.finished, first.kept_earlier, len(rows(out / "clip.csv"))) == (False, False, 4)
    assert not again().kept_earlier

    before = {path: (path.read_bytes(), path.stat().st_ino) for path in out.iterdir()}
    assert len(before) == 4
    seen: list[TrackingResult] = []
    stopped = again(should_stop=after(4), on_result=seen.append)
    assert (stopped.finished, stopped.kept_earlier, stopped.frames, len(seen)) == (False, True, 4, 4)
    assert sorted(stopped.outputs) == sorted(path for path in before if path.suffix != ".json")
    assert {path: (path.read_bytes(), path.stat().st_ino) for path in out.iterdir()} == before

    def fail(result: TrackingResult) -> None:
        raise FewmarkError("the disk is gone")

    with pytest.raises(FewmarkError, match="the disk is gone"):
        again(on_result=fail)
    assert {path: (path.read_bytes(), path.stat().st_ino) for path in out.iterdir()} == before
    (out / ".clip.new").mkdir()  # as a killed run leaves it
    (out / ".clip.new" / "clip.csv").write_text("half")
    whole = run_job(job, tracker, CSV, out, selection=Selection(end_s=0.1), overwrite=True, keep_earlier=True)
    assert (whole.finished, whole.outputs, len(rows(out / "clip.csv"))) == (True, [out / "clip.csv"], 3)
    assert sidecar(out, "clip")["frames"] == 3
    assert {path.name for path in out.iterdir()} == {path.name for path in before}


def test_photos_take_the_place_of_an_earlier_run_together(
    tmp_path: Path, tracker: FaceTracker, faces: list[ImageArray]
) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(2):
        cv2.imwrite(str(tmp_path / "photos" / f"{i}.jpg"), faces[i][:, :, ::-1])
    choice, out = OutputChoice(csv=True, video=True), tmp_path / "out"
    run_job(job_for(tmp_path / "photos"), tracker, choice, out)
    annotated = out / "photos.annotated"
    (annotated / "0.jpg").write_bytes(b"old")
    again = partial(run_job, job_for(tmp_path / "photos"), tracker, choice, out, overwrite=True, keep_earlier=True)
    assert again(should_stop=after(1)).kept_earlier
    assert (annotated / "0.jpg").read_bytes() == b"old"
    assert again().finished
    assert cv2.imread(str(annotated / "0.jpg")) is not None
    assert sorted(path.name for path in annotated.iterdir()) == ["0.jpg", "1.jpg"]


def test_files_are_the_same_as_frame_by_frame_without_threads(tmp_path: Path, tracker: FaceTracker, clip: Path) -> None:
    run_job(job_for(clip), tracker, ALL, tmp_path / "out")
    scheme = tracker.model.scheme
    tracker.reset(restart_ids=True)
    meaning = tracker.model.confidence_meaning
    with (
        open_source(clip) as source,
        OpenFaceCsvSink(tmp_path / "clip.csv", scheme, source=str(clip)) as table,
        JsonLinesSink(
            tmp_path / "clip.jsonl",
            scheme,
            model=tracker.model.name,
            source=str(clip),
            confidence_meaning=meaning,
        ) as lines,
        closing(Mp4Writer(tmp_path / "clip.mp4", start_s=0.0, frame_rate=source.info.frame_rate, audio=None)) as video,
    ):
        for frame in list(source):
            result = tracker.process(frame, recorded=True)
            table.write(result)
            lines.write(result)
            video.write(render(result, ALL.overlays, OverlayContext(scheme)), frame.time_s)
    for name in ("clip.csv", "clip.jsonl"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    with open_source(tmp_path / "clip.mp4") as alone, open_source(tmp_path / "out/clip.annotated.mp4") as threaded:
        for one, other in zip(alone, threaded, strict=True):
            np.testing.assert_array_equal(one.image, other.image)
            assert one.time_s == other.time_s


def test_a_selection_ends_after_so_many_seconds_of_the_source(tmp_path: Path, tracker: FaceTracker, clip: Path) -> None:
    selection = Selection(start_s=0.08, seconds=0.12)
    report = run_job(job_for(clip), tracker, CSV, tmp_path, selection=selection)
    assert report.finished
    assert [row["frame"] for row in rows(tmp_path / "clip.csv")] == ["3", "4", "5"]


def test_the_files_of_another_source_are_not_replaced_unasked(
    tmp_path: Path, tracker: FaceTracker, clip: Path, faces: list[ImageArray]
) -> None:
    (tmp_path / "other").mkdir()
    other = write_video(tmp_path / "other" / "clip.mp4", faces[:2])
    run_job(job_for(clip), tracker, CSV, tmp_path / "out", selection=Selection(end_s=0.2))
    before = (tmp_path / "out" / "clip.csv").read_bytes()
    with pytest.raises(FewmarkError, match=r"made from .*clip\.mp4, not from .*other/clip\.mp4; choose another --out"):
        run_job(job_for(other), tracker, CSV, tmp_path / "out")
    assert (tmp_path / "out" / "clip.csv").read_bytes() == before
    assert run_job(job_for(other), tracker, CSV, tmp_path / "out", overwrite=True).frames == 2


def test_photos_stand_for_themselves_and_get_annotated_images(
    tmp_path: Path, tracker: FaceTracker, faces: list[ImageArray]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    bgr = np.ascontiguousarray(faces[0][..., ::-1])
    for name, image in {
        "face.jpg": bgr,
        "grey.png": cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY),
        "rgba.webp": cv2.cvtColor(bgr, cv2.COLOR_BGR2BGRA),
        "deep.png": bgr.astype(np.uint16) * 257,
        "dot.png": bgr[:1, :1],
        "nobody.png": np.full((120, 160, 3), 90, np.uint8),
    }.items():
        cv2.imwrite(str(photos / name), np.asarray(image))
    (photos / "empty.png").touch()

    out = tmp_path / "out"
    report = run_job(job_for(photos), tracker, OutputChoice(video=True), out)
    assert (report.frames, report.frames_with_face) == (6, 4)
    assert len(report.warnings) == 1
    assert "empty.png: the file is empty" in report.warnings[0]
    table = {row["source"]: row for row in rows(out / "photos.csv")}
    assert {name for name, row in table.items() if row["face_id"] == "0"} == {
        *("face.jpg", "grey.png", "rgba.webp", "deep.png")
    }
    assert [table[name]["success"] for name in ("dot.png", "nobody.png")] == ["0", "0"]
    annotated = {path.name for path in (out / "photos.annotated").iterdir()}
    assert annotated == {"face.jpg", "grey.png", "rgba.webp.png", "deep.png", "dot.png", "nobody.png"}
    drawn = np.asarray(cv2.imread(str(out / "photos.annotated" / "deep.png")))
    assert drawn.shape == bgr.shape
    assert (drawn != bgr).any()

    assert run_job(job_for(photos), tracker, OutputChoice(video=True), out).already_done
    cv2.imwrite(str(photos / "one_more.png"), bgr)
    assert run_job(job_for(photos), tracker, OutputChoice(video=True), out).frames == 7

    report = run_job(job_for(photos / "face.jpg"), tracker, OutputChoice(video=True), out)
    assert [path.name for path in (out / "face.annotated").iterdir()] == ["face.jpg"]


def test_a_film_is_tracked_as_one(tmp_path: Path, tracker: FaceTracker, faces: list[ImageArray]) -> None:
    (tmp_path / "film").mkdir()
    for i, image in enumerate(faces[:3]):
        cv2.imwrite(str(tmp_path / "film" / f"{i}.png"), np.ascontiguousarray(image[..., ::-1]))
    choice = OutputChoice(video=True)
    run_job(job_for(tmp_path / "film"), tracker, choice, tmp_path / "out", selection=Selection(film_rate=10))
    assert [float(row["timestamp"]) for row in rows(tmp_path / "out" / "film.csv")] == [0, 0.1, 0.2]
    assert (tmp_path / "out" / "film.annotated.mp4").is_file()


def test_a_video_that_changes_its_size_is_tracked_through(
    tmp_path: Path, tracker: FaceTracker, faces: list[ImageArray]
) -> None:
    parts = [write_video(tmp_path / f"{i}.ts", faces[:4], scale=scale) for i, scale in enumerate((1, 0.7))]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    report = run_job(job_for(joined), tracker, OutputChoice(video=True), tmp_path / "out")
    assert (report.frames, report.frames_with_face) == (8, 8)
    with av.open(str(tmp_path / "out" / "joined.annotated.mp4")) as container:
        assert {(frame.width, frame.height) for frame in container.decode(video=0)} == {(480, 270)}


@contextmanager
def live_stream(data: bytes) -> Iterator[str]:
    """The address of a server that sends an endless-looking transport stream and then keeps the line open."""
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()
            done.wait(20)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://me:secret@127.0.0.1:{server.server_address[1]}/live?x=1"
    finally:
        done.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_live_source_ends_after_its_seconds_and_is_never_replaced_unasked(
    tmp_path: Path, tracker: FaceTracker, faces: list[ImageArray]
) -> None:
    data = write_video(tmp_path / "live.ts", faces * 8).read_bytes()
    seconds = Selection(seconds=0.2)
    with live_stream(data) as address:
        job = job_for(address)
        out = tmp_path / "out"
        report = run_job(job, tracker, CSV, out, selection=seconds)
        assert report.finished
        assert report.frames == 5
        with pytest.raises(FewmarkError, match="there is an earlier recording; choose another --out"):
            run_job(job, tracker, CSV, out, selection=seconds)
        assert len(rows(out / f"{job.stem}.csv")) == 5
        # Stopping is how a live source ends: it is complete then, and says how it was made.
        report = run_job(job, tracker, CSV, out, overwrite=True, should_stop=after(3))
        assert (report.finished, report.frames) == (False, 3)
        assert sidecar(out, job.stem)["frames"] == 3
    assert all("secret" not in path.name + path.read_text() for path in out.iterdir())


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Writing beyond ``size`` bytes of a file fails, as on a full disk."""
    resource = pytest.importorskip("resource", reason="no such limits on this system")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_keeps_what_was_written(tmp_path: Path, tracker: FaceTracker, clip: Path) -> None:
    with (
        file_size_limit(8000),
        pytest.raises(FewmarkError, match=r"clip\.csv: writing failed .* check the space left"),
    ):
        run_job(job_for(clip), tracker, CSV, tmp_path / "out")
    table = rows(tmp_path / "out" / "clip.csv")
    assert 1 < len(table) < 10
    assert all(row["source"] == str(clip) for row in table)  # the last column of each: no row is cut
    assert not (tmp_path / "out" / f"clip{SIDECAR_SUFFIX}").exists()
    assert run_job(job_for(clip), tracker, CSV, tmp_path / "out").frames == 10


def test_two_runs_do_not_write_the_same_files(tmp_path: Path, tracker: FaceTracker, clip: Path) -> None:
    out, job, other = tmp_path / "out", job_for(clip), Job(str(clip), "other")

    def intrude(result: TrackingResult) -> None:
        with pytest.raises(FewmarkError, match=r"out.clip: another run is writing these files; wait for it"):
            run_job(job, tracker, CSV, out, overwrite=True)
        with claimed(out, other.stem):  # the same folder, other files
            pass

    report = run_job(job, tracker, ALL, out, selection=Selection(end_s=0.1), on_result=intrude)
    assert (report.frames, len(rows(out / "clip.csv"))) == (3, 3)
    assert sorted(path.name for path in out.iterdir()) == [
        *("clip.annotated.mp4", "clip.csv", "clip.fewmark.json", "clip.jsonl")
    ]


def test_a_killed_run_leaves_nothing_locked(tmp_path: Path, tracker: FaceTracker, clip: Path) -> None:
    lock = tmp_path / "out" / ".clip.lock"
    lock.parent.mkdir()
    program = "import os, sys, filelock; filelock.FileLock(sys.argv[1]).acquire(); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", program, str(lock)], check=False).returncode == 9
    assert lock.exists()
    assert run_job(job_for(clip), tracker, CSV, lock.parent, selection=Selection(end_s=0.1)).frames == 3
    assert not lock.exists()


def test_a_folder_that_can_not_be_written_to_is_named(tmp_path: Path, tracker: FaceTracker, clip: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    for out in (tmp_path / "taken", tmp_path / "taken" / "out"):
        with pytest.raises(FewmarkError, match="the output folder can't be made"):
            run_job(job_for(clip), tracker, CSV, out)
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="nothing is forbidden to this user")
def test_a_read_only_folder_is_named(tmp_path: Path, tracker: FaceTracker, clip: Path) -> None:
    out = tmp_path / "out"
    run_job(job_for(clip), tracker, CSV, out, selection=Selection(end_s=0.1))
    out.chmod(0o500)
    try:
        with pytest.raises(FewmarkError, match=r"\.clip\.lock: cannot be made .* choose a folder that you may"):
            run_job(job_for(clip), tracker, CSV, out)
    finally:
        out.chmod(0o700)


@pytest.mark.parametrize("overlay", RECONSTRUCTIONS)
def test_every_overlay_of_reconstructions_is_given_some(
    tmp_path: Path, tracker: FaceTracker, clip: Path, overlay: str
) -> None:
    choice = OutputChoice(video=True, overlays=(overlay,))
    run_job(job_for(clip), tracker, choice, tmp_path, selection=Selection(end_s=0.1))
    rows = list(csv.DictReader((tmp_path / "clip.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) > 1
    assert all(float(row["recon_error"]) > 0 for row in rows)


def test_a_model_that_cannot_reconstruct_is_refused_before_anything_is_written(
    tmp_path: Path, without_reconstruction: Path, clip: Path
) -> None:
    config = TrackerConfig(model=str(without_reconstruction), backend="eager")
    with open_tracker(config) as tracker, pytest.raises(FewmarkError, match="not trained to reconstruct"):
        run_job(job_for(clip), tracker, OutputChoice(video=True, overlays=("reconstruction",)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
