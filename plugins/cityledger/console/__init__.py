"""Web pages for the three readers: engineer, governance team, auditor."""
