"""Released partitions of all datasets → ``standardise`` (one dbt build) → ``publish``."""

from __future__ import annotations

from cityledger.airflow.standardise_dag import standardise_dag

standardise = standardise_dag()
