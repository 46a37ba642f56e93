"""The one reader of text, JSON and YAML that users give: bounded in bytes, depth and values before the work begins.

ValueError says what is wrong with the content; files that cannot be opened raise OSError.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from eval.video.limits import limits, open_given, over


def read_text(path: Path, limit: str = "text_bytes") -> str:
    """A UTF-8 file, with or without a mark at its start. Raises ValueError for other bytes and above the limit of this
    name (`eval.video.limits`)."""
    most = getattr(limits(), limit)
    with open_given(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(over(limit, max(path.stat().st_size, len(content)), most))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start})") from error


def read_json(path: Path) -> Any:
    """The value of a JSON file. Raises ValueError for other text and for lists in lists without end."""
    return parse_json(read_text(path))


def parse_json(text: str) -> Any:
    """The value of JSON text, checked as `read_json` does."""
    most = limits().levels
    try:
        value = json.loads(text, object_pairs_hook=_table)
    except RecursionError as error:
        raise ValueError(over("levels", _brackets(text), most)) from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error.msg} in line {error.lineno})") from error
    depth = _depth(value, most)
    if depth > most:
        raise ValueError(over("levels", depth, most))
    return value


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of JSON. Raises ValueError for a key that is given twice: one of its values would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!r} is given twice in one table")
    return found


class _Strict(yaml.SafeLoader):
    """YAML that tells a key that is given twice."""

    def construct_mapping(self, node, deep=False):
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} of line {seen[key.value]} is given again", key.start_mark
                )
            seen[key.value] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> tuple[Any, yaml.Node | None]:
    """The value of a YAML file and its tree of nodes.

    Raises yaml.YAMLError for other text and for a key that is given twice, and ValueError above a limit, aliases that
    unfold without end among them.
    """
    text = read_text(path, "yaml_bytes")
    try:
        node = yaml.compose(text, _Strict)
        if node is not None:
            _check_tree(node)
        return yaml.load(text, _Strict), node
    except RecursionError as error:
        raise ValueError(over("levels", _brackets(text), limits().levels)) from error
    except TypeError as error:
        raise ValueError("a list or table stands where a key should") from error


def _check_tree(root: yaml.Node) -> None:
    """Count what stands in a tree once its aliases are put in full, each node once, without unfolding any."""
    most = limits()
    sizes: dict[int, int] = {}
    depths: dict[int, int] = {}
    open_nodes: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        name = id(node)
        parts = _parts(node)
        if done:
            open_nodes.discard(name)
            sizes[name] = 1 + sum(sizes[id(part)] for part in parts)
            depths[name] = 1 + max((depths[id(part)] for part in parts), default=0)
        elif name not in sizes:
            open_nodes.add(name)
            stack.append((node, True))
            for part in parts:
                if id(part) in open_nodes and id(part) not in sizes:
                    raise ValueError(f"the value of line {part.start_mark.line + 1} holds itself by an alias")
                stack.append((part, False))
    for what, found in (("levels", depths[id(root)]), ("yaml_values", sizes[id(root)])):
        if found > getattr(most, what):
            raise ValueError(over(what, found, getattr(most, what)))


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _depth(value: Any, most: int) -> int:
    """How deep lists and tables stand inside each other, counted up to one over `most`."""
    layer, depth = [value] if isinstance(value, dict | list) else [], 0
    while layer and depth <= most:
        layer = [part for each in layer for part in _inside(each)]
        depth += 1
    return depth


def _inside(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (part for part in inner if isinstance(part, dict | list))


def _brackets(text: str) -> int:
    """About how deep brackets are nested, for text that is too deep to parse."""
    depth = deepest = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    return deepest
