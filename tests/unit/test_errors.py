"""Errors on their way from one process to another."""

from __future__ import annotations

import copy

import pytest
from cityledger.errors import BadInputError, CityLedgerError, UnavailableError


@pytest.mark.parametrize("kind", [BadInputError, CityLedgerError, UnavailableError])
def test_an_error_of_another_process_arrives_whole(kind: type[CityLedgerError]) -> None:
    """Without its code and fix, or as a broken pool, nobody could act on it."""
    error = kind("what", where="file, line 3", fix="do this", code="some_code")
    arrived = copy.copy(error)  # by the protocol that processes use
    assert type(arrived) is kind
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)
