"""How released partitions become few runs of the ``standardise`` DAG.

Airflow starts one run of a partitioned consumer for each partition key as soon as its assets are
there, whatever ``max_active_runs`` says: nine datasets released within a minute would queue up to
nine dbt builds, eight of them with nothing to do. Events that carry a partition key never reach a
consumer that is not partitioned, so the older asset schedules are no way out.

:class:`CollectReleases` maps every partition of every dataset to one key, and tells the scheduler
to hold the run while another one is unfinished, or while datasets are still on their way. Events
that arrive meanwhile join the waiting run (Airflow keeps them in its database), so none is lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Set
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.partition_mappers.base import PartitionMapper
from airflow.partition_mappers.wait_policy import PartitionSatisfaction, WaitPolicy

log = logging.getLogger(__name__)

# The scheduler asks once per asset and loop; the answer is the same for all of them.
_REUSE_SECONDS = 0.5


class QuietMoment(WaitPolicy):
    """Satisfied when a run would find a worthwhile batch of releases.

    Args:
        consumer: DAG id whose runs are held.
        producers: Prefix of the DAG ids of the datasets.
        patience: Longest time that a release waits for datasets still on their way, in seconds.
    """

    def __init__(self, consumer: str, producers: str, patience: float) -> None:
        self.consumer, self.producers, self.patience = consumer, producers, patience
        self._asked, self._answer = 0.0, False

    def is_satisfied_by_keys(
        self,
        *,
        matched: Set[str],  # noqa: ARG002  the scheduler's signature; any partition will do
        expected: Set[str],  # noqa: ARG002
    ) -> PartitionSatisfaction:
        """Whether the scheduler may start the run now."""
        if time.monotonic() - self._asked > _REUSE_SECONDS:
            self._answer = self._is_quiet()
            self._asked = time.monotonic()
        return PartitionSatisfaction(
            satisfied=self._answer, unreachable=False, unreachable_reason=None
        )

    def is_unreachable(self, expected: int) -> bool:  # noqa: ARG002
        """Never: the other runs end some time."""
        return False

    def _is_quiet(self) -> bool:
        try:
            return not self._consumer_unfinished() and (
                self._waited() > self.patience or not self._producers_working()
            )
        except Exception:
            log.exception("cannot tell whether %s should wait; starting it", self.consumer)
            return True

    def _consumer_unfinished(self) -> bool:
        from airflow.models.dagrun import DagRun
        from airflow.utils.state import DagRunState
        from sqlalchemy import exists, select

        unfinished = (DagRunState.QUEUED, DagRunState.RUNNING)
        return bool(
            _scalar(
                select(exists().where(DagRun.dag_id == self.consumer, DagRun.state.in_(unfinished)))
            )
        )

    def _producers_working(self) -> bool:
        # A batch that waits for its steward (awaiting_input) or for its next try must not hold
        # up the others; neither must a dataset's paused DAG.
        from airflow.models.dag import DagModel
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.state import DagRunState, TaskInstanceState
        from sqlalchemy import and_, exists, or_, select

        idle = (
            TaskInstanceState.AWAITING_INPUT,
            TaskInstanceState.DEFERRED,
            TaskInstanceState.UP_FOR_RETRY,
        )
        parked = exists().where(
            TaskInstance.dag_id == DagRun.dag_id,
            TaskInstance.run_id == DagRun.run_id,
            TaskInstance.state.in_(idle),
        )
        return bool(
            _scalar(
                select(
                    exists().where(
                        DagModel.dag_id == DagRun.dag_id,
                        DagModel.is_paused.is_(False),
                        DagRun.dag_id.startswith(self.producers, autoescape=True),
                        or_(
                            DagRun.state == DagRunState.QUEUED,
                            and_(DagRun.state == DagRunState.RUNNING, ~parked),
                        ),
                    )
                )
            )
        )

    def _waited(self) -> float:
        from airflow.models.asset import AssetPartitionDagRun
        from sqlalchemy import func, select

        since = _scalar(
            select(func.min(AssetPartitionDagRun.created_at)).where(
                AssetPartitionDagRun.target_dag_id == self.consumer,
                AssetPartitionDagRun.created_dag_run_id.is_(None),
            )
        )
        return (datetime.now(UTC) - since) / timedelta(seconds=1) if since else 0.0


class CollectReleases(PartitionMapper):
    """Map every partition to one key and hold the run until :class:`QuietMoment`.

    Args:
        key: Partition key of the consumer's runs.
        consumer: DAG id of the consumer.
        producers: Prefix of the DAG ids of the datasets.
        patience: See :class:`QuietMoment`, in seconds.
    """

    is_rollup = True

    def __init__(self, *, key: str, consumer: str, producers: str, patience: float) -> None:
        super().__init__()
        self.key = key
        self.wait_policy = QuietMoment(consumer, producers, patience)

    def to_downstream(self, key: str) -> str | Iterable[str]:  # noqa: ARG002  any key will do
        """The one key of the consumer."""
        return self.key

    def to_upstream(self, downstream_key: str) -> frozenset[str]:  # noqa: ARG002
        """No partition in particular is needed."""
        return frozenset()

    def serialize(self) -> dict[str, Any]:
        """The constructor's arguments as JSON."""
        policy = self.wait_policy
        return {
            "key": self.key,
            "consumer": policy.consumer,
            "producers": policy.producers,
            "patience": policy.patience,
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> CollectReleases:
        """The inverse of :meth:`serialize`."""
        return cls(**data)


def _scalar(query: Any) -> Any:
    # A session of its own: the scheduler forbids commits on the one it is using.
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        return session.scalar(query)
