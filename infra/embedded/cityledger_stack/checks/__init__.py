"""Checks of an installation, embedded or external; each finding says how to mend it."""
