"""What a named endpoint takes, as data: Gradio, the Model Context Protocol and the API page all tell it from here."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

REQUIRED = "required"
Handler = TypeVar("Handler", bound=Callable)


@dataclass(frozen=True)
class Parameter:
    """One argument: `what` it is, in a sentence; its `kind`, as "whole number"; the `range` of what is taken; its
    `unit`, "none" where it has none; its `default`, or REQUIRED."""

    name: str
    what: str
    kind: str
    range: str
    default: Any = REQUIRED
    unit: str = "none"

    @property
    def default_text(self) -> str:
        """The default as JSON has it."""
        return REQUIRED if self.default is REQUIRED else json.dumps(self.default)

    @property
    def sentence(self) -> str:
        """All of it in one line, which is all that Gradio reads of a parameter."""
        return f"{self.what} Type: {self.kind}; unit: {self.unit}; range: {self.range}; default: {self.default_text}."


@dataclass(frozen=True)
class Endpoint:
    """A named endpoint: what it does, what it takes and what it returns, each in plain sentences; `example` are
    arguments as one would give them."""

    summary: str
    parameters: tuple[Parameter, ...]
    returns: str
    example: dict[str, Any]


def described(summary: str, *parameters: Parameter, returns: str, example: dict[str, Any]) -> Callable:
    """Gives a handler its description, as data and as the docstring that Gradio reads."""
    endpoint = Endpoint(summary, parameters, returns, example)

    def mark(handler: Handler) -> Handler:
        cast(Any, handler).endpoint = endpoint
        lines = [summary, f"Returns {returns}", "", "Args:"]
        handler.__doc__ = "\n".join([*lines, *(f"    {each.name}: {each.sentence}" for each in parameters)])
        return handler

    return mark


def endpoint_of(handler: Callable) -> Endpoint | None:
    """The description that `described` gave a handler; None where it gave none."""
    return getattr(handler, "endpoint", None)
