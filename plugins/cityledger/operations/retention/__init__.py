"""Retention: personal data goes when its time is over, unless a legal hold keeps it."""
