"""The nightly inventory."""

from __future__ import annotations

import pytest

from tests.dags.conftest import Parse

pytestmark = pytest.mark.usefixtures("no_parsing_context")


def test_files_and_profiles_are_taken_stock_of_every_night(parse: Parse) -> None:
    """A page of assets that is filled by hand only is out of date from its second day on."""
    dag = parse().dags["inventory"]
    assert {task.task_id for task in dag.tasks} == {"files", "profiles"}
    assert dag.timetable.expression == "0 6 * * *"
    assert not dag.catchup
    assert all(not task.upstream_task_ids for task in dag.tasks), "one must not wait for the other"
