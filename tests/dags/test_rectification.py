"""Reminders on their way: real mail and web servers on this machine, none that answer elsewhere."""

from __future__ import annotations

import email
import hashlib
import hmac
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.message import Message as Mail
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import CronTriggerTimetable
from airflow.sdk.exceptions import AirflowSkipException
from cityledger.airflow import orders_dag
from cityledger.airflow.notify import SIGNATURE_HEADER, MailNotifier, WebhookNotifier
from cityledger.airflow.orders_dag import RemindOperator
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import Contract, Layout, ServiceLevel, SourceSpec
from cityledger.contracts.working_days import WorkingDays
from cityledger.errors import UnavailableError
from cityledger.orders import OrderBook, OrderState, ReminderKind
from cityledger.orders.dispatch import send_due
from cityledger.orders.messages import Message, message_of
from cityledger.orders.records import Order, Reminder
from cityledger.people import Person, Role
from cityledger.records import Accounting, ObjectRef, Validation
from cityledger.settings import Settings
from cityledger.storage.database import Database

from tests.dags.conftest import Parse

SECRET = "shared-with-the-receiver"
STEWARD = Person("steward", frozenset({Role.STEWARD}))
CONTEXT: Any = {}


# --- servers -----------------------------------------------------------------------------------


@dataclass
class Post:
    """One request that the web server got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass
class Web:
    """A web server that answers what a test says, the last answer again and again."""

    port: int = 0
    answers: list[tuple[int, bytes]] = field(default_factory=lambda: [(200, b"{}")])
    posts: list[Post] = field(default_factory=list)


@dataclass
class Post25:
    """A mail server: what it took, and how it answers RCPT."""

    port: int = 0
    recipient_answer: bytes = b"250 ok"
    taken: list[tuple[str, Mail]] = field(default_factory=list)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.posts.append(Post(self.path, dict(self.headers), body))
            status, text = state.answers[min(len(state.posts), len(state.answers)) - 1]
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Keep the test's output quiet."""

    with _serving(HTTPServer(("127.0.0.1", 0), Handler)) as port:
        state.port = port
        yield state


@pytest.fixture
def mail() -> Iterator[Post25]:
    state = Post25()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            recipient = ""
            self.wfile.write(b"220 test\r\n")
            for raw in self.rfile:
                line = raw.decode().strip()
                verb = line[:4].upper()
                if verb == "RCPT":
                    recipient = line.partition("<")[2].rstrip(">")
                    self.wfile.write(state.recipient_answer + b"\r\n")
                elif verb == "DATA":
                    self.wfile.write(b"354 go on\r\n")
                    text = b"".join(iter(self.rfile.readline, b".\r\n"))
                    state.taken.append((recipient, email.message_from_bytes(text)))
                    self.wfile.write(b"250 taken\r\n")
                elif verb == "QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 ok\r\n")

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        state.port = port
        yield state


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


