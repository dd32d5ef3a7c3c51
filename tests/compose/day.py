"""Runs inside the deployment: the deliveries given as JSON through Airflow; prints the summary."""

from __future__ import annotations

import json
import sys

from cityledger.demo.day import Day
from cityledger.settings import get_settings

places = [(dataset, partition) for dataset, partition in json.loads(sys.argv[1])]
print(Day(get_settings(), places).run().model_dump_json())  # noqa: T201 - what the caller reads
