"""transport.metro_trips: the big one, built column by column; a control file states its rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from cityledger.demo.generate.answers import Place
from cityledger.demo.generate.archives import gzip_bytes
from cityledger.demo.generate.city import FORMER_COUNTY
from cityledger.demo.generate.delivery import Delivery, close
from cityledger.demo.generate.planting import NOTHING, Book, Corrected
from cityledger.demo.generate.spellings import full_width
from cityledger.demo.generate.table import UNREADABLE_AREA

DATASET = "transport.metro_trips"
_STATION_AREAS = (
    *["990102"] * 6,
    *["990103"] * 5,
    *["990104"] * 5,
    *["990105"] * 4,
    *["990102"] * 4,
    *["990106"] * 3,
    *["990181"] * 2,
    "990103",
)
_TYPES = ("01", "02", "03", "04", "05")
_TYPE_SHARES = (0.3, 0.08, 0.1, 0.47, 0.05)
_DISCOUNT = {"02": 0.5, "03": 0.0}
_HEADER = (
    *("交易流水号", "卡号", "卡种", "线路", "进站车站", "进站时间"),
    *("出站车站", "出站时间", "进站区划代码", "票价", "里程", "运营日期"),
)

Ints = npt.NDArray[np.int64]


def _entry_seconds(rng: np.random.Generator, rows: int) -> Ints:
    """Seconds after midnight: two peaks, and the last trains after 24:00."""
    peak = rng.choice(4, rows, p=(0.32, 0.3, 0.375, 0.005))
    seconds = np.select(
        [peak == 0, peak == 1, peak == 2],
        [
            rng.normal(8.1, 0.7, rows) * 3600,
            rng.normal(18.2, 0.9, rows) * 3600,
            rng.uniform(6, 23, rows) * 3600,
        ],
        rng.uniform(24.02, 24.6, rows) * 3600,
    )
    entry: Ints = np.clip(seconds, 5.5 * 3600, 24.9 * 3600).astype(np.int64)
    return entry


def _frame(rng: np.random.Generator, rows: int, day: date) -> pl.DataFrame:
    start = datetime.combine(day, datetime.min.time())
    entry = _entry_seconds(rng, rows)
    stations = rng.integers(len(_STATION_AREAS), size=(2, rows))
    metres = np.abs(stations[0] - stations[1]) * 1400 + rng.integers(900, 1500, size=rows)
    ride = metres // 11 + rng.integers(120, 600, size=rows)
    kinds = rng.choice(len(_TYPES), rows, p=_TYPE_SHARES)
    discount = np.array([_DISCOUNT.get(kind, 1.0) for kind in _TYPES])[kinds]
    cents = ((200 + np.maximum(0, metres - 4000) // 4000 * 100) * discount).astype(np.int64)
    gone = rng.random(rows) < 0.003
    numbers = pl.DataFrame(
        {
            "entry": entry,
            "exit": entry + ride,
            "from": stations[0],
            "to": stations[1],
            "metres": metres,
            "cents": cents,
            "kind": kinds,
            "card": rng.integers(10**11, 10**12, size=rows),
            "gone": gone,
        }
    )
    return _texts(numbers, start, day)


def _texts(numbers: pl.DataFrame, start: datetime, day: date) -> pl.DataFrame:
    def moment(column: str) -> pl.Expr:
        return (pl.lit(start) + pl.duration(seconds=pl.col(column))).dt.strftime(
            "%Y-%m-%d %H:%M:%S"
        )

    def padded(value: pl.Expr, digits: int) -> pl.Expr:
        return value.cast(pl.String).str.zfill(digits)

    def decimal(column: str, digits: int) -> pl.Expr:
        unit = 10**digits
        whole, rest = pl.col(column) // unit, pl.col(column) % unit
        return pl.concat_str(whole.cast(pl.String), pl.lit("."), padded(rest, digits))

    def choice(values: tuple[str, ...], column: str) -> pl.Expr:
        return pl.lit(pl.Series(values)).gather(pl.col(column))

    empty = pl.lit("")
    serial = pl.int_range(1, pl.len() + 1)
    return numbers.select(
        trip_id=pl.concat_str(pl.lit(f"T{day:%Y%m%d}"), padded(serial, 8)),
        card_no=pl.concat_str(pl.lit("9901"), pl.col("card").cast(pl.String)),
        card_type=choice(_TYPES, "kind"),
        line=(pl.col("from") // 10 + 1).cast(pl.String),
        entry_station=padded(pl.col("from") + 1, 4),
        entry_at=moment("entry"),
        exit_station=pl.when(pl.col("gone")).then(empty).otherwise(padded(pl.col("to") + 1, 4)),
        exit_at=pl.when(pl.col("gone")).then(empty).otherwise(moment("exit")),
        district=choice(_STATION_AREAS, "from"),
        fare=decimal("cents", 2),
        distance=decimal("metres", 3),
        operating_date=pl.lit(day.isoformat()),
    )


class _Trips:
    """The frame under repair: cells are changed by scatter, in few places of many."""

    def __init__(self, frame: pl.DataFrame, book: Book) -> None:
        self._columns = {name: frame[name] for name in frame.columns}
        self._book = book

    def cell(self, row: int, column: str) -> str:
        text: str = self._columns[column][row]
        return text

    def put(self, column: str, rows: list[int], texts: list[str]) -> None:
        self._columns[column] = self._columns[column].scatter(rows, texts)

    def spoil(
        self, defect: str, rate: float, column: str, change: Callable[[str], str], *rules: str
    ) -> None:
        """Change cells so that they break the rules."""
        rows = self._book.take(defect, rate, lambda row: bool(self.cell(row, column)))
        self.put(column, rows, [change(self.cell(row, column)) for row in rows])
        for row in rows:
            self._book.bad(defect, row, blocks=rules)

    def swap_times(self, rate: float) -> None:
        """Entry and exit in the wrong order."""
        rows = self._book.take(
            "times_out_of_order", rate, lambda row: bool(self.cell(row, "exit_at"))
        )
        entries = [self.cell(row, "entry_at") for row in rows]
        self.put("entry_at", rows, [self.cell(row, "exit_at") for row in rows])
        self.put("exit_at", rows, entries)
        for row in rows:
            self._book.bad("times_out_of_order", row, blocks=("_row.not_before",))

    def repeat(self, rate: float) -> None:
        """The same tap sent twice, one after the other."""
        for row, original in self._book.repeats(rate):
            for column in self._columns:
                self.put(column, [row], [self.cell(original, column)])
            self._book.bad("duplicate_key", row, blocks=("trip_id.unique",))

    def widen(self, rate: float) -> None:
        """Fares in full-width digits, from the counters' own terminals."""
        rows = self._book.take("full_width_digits", rate)
        for row in rows:
            self._book.tolerated("full_width_digits", row, "fare", self.cell(row, "fare"))
        self.put("fare", rows, [full_width(self.cell(row, "fare")) for row in rows])

    def lines(self) -> list[str]:
        """The records as CSV lines; no cell needs quotes."""
        joined = pl.DataFrame(self._columns).select(pl.concat_str(pl.all(), separator=","))
        return joined.to_series().to_list()


