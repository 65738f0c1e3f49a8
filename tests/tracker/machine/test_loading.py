"""The collector while a program loads. In a process of its own: what it leaves out, it leaves out for good."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import gc, weakref
from tracker.machine.loading import loading

class Node:
    def __init__(self):
        self.itself = self

before = gc.get_freeze_count()
with loading():
    loaded = weakref.ref(Node())
    assert not gc.isenabled()
assert gc.isenabled() and gc.get_freeze_count() > before
later = weakref.ref(Node())
gc.collect()
assert later() is None and loaded() is not None
gc.disable()
try:
    with loading():
        raise KeyError
except KeyError:
    assert not gc.isenabled()  # as it was
"""


def test_what_is_loaded_is_not_looked_through_again() -> None:
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
