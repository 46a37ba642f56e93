"""What machines do to work, in one sentence each: full disks, too little memory, killed workers, gone databases."""

import errno
from concurrent.futures.process import BrokenProcessPool

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NO_HANDLES = (errno.EMFILE, errno.ENFILE)
MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "DefaultCPUAllocator")


def wants_memory(error: BaseException) -> bool:
    """Whether memory was refused; torch tells it as a RuntimeError."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    return type(error).__name__ == "OutOfMemoryError" or any(word in str(error) for word in MEMORY_WORDS)


def fault_sentence(error: BaseException, *, place: bool = True) -> str | None:
    """The fault of the machine behind an error, with the way out; None for any other error. `place` names the file,
    which visitors of a page should not read.
    """
    code = getattr(error, "errno", None)
    file = getattr(error, "filename", None)
    where = f" at {str(file)!r}" if place and file else ""
    if code in NO_ROOM:
        return f"the disk is full{where}; what was done before is kept, so make room and do the same again"
    if code == errno.EROFS:
        return f"the disk can only be read{where}; choose a folder that can be written"
    if code in NO_HANDLES:
        return "too many files are open; raise the limit (ulimit -n), or use fewer workers"
    if code == errno.EIO:
        return f"the disk does not answer as it should{where}; what was done before is kept, so look after the disk"
    if code == errno.ENOMEM or wants_memory(error):
        return "the memory of this machine is not enough; ask for less at once, or close what else uses it"
    if isinstance(error, BrokenProcessPool):
        return (
            "a worker was killed, often for lack of memory; what was done before is kept, so do the same again, with "
            "fewer workers"
        )
    if type(error).__name__ == "StoreUnavailable":  # by name: the store is not imported for a sentence
        return f"{error}; try again in a moment"
    return None
