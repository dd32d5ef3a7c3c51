"""The session with the engine that one build uses."""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from cityledger.errors import CityLedgerError, Exit, UnavailableError
from cityledger.lifecycle.pseudonyms import hmac_pads
from cityledger.settings import Settings

if TYPE_CHECKING:
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

# The same as in dbt_project/profiles.yml: dbt shares this session only if they agree.
OPTIONS: Mapping[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",
}
_PORT = 15002  # of Spark Connect, where the address names none
_SECONDS = 10.0
PADS_VIEW = "pseudonym_pads"
_DRIVER_LIMIT = 100_000  # rows that a query may bring here; tables stay on the engine


class Engine:
    """One open session.

    Args:
        spark: The session.
    """

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The result of a small query.

        Raises:
            CityLedgerError: the engine refused the query, or the result is a table rather than a
                figure (``engine_refused``).
        """
        with refusals():
            found = self.spark.sql(query).limit(_DRIVER_LIMIT + 1).collect()
        if len(found) > _DRIVER_LIMIT:
            raise CityLedgerError(
                f"a query gave more than {_DRIVER_LIMIT} rows",
                fix="aggregate on the engine",
                code="engine_refused",
            )
        return [tuple(row) for row in found]

    def columns(self, table: str) -> dict[str, str]:
        """Column → type as the engine spells it, in order."""
        with refusals():
            fields = self.spark.sql(f"SELECT * FROM {table}").schema.fields
        return {field.name: field.dataType.simpleString() for field in fields}


@contextmanager
def open_engine(settings: Settings, key: SecretStr) -> Iterator[Engine]:
    """Connect, and give the session the pads of the pseudonym key as a temporary view.

    The pads travel as data of this session: no statement, file or setting on the engine holds them.

    Raises:
        CityLedgerError: the engine's address is missing or no address (``spark_not_configured``).
        UnavailableError: the engine does not answer (``spark_unavailable``).
    """
    address = engine_address(settings)
    _check_reachable(address)
    # It writes the engine's messages to stderr, with values of the data in them.
    logging.getLogger("SQLQueryContextLogger").disabled = True
    with warnings.catch_warnings():
        # Of pandas 3, which nothing here uses on Spark, and of dbt's wish for a Hive catalogue,
        # which no Connect server grants, with every statement.
        warnings.filterwarnings("ignore", module="pyspark")
        spark = _connect(address)
        try:
            pads = hmac_pads(key)
            spark.createDataFrame(
                [tuple(pads.values())], ", ".join(f"{name} binary" for name in pads)
            ).createOrReplaceTempView(PADS_VIEW)
            yield Engine(spark)
        finally:
            spark.stop()


def _connect(address: str) -> SparkSession:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.remote(address)
    for name, value in OPTIONS.items():
        builder = builder.config(name, value)
    try:
        spark = builder.create()
        spark.sql("SELECT 1").collect()
    except _errors() as error:
        raise _unavailable(type(error).__name__) from None  # the text may hold the token
    return spark


def _errors() -> type[PySparkException]:
    from pyspark.errors import PySparkException

    return PySparkException


@contextmanager
def refusals() -> Iterator[None]:
    """Turn the engine's errors into ours, without the values of the data that they may quote.

    Raises:
        CityLedgerError: the engine refused (``engine_refused``).
    """
    try:
        yield
    except _errors() as error:
        python = type(error).__name__ == "PythonException"
        raise CityLedgerError(
            f"the engine refused a query: {error.getCondition() or type(error).__name__}",
            fix="install this project's packages where spark.pyspark.python looks on the workers"
            if python
            else "read the engine's own log",
            code="engine_refused",
        ) from None


def engine_address(settings: Settings) -> str:
    """``sc://host:port`` of the engine; it may hold a token.

    Raises:
        CityLedgerError: it is missing or no such address.
    """
    remote = settings.spark_remote.get_secret_value() if settings.spark_remote else ""
    if not remote.startswith("sc://"):
        raise CityLedgerError(
            "there is no address of a Spark Connect engine",
            where="CITYLEDGER_SPARK_REMOTE",
            fix="set it to sc://host:port, or unset CITYLEDGER_ENGINE to use DuckDB",
            code="spark_not_configured",
            exit_code=Exit.USAGE,
        )
    return remote


def _check_reachable(address: str) -> None:
    """The client itself would try for ten minutes; the task queue does the waiting."""
    place = urlsplit(address)
    try:
        socket.create_connection((place.hostname or "", place.port or _PORT), _SECONDS).close()
    except OSError as error:
        raise _unavailable(error.strerror or type(error).__name__) from error


def _unavailable(why: str) -> UnavailableError:
    return UnavailableError(
        f"the engine does not answer: {why}",
        where="CITYLEDGER_SPARK_REMOTE",
        fix="check that its Spark Connect server runs and can be reached from here",
        code="spark_unavailable",
    )
