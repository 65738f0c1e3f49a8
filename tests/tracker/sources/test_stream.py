"""Network streams, from servers on this machine that work, break and fall silent."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import FewmarkError
from tracker.sources import NetworkStream, open_source
from tracker.sources.stream import without_password


def make_clip(path: Path, count: int = 60) -> Path:
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for i in range(count):
            picture = np.full((96, 160, 3), 20 + 3 * i, np.uint8)
            picture[:32] = rng.integers(0, 255, (32, 160, 3))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


@contextmanager
def serving(handler: object) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class Script:
    """What a server does at each request in turn: wait, send a share of ``data``, then close or fall silent."""

    def __init__(self, data: bytes, *turns: tuple[float, float, bool], announce_length: bool = False) -> None:
        self.data, self.turns, self.announce_length = data, list(turns), announce_length  # (seconds, share, silent)
        self.release = threading.Event()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not script.turns:
                    self.send_error(503)
                    return
                wait_s, share, silent = script.turns.pop(0)
                time.sleep(wait_s)
                self.send_response(200)
                if script.announce_length:
                    self.send_header("Content-Length", str(len(script.data)))
                self.end_headers()
                self.wfile.write(script.data[: int(share * len(script.data))])
                self.wfile.flush()
                if silent:
                    script.release.wait(20)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def impatient(url: str, **options: float) -> NetworkStream:
    return NetworkStream(
        url, **{"open_timeout_s": 5, "read_timeout_s": 0.5, "reconnects": 2, "first_backoff_s": 0.01, **options}
    )


def test_recording_on_a_web_server_is_read_to_its_end(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4")
    with (
        serving(partial(Quiet, directory=str(tmp_path))) as address,
        open_source(f"{address}/clip.mp4") as source,
    ):
        assert isinstance(source, NetworkStream)
        assert (source.info.width, source.info.height, source.info.is_live) == (160, 96, False)
        assert source.info.frame_count == 60
        frames = list(source)
    assert [f.index for f in frames] == list(range(60))
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(60) / 30, atol=1e-6)
    assert source.warnings == []
    assert frames[0].image.flags.c_contiguous


def test_recording_that_breaks_off_carries_on_after_the_last_frame(tmp_path: Path) -> None:
    data = make_clip(tmp_path / "clip.mp4").read_bytes()
    script = Script(data, (0, 0.5, False), (0, 1.0, False), announce_length=True)
    with serving(script.handler()) as address, impatient(f"{address}/clip.mp4") as source:
        frames = list(source)
    assert len(frames) == 60
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(60) / 30, atol=1e-6)
    assert sum("connection lost" in text for text in source.warnings) == 1


def test_live_stream_reconnects_and_its_times_keep_rising(tmp_path: Path) -> None:
    data = make_clip(tmp_path / "clip.ts").read_bytes()
    script = Script(data, *[(0, 1.0, False)] * 3)
    with serving(script.handler()) as address, impatient(f"{address}/live") as source:
        assert source.info.is_live
        assert source.info.frame_count is None
        frames = iter(source)
        times = [next(frames).time_s for _ in range(180)]
        with pytest.raises(FewmarkError, match=r"lost after 180 frames .* 2 attempts to connect again failed"):
            next(frames)
    assert (np.diff(times) > 0).all()
    assert any("connection lost after 60 frames" in text for text in source.warnings)


def test_silence_half_way_is_noticed_and_the_stream_opened_again(tmp_path: Path) -> None:
    data = make_clip(tmp_path / "clip.ts").read_bytes()
    script = Script(data, (0, 0.6, True), (0.5, 1.0, False))
    with serving(script.handler()) as address, impatient(f"{address}/live") as source:
        indices, times = [], []
        for frame in source:
            indices.append(frame.index)
            times.append(frame.time_s)
            if len(indices) == 70:
                break
        script.release.set()
    assert indices == list(range(70))
    assert (np.diff(times) > 0).all()
    assert max(np.diff(times)) > 0.4  # the wait is in the times
    assert len(source.warnings) == 1


def test_no_server_and_no_video_are_named(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FewmarkError, match=r"http://me:\*\*\*@127\.0\.0\.1:\d+/x: cannot be opened"):
        open_source(f"http://me:secret@127.0.0.1:{port}/x")
    (tmp_path / "page.html").write_text("<html>no video here</html>" * 50)
    with serving(partial(Quiet, directory=str(tmp_path))) as address:
        with pytest.raises(FewmarkError, match=r"page\.html: cannot be opened"):
            open_source(f"{address}/page.html")
        with pytest.raises(FewmarkError, match=r"missing: cannot be opened \(.*404"):
            open_source(f"{address}/missing")
    with pytest.raises(FewmarkError, match="a start and an end can only be given for files"):
        open_source("rtsp://127.0.0.1/live", end_s=3)


def test_file_address_is_a_file(tmp_path: Path) -> None:
    with open_source(make_clip(tmp_path / "clip.mp4", 3).as_uri()) as source:
        assert len(list(source)) == 3
        assert not source.info.is_live


def test_early_end_leaves_no_thread_of_ours(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4")
    with serving(partial(Quiet, directory=str(tmp_path))) as address:
        before = {t.name for t in threading.enumerate()}
        with open_source(f"{address}/clip.mp4") as source:
            for _ in source:
                break
        ours = {t.name for t in threading.enumerate() if "process_request" not in t.name}
        assert ours <= before


def test_passwords_are_hidden() -> None:
    assert without_password("rtsp://user:p@ss@cam.local/1") != "rtsp://user:p@ss@cam.local/1"
    assert without_password("rtsp://cam.local:554/1") == "rtsp://cam.local:554/1"
    assert "secret" not in without_password("https://user:secret@host:8080/a?b=c@d")
