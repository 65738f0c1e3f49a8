"""Teaches five points from ten pictures, then looks for them in another one. Takes minutes on a CPU.

python docs/examples/teach_five_points.py labels.csv another.jpg --out runs/five

The table has a picture a row, and names of your own (docs/training.md):
image, left_pupil_x, left_pupil_y, right_pupil_x, right_pupil_y, nose_tip_x, nose_tip_y, ...
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from PIL import Image

from tracker import OverlayContext, TrackerConfig, open_source, open_tracker, render
from tracker.files.dataclass_toml import load_toml
from training.config import LandmarkRecipe
from training.recipes import find_recipe
from training.stages.landmark_stage import train_landmarks


def teach(table: Path, out: Path, recipe_name: str, steps: int | None) -> Path:
    """The model file that a shipped recipe makes of the table; fewer steps than the recipe's are for trying it out."""
    recipe = load_toml(LandmarkRecipe, find_recipe(Path(recipe_name)))
    recipe = replace(recipe, name=out.name, data=replace(recipe.data, dataset="csv"))
    if steps is not None:
        recipe = replace(recipe, phases=tuple(replace(phase, epochs=1, min_steps=steps) for phase in recipe.phases))
    path = train_landmarks(recipe, table, out)
    assert path is not None  # only a run that was stopped leaves none
    return path


def find(model: Path, picture: Path, drawn: Path) -> None:
    """Prints the points of every face of a picture, and draws them."""
    with open_tracker(TrackerConfig(model=str(model))) as tracker, open_source(picture) as source:
        result = tracker.process_still(next(iter(source)))
        scheme = tracker.model.scheme
    print(f"{picture.name}: {len(result.faces)} faces")
    for face in result.faces:
        for name, (x, y), confidence in zip(scheme.point_names, face.points, face.confidence, strict=True):
            print(f"  {name:<20}{x:8.1f}{y:8.1f}   confidence {confidence:.2f}")
    Image.fromarray(render(result, ["points"], OverlayContext(scheme))).save(drawn)


def main() -> None:
    parser = argparse.ArgumentParser(description="Teach points of your own from a few labelled pictures.")
    parser.add_argument("table", type=Path, help="CSV: a labelled picture a row")
    parser.add_argument("picture", type=Path, help="where to look for the points afterwards")
    parser.add_argument("--out", type=Path, default=Path("runs/five"), help="folder of the run")
    parser.add_argument("--recipe", default="teach256")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    arguments = parser.parse_args()

    model = teach(arguments.table, arguments.out, arguments.recipe, arguments.steps)
    find(model, arguments.picture, arguments.out / "found.png")
    print(model)


if __name__ == "__main__":
    main()
