"""The DAG ``rectification``: reminders about rectification orders, on working days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from cityledger.airflow.city_dag import city_dag
from cityledger.airflow.notify import (
    SMTP_CONNECTION,
    WEBHOOK_CONNECTION,
    MailNotifier,
    WebhookNotifier,
    is_configured,
)
from cityledger.errors import UnavailableError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from cityledger.orders.dispatch import Send

DAG_ID = "rectification"
# Every day, because working weekends (调休) exist; the task skips days that are not worked.
SCHEDULE = "30 8 * * *"
CHANNELS: dict[str, tuple[str, Callable[..., MailNotifier | WebhookNotifier]]] = {
    "smtp": (SMTP_CONNECTION, MailNotifier),
    "webhook": (WEBHOOK_CONNECTION, WebhookNotifier),
}

DOCUMENT = f"""\
### Reminders about rectification orders 整改提醒

Tells departments of opened, due and overdue orders, and whoever is named of long overdue ones; on
working days, each message once. What could not be sent stays due and is sent next time.

| Airflow connection | |
|---|---|
| `{SMTP_CONNECTION}` | type *smtp*: mail to the contact of the contract |
| `{WEBHOOK_CONNECTION}` | type *http*: signed JSON, or a WeCom / DingTalk robot |

Without either nothing is sent and nothing is lost. See `docs/rectification.md`.
"""


class RemindOperator(BaseOperator):
    """Send the reminders that are due today."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Send them.

        Raises:
            AirflowSkipException: today is not a working day, or no channel is configured.
            UnavailableError: some could not be sent; they stay due.
        """
        from cityledger.orders.book import OrderBook
        from cityledger.orders.dispatch import send_due
        from cityledger.settings import get_settings

        book = OrderBook.from_settings(get_settings())
        today = book.today()
        if not book.is_working(today):
            raise AirflowSkipException(f"{today} is not a working day")
        channels = _channels(context)
        if not channels:
            raise AirflowSkipException(_nothing_configured(len(book.due_reminders(today))))
        done = send_due(book, channels, today)
        if done.failed:
            raise UnavailableError(
                f"{len(done.failed)} reminders could not be sent; they stay due:\n"
                + "\n".join(done.failed),
                fix="put right what they name; this task sends only what is missing",
                code="reminders_not_sent",
            )
        return done.model_dump(mode="json")


def rectification_dag() -> DAG:
    """The DAG."""
    description = "Reminders about rectification orders"
    with city_dag(DAG_ID, SCHEDULE, description=description, document=DOCUMENT) as dag:
        RemindOperator(task_id="remind", execution_timeout=timedelta(minutes=30))
    return dag


def _channels(context: Context) -> dict[str, Send]:
    return {
        name: _sender(notifier, connection_id, context)
        for name, (connection_id, notifier) in CHANNELS.items()
        if is_configured(connection_id)
    }


def _sender(
    notifier: Callable[..., MailNotifier | WebhookNotifier], connection_id: str, context: Context
) -> Send:
    return lambda message: notifier(message, connection_id=connection_id)(context)


def _nothing_configured(due: int) -> str:
    names = " nor ".join(connection_id for connection_id, _ in CHANNELS.values())
    return (
        f"neither {names} is an Airflow connection: {due} reminders stay due and will be sent "
        "when one is (docs/rectification.md)"
    )
