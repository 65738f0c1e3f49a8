"""The window's lowest line: what really runs, and the figures that say how well."""

from __future__ import annotations

from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QToolTip, QWidget

from gui.look import theme
from gui.settings.model_chooser import BACKEND_TITLES
from gui.widgets import ElidedLabel, IconButton, label
from gui.workspace import Status


class StatusLine(QFrame):
    """Shows the ``Status`` of the workspace in front."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("ground", "bar")
        self.setProperty("line", "top")
        self._engine = ElidedLabel(role="dim")
        self._why = IconButton("info", "")
        self._why.clicked.connect(self._tell_why)
        self._activity = ElidedLabel()
        self._activity.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._figures = {name: label(role="dim") for name in ("rates", "latency", "replaced")}
        self._figures["rates"].setToolTip(
            "Frames per second: that the camera delivers, that the model tracks, that are painted"
        )
        self._figures["latency"].setToolTip("From the capture of a frame until it is painted with its landmarks")
        self._figures["replaced"].setToolTip("Frames that a newer one took the place of before they were tracked")
        metrics = theme.current().metrics
        row = QHBoxLayout(self)
        row.setContentsMargins(metrics.margin, 2, metrics.margin, 2)
        row.setSpacing(metrics.section_gap)
        engine = QHBoxLayout()
        engine.setSpacing(metrics.small_gap)
        engine.addWidget(self._why)
        engine.addWidget(self._engine, 1)
        row.addLayout(engine, 3)
        row.addWidget(self._activity, 2)
        for figure in self._figures.values():
            figure.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            row.addWidget(figure)
        self.setMinimumHeight(metrics.control_height)
        self.show_status(Status())

    def show_status(self, status: Status) -> None:
        """Takes over all of it; what is None is left out."""
        self._engine.set_text(engine_text(status))
        why = why_text(status)
        self._why.setVisible(bool(why))
        if why != self._why.toolTip():
            self._why.set_tip(why)
        self._activity.set_text(status.activity or pending_text(status))
        replaced = "" if status.replaced is None else f"replaced {status.replaced}"
        latency = "" if status.latency_ms is None else f"latency {status.latency_ms:.0f} ms"
        for name, text in (("rates", rates_text(status)), ("latency", latency), ("replaced", replaced)):
            figure = self._figures[name]
            figure.setVisible(bool(text))
            if text != figure.text():
                figure.setText(text)
                # Figures that change width would make the whole line wander.
                figure.setMinimumWidth(max(figure.minimumWidth(), figure.sizeHint().width()) if text else 0)

    def _tell_why(self) -> None:
        """The tip for those who have no pointer to rest on the sign."""
        QToolTip.showText(self._why.mapToGlobal(QPoint(0, -self._why.height())), self._why.toolTip(), self._why)


def why_text(status: Status) -> str:
    """Which better backends don't run and why, a line each; "" if the best one does."""
    if not status.passed_over:
        return ""
    reasons = (
        f"{BACKEND_TITLES.get(better.backend, better.backend)}: {better.reason}" for better in status.passed_over
    )
    return "\n".join(("Not used, though it would be faster:", *reasons))


def pending_text(status: Status) -> str:
    """ "TensorRT: its engine is being built (1:20)": the better backend that is on its way, or ""."""
    coming = (better for better in status.passed_over if better.pending)
    return next((f"{BACKEND_TITLES.get(b.backend, b.backend)}: {b.reason}" for b in coming), "")


def engine_text(status: Status) -> str:
    """ "fast128 on OpenVINO, Intel Core i5, f32": as much of it as is known."""
    backend = BACKEND_TITLES.get(status.backend, status.backend)
    runs_on = ", ".join(part for part in (backend, status.device) if part)
    return " on ".join(part for part in (status.model, runs_on) if part)


def rates_text(status: Status) -> str:
    """ "camera 30.0, model 62.1, shown 30.0 fps": those that are known."""
    rates = (("camera", status.camera_rate), ("model", status.model_rate), ("shown", status.shown_rate))
    known = [f"{name} {rate:.1f}" for name, rate in rates if rate is not None]
    return f"{', '.join(known)} fps" if known else ""
