"""The fictional city: its generated extracts with an answer key, and a day of its work."""
