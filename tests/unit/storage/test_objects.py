"""The object store against a real S3 server: what is locked stays, what is read is what was put."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Barrier, Thread
from typing import ClassVar

import pytest
from cityledger.errors import BadInputError, CityLedgerError, Exit, UnavailableError
from cityledger.records import ObjectRef
from cityledger.settings import Settings
from cityledger.storage.endpoint import S3Endpoint
from cityledger.storage.objects import BUCKETS, ObjectStore
from cityledger.storage.outages import PASSING
from minio import Minio
from minio.error import S3Error
from urllib3.exceptions import ProtocolError

KEY = "dept/set/2026-03-31/办件 表(1)+&.csv"


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    made = ObjectStore.from_settings(settings)
    made.ensure_buckets()
    return made


@pytest.fixture
def foreign(settings: Settings) -> Minio:
    """Somebody with the same keys who goes around the store."""
    endpoint = S3Endpoint.from_settings(settings)
    return Minio(endpoint.host, endpoint.access_key, endpoint.secret_key, secure=False)


def _soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def _versions(client: Minio, bucket: str, key: str) -> int:
    return len(list(client.list_objects(bucket, prefix=key, include_version=True)))


def test_buckets_are_made_once_and_locked_where_they_must(
    store: ObjectStore, foreign: Minio
) -> None:
    """Prevents landing without versions, and a second start that fails on existing buckets."""
    store.ensure_buckets()
    assert all(foreign.bucket_exists(store.bucket(name)) for name in BUCKETS)
    for name in ("landing", "evidence"):
        assert foreign.get_bucket_versioning(store.bucket(name)).status == "Enabled"


def test_existing_unlocked_landing_bucket_is_refused(settings: Settings, foreign: Minio) -> None:
    """Prevents evidence that anybody can delete, because a bucket of that name was there before."""
    foreign.make_bucket(f"{settings.bucket_prefix}landing")
    with pytest.raises(CityLedgerError, match="without object lock") as caught:
        ObjectStore.from_settings(settings).ensure_buckets()
    assert caught.value.code == "bucket_not_locked"


def test_landed_version_can_neither_be_deleted_nor_replaced(
    store: ObjectStore, foreign: Minio
) -> None:
    """Prevents loss of original bytes: deletion, overwriting and shortening the retention fail."""
    ref = store.put_bytes("landing", KEY, b"original", retain_until=_soon())
    with pytest.raises(S3Error, match="AccessDenied"):
        foreign.remove_object(ref.bucket, ref.key, version_id=ref.version_id)
    foreign.put_object(ref.bucket, ref.key, io.BytesIO(b"forged"), 6)
    foreign.remove_object(ref.bucket, ref.key)  # a delete marker hides the key, not the version
    with store.open(ref) as stream:
        assert stream.read() == b"original"


def test_large_file_is_sent_in_parts_and_locked(
    store: ObjectStore, foreign: Minio, tmp_path: Path
) -> None:
    """Prevents a multipart upload that forgets lock, hash or bytes."""
    path = tmp_path / "big.bin"
    path.write_bytes(b"0123456789abcdef" * (35 * 65536))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    ref = store.put_file("landing", "big", path, sha256=sha256, retain_until=_soon())
    assert ref == store.find("landing", "big")
    assert (ref.sha256, ref.size) == (sha256, path.stat().st_size)
    with pytest.raises(S3Error, match="AccessDenied"):
        foreign.remove_object(ref.bucket, ref.key, version_id=ref.version_id)
    with store.open(ref) as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == sha256


@pytest.mark.parametrize("size", [0, 5, 8 * 1024**2, 8 * 1024**2 + 1, 30 * 1024**2 + 7])
def test_an_object_may_be_sent_while_it_is_made(
    store: ObjectStore, foreign: Minio, size: int
) -> None:
    """Prevents bytes lost between parts, a wrong hash, and an object seen before its commit."""
    data = hashlib.shake_128(b"made up").digest(size)
    with store.writer("validated", KEY) as sending:
        for start in range(0, size, 1_234_567):
            sending.write(memoryview(data)[start : start + 1_234_567])
        assert store.find("validated", KEY) is None
        ref = sending.commit()
    assert (ref.sha256, ref.size) == (hashlib.sha256(data).hexdigest(), size)
    with store.open(ref) as stream:
        assert stream.read() == data
    assert store.find("validated", KEY) == ref


@pytest.mark.parametrize("size", [5, 30 * 1024**2])
def test_an_object_that_is_not_committed_leaves_nothing(
    store: ObjectStore, foreign: Minio, size: int
) -> None:
    """Prevents half an object, and parts that nobody sees but the disk."""
    with store.writer("validated", KEY) as sending:
        sending.write(b"x" * size)
    assert store.find("validated", KEY) is None
    assert not foreign._list_multipart_uploads(store.bucket("validated"), prefix=KEY).uploads
    with store.writer("validated", KEY) as sending:
        sending.write(b"next")
        assert sending.commit().size == len(b"next")


def test_the_parts_of_a_killed_process_are_dropped(store: ObjectStore, foreign: Minio) -> None:
    """Prevents a disk that fills with the parts of uploads that nobody will finish."""
    key = "dept/set/2026-03-31/0123-4567/part-00000.parquet"
    bucket = store.bucket("validated")
    killed = foreign._create_multipart_upload(bucket, key, {})
    other = foreign._create_multipart_upload(bucket, f"{key}.other", {})
    foreign._upload_part(bucket, key, b"x" * 5 * 1024**2, None, killed, 1)
    with store.writer("validated", key) as sending:
        sending.write(b"y" * 9 * 1024**2)
        sending.commit()
    left = foreign._list_multipart_uploads(bucket, prefix=key).uploads
    assert [upload.upload_id for upload in left] == [other]


def test_a_store_that_fails_while_an_object_is_made_is_told(settings: Settings) -> None:
    """Prevents a writer that waits for ever for a store that is gone."""
    gone = ObjectStore(replace(S3Endpoint.from_settings(settings), host="127.0.0.1:1"))
    with gone.writer("validated", KEY) as sending:
        sending.write(b"x" * 9 * 1024**2)
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 does not answer"):
            sending.commit()


@pytest.mark.parametrize("size", [0, 5, 20 * 1024**2], ids=["empty", "small", "multipart"])
@pytest.mark.parametrize("change", ["altered", "grown", "truncated"])
def test_file_that_changed_since_it_was_hashed_is_not_stored(
    store: ObjectStore, foreign: Minio, tmp_path: Path, size: int, change: str
) -> None:
    """Prevents bytes in landing that are not those that were extracted."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    match change:
        case "altered":
            path.write_bytes(b"y" + b"x" * (size - 1))
        case "grown":
            path.write_bytes(b"x" * size + b"y")
        case "truncated":
            path.write_bytes(b"x" * (size - 1) if size else b"z")
    with pytest.raises(BadInputError, match="changed between extraction and landing"):
        store.put_file("landing", "file", path, sha256=sha256)
    assert store.find("landing", "file") is None
    assert _versions(foreign, store.bucket("landing"), "file") == 0


