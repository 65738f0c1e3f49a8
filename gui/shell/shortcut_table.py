"""Keys and what they do, looked up by key event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeyEvent, QKeySequence

from gui.workspace import Shortcut


class ShortcutTable:
    """Not QShortcut: that takes Space from the button that the keyboard is on."""

    def __init__(self, shortcuts: Sequence[Shortcut]) -> None:
        self._by_key = {QKeySequence(shortcut.key).toString(): shortcut for shortcut in shortcuts}

    def handle(self, event: QKeyEvent) -> bool:
        """Does what belongs to the key; False if nothing does."""
        shortcut = next((self._by_key[name] for name in _names(event) if name in self._by_key), None)
        if shortcut is None:
            return False
        if shortcut.repeats or not event.isAutoRepeat():
            shortcut.handler()
        event.accept()
        return True


def _names(event: QKeyEvent) -> list[str]:
    """What a shortcut for this key may be called; signs are named without the Shift that some keyboards need."""
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    variants = [modifiers]
    if event.text() and event.text().isprintable() and not event.text().isalnum():
        variants.append(modifiers & ~Qt.KeyboardModifier.ShiftModifier)
    # Numbers, as Qt.Key has no member for every key of every keyboard.
    return [QKeySequence(event.key() | cast(int, variant.value)).toString() for variant in variants]
