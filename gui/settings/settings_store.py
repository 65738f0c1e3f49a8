"""The settings in use, remembered in a TOML file in the user's configuration folder."""

from __future__ import annotations

import dataclasses
import shutil
import tomllib
from pathlib import Path
from typing import Any

import platformdirs
import tomli_w
from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from gui.settings.settings_schema import Settings, control_of
from models.errors import FewmarkError
from tracker.files.dataclass_toml import from_mapping, to_mapping

_SAVE_DELAY_MS = 500  # a slider that is dragged is written once


def settings_path() -> Path:
    """Where the settings are remembered on this system."""
    return Path(platformdirs.user_config_dir("fewmark", appauthor=False)) / "settings.toml"


class SettingsStore(QObject):
    """Whoever changes a setting does so here; whoever depends on one listens to ``changed``. GUI thread only."""

    changed = pyqtSignal(object)  # Settings, after every change
    save_failed = pyqtSignal(str)  # a sentence for the user, once until a save succeeds again

    def __init__(self, path: Path | None = None, parent: QObject | None = None) -> None:
        """
        Args:
            path: the file, default ``settings_path()``; it need not exist. What it holds that this version can't use
                is replaced by defaults, the file is kept beside it as ``.bak``, and ``problem`` says so.
        """
        super().__init__(parent)
        self.path = path or settings_path()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SAVE_DELAY_MS)
        self._timer.timeout.connect(self.save)
        self._failing = False
        self._current, faults = read_settings(self.path)
        self._saved: Settings | None = self._current
        self.problem = ""  # a sentence for the user, or empty
        if faults:
            self.problem = self._keep_backup(faults)
            self._saved = None
            self._timer.start()

    @property
    def current(self) -> Settings:
        return self._current

    def update(self, section: str, **changes: Any) -> None:
        """Changes values of one section, as in ``update("live", mirror=False)``; the file is written a moment later.

        Raises:
            FewmarkError: a value has the wrong type.
        """
        known = getattr(self._current, section)
        plain = to_mapping(dataclasses.replace(known, **changes))
        checked = from_mapping(type(known), plain, f"settings, {section}")
        self.restore(dataclasses.replace(self._current, **{section: checked}))

    def reset(self) -> None:
        """Everything back to its default, except where the window stands on the screen."""
        defaults = Settings()
        place = dataclasses.replace(defaults.window, geometry=self._current.window.geometry)
        self.restore(dataclasses.replace(defaults, window=place))

    def restore(self, settings: Settings) -> None:
        """Takes over a whole tree, such as the one before ``reset``."""
        if settings != self._current:
            self._current = settings
            self._timer.start()
            self.changed.emit(settings)

    def save(self) -> None:
        """Writes the file now if anything changed; whole or not at all."""
        self._timer.stop()
        if self._current == self._saved:
            return
        partial = self.path.with_name(self.path.name + ".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(tomli_w.dumps(to_mapping(self._current)), encoding="utf-8")
            partial.replace(self.path)
        except OSError as error:
            if not self._failing:
                text = f"Settings can't be remembered: {self.path}: {error.strerror}. Make its folder writable."
                self.save_failed.emit(text)
            self._failing = True
            return
        self._saved, self._failing = self._current, False

    def _keep_backup(self, faults: tuple[str, ...]) -> str:
        what = f"{faults[0]}{f' and {len(faults) - 1} more' if len(faults) > 1 else ''}"
        backup = self.path.with_name(self.path.name + ".bak")
        try:
            shutil.copyfile(self.path, backup)
        except OSError as error:
            return f"Some settings are back to their defaults ({what}); the old file can't be kept: {error.strerror}."
        return f"Some settings are back to their defaults ({what}). The old file is kept as {backup}."


def read_settings(path: Path) -> tuple[Settings, tuple[str, ...]]:
    """The settings that a file holds, as far as this version understands it.

    Returns:
        The settings, defaults where the file has nothing usable; and what was wrong, in a few words each.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings(), ()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return Settings(), (f"the file can't be read: {error}",)
    sections: dict[str, Any] = {}
    faults = [f"{name} is unknown" for name in data if name not in Settings.__dataclass_fields__]
    for item in dataclasses.fields(Settings):
        values = data.get(item.name, {})
        if isinstance(values, dict):
            sections[item.name], wrong = _read_section(getattr(Settings(), item.name), values)
            faults += [f"{item.name}.{fault}" for fault in wrong]
        else:
            faults.append(f"{item.name} is not a section")
    return Settings(**sections), tuple(faults)


def _read_section(section: Any, values: dict[str, Any]) -> tuple[Any, list[str]]:
    """``section`` with those of the values that fit, and what was wrong with the others."""
    faults = []
    fields = {item.name: item for item in dataclasses.fields(section)}
    for name, value in values.items():
        if name not in fields:
            faults.append(f"{name} is unknown")
            continue
        try:
            read = getattr(from_mapping(type(section), {name: value}, name), name)
        except FewmarkError as error:
            faults.append(str(error).replace(f"{name}: {name}: ", f"{name}: "))
            continue
        control = control_of(fields[name])
        is_number = isinstance(read, int | float) and not isinstance(read, bool)
        if control and is_number and not control.minimum <= read <= control.maximum:
            faults.append(f"{name}: {read:g} is not within {control.minimum:g} and {control.maximum:g}")
            continue
        section = dataclasses.replace(section, **{name: read})
    return section, faults
