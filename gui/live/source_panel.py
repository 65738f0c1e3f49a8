"""Which camera, at which size and rate, and whether it is mirrored."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from gui.live.requests import names_a_camera
from gui.look import theme
from gui.settings.settings_schema import LiveSettings
from gui.widgets import Chip, Choice, ElidedLabel

_SIZES = ((640, 480), (1280, 720), (1920, 1080), (3840, 2160))
_RATES = (15.0, 24.0, 25.0, 30.0, 50.0, 60.0)


class SourcePanel(QWidget):
    """Shows the source and asks for another one. ``source_wanted`` comes with a key of ``source_choices``."""

    source_wanted = pyqtSignal(str)
    size_wanted = pyqtSignal(int, int)  # px
    rate_wanted = pyqtSignal(float)  # frames/s
    mirror_wanted = pyqtSignal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._source = Choice("Source of the video", characters=20)
        self._size = Choice("Resolution that is asked of the camera", characters=9)
        self._rate = Choice("Frames per second that are asked of the camera", characters=6)
        self._mirror = Chip("Mirror", tip="Flips the video left to right before it is tracked; recordings as well (M)")
        self._facts = ElidedLabel(role="dim")
        self._source.chosen.connect(self.source_wanted)
        self._size.chosen.connect(self._ask_size)
        self._rate.chosen.connect(lambda rate: self.rate_wanted.emit(float(rate)))
        self._mirror.clicked.connect(self.mirror_wanted)
        self._lay_out()

    def show_sources(self, choices: Mapping[str, str], source: str) -> None:
        """What there is, and which of them is chosen; only cameras can be asked for a size and a rate."""
        self._source.set_choices(choices, source)
        for choice in (self._size, self._rate):
            choice.setEnabled(names_a_camera(source))

    def show_settings(self, live: LiveSettings) -> None:
        """What is asked of a camera. A size or rate that is not among the usual ones joins them."""
        sizes = sorted({*_SIZES, (live.width, live.height)})
        self._size.set_choices({f"{w}x{h}": f"{w} x {h}" for w, h in sizes}, f"{live.width}x{live.height}")
        rates = sorted({*_RATES, live.frame_rate})
        self._rate.set_choices({str(rate): f"{rate:g} fps" for rate in rates}, str(live.frame_rate))
        self._mirror.setChecked(live.mirror)

    def show_facts(self, text: str) -> None:
        """What the source gives."""
        self._facts.set_text(text)

    def _ask_size(self, size: str) -> None:
        width, height = size.split("x")
        self.size_wanted.emit(int(width), int(height))

    def _lay_out(self) -> None:
        gap = theme.current().metrics.gap
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(gap)
        column.addWidget(self._source)
        row = QHBoxLayout()
        row.setSpacing(gap)
        row.addWidget(self._size, 3)
        row.addWidget(self._rate, 2)
        column.addLayout(row)
        row = QHBoxLayout()
        row.setSpacing(gap)
        row.addWidget(self._mirror)
        row.addWidget(self._facts, 1)
        column.addLayout(row)
