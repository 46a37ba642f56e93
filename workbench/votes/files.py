"""Votes as files, and back: CSV and Parquet tables with a data dictionary beside them, or all of it in one JSON."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from eval.preferences.table import COLUMNS, FLAG_COLUMNS, Column, check_flags, check_votes, empty_table
from eval.report import harmless
from eval.video.limits import open_given
from eval.video.text_files import read_json
from models.types import RequestError
from models.whole_files import write_bytes

FORMAT, VERSION = "asd-workbench votes", 1
ENDINGS = (".csv", ".parquet", ".json")
LARGEST = 2**30  # bytes that are read at once


@dataclass(frozen=True)
class VoteTables:
    """Votes and flags as `eval.preferences.table` describes them."""

    votes: pd.DataFrame
    flags: pd.DataFrame


def dictionary() -> dict[str, Any]:
    """What every column means, JSON-ready."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "votes": {name: _described(column) for name, column in COLUMNS.items()},
        "flags": {name: _described(column) for name, column in FLAG_COLUMNS.items()},
    }


def vote_file_names(path: Path) -> list[Path]:
    """Every file that `write_votes` makes for this name, the data dictionary last. Raises RequestError."""
    ending = _ending(path)
    beside = () if ending == ".json" else (f".flags{ending}", ".dictionary.json")
    return [path, *(path.with_suffix(each) for each in beside)]


def write_votes(path: Path, tables: VoteTables) -> list[Path]:
    """Write F.csv or F.parquet with F.flags.* and F.dictionary.json beside it, or F.json. Raises RequestError."""
    ending = _ending(path)
    contents = [file_bytes("votes", ending, tables)]
    if ending != ".json":
        contents += [file_bytes("flags", ending, tables), _json(dictionary())]
    files = dict(zip(vote_file_names(path), contents, strict=True))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for place, content in files.items():
            write_bytes(place, content)
    except OSError as error:
        raise RequestError(f"{str(path)!r} cannot be written ({error.strerror}); choose another --out") from error
    return list(files)


def file_bytes(what: str, ending: str, tables: VoteTables) -> bytes:
    """`what` ("votes" or "flags") as .csv or .parquet, or everything as .json."""
    table = tables.votes if what == "votes" else tables.flags
    if ending == ".json":
        rows = {"votes": _records(tables.votes), "flags": _records(tables.flags)}
        return _json({"format": FORMAT, "version": VERSION, "dictionary": dictionary(), **rows})
    if ending == ".parquet":
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        return buffer.getvalue()
    return harmless(table).to_csv(index=False).encode()


def read_votes(path: Path) -> VoteTables:
    """The inverse of `write_votes`; flags are read where they lie beside. Raises RequestError naming what is wrong."""
    ending = _ending(path)
    try:
        if path.stat().st_size > LARGEST:
            raise RequestError(f"{str(path)!r} is larger than 1 GB; split it")
        if ending == ".json":
            votes, flags = _from_json(path)
        else:
            beside = path.with_suffix(f".flags{ending}")
            votes, flags = (
                _table(path, ending),
                _table(beside, ending) if beside.is_file() else empty_table(FLAG_COLUMNS),
            )
        return VoteTables(check_votes(votes), check_flags(flags))
    except OSError as error:
        raise RequestError(f"{str(path)!r} cannot be read ({error.strerror}); give a file of votes") from error
    except RequestError:
        raise
    except ValueError as error:  # of the table, of JSON, of Parquet and of text that is no UTF-8
        raise RequestError(f"{str(path)!r} holds no votes: {error}") from error


def _from_json(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    content = read_json(path)
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT!r}")
    if content.get("version") != VERSION:
        raise ValueError(f"its version is {str(content.get('version'))[:20]!r}, and this program reads {VERSION}")
    return _frame(content.get("votes"), COLUMNS), _frame(content.get("flags", []), FLAG_COLUMNS)


def _frame(rows: Any, columns: Mapping[str, Column]) -> pd.DataFrame:
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError("its rows are not a list of objects")
    return pd.DataFrame(rows, columns=None if rows else list(columns))


def _table(path: Path, ending: str) -> pd.DataFrame:
    with open_given(path) as file:
        if ending == ".parquet":
            return pd.read_parquet(file)
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    return table.map(lambda text: text[1:] if text.startswith("'") else text)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(table.to_json(orient="records", force_ascii=False, double_precision=15))


def _described(column: Column) -> dict[str, str]:
    return {"kind": column.kind, "meaning": column.meaning}


def _json(content: Any) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def _ending(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise RequestError(f"{str(path)!r} has no known ending; use {', '.join(ENDINGS)}")
    return ending
