"""Play, step, speed, and where in the recording we are."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QWidget

from gui.look import theme
from gui.plots.time_text import clock_text
from gui.widgets import Button, Choice, ElidedLabel, IconButton, label
from tracker.playback.player import SPEEDS

_FINE_S = 0.001  # times are shown to the millisecond


class TransportBar(QWidget):
    """The controls under the picture. It asks; the workspace does."""

    play_wanted = pyqtSignal()  # or pause, whichever it isn't
    step_wanted = pyqtSignal(int)  # frames
    speed_wanted = pyqtSignal(float)
    loop_wanted = pyqtSignal(bool)
    doubtful_wanted = pyqtSignal(int)  # +1 the next, -1 the previous of the least confident moments

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._back = IconButton("step-back", "One frame back (Left)")
        self._play = IconButton("play", "Play (Space)")
        self._forward = IconButton("step-forward", "One frame forward (Right)")
        self._loop = IconButton("loop", "Begin again after the last frame (L)")
        self._loop.setCheckable(True)
        self._time = label()
        self._frame = ElidedLabel(role="dim")
        self._speed = Choice("Speed of playing", characters=4)
        self._speed.set_choices({str(speed): f"{speed:g}x" for speed in SPEEDS}, "1.0")
        self._doubtful = Button("Least confident", icon_name="next", tip="Go to the next least confident moment (N)")
        for button in (self._back, self._play, self._forward, self._loop, self._doubtful):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # after a click the arrow keys still step
        self._lay_out()
        self._back.clicked.connect(lambda: self.step_wanted.emit(-1))
        self._play.clicked.connect(self.play_wanted)
        self._forward.clicked.connect(lambda: self.step_wanted.emit(1))
        self._speed.chosen.connect(lambda speed: self.speed_wanted.emit(float(speed)))
        self._loop.clicked.connect(self.loop_wanted)
        self._doubtful.clicked.connect(lambda: self.doubtful_wanted.emit(1))
        self.show_nothing()

    def show_position(self, index: int, count: int, time_s: float, end_s: float) -> None:
        """The frame that is shown, of ``count``, and its time [s] since the first frame, of ``end_s``."""
        self._time.setText(f"{clock_text(time_s, _FINE_S)} / {clock_text(end_s, _FINE_S)}")
        self._frame.set_text(f"frame {index + 1} of {count}", short=f"{index + 1} / {count}")
        self._allow(True)

    def show_playing(self, playing: bool) -> None:
        self._play.set_icon("pause" if playing else "play")
        self._play.set_tip("Pause (Space)" if playing else "Play (Space)")

    def show_settings(self, speed: float, loop: bool) -> None:
        self._speed.set_value(str(speed))
        self._loop.setChecked(loop)

    def show_doubtful(self, at: int | None, count: int) -> None:
        """How many least confident moments there are, and which of them is shown, from 0."""
        self._doubtful.setEnabled(count > 0)
        self._doubtful.setText("Least confident" if at is None else f"Least confident {at + 1} of {count}")

    def show_nothing(self) -> None:
        """No recording is open."""
        self._time.setText("")
        self._frame.set_text("")
        self.show_playing(False)
        self.show_doubtful(None, 0)
        self._allow(False)

    def _allow(self, allowed: bool) -> None:
        for button in (self._back, self._play, self._forward):
            button.setEnabled(allowed)

    def _lay_out(self) -> None:
        metrics = theme.current().metrics
        self._play.setIconSize(QSize(metrics.icon + 4, metrics.icon + 4))
        # As wide as the widest time, so that nothing jumps while it plays.
        self._time.setMinimumWidth(self._time.fontMetrics().horizontalAdvance("00:00.000 / 00:00.000"))
        row = QHBoxLayout(self)
        row.setContentsMargins(metrics.margin, metrics.gap, metrics.margin, metrics.small_gap)
        row.setSpacing(metrics.small_gap)
        for button in (self._back, self._play, self._forward, self._loop):
            row.addWidget(button)
        row.addSpacing(metrics.gap)
        row.addWidget(self._time)
        row.addSpacing(metrics.gap)
        row.addWidget(self._frame, 1)
        row.addWidget(self._doubtful)
        row.addSpacing(metrics.gap)
        row.addWidget(self._speed)
