"""What several subcommands say of the same option."""

from __future__ import annotations

DATASET_NAMES = "labels, csv, dlib-xml, 300w, 300w-lp, wflw, aflw, aflw-21, aflw2000-3d, cofw"
BACKEND_HELP = "What runs the network (fewmark doctor lists what can); auto takes the best that works."
