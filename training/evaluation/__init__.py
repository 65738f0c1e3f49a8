"""How good a model is: on labelled faces, and in the jitter and lag of its landmarks on video."""

from training.evaluation.figures import Entry, Figures, unique_names, work_out
from training.evaluation.report import render_page, write_report, write_reports
from training.evaluation.result import Evaluation, load_evaluation
from training.evaluation.running import evaluate_model
from training.evaluation.tables import print_comparison, print_evaluation

__all__ = [
    "Entry",
    "Evaluation",
    "Figures",
    "evaluate_model",
    "load_evaluation",
    "print_comparison",
    "print_evaluation",
    "render_page",
    "unique_names",
    "work_out",
    "write_report",
    "write_reports",
]
