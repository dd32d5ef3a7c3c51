"""What operators do with an installation: backups, restores, retention and legal holds."""
