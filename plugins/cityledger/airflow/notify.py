"""Airflow notifiers for people outside Airflow: mail and webhook, by Airflow connections.

`cityledger_smtp` is a connection of Airflow's own type *smtp* (provider ``smtp``). Its extra may
have ``to``: the mailbox for addressees that are no mail address.

`cityledger_webhook` is a connection of type *http*: host (with scheme, path and query if need be),
port, and the secret as its password. Its extra may have:

* ``payload``: ``plain`` (default: the facts as JSON), ``wecom`` or ``dingtalk`` (a text message as
  those group robots take it; their robot key or access token stands in the URL's query)
* ``timeout`` in seconds (10), ``attempts`` (3), ``pause`` in seconds between them (2)

Every body is signed: header ``X-CityLedger-Signature: sha256=<hex>`` is the HMAC-SHA256 of its
bytes under the password. It names the moment of sending, so that a receiver can refuse old ones.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from cityledger.errors import UnavailableError

if TYPE_CHECKING:
    from airflow.sdk import Connection, Context

    from cityledger.orders.messages import Message

SMTP_CONNECTION = "cityledger_smtp"
WEBHOOK_CONNECTION = "cityledger_webhook"
SIGNATURE_HEADER = "X-CityLedger-Signature"

_MAIL_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+")
# The robots' own bounds on a text message, in bytes of UTF-8.
_CHAT_BYTES = {"wecom": 2048, "dingtalk": 20000}
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


class _MessageNotifier(BaseNotifier):
    """Sends one message.

    Nothing of a message is rendered as a template: reasons may hold what people typed.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, message: Message, *, connection_id: str) -> None:
        super().__init__()
        self.message, self.connection_id = message, connection_id


class MailNotifier(_MessageNotifier):
    """Sends a message by mail.

    Args:
        message: What to send, and to whom.
        connection_id: Airflow connection of type *smtp*.
    """

    def __init__(self, message: Message, *, connection_id: str = SMTP_CONNECTION) -> None:
        super().__init__(message, connection_id=connection_id)

    def notify(self, context: Context) -> None:  # noqa: ARG002  Airflow's signature
        """Send it.

        Raises:
            UnavailableError: there is no address, or the server does not take the mail.
        """
        import smtplib

        from airflow.providers.smtp.hooks.smtp import SmtpHook
        from airflow.sdk.exceptions import AirflowException

        body = html.escape(self.message.text).replace("\n", "<br>\n")
        try:
            with SmtpHook(smtp_conn_id=self.connection_id) as server:
                server.send_email_smtp(
                    to=[self._address()],
                    subject=self.message.subject,
                    html_content=f"<p>{body}</p>",
                    mime_subtype="alternative",
                )
        except smtplib.SMTPResponseException as error:
            raise self._failed(f"{type(error).__name__} {error.smtp_code}") from error
        except (smtplib.SMTPException, OSError, AirflowException) as error:
            # The server's own words may repeat addresses.
            raise self._failed(type(error).__name__) from error

    def _address(self) -> str:
        for candidate in (self.message.to, _connection(self.connection_id).extra_dejson.get("to")):
            address = str(candidate or "").removeprefix("mailto:").partition("?")[0]
            if _MAIL_ADDRESS.fullmatch(address):
                return address
        raise UnavailableError(
            "the addressee has no mail address",
            where=f"connection {self.connection_id}",
            fix="write a mailto: contact into the contract, or `to` into the connection's extra",
            code="no_mail_address",
        )

    def _failed(self, what: str) -> UnavailableError:
        return UnavailableError(
            f"the mail server did not take the message ({what})",
            where=f"connection {self.connection_id}",
            fix="check host, port, login and the TLS settings of the connection",
            code="mail_not_sent",
        )


class WebhookNotifier(_MessageNotifier):
    """Posts a message, signed, to a URL.

    Args:
        message: What to send.
        connection_id: Airflow connection of type *http*.
    """

    def __init__(self, message: Message, *, connection_id: str = WEBHOOK_CONNECTION) -> None:
        super().__init__(message, connection_id=connection_id)

    def notify(self, context: Context) -> None:  # noqa: ARG002  Airflow's signature
        """Post it; tries again while the receiver is away or overloaded.

        Raises:
            UnavailableError: the receiver can't be reached or refuses.
        """
        connection = _connection(self.connection_id)
        options = connection.extra_dejson
        body = json.dumps(_payload(self.message, options), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if connection.password:
            headers[SIGNATURE_HEADER] = sign(body, connection.password)
        attempts = int(options.get("attempts", 3))
        problem = ""
        for attempt in range(attempts):
            if attempt:
                time.sleep(float(options.get("pause", 2)))
            problem, again = _post(_url(connection), body, headers, options)
            if not problem:
                return
            if not again:
                break
        raise UnavailableError(
            f"the webhook did not take the message ({problem})",
            where=f"connection {self.connection_id}",
            fix="check host, port and extra of the connection",
            code="webhook_not_sent",
        )


def is_configured(connection_id: str) -> bool:
    """Whether Airflow has a connection of that id."""
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        _connection(connection_id)
    except AirflowNotFoundException:
        return False
    return True


def sign(body: bytes, secret: str) -> str:
    """The signature header's value for a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _connection(connection_id: str) -> Connection:
    from airflow.sdk import Connection

    connection: Connection = Connection.get(connection_id)
    return connection


def _payload(message: Message, options: dict[str, Any]) -> dict[str, Any]:
    style = options.get("payload", "plain")
    if style in _CHAT_BYTES:
        text = f"{message.subject}\n\n{message.text}".encode()[: _CHAT_BYTES[style]]
        return {"msgtype": "text", "text": {"content": text.decode(errors="ignore")}}
    if style == "plain":
        sent_at = datetime.now(UTC).isoformat()
        return {**message.facts, "subject": message.subject, "text": message.text, "at": sent_at}
    raise UnavailableError(
        f"unknown payload '{style}' in the connection's extra",
        where=f"connection {WEBHOOK_CONNECTION}",
        fix=f"write plain, {', '.join(_CHAT_BYTES)}",
        code="webhook_misconfigured",
    )


def _url(connection: Connection) -> str:
    host = connection.host or ""
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    if not connection.port:
        return url
    scheme, _, rest = url.partition("://")
    name, slash, path = rest.partition("/")
    return f"{scheme}://{name}:{connection.port}{slash}{path}"


def _post(
    url: str, body: bytes, headers: dict[str, str], options: dict[str, Any]
) -> tuple[str, bool]:
    """Post once; what went wrong (nothing if it went well), and whether it may heal by itself."""
    import httpx

    try:
        answer = httpx.post(
            url, content=body, headers=headers, timeout=float(options.get("timeout", 10))
        )
    except httpx.HTTPError as error:  # its text may hold the URL, and that a robot's key
        return type(error).__name__, True
    except httpx.InvalidURL:
        return "the URL is not valid", False
    if not answer.is_success:
        busy = answer.status_code in {_TOO_MANY_REQUESTS} or answer.status_code >= _SERVER_ERROR
        return f"HTTP {answer.status_code}", busy
    if options.get("payload") in _CHAT_BYTES:
        return _robots_complaint(answer.text), False
    return "", False


def _robots_complaint(text: str) -> str:
    """Group robots answer 200 even when they refuse; their ``errcode`` tells."""
    try:
        code = json.loads(text).get("errcode")
    except (ValueError, AttributeError):
        return "the robot's answer is not JSON"
    return "" if code == 0 else f"errcode {code}"
