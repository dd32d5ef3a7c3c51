"""When a dataset's DAG runs, and for which partition.

Airflow's ``CronPartitionTimetable`` derives the partition from the cron tick by counting ticks. A
contract promises something else: "the delivery for a day, month, quarter or year is fetched at
this time after the period has ended". Only the period counts, whatever the cron expression is, so
this timetable maps a tick to the last period that had ended by then.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from airflow.exceptions import InvalidPartitionKeyError
from airflow.timetables.base import DagRunInfo, TimeRestriction
from airflow.timetables.trigger import CronPartitionTimetable
from pendulum import DateTime
from pendulum import datetime as moment

from cityledger.contracts.identity import Partition
from cityledger.errors import BadInputError

# The parent needs some cron expression; a dataset without a schedule never asks for its ticks.
_UNUSED = "@yearly"


class DeliveryTimetable(CronPartitionTimetable):
    """Run at the contract's schedule for the last period that has ended by then.

    Partition keys are those of :class:`~cityledger.contracts.identity.Partition`; another spelling
    is refused when the run is triggered. A backfill over a range of days yields every period
    that starts in it.

    Args:
        cron: When to fetch; None means only when somebody triggers it.
        grain: ``day``, ``month``, ``quarter`` or ``year``.
        timezone: Of the cron expression and of the days, an IANA name.
    """

    def __init__(self, cron: str | None, *, grain: str, timezone: str) -> None:
        super().__init__(cron or _UNUSED, timezone=timezone)
        self._cron, self._grain, self._timezone_name = cron, grain, timezone
        self.can_be_scheduled = cron is not None
        if cron is None:
            self.description = f"When triggered, for one {grain}"

    @property
    def summary(self) -> str:
        """What Airflow's page shows as the schedule."""
        return self._cron or "None"

    def serialize(self) -> dict[str, Any]:
        """The constructor's arguments as JSON."""
        return {"cron": self._cron, "grain": self._grain, "timezone": self._timezone_name}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> DeliveryTimetable:
        """The inverse of :meth:`serialize`."""
        return cls(data["cron"], grain=data["grain"], timezone=data["timezone"])

    def next_dagrun_info_v2(
        self, *, last_dagrun_info: DagRunInfo | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next scheduled run; none without a schedule."""
        if self._cron is None:
            return None
        return super().next_dagrun_info_v2(
            last_dagrun_info=last_dagrun_info, restriction=restriction
        )

    def iter_partition_dagrun_infos(
        self, *, earliest: datetime, latest: datetime
    ) -> Iterable[DagRunInfo]:
        """The runs of a backfill: one for each period that starts within the range of days."""
        first, last = self._day(earliest), self._day(latest)
        partition = Partition.covering(first, self._grain)
        if partition.start < first:
            partition = self._after(partition)
        while partition.start <= last:
            start = self._start(partition)
            yield DagRunInfo(
                run_after=start,
                data_interval=None,
                partition_date=start,
                partition_key=str(partition),
            )
            partition = self._after(partition)

    def _get_partition_info(self, run_date: DateTime) -> tuple[DateTime, str]:
        today = run_date.in_timezone(self._timezone).date()
        partition = Partition.covering(today, self._grain).previous()
        return self._start(partition), str(partition)

    def _decode_partition_date(self, partition_key: str) -> datetime:
        try:
            partition = Partition.parse(partition_key)
        except BadInputError as error:
            raise InvalidPartitionKeyError(str(error)) from error
        if partition.grain != self._grain:
            raise InvalidPartitionKeyError(
                f"'{partition_key}' is a {partition.grain}; this dataset is delivered by "
                f"{self._grain} → give a {self._grain}, e.g. "
                f"{Partition.covering(date(2026, 3, 31), self._grain)}"
            )
        return self._start(partition)

    def _day(self, bound: datetime) -> date:
        # Airflow hands over the days that the user wrote as midnights in UTC.
        return self.localize_partition_datetime(bound).in_timezone(self._timezone).date()

    def _after(self, partition: Partition) -> Partition:
        return Partition.covering(partition.end + timedelta(days=1), self._grain)

    def _start(self, partition: Partition) -> DateTime:
        day = partition.start
        return moment(day.year, day.month, day.day, tz=self._timezone)
