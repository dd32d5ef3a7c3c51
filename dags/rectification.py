"""Reminders about rectification orders: due, overdue, escalated; every working day."""

from __future__ import annotations

from cityledger.airflow.orders_dag import rectification_dag

rectification = rectification_dag()
