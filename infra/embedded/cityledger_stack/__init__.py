"""The embedded stack: PostgreSQL, an S3 object store and Airflow as local processes.

`up`, `down`, `status`, `logs` and `doctor` are all that others use.
"""

from __future__ import annotations

from cityledger_stack.findings import Finding
from cityledger_stack.stack import PartStatus, StackInfo, down, is_running, logs, status, up


def doctor() -> list[Finding]:
    """Examine the machine, the installation and, where it runs, the stack."""
    # Imported here: it loads the storage libraries, which the others do without.
    from cityledger_stack.examination import examine

    return examine()


__all__ = [
    "Finding",
    "PartStatus",
    "StackInfo",
    "doctor",
    "down",
    "is_running",
    "logs",
    "status",
    "up",
]
