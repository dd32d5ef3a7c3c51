"""Every night: which files and datasets there are, and what they hold."""

from __future__ import annotations

from cityledger.airflow.inventory_dag import inventory_dag

inventory = inventory_dag()
