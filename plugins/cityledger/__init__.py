"""CityLedger: from departmental extracts to proved indicators."""

__version__ = "0.1.0"
