"""The faces of a picture: how each looks, how sure the network is, and what it makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from gui.canvas.qt_images import qimage_over
from gui.look import theme
from gui.widgets import FaceRow, label
from tracker.overlays.drawing import face_colour
from tracker.types import ImageArray, TrackedFace

_THUMBNAIL = 44  # px
_MOST_ROWS = 8  # more would make the panel jump about


class FaceList(QWidget):
    """A row a face, in the order of their ids."""

    face_chosen = pyqtSignal(int)  # face id

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[_Row] = []
        self._note = label(role="dim")
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(theme.current().metrics.gap)
        self._column.addWidget(self._note)
        self.show_faces((), {})

    def show_faces(
        self,
        faces: Sequence[TrackedFace],
        crops: Mapping[int, ImageArray],
        *,
        nothing: str = "No face is in the picture.",
    ) -> None:
        """
        Args:
            crops: face id -> (S, S, 3) RGB, as far as they are known.
            nothing: what is said where there is no face.
        """
        faces = faces[:_MOST_ROWS]
        while len(self._rows) < len(faces):
            row = _Row()
            row.clicked.connect(lambda row=row: self.face_chosen.emit(row.face_id))
            self._rows.append(row)
            self._column.addWidget(row)
        for row, face in zip(self._rows, faces, strict=False):
            row.show_face(face, crops.get(face.face_id))
        for i, row in enumerate(self._rows):
            row.setVisible(i < len(faces))
        self._note.setText(nothing)
        self._note.setVisible(not faces)


class _Row(FaceRow):
    def __init__(self) -> None:
        super().__init__()
        self.face_id = -1
        self._crop, self._reconstruction = _Thumbnail(), _Thumbnail()
        self._name, self._error = label(), label(role="dim")
        self._bar = _ConfidenceBar()
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(self._name)
        texts.addWidget(self._bar)
        texts.addWidget(self._error)
        self.content.addWidget(self._crop)
        self.content.addLayout(texts, 1)
        self.content.addWidget(self._reconstruction)
        self.setToolTip("Look closer at this face; again: at the whole picture")

    def show_face(self, face: TrackedFace, crop: ImageArray | None) -> None:
        colour = QColor(*face_colour(face.face_id))
        self.face_id = face.face_id
        self._name.setText(f"Face {face.face_id}   {face.box.score:.2f}")
        self._bar.show_value(face.box.score)
        error = "" if face.recon_error is None else f"error {face.recon_error:.1f}"
        self._error.setText(error)
        self._error.setVisible(bool(error))
        self._crop.show_image(crop, colour)
        self._reconstruction.setVisible(face.reconstruction is not None)
        self._reconstruction.show_image(face.reconstruction, colour)
        self.setAccessibleName(f"Face {face.face_id}, confidence {face.box.score:.2f}")


class _Thumbnail(QWidget):
    """A small square picture with round corners and an edge in the face's colour."""

    def __init__(self) -> None:
        super().__init__()
        self._image: ImageArray | None = None
        self._colour = QColor()
        self.setFixedSize(self.sizeHint())

    def sizeHint(self) -> QSize:
        return QSize(_THUMBNAIL, _THUMBNAIL)

    def show_image(self, image: ImageArray | None, colour: QColor) -> None:
        self._image, self._colour = image, colour
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        frame = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        outline = QPainterPath()
        outline.addRoundedRect(frame, 5, 5)
        painter.fillPath(outline, theme.current().colour("canvas"))
        if self._image is not None:
            painter.setClipPath(outline)
            painter.drawImage(frame, qimage_over(self._image))
            painter.setClipping(False)
        painter.setPen(QPen(self._colour, 1.5))
        painter.drawPath(outline)


class _ConfidenceBar(QWidget):
    """How sure the network is, 0 to 1, in the colour that the overlay gives it."""

    def __init__(self) -> None:
        super().__init__()
        self._value = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(80, 6)

    def show_value(self, value: float) -> None:
        self._value = min(max(value, 0.0), 1.0)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        whole = QRectF(self.rect())
        painter.setBrush(theme.current().colour("line"))
        painter.drawRoundedRect(whole, 3, 3)
        painter.setBrush(theme.confidence_colour(self._value))
        painter.drawRoundedRect(QRectF(0, 0, whole.width() * self._value, whole.height()), 3, 3)
