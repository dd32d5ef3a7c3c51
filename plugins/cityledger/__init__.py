"""CityLedger: from departmental extracts to proved indicators."""

import os

# polars' allocator gives freed memory back after half a second by default. Batch after batch, page
# faults then cost a fifth of the time that parsing and validating take. Read when polars loads.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:10000,muzzy_decay_ms:10000")

__version__ = "0.1.0"
