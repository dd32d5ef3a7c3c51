"""Waiting for a service that is away: with growing pauses, told about, and not for ever."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

from cityledger.errors import UnavailableError
from cityledger.storage.outages import PASSING

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 15.0
_TELL_EVERY: Final = 30.0
# Of one action. An attempt that fails after longer than one waits was work, and then a new outage;
# or it is a request that hangs so long each time, and must come to an end.
_OUTAGES: Final = 3


class Patience:
    """How long an action is tried again while a service does not answer.

    Args:
        seconds: Longest wait in all, from the first failure on, requests that hang included. Work
            before an outage does not count; at most three outages are waited for.
        answers: Asks the services; raises UnavailableError while one of them is away. Without it
            the action itself finds out.
    """

    def __init__(self, seconds: float, answers: Callable[[], None] = lambda: None) -> None:
        self._limit, self._answers = seconds, answers
        self._since, self._told = 0.0, float("-inf")

    def keep_trying(self, action: Callable[[], T]) -> T:
        """Do something that can be repeated, again and again while a service is away.

        Raises:
            UnavailableError: the service is still away, or it is nothing that passes.
        """
        pause, outages = _FIRST_PAUSE, 0
        while True:
            begun = time.monotonic()
            try:
                if outages:
                    self._answers()
                    begun = time.monotonic()
                    log.warning("trying again after %.0f s of waiting", self._waited())
                return action()
            except UnavailableError as error:
                if error.code not in PASSING or self._limit <= 0:
                    raise
                worked = time.monotonic() - begun > self._limit
                if not outages or (worked and outages < _OUTAGES):
                    outages, pause, self._since = outages + 1, _FIRST_PAUSE, time.monotonic()
                if self._waited() >= self._limit:
                    raise self._given_up(error) from error
                self._pause(pause, error)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _waited(self) -> float:
        return time.monotonic() - self._since

    def _pause(self, seconds: float, error: UnavailableError) -> None:
        left = self._limit - self._waited()
        if time.monotonic() - self._told >= _TELL_EVERY:
            self._told = time.monotonic()
            log.warning("%s; waiting, at most %.0f s more", error.what, left)
        time.sleep(min(seconds, left))

    def _given_up(self, error: UnavailableError) -> UnavailableError:
        return UnavailableError(
            f"{error.what}, {self._waited():.0f} s long",
            where=error.where,
            fix=f"{error.fix}; then run again: what is done is kept "
            "(CITYLEDGER_PATIENCE_SECONDS sets how long a run waits)",
            code=error.code,
        )


class HasPatience(Protocol):
    """Somebody who waits."""

    def patience(self) -> Patience:
        """A fresh one for each action."""


Waiter = TypeVar("Waiter", bound=HasPatience)


def patiently(
    method: Callable[Concatenate[Waiter, P], T],
) -> Callable[Concatenate[Waiter, P], T]:
    """Let a method that may be repeated wait for services that are away."""

    @wraps(method)
    def waiting(self: Waiter, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.patience().keep_trying(lambda: method(self, *args, **kwargs))

    return waiting
