"""The scorecard: one line for each attack, with the invariant it attacks and what came of it."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """What came of one attack."""

    id: str  # as in docs/reference/battery.md
    attack: str
    invariant: str  # the promise that it attacks
    outcome: str  # held, broken, skipped, interrupted
    rounds: int
    seconds: float
    seed: int
    detail: str = ""  # what broke, or why it was skipped


def text(scores: Iterable[Score]) -> str:
    """Write a card for people."""
    lines = [f"{'id':<5} {'outcome':<11} {'rounds':>6} {'s':>6}  attack"]
    for score in scores:
        lines.append(f"{score.id:<5} {score.outcome:<11} {score.rounds:>6} {score.seconds:>6.1f}  {score.attack}")
        if score.detail:
            lines.append(f"      {score.detail}")
    return "\n".join(lines)


def markdown(scores: Iterable[Score]) -> str:
    """Write a card for a page."""
    lines = ["| id | attack | invariant | rounds | outcome |", "| --- | --- | --- | ---: | --- |"]
    for score in scores:
        outcome = f"{score.outcome}: {score.detail}" if score.detail else score.outcome
        lines.append(f"| {score.id} | {score.attack} | {score.invariant} | {score.rounds} | {outcome} |")
    return "\n".join(lines)


def document(scores: Iterable[Score]) -> str:
    """Write a card for programs."""
    return json.dumps({"scores": [asdict(score) for score in scores]})
