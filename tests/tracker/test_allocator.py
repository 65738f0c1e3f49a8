"""Counts arenas in glibc's own report, in a process of its own."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import ctypes, re, sys, tempfile, threading
from tracker.allocator import limit_arenas
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
