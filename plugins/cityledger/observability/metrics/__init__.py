"""What Prometheus is told: figures of the journals, the ledger and the services."""
