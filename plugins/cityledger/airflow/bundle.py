"""The DAG folder, which is parsed again when a contract has changed.

Airflow notices a changed DAG file, not a changed contract that a DAG file reads; without more help
all files have to be parsed every few seconds for ever. With 1,000 contracts that kept a processor
busy day and night, mostly with storing DAGs that had not changed. So the interval is long, and a
changed contract asks for its parsing through the door that Airflow's *Reparse* button uses. A
request that meets a parsing under way is dropped by Airflow; then the interval helps.
"""

from __future__ import annotations

from typing import Any

from airflow.dag_processing.bundles.local import LocalDagBundle

from cityledger.airflow.spec_cache import State
from cityledger.settings import get_settings

#: The DAG files that read contracts.
READERS = ("datasets.py", "standardise.py", "broken_contracts.py")


class ContractsBundle(LocalDagBundle):
    """A local folder of DAG files whose DAGs follow from ``contracts/``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._seen: State | None = None

    def refresh(self) -> None:
        """Look at the contracts (called in the DAG processor, every ``refresh_interval``)."""
        state = State.of(get_settings().contracts_dir)
        if self._seen is not None and state != self._seen:
            self._ask_for_parsing()
        self._seen = state

    def _ask_for_parsing(self) -> None:
        from airflow.models.dagbag import DagPriorityParsingRequest
        from airflow.utils.session import create_session
        from sqlalchemy import delete

        asked = DagPriorityParsingRequest
        mine = asked.bundle_name == self.name, asked.relative_fileloc.in_(READERS)
        with create_session() as session:
            session.execute(delete(asked).where(*mine))  # a second request for a file is refused
            session.add_all(asked(self.name, file) for file in READERS)