Connect = Callable[..., None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Give Airflow a connection, as an administrator does."""

    def set_connection(name: str, kind: str, port: int, password: str = "", **extra: Any) -> None:
        if kind == "smtp":
            extra = {
                "disable_ssl": True,
                "disable_tls": True,
                "from_email": "cityledger@yunxi.example",
                "retry_limit": 0,
                "timeout": 5,
            } | extra
        host = extra.pop("host", "127.0.0.1" if kind == "smtp" else "http://127.0.0.1")
        definition = {
            "conn_type": kind,
            "host": host,
            "port": port,
            "password": password,
            "extra": extra,
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(definition))

    return set_connection


# --- orders ------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.day = date(2026, 3, 31)

    def __call__(self) -> datetime:
        return datetime(self.day.year, self.day.month, self.day.day, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(settings: Settings, clock: Clock) -> Iterator[OrderBook]:
    database = Database.from_settings(settings)
    database.migrate()
    yield OrderBook(database, WorkingDays(), clock=clock)
    database.close()


def open_order(book: OrderBook, partition: str = "2026-03-31", **changes: Any) -> Order:
    values: dict[str, Any] = {
        "title": "12345 热线工单",
        "contact": "mailto:hotline-data@yunxi.example",
        "steward": "hotline-steward",
    }
    contract = Contract(
        id=DatasetId.parse("hotline.tickets"),
        version="1.0.0",
        path=Path("x"),
        sha256="c" * 64,
        columns=(),
        rules=(),
        source=SourceSpec("drop_folder", {}),
        layout=Layout(),
        service_level=ServiceLevel("day", timedelta(hours=8), timedelta(days=30)),
        **values | changes,
    )
    validation = Validation(
        dataset="hotline.tickets",
        partition=partition,
        delivery="d1",
        contract_version="1.0.0",
        contract_sha256="c" * 64,
        inputs=(),
        accounting=Accounting(
            declared=None,
            extracted=100,
            rejected=0,
            expected_rejects=0,
            parsed=100,
            quarantined=20,
            validated=80,
        ),
        results=(),
        validated=ObjectRef(bucket="b", key="k", version_id=None, sha256="a", size=1),
        quarantined=None,
        rejected=None,
        rejects={},
        quarantined_by_rule={},
    )
    order = book.open_for(validation, contract, today=book.today())
    assert order is not None
    return order


@pytest.fixture
def message() -> Message:
    order = Order(
        number="ZG-20260331-0274",
        dataset="hotline.tickets",
        department="hotline",
        partition="2026-03-31",
        title="12345 热线工单",
        delivery="d1",
        state=OrderState.OPEN,
        opened_on=date(2026, 3, 31),
        due_on=date(2026, 4, 8),
        escalate_on=date(2026, 4, 13),
        reasons=("20 of 100 records quarantined",),
        contact="mailto:hotline-data@yunxi.example",
        steward="hotline-steward",
        escalate_to="",
        version=1,
        changed_by="cityledger",
        changed_at=datetime(2026, 3, 31, tzinfo=UTC),
    )
    return message_of(Reminder(order=order, kind=ReminderKind.OPENED, to=order.contact))


@pytest.fixture
def remind(book: OrderBook, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Run the DAG's task against the test's book."""
    monkeypatch.setattr(
        "cityledger.orders.book.OrderBook.from_settings", lambda *_: book, raising=True
    )
    return lambda: RemindOperator(task_id="remind").execute(CONTEXT)


# --- which reminders ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "kinds"),
    [
        (date(2026, 3, 31), ["opened"]),
        (date(2026, 4, 3), ["opened"]),
        (date(2026, 4, 7), ["due_soon"]),
        (date(2026, 4, 8), ["due_today"]),
        (date(2026, 4, 9), ["overdue"]),
        (date(2026, 4, 13), ["overdue"]),
        (date(2026, 4, 14), ["overdue", "escalated"]),
    ],
)
def test_what_is_due_on_a_day(book: OrderBook, day: date, kinds: list[str]) -> None:
    """Prevents a department from hearing nothing until it is too late (due: 8 April)."""
    order = open_order(book)
    due = book.due_reminders(day)
    assert [one.kind.value for one in due] == kinds
    assert due[0].to == order.contact
    assert all(one.to == order.steward for one in due[1:])


def test_escalation_goes_where_the_contract_says(book: OrderBook) -> None:
    """Prevents an escalation that stays with those who let it get late."""
    open_order(book, rectification={"escalate_to": "director@yunxi.example"})
    assert book.due_reminders(date(2026, 5, 20))[-1].to == "director@yunxi.example"


def test_nothing_is_due_while_others_have_to_act(book: OrderBook, clock: Clock) -> None:
    """Prevents a department from being pressed while the steward is checking."""
    order = open_order(book)
    clerk = Person("clerk", frozenset({Role.DEPARTMENT}), frozenset({"hotline"}))
    book.resubmit(order.number, clerk)
    assert book.due_reminders(date(2026, 6, 1)) == []
    assert book.get(order.number, STEWARD).state is OrderState.RESUBMITTED


# --- mail --------------------------------------------------------------------------------------


def test_mail_reaches_the_contact(mail: Post25, connect: Connect, message: Message) -> None:
    """Prevents an order that exists in our database only."""
    connect("cityledger_smtp", "smtp", mail.port)
    MailNotifier(message)(CONTEXT)
    ((recipient, sent),) = mail.taken
    assert recipient == "hotline-data@yunxi.example"
    subject = str(email.header.make_header(email.header.decode_header(sent["Subject"])))
    assert message.facts["number"] in subject
    assert "整改单已开具" in subject
    body = sent.get_payload()[0].get_payload(decode=True).decode()
    assert "2026-04-08" in body
    assert "20 of 100" in body


def test_words_from_people_are_not_a_program(
    mail: Post25, connect: Connect, message: Message
) -> None:
    """Prevents a steward's reason from being rendered as a template, as HTML or as a header."""
    connect("cityledger_smtp", "smtp", mail.port)
    reminder_text = message.text + "\n{{ conn.cityledger_smtp.password }} <script>x</script>"
    MailNotifier(message.model_copy(update={"text": reminder_text}))(CONTEXT)
    body = mail.taken[0][1].get_payload()[0].get_payload(decode=True).decode()
    assert "{{ conn.cityledger_smtp.password }}" in body
    assert "<script>" not in body


def test_a_title_with_a_line_break_is_no_header(book: OrderBook) -> None:
    """Prevents a contract's title from adding recipients."""
    order = open_order(book, title="tickets\nBcc: everybody@yunxi.example")
    subject = message_of(Reminder(order=order, kind=ReminderKind.OPENED, to="")).subject
    assert "\n" not in subject


