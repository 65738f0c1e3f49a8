"""What crosses from other threads into Qt's."""

from __future__ import annotations

from threading import Thread

from pytestqt.qtbot import QtBot

from gui.tracker_bridge import Doorbell

PATIENCE_MS = 180_000  # a busy machine is no failure


def test_a_doorbell_rings_once_however_often_it_is_rung(qtbot: QtBot) -> None:
    bell = Doorbell()
    heard: list[int] = []
    bell.rung.connect(lambda: heard.append(1))

    def ring_often() -> None:
        for _ in range(100):
            bell.ring()

    ringer = Thread(target=ring_often)
    ringer.start()
    ringer.join()
    assert heard == []
    qtbot.waitUntil(lambda: heard == [1], timeout=PATIENCE_MS)
    qtbot.wait(20)
    assert heard == [1]
    bell.ring()
    qtbot.waitUntil(lambda: heard == [1, 1], timeout=PATIENCE_MS)
