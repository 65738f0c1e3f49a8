"""Under the video: start, record, snapshot, and the confidence of the last seconds."""

from __future__ import annotations

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QWidget

from gui.look import theme
from gui.plots.rolling_plot import RollingPlot
from gui.plots.time_text import clock_text
from gui.widgets import Button

_PLOT_EVERY_S = 0.08  # finer than a pixel of twenty seconds


class ControlBar(QFrame):
    """Asks for things; the workspace does them."""

    start_wanted = pyqtSignal()  # or stop, whichever the button says
    record_wanted = pyqtSignal()  # likewise
    snapshot_wanted = pyqtSignal()

    def __init__(self, plot_seconds: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("ground", "bar")
        self.setProperty("line", "top")
        self._start = Button("Start", icon_name="play", kind="primary")
        self._record = Button("Record", icon_name="record")
        self._record.setCheckable(True)
        self._record.set_icon("record", "recording")
        self._snapshot = Button("Snapshot", icon_name="snapshot", tip="Saves the picture as it is shown, as PNG (S)")
        self.plot = RollingPlot(plot_seconds)
        self._plotted_s = 0.0
        metrics = theme.current().metrics
        row = QHBoxLayout(self)
        row.setContentsMargins(metrics.margin, metrics.gap, metrics.margin, metrics.gap)
        row.setSpacing(metrics.gap)
        for button in (self._start, self._record, self._snapshot):
            row.addWidget(button)
        row.addSpacing(metrics.gap)
        row.addWidget(self.plot, 1)
        self._start.setMinimumWidth(88)
        self._record.setMinimumWidth(104)
        self._start.clicked.connect(self.start_wanted)
        self._record.clicked.connect(lambda _on: self.record_wanted.emit())
        self._snapshot.clicked.connect(self.snapshot_wanted)
        self._running: bool | None = None
        self.show_running(False)
        self.show_recording(False, 0.0, 0)
        self.allow(record=False, snapshot=False)

    def show_running(self, running: bool) -> None:
        if running == self._running:
            return
        self._running = running
        self._start.setText("Stop" if running else "Start")
        self._start.set_icon("stop" if running else "play")
        self._start.set_kind("" if running else "primary")
        self._start.setToolTip("Stops the video (Space)" if running else "Starts the video (Space)")

    def show_recording(self, recording: bool, seconds: float, dropped: int) -> None:
        """How long it has been recording, and how many frames the encoders had no time for."""
        self._record.setChecked(recording)
        missing = f", {dropped} missing" if dropped else ""
        self._record.setText(f"{clock_text(seconds)}{missing}" if recording else "Record")
        records = "Records videos and tables as the settings say (Ctrl+R)"
        self._record.setToolTip("Completes the recording (Ctrl+R)" if recording else records)

    def allow(self, *, record: bool, snapshot: bool) -> None:
        """What can be done now."""
        self._record.setEnabled(record)
        self._snapshot.setEnabled(snapshot)

    def plot_faces(self, time_s: float, confidences: dict[int, float]) -> None:
        """Appends to the plot, as often as it makes a difference."""
        if not 0 <= time_s - self._plotted_s < _PLOT_EVERY_S:
            self._plotted_s = time_s
            self.plot.append(time_s, confidences)
