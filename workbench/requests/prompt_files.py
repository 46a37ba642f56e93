"""Files with one prompt a line."""

from pathlib import Path

from eval.video.text_files import read_text
from models.types import RequestError

TABLES = (".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".parquet", ".xlsx")


def read_prompts(path: Path, flag: str = "--prompts") -> list[str]:
    """The lines of a UTF-8 text file that `flag` names, blank ones left out. Raises RequestError when there is
    none."""
    try:
        lines = read_text(path).splitlines()
    except OSError as error:
        raise RequestError(f"{flag} {str(path)!r} cannot be read ({error.strerror}); give a text file") from error
    except ValueError as error:
        raise RequestError(f"{flag} {str(path)!r} cannot be used: {error}; give one prompt a line") from error
    prompts = [line.strip() for line in lines if line.strip()]
    if path.suffix.lower() in TABLES or any(line.startswith("{") for line in prompts[:1]):
        raise RequestError(
            f"{flag} {str(path)!r} looks like a table or JSON; give a text file with one prompt a line and nothing "
            "else"
        )
    if not prompts:
        raise RequestError(f"{flag} {str(path)!r} holds no prompt; give one prompt a line")
    return prompts
