"""Quarantined rows: shown, downloaded, corrected, waived, replayed (docs/quarantine.md)."""
