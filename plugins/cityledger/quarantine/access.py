"""Who may look at quarantined rows, and who may decide about them."""

from __future__ import annotations

from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.masking import scrub
from cityledger.people import Person, Role


def require_sight(person: Person, contract: Contract) -> None:
    """Masked rows: the department's people, stewards, engineers, auditors.

    Raises:
        BadInputError: the person is none of these (code ``not_allowed``).
    """
    if not person.sees(contract.id.department):
        raise _refused(person, f"rows of {contract.id} are shown to its department only")


def require_handling(person: Person, contract: Contract) -> None:
    """Rows as they were handed in, and their correction: the department's people and stewards.

    Raises:
        BadInputError: the person is none of these (code ``not_allowed``).
    """
    own = person.has(Role.DEPARTMENT) and contract.id.department in person.departments
    if not own and not person.has(Role.STEWARD):
        raise _refused(person, f"rows of {contract.id} are for its department and stewards")


def require_steward(person: Person) -> None:
    """Waivers: stewards.

    Raises:
        BadInputError: the person is no steward (code ``not_allowed``).
    """
    if not person.has(Role.STEWARD):
        raise _refused(person, "only a steward decides about waivers")


def require_reason(reason: str, what: str) -> str:
    """A reason that says something; numbers of people are hidden in it, for it is kept for ever.

    Raises:
        BadInputError: there is none (code ``reason_missing``).
    """
    given = scrub(" ".join(reason.split()))
    if not any(character.isalnum() for character in given):
        raise BadInputError(
            f"{what} needs a reason, which is recorded",
            fix="say why in a few words",
            code="reason_missing",
        )
    return given


def _refused(person: Person, what: str) -> BadInputError:
    return BadInputError(
        what,
        where=f"asked by {person.name}",
        fix="ask a steward",
        code="not_allowed",
    )
