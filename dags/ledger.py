"""The ledger: indexed and signed every hour, examined every night."""

from __future__ import annotations

from cityledger.airflow.ledger_dag import ledger_dag, ledger_verify_dag

ledger = ledger_dag()
ledger_verify = ledger_verify_dag()
