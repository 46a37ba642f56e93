"""Updates of a page that hold whatever arrives together.

Gradio sends differences, and its client writes each into the object of the update before. Two that arrive together
become one, and what only the first one said is lost. So every update repeats what was said before it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

Update = dict[Any, Any]
# a press while the event before it ends waits for its end; gradio would drop it
PATIENT = {"trigger_mode": "always_last"}


def holding(updates: Iterable[Update], last: Update) -> Iterator[Update]:
    """Each update with all before it, and in the end all of them with `last`."""
    held: Update = {}
    for update in updates:
        held = held | update
        yield held
    yield held | last
