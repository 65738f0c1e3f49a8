"""Reads glibc's own report, in processes of their own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import ctypes, re, sys, tempfile, threading
from tracker.machine.allocator import limit_arenas
if sys.argv[1] == "limited":
    assert limit_arenas()
c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
held = threading.Barrier(9)
def allocate():
    c.malloc(100_000)
    held.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
held.wait()
c.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(c.fopen(file.name.encode(), b"w"))
    c.malloc_info(0, stream)
    c.fclose(stream)
    print(len(re.findall(b"<heap nr", file.read())))
"""


def arenas(how: str) -> int:
    run = subprocess.run([sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas to limit")
def test_threads_share_two_arenas() -> None:
    assert arenas("default") > 2
    assert arenas("limited") == 2


LARGE_BLOCKS = """
import ctypes, re, sys, tempfile
from tracker.machine.allocator import FRAME_BYTES, give_frames_back
c = ctypes.CDLL(None)
c.malloc.restype = c.fopen.restype = ctypes.c_void_p
if sys.argv[1] == "given back":
    assert give_frames_back()
c.free(ctypes.c_void_p(c.malloc(8 * FRAME_BYTES)))  # glibc learns from the first one that is freed
frame = c.malloc(FRAME_BYTES)
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(c.fopen(file.name.encode(), b"w"))
    c.malloc_info(0, stream)
    c.fclose(stream)
    sizes = re.findall(rb'<total type="mmap" count="\\d+" size="(\\d+)"', file.read())
print(int(sizes[-1]) >= FRAME_BYTES)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has this threshold")
def test_frames_are_no_part_of_the_heap() -> None:
    outputs = [
        subprocess.run([sys.executable, "-c", LARGE_BLOCKS, how], capture_output=True, text=True, check=True).stdout
        for how in ("default", "given back")
    ]
    assert outputs == ["False\n", "True\n"]
