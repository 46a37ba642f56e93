"""Windows of a video made in a thread of their own, a little ahead of their use."""

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import closing

from eval.video.windows import Window

WINDOWS_AHEAD = 2  # the decoder may be this far ahead of the metrics


def made_ahead(items: Generator[Window], name: str) -> Iterator[Window]:
    """The same items, made in a thread of its own a little ahead of their use; what it raises is raised here."""
    made: queue.Queue = queue.Queue(WINDOWS_AHEAD)
    stop = threading.Event()

    def put(item: object) -> None:
        while not stop.is_set():
            try:
                return made.put(item, timeout=0.1)
            except queue.Full:
                continue

    def make() -> None:
        try:
            with closing(items):
                for item in items:
                    put(item)
                    if stop.is_set():
                        return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=make, name=name, daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