def test_an_addressee_without_address_gets_it_through_the_mailbox(
    mail: Post25, connect: Connect, book: OrderBook
) -> None:
    """Prevents orders of contracts that name a channel from getting lost."""
    order = open_order(book, contact="热线数据质量工单")
    words = message_of(Reminder(order=order, kind=ReminderKind.OPENED, to=order.contact))
    connect("cityledger_smtp", "smtp", mail.port)
    with pytest.raises(UnavailableError) as caught:
        MailNotifier(words)(CONTEXT)
    assert caught.value.code == "no_mail_address"
    connect("cityledger_smtp", "smtp", mail.port, to="quality@yunxi.example")
    MailNotifier(words)(CONTEXT)
    assert mail.taken[0][0] == "quality@yunxi.example"


@pytest.mark.parametrize("answer", [b"550 no such user", b"451 later"])
def test_a_mail_server_that_refuses(
    mail: Post25, connect: Connect, message: Message, answer: bytes
) -> None:
    """Prevents a refused mail from being taken for a sent one."""
    mail.recipient_answer = answer
    connect("cityledger_smtp", "smtp", mail.port)
    with pytest.raises(UnavailableError) as caught:
        MailNotifier(message)(CONTEXT)
    assert caught.value.code == "mail_not_sent"
    assert "hotline-data" not in str(caught.value)
    assert mail.taken == []


def test_a_mail_server_that_is_down(connect: Connect, message: Message) -> None:
    """Prevents a traceback with the connection in it."""
    connect("cityledger_smtp", "smtp", 1, password=SECRET)
    with pytest.raises(UnavailableError, match="ConnectionRefusedError") as caught:
        MailNotifier(message)(CONTEXT)
    assert SECRET not in str(caught.value)


# --- webhook -----------------------------------------------------------------------------------


def test_the_webhook_gets_signed_facts(web: Web, connect: Connect, message: Message) -> None:
    """Prevents anybody else from telling the city's systems that an order was opened."""
    connect("cityledger_webhook", "http", web.port, SECRET, host="http://127.0.0.1/hook?key=k1")
    WebhookNotifier(message)(CONTEXT)
    (post,) = web.posts
    assert post.path == "/hook?key=k1"
    expected = hmac.new(SECRET.encode(), post.body, hashlib.sha256).hexdigest()
    assert post.headers[SIGNATURE_HEADER] == f"sha256={expected}"
    told = post.json
    assert told["event"] == "rectification.opened"
    assert (told["dataset"], told["due_on"]) == ("hotline.tickets", "2026-04-08")
    assert datetime.fromisoformat(told["at"]).tzinfo is not None
    assert "steward" not in json.dumps(told)


@pytest.mark.parametrize("style", ["wecom", "dingtalk"])
def test_group_robots_get_text(web: Web, connect: Connect, message: Message, style: str) -> None:
    """Prevents robots from dropping a message whose shape they do not know."""
    web.answers = [(200, b'{"errcode": 0, "errmsg": "ok"}')]
    connect("cityledger_webhook", "http", web.port, payload=style)
    WebhookNotifier(message.model_copy(update={"text": "整" * 4000}))(CONTEXT)
    told = web.posts[0].json
    assert told["msgtype"] == "text"
    content = told["text"]["content"]
    assert message.facts["number"] in content
    assert len(content.encode()) <= {"wecom": 2048, "dingtalk": 20000}[style]
    assert SIGNATURE_HEADER not in web.posts[0].headers


@pytest.mark.parametrize("answer", [b'{"errcode": 93000, "errmsg": "bad key"}', b"<html>"])
def test_a_robot_that_refuses_politely(
    web: Web, connect: Connect, message: Message, answer: bytes
) -> None:
    """Prevents "HTTP 200" from hiding a refusal."""
    web.answers = [(200, answer)]
    connect("cityledger_webhook", "http", web.port, payload="wecom")
    with pytest.raises(UnavailableError) as caught:
        WebhookNotifier(message)(CONTEXT)
    assert caught.value.code == "webhook_not_sent"
    assert len(web.posts) == 1


def test_a_busy_receiver_is_asked_again(web: Web, connect: Connect, message: Message) -> None:
    """Prevents a restart of the receiver from losing a message."""
    web.answers = [(503, b""), (429, b""), (200, b"")]
    connect("cityledger_webhook", "http", web.port, pause=0)
    WebhookNotifier(message)(CONTEXT)
    assert len(web.posts) == 3


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (403, 1), (302, 1)])
def test_a_receiver_that_refuses(
    web: Web, connect: Connect, message: Message, status: int, tries: int
) -> None:
    """Prevents endless attempts, and following a redirect to who knows where."""
    web.answers = [(status, b"")]
    connect("cityledger_webhook", "http", web.port, SECRET, pause=0)
    with pytest.raises(UnavailableError, match=f"HTTP {status}") as caught:
        WebhookNotifier(message)(CONTEXT)
    assert len(web.posts) == tries
    assert SECRET not in str(caught.value)


