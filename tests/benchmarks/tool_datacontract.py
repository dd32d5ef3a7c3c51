"""datacontract-cli on the benchmark's file; runs in an environment of its own.

Usage: ``python tool_datacontract.py CONTRACT.odcs.yaml``. Prints JSON: seconds, and of every check
its name, result and what it says.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any

from datacontract.data_contract import DataContract


def main(path: str) -> dict[str, Any]:
    """Test the contract once."""
    wall, cpu = time.perf_counter(), time.process_time()
    run = DataContract(data_contract_file=path).test()
    return {
        "version": version("datacontract-cli"),
        "seconds": [time.perf_counter() - wall],
        "cpu_seconds": [time.process_time() - cpu],
        "checks": [
            {
                "name": check.name,
                "field": check.field,
                "type": check.type,
                "result": str(check.result.value if check.result else None),
                "reason": check.reason,
                "diagnostics": check.diagnostics,
            }
            for check in run.checks
        ],
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1]), default=str))
