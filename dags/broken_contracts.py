"""No DAG: shows contracts that the lint refuses as an import error on Airflow's page.

Airflow stops every DAG of a file that has an import error. Raised here, the error leaves the
datasets with good contracts alone.
"""

from __future__ import annotations

from cityledger.airflow.dataset_dag import raise_broken_contracts

raise_broken_contracts()
