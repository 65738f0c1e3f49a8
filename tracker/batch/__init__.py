"""Sources through the tracker into files: what the command does, and the window in the background."""

from tracker.batch.jobs import Job, plan_jobs
from tracker.batch.run import JobReport, expected_frames, run_job
from tracker.batch.settings import OutputChoice, Selection
from tracker.batch.sidecar import SIDECAR_SUFFIX

__all__ = [
    "SIDECAR_SUFFIX",
    "Job",
    "JobReport",
    "OutputChoice",
    "Selection",
    "expected_frames",
    "plan_jobs",
    "run_job",
]