def _plant(trips: _Trips) -> None:
    trips.swap_times(0.0005)
    trips.spoil("unknown_code", 0.0002, "entry_station", lambda _: "0099", "entry_station.in_set")
    trips.spoil("unknown_code", 0.0001, "card_type", lambda _: "88", "card_type.in_set")
    trips.spoil("out_of_range", 0.0001, "fare", lambda _: "999.00", "fare.between")
    trips.spoil("unreadable_number", 0.0001, "fare", lambda _: "免费", "fare.type", "fare.not_null")
    trips.spoil("missing_required", 0.0002, "card_no", lambda _: "", "card_no.not_null")
    trips.spoil("bad_format", 0.0001, "card_no", lambda text: text[:10], "card_no.pattern")
    trips.spoil("old_area_code", 0.0002, "district", lambda _: FORMER_COUNTY, *UNREADABLE_AREA)
    trips.repeat(0.0001)
    trips.widen(0.0002)


def _break_lines(book: Book, lines: list[str]) -> list[bytes]:
    encoded = [line.encode() for line in lines]
    for row in book.take("ragged_row", 0.0001):
        encoded[row] += b",0"
        book.lost("ragged_row", row, "too_many_fields")
    for row in book.take("ragged_row", 0.0001):
        encoded[row] = encoded[row][:40]
        book.lost("ragged_row", row, "too_few_fields")
    for row in book.take("nul_byte", 0.0001):
        encoded[row] = encoded[row].replace(b",", b",\0", 1)
        book.lost("nul_byte", row, "nul_byte")
    for row in book.take("undecodable", 0.0001):
        encoded[row] = b"\xff\xfe" + encoded[row]
        book.lost("undecodable", row, "undecodable")
    return encoded


def build(
    rng: np.random.Generator, rows: int, partition: str, corrected: Corrected = NOTHING
) -> Delivery:
    """The delivery of an operating day."""
    day = date.fromisoformat(partition)
    book = Book(DATASET, partition, rows, rng, corrected=corrected, declared=rows)
    trips = _Trips(_frame(rng, rows, day), book)
    _plant(trips)
    data = b"\n".join([",".join(_HEADER).encode(), *_break_lines(book, trips.lines()), b""])
    path = f"transport/metro_trips_{day:%Y%m%d}.csv.gz"
    control = f"transport/metro_trips_{day:%Y%m%d}.ctl"
    files = {path: gzip_bytes(data), control: f"{rows}\n".encode()}
    return close(book, files, lambda row: Place(path, None, row + 2))
