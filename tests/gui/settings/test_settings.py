"""Settings: remembered, forgiving, shown."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QCheckBox, QPushButton, QSpinBox
from pytestqt.qtbot import QtBot

from gui.services import Services
from gui.settings.model_chooser import ModelChooser, cutoff_hz
from gui.settings.settings_panel import SettingsPanel
from gui.settings.settings_schema import Settings, control_of
from gui.settings.settings_store import SettingsStore, read_settings
from models.errors import FewmarkError
from models.registry import DEFAULT_MODEL
from tracker.config import OneEuroSettings


def test_what_is_changed_is_there_the_next_time(qapp: object, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.toml"
    store = SettingsStore(path)
    store.update("live", mirror=False, overlays=("points", "heatmap"), camera="046d:0825")
    store.update("recording", folder=tmp_path)
    store.save()

    again = SettingsStore(path)

    assert again.current == store.current
    assert (again.current.live.mirror, again.current.live.overlays) == (False, ("points", "heatmap"))
    assert again.current.recording.folder == tmp_path
    assert again.problem == ""


def test_the_file_is_written_by_itself_and_not_before_something_changed(qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    store = SettingsStore(path)
    store.save()
    assert not path.exists()
    for steps in range(10):
        store.update("tracking", smoothing=steps / 10)
    assert not path.exists()
    qtbot.waitUntil(path.exists, timeout=3000)
    assert tomllib.loads(path.read_text(encoding="utf-8"))["tracking"]["smoothing"] == 0.9


def test_everyone_hears_of_a_change_once(qtbot: QtBot, services: Services) -> None:
    heard: list[Settings] = []
    services.settings.changed.connect(heard.append)
    services.settings.update("live", mirror=False)
    services.settings.update("live", mirror=False)
    assert [settings.live.mirror for settings in heard] == [False]


def test_a_value_of_the_wrong_type_is_refused(services: Services) -> None:
    with pytest.raises(FewmarkError, match="mirror"):
        services.settings.update("live", mirror="yes")
    assert services.settings.current == Settings()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[live]\nfuture = 1\n", "live.future is unknown"),
        ("[teach]\nimages = 10\n", "teach is unknown"),
        ('[live]\nwidth = "wide"\n', "live.width: int is expected"),
        ("[tracking]\nmax_faces = 9000\n", "tracking.max_faces: 9000 is not within 1 and 40"),
        ('[window]\ntheme = "pink"\n', "window.theme: 'pink' is not one of"),
        ("live = 3\n", "live is not a section"),
    ],
)
def test_what_this_version_does_not_know_costs_nothing_else(
    qapp: object, tmp_path: Path, text: str, fault: str
) -> None:
    path = tmp_path / "settings.toml"
    kept = "[video]\nspeed = 2.0\n"
    path.write_text(text + kept if text.startswith("live =") else kept + text, encoding="utf-8")
    before = path.read_bytes()

    store = SettingsStore(path)

    assert fault in store.problem
    assert store.current == dataclasses.replace(Settings(), video=dataclasses.replace(Settings().video, speed=2.0))
    assert path.with_name("settings.toml.bak").read_bytes() == before
    store.save()
    assert SettingsStore(path).problem == ""  # said once


def test_a_damaged_file_is_kept_and_said(qapp: object, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(b"\xff\xfe\x00 not TOML")
    store = SettingsStore(path)
    assert store.current == Settings()
    assert "can't be read" in store.problem
    assert str(path.with_name("settings.toml.bak")) in store.problem
    assert path.with_name("settings.toml.bak").read_bytes() == b"\xff\xfe\x00 not TOML"


def test_a_folder_that_can_not_be_written_is_said_once(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = SettingsStore(tmp_path / "file" / "settings.toml")
    said: list[str] = []
    store.save_failed.connect(said.append)
    for mirror in (False, True, False):
        store.update("live", mirror=mirror)
        store.save()
    assert len(said) == 1
    assert str(store.path) in said[0]


def test_reset_keeps_the_windows_place_and_can_be_undone(services: Services) -> None:
    store = services.settings
    store.update("live", mirror=False)
    store.update("window", geometry="AAAA")
    before = store.current
    store.reset()
    assert store.current.live == Settings().live
    assert store.current.window.geometry == "AAAA"
    store.restore(before)
    assert store.current == before


def test_a_missing_file_is_no_problem(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "none.toml") == (Settings(), ())


def test_every_default_lies_within_its_control() -> None:
    for section in dataclasses.fields(Settings):
        values = getattr(Settings(), section.name)
        for item in dataclasses.fields(values):
            value, control = getattr(values, item.name), control_of(item)
            if control is not None and isinstance(value, float | int) and not isinstance(value, bool):
                assert control.minimum <= value <= control.maximum, item.name


def test_the_panel_shows_and_changes_every_setting_that_has_a_control(qtbot: QtBot, services: Services) -> None:
    panel = SettingsPanel(services.settings)
    qtbot.addWidget(panel)
    boxes = {box.text(): box for box in panel.findChildren(QCheckBox)}
    shown = [
        control.label
        for section in dataclasses.fields(Settings)
        for item in dataclasses.fields(getattr(Settings(), section.name))
        if (control := control_of(item)) is not None and isinstance(item.default, bool)
    ]
    assert sorted(boxes) == sorted(shown)

    before = services.settings.current.recording.jsonl
    boxes["JSON lines"].click()
    assert services.settings.current.recording.jsonl is not before
    services.settings.update("recording", jsonl=before)
    assert boxes["JSON lines"].isChecked() is before

    (faces,) = panel.findChildren(QSpinBox)
    faces.setValue(7)
    assert services.models.max_faces == 7
    (reset,) = (button for button in panel.findChildren(QPushButton) if button.text() == "Reset everything")
    with qtbot.waitSignal(panel.reset_wanted):
        reset.click()


def test_the_chooser_gives_the_tracker_what_was_chosen(services: Services, tmp_path: Path) -> None:
    chooser, heard = services.models, []
    chooser.changed.connect(lambda: heard.append(chooser.tracker_config))
    services.settings.update("live", mirror=False)
    assert heard == []
    chooser.choose_backend("eager")
    chooser.choose_max_faces(2)
    services.settings.update("tracking", smoothing=0.0)
    assert [(config.backend, config.tracking.max_faces, config.smooth) for config in heard] == [
        ("eager", 20, True),
        ("eager", 2, True),
        ("eager", 2, False),
    ]
    with pytest.raises(FewmarkError, match="no such model file"):
        chooser.choose_model(str(tmp_path / "none.safetensors"))
    assert chooser.model == DEFAULT_MODEL
    file = tmp_path / "mine.safetensors"
    file.touch()
    chooser.choose_model(str(file))
    assert chooser.model_choices()[str(file)] == "mine.safetensors"
    trained = tmp_path / "dogs/model.safetensors"
    trained.parent.mkdir()
    trained.touch()
    chooser.choose_model(str(trained))
    assert chooser.model_choices()[str(trained)] == "dogs"
    chooser.fall_back()
    assert (chooser.model, chooser.backend) == (DEFAULT_MODEL, "auto")


def test_the_choosers_engines_are_the_trackers(services: Services) -> None:
    from tracker.backends import BACKENDS

    assert list(services.models.backend_choices()) == ["auto", *BACKENDS]


def test_half_of_the_smoothing_is_the_filters_own_default() -> None:
    assert cutoff_hz(0.5) == pytest.approx(OneEuroSettings().min_cutoff_hz)
    assert cutoff_hz(0.0) > cutoff_hz(0.5) > cutoff_hz(1.0) > 0


def test_two_choosers_follow_one_store(services: Services) -> None:
    other = ModelChooser(services.settings)
    other.choose_max_faces(3)
    assert services.models.max_faces == 3
