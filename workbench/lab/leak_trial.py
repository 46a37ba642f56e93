"""An attack on blindness over HTTP: annotators who keep all they are sent, and guessers who learn from it."""

import asyncio
import secrets
import time
from collections.abc import Mapping

import httpx

from workbench.store import Store
from workbench.store.records import StudyRecord
from workbench.votes.blindness.leak_guessers import Guess, Sent, guesses, read_sent
from workbench.votes.studies import study_from_json

WAIT = 120.0


async def keep_everything(url: str, study: str, annotators: int) -> dict[str, tuple[Sent, Sent]]:
    """Let annotators go through a study, and return what each got as side A and as side B, by assignment.

    As the page does, both sides are asked for at once. Raises RuntimeError for an answer that is an error.
    """
    kept: dict[str, tuple[Sent, Sent]] = {}
    for _ in range(annotators):
        async with httpx.AsyncClient(base_url=url, timeout=WAIT) as client:
            await _post(client, "session", {"name": f"attacker {secrets.token_hex(6)}"})
            while (pair := await _post(client, "next-pair", {"study": study}))["assignment"]:
                a, b = await asyncio.gather(*(_get(client, pair[side], pair["prompt"]) for side in "ab"))
                kept[pair["assignment"]] = a, b
                answers = {question["id"]: "tie" for question in pair["questions"]}
                body = {"assignment": pair["assignment"], "key": secrets.token_hex(12), "answers": answers}
                await _post(client, "votes", body | {"watched": 1.0, "seconds": 2.0})
    return kept


async def _post(client: httpx.AsyncClient, path: str, body: Mapping) -> dict:
    answer = await client.post(f"/api/v1/{path}", json=body)
    if answer.is_error:
        raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text[:200]}")
    return answer.json()


async def _get(client: httpx.AsyncClient, path: str, prompt: str) -> Sent:
    sent = time.perf_counter()
    answer = await client.get(path)
    seconds = time.perf_counter() - sent
    if answer.is_error:
        raise RuntimeError(f"a clip answered {answer.status_code}: {answer.text[:200]}")
    return read_sent(answer.content, prompt, answer.headers, seconds)


def told_apart(kept: Mapping[str, tuple[Sent, Sent]], store: Store, record: StudyRecord) -> list[Guess]:
    """How well guessers tell the sides of what was kept; attention checks are left out."""
    order = {pair: k for k, pair in enumerate(study_from_json(record.definition).opponents())}
    pairs = []
    for identity, (a, b) in kept.items():
        given = store.ballots.assignment(identity)
        if given.check_kind == "":
            first = (given.left.system, given.right.system) in order
            pairs.append((a, b) if first else (b, a))
    return guesses(pairs)
