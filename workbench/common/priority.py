"""Work that nobody waits for a click on makes way for people: clips, scores and copies run below requests."""

import os
import sys
import threading
from contextlib import suppress

BEHIND = 5  # of the 19 steps of niceness: about a third of what a request gets when both want the processor
SWITCH_SECONDS = 0.001  # how long a thread may keep Python to itself while a request waits; 0.005 is usual


def make_way() -> None:
    """Put the calling thread, and those that it starts, behind the threads that answer. For good, and once a thread.

    Does nothing where threads have no priority of their own.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # it runs all the same
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _own() + BEHIND)


def answer_soon() -> None:
    """Let threads that answer have Python soon while others compute. For a program that serves."""
    sys.setswitchinterval(SWITCH_SECONDS)


def _own() -> int:
    return os.getpriority(os.PRIO_PROCESS, os.getpid())