def test_a_receiver_that_is_down(connect: Connect, message: Message) -> None:
    """Prevents the key in a robot's URL from getting into logs."""
    connect(
        "cityledger_webhook", "http", 1, host="http://127.0.0.1/send?key=secret-key", attempts=1
    )
    with pytest.raises(UnavailableError, match="ConnectError") as caught:
        WebhookNotifier(message)(CONTEXT)
    assert "secret-key" not in str(caught.value)


def test_an_unknown_payload_says_which_there_are(connect: Connect, message: Message) -> None:
    """Prevents a typing error from sending a body that nobody reads."""
    connect("cityledger_webhook", "http", 1, payload="wechat")
    with pytest.raises(UnavailableError, match="wecom"):
        WebhookNotifier(message)(CONTEXT)


# --- the DAG -----------------------------------------------------------------------------------


def test_each_message_goes_out_once_a_channel(
    book: OrderBook,
    web: Web,
    mail: Post25,
    connect: Connect,
    remind: Callable[[], Any],
    clock: Clock,
) -> None:
    """Prevents a department from being told the same thing every morning."""
    open_order(book)
    connect("cityledger_webhook", "http", web.port, SECRET)
    connect("cityledger_smtp", "smtp", mail.port)
    assert remind() == {"due": 1, "sent": 2, "failed": []}
    assert remind() == {"due": 0, "sent": 0, "failed": []}
    clock.day = date(2026, 4, 9)
    assert remind()["sent"] == 2
    assert [post.json["event"] for post in web.posts] == [
        "rectification.opened",
        "rectification.overdue",
    ]
    assert len(mail.taken) == 2


def test_what_failed_is_sent_next_time_and_nothing_twice(
    book: OrderBook, web: Web, mail: Post25, connect: Connect, remind: Callable[[], Any]
) -> None:
    """Prevents a broken channel from silencing the other one, or from losing its messages."""
    open_order(book)
    open_order(book, "2026-03-30", contact="nobody")
    connect("cityledger_webhook", "http", web.port, SECRET, pause=0)
    connect("cityledger_smtp", "smtp", mail.port)
    mail.recipient_answer = b"550 no"
    with pytest.raises(UnavailableError, match="2 reminders could not") as caught:
        remind()
    assert caught.value.code == "reminders_not_sent"
    assert len(web.posts) == 2
    mail.recipient_answer = b"250 ok"
    with pytest.raises(UnavailableError, match="1 reminders could not"):
        remind()
    assert (len(web.posts), len(mail.taken)) == (2, 1)
    connect("cityledger_smtp", "smtp", mail.port, to="quality@yunxi.example")
    assert remind()["sent"] == 1
    assert (len(web.posts), len(mail.taken)) == (2, 2)


def test_without_a_connection_reminders_stay_due(
    book: OrderBook, remind: Callable[[], Any], web: Web, connect: Connect
) -> None:
    """Prevents reminders from being lost before the administrator has set up a channel."""
    open_order(book)
    with pytest.raises(AirflowSkipException, match="1 reminders stay due"):
        remind()
    connect("cityledger_webhook", "http", web.port)
    assert remind()["sent"] == 1


def test_nobody_is_pressed_on_a_holiday(
    book: OrderBook, remind: Callable[[], Any], clock: Clock
) -> None:
    """Prevents reminders on 清明节, a Monday in 2026."""
    open_order(book)
    clock.day = date(2026, 4, 6)
    with pytest.raises(AirflowSkipException, match="not a working day"):
        remind()


def test_two_senders_at_once_send_once(book: OrderBook) -> None:
    """Prevents a cleared task from doubling every message of the one still running."""
    for day in range(20, 30):
        open_order(book, f"2026-03-{day}")
    sent: list[str] = []
    threads = [
        threading.Thread(
            target=send_due,
            args=(book, {"list": lambda m: sent.append(m.facts["number"])}, book.today()),
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == len(set(sent)) == 10


def test_the_dag_runs_every_morning_in_the_citys_time(
    parse: Parse, no_parsing_context: None
) -> None:
    """Prevents reminders in the middle of the night, and a storm of missed days."""
    dag = parse().dags["rectification"]
    assert [task.task_id for task in dag.tasks] == ["remind"]
    assert dag.timetable == CronTriggerTimetable(orders_dag.SCHEDULE, timezone="Asia/Shanghai")
    assert dag.catchup is False
    assert dag.max_active_runs == 1
