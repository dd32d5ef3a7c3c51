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


class Patience:
    """How long an action is tried again while a service does not answer.

    Args:
        seconds: Longest wait in all, pauses only: hours of work before an outage do not count.
        answers: Asks the services; raises UnavailableError while one of them is away. Without it
            the action itself finds out.
    """

    def __init__(self, seconds: float, answers: Callable[[], None] = lambda: None) -> None:
        self._limit, self._answers = seconds, answers
        self._waited, self._told = 0.0, float("-inf")

    def keep_trying(self, action: Callable[[], T]) -> T:
        """Do something that can be repeated, again and again while a service is away.

        Raises:
            UnavailableError: the service is still away, or it is nothing that passes.
        """
        pause, begun_waiting = _FIRST_PAUSE, False
        while True:
            try:
                if begun_waiting:
                    self._answers()
                    log.warning("trying again after %.0f s of waiting", self._waited)
                return action()
            except UnavailableError as error:
                if error.code not in PASSING or self._limit <= 0:
                    raise
                if self._waited >= self._limit:
                    raise self._given_up(error) from error
                begun_waiting = True
                self._pause(pause, error)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _pause(self, seconds: float, error: UnavailableError) -> None:
        seconds = min(seconds, self._limit - self._waited)
        if self._waited - self._told >= _TELL_EVERY:
            self._told = self._waited
            log.warning("%s; waiting, at most %.0f s more", error.what, self._limit - self._waited)
        time.sleep(seconds)
        self._waited += seconds

    def _given_up(self, error: UnavailableError) -> UnavailableError:
        return UnavailableError(
            f"{error.what}, {self._waited:.0f} s long",
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
