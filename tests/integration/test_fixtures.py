"""The test servers themselves: what other tests take for granted."""

from __future__ import annotations

import socket
from io import BytesIO

import psycopg
import pytest
from cityledger.settings import Settings
from minio import Minio


def test_settings_reach_both_servers(settings: Settings) -> None:
    """Prevents a test suite that silently runs without its servers."""
    assert settings.database_url is not None
    assert settings.s3_url is not None
    with psycopg.connect(settings.database_url.get_secret_value()) as session:
        row = session.execute("SELECT current_database()").fetchone()
    keys, address = settings.s3_url.get_secret_value().removeprefix("http://").split("@")
    client = Minio(address, *keys.split(":"), secure=False)
    bucket = f"{settings.bucket_prefix}landing"
    client.make_bucket(bucket, object_lock=True)
    stored = client.put_object(bucket, "a/b", BytesIO(b"bytes"), 5)

    assert row == (settings.database_url.get_secret_value().rsplit("/", 1)[1],)
    assert stored.version_id
    assert client.get_object(bucket, "a/b").read() == b"bytes"


def test_tests_cannot_leave_the_machine() -> None:
    """Prevents a test that only passes with a network."""
    with socket.socket() as probe, pytest.raises(AssertionError, match="connects to"):
        probe.connect(("192.0.2.1", 80))
