"""Reads a table of ``fewmark track`` with pandas, and keeps the landmarks of which the network is sure.

python docs/examples/sure_landmarks.py results/film.csv --min 0.8 --out sure.csv      # needs: pip install pandas
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd


def main() -> None:
    parser = argparse.ArgumentParser(description="Keep the landmarks of which the network is sure.")
    parser.add_argument("table", type=Path, help="of fewmark track")
    parser.add_argument("--min", type=float, default=0.8, help="confidence, 0 to 1")
    parser.add_argument("--out", type=Path, default=Path("sure.csv"))
    arguments = parser.parse_args()

    table = pd.read_csv(arguments.table)
    faces = table[table["success"] == 1].copy()  # a frame without a face has a row, too
    marks = [int(column.removeprefix("c_")) for column in table.columns if column.startswith("c_")]
    sure = pd.DataFrame({mark: faces[f"c_{mark}"] >= arguments.min for mark in marks})
    for mark in marks:
        faces.loc[~sure[mark], [f"x_{mark}", f"y_{mark}"]] = float("nan")  # an empty cell in the new table
    faces.to_csv(arguments.out, index=False)

    print(f"{len(faces)} faces in {table['frame'].nunique()} frames, on average {faces['confidence'].mean():.2f} sure")
    print(f"{sure.to_numpy().mean():.1%} of the landmarks are at least {arguments.min:g} sure; least often:")
    for mark, share in sure.mean().nsmallest(5).items():
        print(f"  landmark {mark}: in {share:.0%} of the faces")
    print(arguments.out)


if __name__ == "__main__":
    main()
