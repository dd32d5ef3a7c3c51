"""A stack with two Celery workers, whose tasks can be stopped at a point of their work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cityledger_stack
import pytest
from cityledger_stack import celery

from tests.cluster.pausing import FOLDER
from tests.conftest import stack_environment

WORKERS = 2

#: A dead worker is noticed within half a minute instead of two (docs/deployment.md has the
#: production's values and reasons).
_QUICK = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
}


@pytest.fixture(scope="module")
def home(server_dir: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The stack's home, with the module that stops tasks where Airflow finds it."""
    folder = server_dir / request.module.__name__.rpartition(".")[2]
    plugins = folder / "airflow" / "plugins"
    plugins.mkdir(parents=True)
    folder.chmod(0o711)
    shutil.copy(Path(__file__).with_name("pausing.py"), plugins / "pausing.py")
    yield folder
    with stack_environment(folder):
        cityledger_stack.down()


@pytest.fixture(scope="module")
def pauses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a test and the tasks that it stops tell each other."""
    return tmp_path_factory.mktemp("pauses")


def worker_environment(pauses: Path) -> dict[str, str]:
    """What the stack must know to be disturbed."""
    usual = celery.options(broker_url="", workers=WORKERS, slots=4, log_port=1)
    config: dict[str, Any] = json.loads(usual["CELERY__EXTRA_CELERY_CONFIG"])
    config["imports"] = [*config["imports"], "pausing"]
    pausing = {
        FOLDER: str(pauses),
        "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": json.dumps(config),
    }
    return {**_QUICK, **pausing}
