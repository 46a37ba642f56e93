"""Files with one prompt a line."""

from pathlib import Path

from eval.video.text_files import read_text
from models.types import RequestError


def read_prompts(path: Path) -> list[str]:
    """The lines of a UTF-8 text file, blank ones left out. Raises RequestError when there is none."""
    try:
        lines = read_text(path).splitlines()
    except OSError as error:
        raise RequestError(f"--prompts {str(path)!r} cannot be read ({error.strerror}); give a text file") from error
    except ValueError as error:
        raise RequestError(f"--prompts {str(path)!r} cannot be used: {error}; give one prompt a line") from error
    prompts = [line.strip() for line in lines if line.strip()]
    if not prompts:
        raise RequestError(f"--prompts {str(path)!r} holds no prompt; give one prompt a line")
    return prompts
