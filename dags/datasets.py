"""One DAG for each contract in ``contracts/``: extract_land → parse_validate → release.

Nothing to do here when a dataset is added: its contract is enough.
"""

from __future__ import annotations

from cityledger.airflow.dataset_dag import dataset_dags

# Airflow finds DAGs among a module's globals (this word keeps the file in its search: airflow).
globals().update({dag.dag_id: dag for dag in dataset_dags()})
