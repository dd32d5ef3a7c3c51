"""Backup and restore of a whole installation: databases and object store, consistent."""
