"""How threads hand things on."""

from __future__ import annotations

import time
from threading import Thread

import pytest

from tracker.live import Handover, Mailbox, RateMeter


def test_a_mailbox_holds_the_newest_item_and_counts_the_replaced_ones() -> None:
    box: Mailbox[int] = Mailbox()
    assert box.take() is None
    assert [box.put(i) for i in range(4)] == [True, False, False, False]
    assert (box.take(), box.take(), box.replaced) == (3, None, 3)
    assert box.put(4)
    box.clear()
    assert (box.take(), box.replaced) == (None, 0)


def test_a_mailbox_wakes_whoever_waits() -> None:
    box: Mailbox[int] = Mailbox()
    writer = Thread(target=lambda: (time.sleep(0.05), box.put(7)))
    writer.start()
    assert box.take(timeout_s=30) == 7
    writer.join()
    before = time.perf_counter()
    assert box.take(timeout_s=0.05) is None
    assert time.perf_counter() - before >= 0.05


def test_a_handover_loses_nothing() -> None:
    handover: Handover[int] = Handover()
    taken: list[int] = []

    def read() -> None:
        while len(taken) < 50:
            item = handover.take(30)
            if item is not None:
                time.sleep(0.001)  # slower than the writer
                taken.append(item)

    reader = Thread(target=read)
    reader.start()
    assert all(handover.put(i, 30) for i in range(50))
    reader.join()
    assert taken == list(range(50))


def test_a_full_handover_says_so_and_a_wake_ends_the_waiting() -> None:
    handover: Handover[int] = Handover()
    assert handover.put(1, 0)
    assert not handover.put(2, 0.01)
    assert handover.take(0) == 1
    handover.wake()
    before = time.perf_counter()
    assert handover.take(30) is None
    assert time.perf_counter() - before < 20
    handover.wake()
    assert handover.put(3, 0)
    assert handover.take(0) == 3  # a wake does not hide an item


def test_a_rate_is_that_of_the_last_seconds_and_falls_when_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("tracker.live.mailbox.time.perf_counter", lambda: now)
    meter = RateMeter()
    assert meter.rate is None
    for _ in range(200):
        meter.tick()
        now += 0.02
    assert meter.rate == pytest.approx(50, rel=0.02)
    now += 1.0
    assert meter.rate is not None
    assert meter.rate < 35
    now += 2.0
    assert meter.rate is None
    meter.tick()
    meter.clear()
    assert meter.rate is None