def test_conditional_put_has_one_winner(store: ObjectStore) -> None:
    """Prevents two landers that each believe they own a sequence number."""
    barrier, won = Barrier(8), []

    def put(number: int) -> None:
        barrier.wait()
        if store.put_new("landing", "claim", str(number).encode()):
            won.append(number)

    threads = [Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get_bytes("landing", "claim") == str(won[0]).encode()


def test_reading_is_pinned_seekable_and_survives_a_broken_connection(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a half-read file that looks whole, and reading newer bytes than receipted."""
    data = bytes(range(256)) * 8_000
    ref = store.put_bytes("landing", KEY, data)
    store.put_bytes("landing", KEY, b"newer")
    fetch, starts = store.fetch, []

    class Breaking:
        """A response that breaks off after its first bytes."""

        def __init__(self, response: object) -> None:
            self._response, self._reads = response, 0

        def read(self, wanted: int) -> bytes:
            self._reads += 1
            if self._reads > 1:
                raise ProtocolError("connection reset")
            return self._response.read(min(wanted, 500_000))  # type: ignore[attr-defined]

        def close(self) -> None:
            self._response.close()  # type: ignore[attr-defined]

        def release_conn(self) -> None:
            self._response.release_conn()  # type: ignore[attr-defined]

    def fetch_breaking(wanted: ObjectRef, offset: int) -> object:
        starts.append(offset)
        return Breaking(fetch(wanted, offset))

    monkeypatch.setattr(store, "fetch", fetch_breaking)
    with store.open(ref) as stream:
        assert stream.read() == data
        assert len(starts) > 3
        stream.seek(-256, io.SEEK_END)
        assert stream.read(3) == b"\x00\x01\x02"
        assert stream.tell() == len(data) - 253


def test_stream_that_keeps_breaking_says_so(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a truncated object from being read as if it ended there."""
    ref = store.put_bytes("validated", "short", b"12345")
    longer = ref.model_copy(update={"size": 9})
    with store.open(longer) as stream, pytest.raises(CityLedgerError):
        stream.read()


def test_foreign_object_is_hashed_and_missing_is_none(store: ObjectStore, foreign: Minio) -> None:
    """Prevents a reference without a hash for Parquet that DuckDB wrote."""
    foreign.put_object(store.bucket("validated"), "a/b.parquet", io.BytesIO(b"bytes"), 5)
    found = store.find("validated", "a/b.parquet")
    assert found is not None
    assert found.sha256 == hashlib.sha256(b"bytes").hexdigest()
    assert found.version_id is None
    assert store.find("validated", "a/c.parquet") is None
    assert list(store.list("validated", "a/")) == ["a/b.parquet"]
    with pytest.raises(CityLedgerError) as caught:
        store.get_bytes("validated", "a/c.parquet")
    assert caught.value.code == "object_missing"


def test_retention_is_extended_and_never_shortened(store: ObjectStore, foreign: Minio) -> None:
    """Prevents a delivery from outliving the objects it shares with an earlier one."""
    ref = store.put_bytes("landing", KEY, b"shared", retain_until=_soon())
    later = _soon() + timedelta(days=3)
    store.extend_retention(ref, later)
    store.extend_retention(ref, _soon())
    kept = foreign.get_object_retention(ref.bucket, ref.key, version_id=ref.version_id)
    assert kept is not None
    assert abs(kept.retain_until_date - later) < timedelta(seconds=2)


def test_store_that_is_down_is_told_in_one_sentence_without_secrets() -> None:
    """Prevents a stack trace, and the secret key in a log, when the store is not there."""
    store = ObjectStore(S3Endpoint.parse("http://key:very-secret@127.0.0.1:1"))
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 does not answer") as caught:
        store.find("landing", "a")
    assert caught.value.exit_code is Exit.UNAVAILABLE
    assert "very-secret" not in str(caught.value)
    assert "very-secret" not in repr(store.endpoint)


def test_passing_overload_is_ridden_out() -> None:
    """Prevents a run from failing because the store was busy for a moment."""
    answers = [503, 503, 200]

    class Busy(BaseHTTPRequestHandler):
        """Says "come back later" twice."""

        def do_HEAD(self) -> None:
            self.send_response(answers.pop(0))
            self.send_header("x-amz-meta-sha256", "ab")
            self.send_header("Content-Length", "7")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Tests keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        endpoint = _endpoint(server)
        found = ObjectStore(endpoint).find("validated", "a")
        server.shutdown()
    assert found is not None
    assert (found.sha256, found.size, answers) == ("ab", 7, [])


class Failing(BaseHTTPRequestHandler):
    """Refuses to store anything with one answer; to questions it says ``head``."""

    head, status, code, seconds = 404, 500, "InternalError", 0.0
    puts: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.send_response(self.head)
        self.end_headers()

    def do_PUT(self) -> None:
        self.puts.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.seconds)
        body = f"<Error><Code>{self.code}</Code><Message>no</Message></Error>".encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests keep quiet."""


def _endpoint(server: HTTPServer) -> S3Endpoint:
    return S3Endpoint.parse(f"http://key:secret@127.0.0.1:{server.server_port}")


@contextmanager
def failing(**answers: object) -> Iterator[tuple[ObjectStore, list[str]]]:
    """A store that stores nothing, and the requests that came to do so."""
    puts: list[str] = []
    handler = type("Handler", (Failing,), {**answers, "puts": puts})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield ObjectStore(_endpoint(server)), puts
        server.shutdown()


@pytest.mark.parametrize(
    ("answers", "code", "words"),
    [
        ({}, "s3_full", "most likely its disk is full"),
        ({"head": 500}, "s3_unavailable", "cannot do it now"),
        ({"status": 507, "code": "XMinioStorageFull"}, "s3_full", "has no disk space left"),
        ({"status": 503, "code": "SlowDown"}, "s3_unavailable", "cannot do it now"),
    ],
    ids=["reads-but-stores-nothing", "does-neither", "says-so", "busy"],
)
def test_a_full_store_is_told_apart_from_one_that_is_away(
    answers: dict[str, object], code: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who reads of an internal error restarts the store instead of making room."""
    monkeypatch.setattr("cityledger.storage.connections._REPEAT_SECONDS", 0.0)
    with failing(**answers) as (store, _), pytest.raises(UnavailableError, match=words) as caught:
        store.put_bytes("validated", "a", b"text")
    assert caught.value.code == code
    assert caught.value.code in PASSING


@pytest.mark.parametrize(("seconds", "requests"), [(0.0, 5), (0.4, 1)], ids=["soon", "late"])
def test_only_what_fails_soon_is_sent_again(
    seconds: float, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full store takes half a minute to say so: five times that is a run that hangs."""
    monkeypatch.setattr("cityledger.storage.connections._REPEAT_SECONDS", seconds or 20.0)
    with failing(seconds=1.5 * seconds) as (store, puts), pytest.raises(UnavailableError):
        store.put_bytes("validated", "a", b"text")
    assert len(puts) == requests


def test_wrong_keys_are_told_apart_from_a_store_that_is_down(s3_url: str) -> None:
    """Prevents a search for a network fault when a password was mistyped."""
    host = s3_url.rpartition("@")[2]
    store = ObjectStore(S3Endpoint.parse(f"http://nobody:wrong@{host}"))
    with pytest.raises(CityLedgerError) as caught:
        store.get_bytes("landing", "a")
    assert caught.value.code == "s3_refused"


@pytest.mark.parametrize("url", ["ftp://a:secret@h", "http://h:1", "http://a@h", "secret"])
def test_unreadable_url_is_not_repeated(url: str) -> None:
    """Prevents a secret in an error message about its own URL."""
    with pytest.raises(CityLedgerError, match="CITYLEDGER_S3_URL cannot be read") as caught:
        S3Endpoint.parse(url)
    assert "secret@" not in str(caught.value)


def test_url_parts_are_decoded() -> None:
    """Prevents keys with special characters from being refused by the server."""
    endpoint = S3Endpoint.parse("https://a%2Fb:c%40d@s3.example:9000?region=cn-north-1")
    assert endpoint == S3Endpoint("s3.example:9000", "a/b", "c@d", True, "cn-north-1")
