"""Long work as rows: see ARCHITECTURE §4. A request enqueues in its own transaction; a worker's kernel runs one step at a time."""

from common.jobs.flow import Engines, Flow, Run
from common.jobs.kernel import Kernel
from common.jobs.outcome import Done, Fail, Goto, Outcome, Park, Wait
from common.jobs.queue import divert, enqueue, everything, hasten, unpark

__all__ = [
    "Done",
    "Engines",
    "Fail",
    "Flow",
    "Goto",
    "Kernel",
    "Outcome",
    "Park",
    "Run",
    "Wait",
    "divert",
    "enqueue",
    "everything",
    "hasten",
    "unpark",
]
