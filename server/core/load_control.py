"""Load control: what may come in, how long it will wait, and what is given up to keep that short.

A request goes through it in this order: `check_delay` before its body is read; `admit` with the
number of its texts, which fixes the level of the brownout for it; its characters and its tokens,
once they are counted; `answered`; and `close`, however it ends. `tick` looks at the load 1 /
TICK_SECONDS times a second. There is no clock and no I/O in here: times are arguments, in seconds
on one clock of the caller's, so that a simulated server can be controlled by the same code.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from math import ceil

from ...models.cascade.policy import Cascade
from ..errors import Reason, RequestError
from ..settings import Settings

TICK_SECONDS = 0.05
"""From one tick to the next."""
RETRY_AFTER_SECONDS = 1
WAITING_CHARACTERS_PER_TOKEN = 32
"""For each token that may wait to be answered, so many characters may wait to be tokenised: a bound
on memory, far above what texts of that many tokens have."""

RATES = 100
"""How many observations back the best rate is looked for."""
LEAST, SMOOTHED = 2, 4
"""Observations that make one rate, at least and most: one alone may hold a whole batch, or none."""

LEVELS = ("none", "relaxed thresholds", "without the last student", "smallest student only")
RELAXED = 4
"""At level 1 the observed risk may be so many times the one that is promised."""
RISE_SECONDS = 0.1
"""How long the delay must stay above the target before the level goes up."""
FALL_SECONDS = 2.0
"""How long it must stay below half of the target before the level goes down."""
HOPELESS = 2
"""At a delay of so many times the target, texts are turned away at any level."""


class LoadControl:
    """Counts what is inside, predicts the delay, and acts on it. Belongs to the event loop."""

    def __init__(self, settings: Settings) -> None:
        tokens = settings.max_queued_tokens
        # A body of the largest size may always wait for the tokenizer.
        characters = max(WAITING_CHARACTERS_PER_TOKEN * tokens, settings.max_body_bytes)
        self._limits = {
            "texts": settings.max_queued_requests, "characters": characters, "tokens": tokens
        }  # fmt: skip
        self._inside = dict.fromkeys(self._limits, 0)
        self.throughput = ThroughputEstimator()
        self.brownout = Brownout(settings.target_delay_ms / 1e3)
        self._age = self._lag = 0.0
        self._ticked: float | None = None

    @property
    def delay(self) -> float:
        """Seconds that a text which comes now is predicted to wait for its answer."""
        return max(self.throughput.delay, self._age) + self._lag

    @property
    def level(self) -> int:
        """Of the brownout: how far cascades are shortened, 0 to 3."""
        return self.brownout.level

    def check_delay(self) -> None:
        """Raises RequestError if a text that comes now would wait too long."""
        self.brownout.check(self.delay)

    def admit(self, texts: int, apart: bool) -> Admission:
        """Let a request in, until its admission is closed. Raises RequestError if that would exceed
        the limit of texts.

        apart: its texts wait in a lane of their own, so that others do not wait for them.
        """
        self._enter("texts", texts)
        admission = Admission(self, texts, 0 if apart else texts, self.level)
        self.throughput.enter(admission.waiting)
        return admission

    def tick(self, asleep: float, now: float, age: float) -> None:
        """Look at the load. It is called each time that TICK_SECONDS have been slept through.

        asleep: when that sleep began. If it took longer than TICK_SECONDS, the event loop is late,
        and requests wait that it has not seen yet. age: seconds that the oldest text has waited.
        """
        self.throughput.observe(now - (asleep if self._ticked is None else self._ticked))
        self._ticked = now
        self._age, self._lag = age, max(0.0, now - asleep - TICK_SECONDS)
        self.brownout.observe(self.delay, now)

    def _enter(self, unit: str, count: int) -> None:
        inside, limit = self._inside[unit], self._limits[unit]
        if inside + count > limit:
            raise RequestError(
                Reason.OVERLOADED,
                f"{inside} {unit} are waiting and {count} more would exceed the limit of {limit}; "
                f"try again in {RETRY_AFTER_SECONDS} s",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
                limit=limit,
                actual=inside,
            )
        self._inside[unit] = inside + count

    def _leave(self, unit: str, count: int) -> None:
        self._inside[unit] -= count


class Admission:
    """What one request takes of the limits until it is closed, or until its context ends.

    texts: how many it has. waiting: how many of them other texts wait for. level: of the brownout
    when the request came.
    """

    __slots__ = ("_characters", "_control", "_tokens", "level", "texts", "waiting")

    def __init__(self, control: LoadControl, texts: int, waiting: int, level: int) -> None:
        self._control = control
        self.texts, self.waiting, self.level = texts, waiting, level
        self._characters = self._tokens = 0

    def __enter__(self) -> Admission:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cascade(self, asked: Cascade) -> Cascade:
        """The cascade that answers instead of the one asked for: the same, unless browned out."""
        return browned_out(asked, self.level)

    def characters(self, count: int) -> None:
        """So many are to wait for the tokenizer. Raises RequestError if that would exceed the limit
        of characters.
        """
        self._control._enter("characters", count)
        self._characters += count

    def tokenized(self, characters: int) -> None:
        """So many wait for the tokenizer no longer."""
        self._control._leave("characters", characters)
        self._characters -= characters

    def tokens(self, count: int) -> None:
        """So many are to wait for their answers. Raises RequestError if that would exceed the limit
        of tokens.
        """
        self._control._enter("tokens", count)
        self._tokens += count

    def answered(self) -> None:
        """All its texts have been answered; those of large requests count too."""
        self._control.throughput.answer(self.texts)

    def close(self) -> None:
        """The request has ended, answered or not. It is called once."""
        control = self._control
        control.throughput.leave(self.waiting)
        control._leave("texts", self.texts)
        control._leave("characters", self._characters)
        control._leave("tokens", self._tokens)


class ThroughputEstimator:
    """The best recent rate of answers, as congestion control estimates a link (BBR's max filter).

    The texts that are inside take their number divided by that rate (Little's law), whether they
    wait for the tokenizer, the engine or the event loop. A rate counts only if somebody waited all
    the time: otherwise it says how many texts came, not how many could be answered, and the first
    burst after a quiet hour would be turned away (BBR calls that limited by the application).
    """

    def __init__(self) -> None:
        self.inside = 0
        """Texts that have come and not left."""
        self._answered = 0
        self._busy = False
        """Whether some text has been inside since the last observation."""
        self._ticks: deque[tuple[int, float]] = deque(maxlen=SMOOTHED)
        self._rates: deque[float] = deque(maxlen=RATES)
        self._best = 0.0

    def enter(self, texts: int) -> None:
        """So many have come."""
        self.inside += texts

    def leave(self, texts: int) -> None:
        """So many have gone, answered or not."""
        self.inside -= texts
        if not self.inside:
            self._busy = False

    def answer(self, texts: int) -> None:
        """So many were answered, including those that no other text waits for."""
        self._answered += texts

    def observe(self, seconds: float) -> None:
        """So much time has passed since the last observation."""
        if self._busy:
            self._ticks.append((self._answered, seconds))
        else:
            self._ticks.clear()
        self._answered, self._busy = 0, self.inside > 0
        rate = 0.0
        if len(self._ticks) >= LEAST:
            rate = sum(count for count, _ in self._ticks) / sum(spent for _, spent in self._ticks)
        self._rates.append(rate)
        self._best = max(self._rates)

    @property
    def delay(self) -> float:
        """Seconds until the texts inside are answered; 0 while that is not known."""
        return self.inside / self._best if self._best else 0.0


class Brownout:
    """Under overload, cascades answer earlier than the policy says; then texts are turned away.

    It compares the predicted delay with its target. Each level up costs accuracy and buys time; a
    level is left only after the delay has been well below the target for a while, so that the
    level does not swing. If the last level is not enough, texts are turned away; at every level, so
    are texts that no level could answer in time, since a burst is over before the levels rise.
    target: seconds; 0 turns it off.
    """

    def __init__(self, target: float) -> None:
        self.target = target
        self.level = 0
        self._since: tuple[int, float] = (0, 0.0)

    def observe(self, delay: float, now: float) -> None:
        """delay: seconds that a text which comes now would wait. now: seconds on the clock."""
        if not self.target:
            return
        direction = 1 if delay > self.target else -1 if delay < self.target / 2 else 0
        if direction != self._since[0]:
            self._since = (direction, now)
            return
        held = now - self._since[1]
        if direction > 0 and held >= RISE_SECONDS and self.level < len(LEVELS) - 1:
            self.level, self._since = self.level + 1, (direction, now)
        elif direction < 0 and held >= FALL_SECONDS and self.level:
            self.level, self._since = self.level - 1, (direction, now)

    def check(self, delay: float) -> None:
        """Raises RequestError if even the last level would leave too long a delay."""
        last = self.level == len(LEVELS) - 1
        if self.target and delay > self.target * (1 if last else HOPELESS):
            raise RequestError(
                Reason.OVERLOADED,
                f"the queue is {1e3 * delay:.0f} ms long, the target is {1e3 * self.target:g} ms; "
                f"try again in {ceil(delay)} s",
                headers={"Retry-After": str(ceil(delay))},
                limit=round(1e3 * self.target),
                actual=round(1e3 * delay),
            )


def browned_out(cascade: Cascade, level: int) -> Cascade:
    """The cascade at a level, without a promise. One student alone stays what was asked for.

    Each level goes on from the one below, so that none costs more than that. Where the policy
    abstains, its last student does so in the TA's place, by its own scope.
    """
    if not level or len(cascade.stages) == 1:
        return cascade
    relaxed = _relaxed(cascade)
    if level == 1:
        return relaxed
    stages = relaxed.stages[:-1] if level == 2 else relaxed.stages[:1]
    scope = stages[-1].scope if cascade.abstains else 0.0
    stages = (*stages[:-1], replace(stages[-1], threshold=0.0, scope=scope))
    return Cascade(cascade.name, stages)


def _relaxed(cascade: Cascade) -> Cascade:
    """The cheapest thresholds of its path that risk at most so much; the same, as it is, without a
    path or a promise.
    """
    promised, path = cascade.guarantee, cascade.path
    step = path.looser(RELAXED * promised.alpha) if promised and path else None
    return cascade.along(step) if step else cascade
