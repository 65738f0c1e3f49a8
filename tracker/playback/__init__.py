"""Recordings played back: any frame at any time, in their own time, with what is drawn on them."""

from tracker.playback.opening import open_reader
from tracker.playback.player import Failed, Opened, Player, PlayerEvent, Shown
from tracker.playback.reader import FrameReader

__all__ = ["Failed", "FrameReader", "Opened", "Player", "PlayerEvent", "Shown", "open_reader"]
