"""Parsing one large delivery with several processes of this machine."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

from cityledger.errors import UnavailableError

if TYPE_CHECKING:
    from cityledger.records import Validation
    from cityledger.runner import Runner

#: A smaller part takes longer to hand over than to parse.
_LEAST_BYTES: Final = 64 << 20


def parse_validate(
    runner: Runner,
    dataset: str,
    partition: str,
    *,
    processes: int,
    progress: Callable[[int], None],
) -> Validation:
    """Judge the newest delivery, its parts parsed side by side.

    Args:
        runner: Splits, and gathers the parts.
        dataset: ``<department>.<dataset>``.
        partition: Its key.
        processes: How many parts are parsed at once; with one the delivery is read whole.
        progress: Called with the number of rows parsed or judged since the last call.

    Raises:
        BadInputError: nothing has landed, or the files can't be read at all.
        UnavailableError: a service does not answer, or a process was killed (``part_killed``).
    """
    if processes < 2:
        return runner.parse_validate(dataset, partition, progress=progress)
    receipt = runner.landed(dataset, partition)
    total = sum(landed.size for landed in receipt.objects)
    size = runner.contract(dataset).layout.part_bytes or max(_LEAST_BYTES, -(-total // processes))
    place = (dataset, partition, receipt.delivery)
    numbers = runner.split(*place, part_bytes=size)
    if numbers:
        _parse(place, numbers, processes, progress)
    return runner.parse_validate(*place, progress, in_parts=True)


def _parse(
    place: tuple[str, str, str],
    numbers: tuple[int, ...],
    processes: int,
    progress: Callable[[int], None],
) -> None:
    # A forked process would share connections and locks with this one.
    context = get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(numbers)), mp_context=context) as pool:
        running = [pool.submit(_parse_part, place, number) for number in numbers]
        try:
            for one in as_completed(running):
                progress(one.result())
        except BrokenProcessPool as error:
            raise UnavailableError(
                "a process that parsed a part was killed, perhaps for want of memory",
                where=f"{place[0]}/{place[1]}",
                fix="run again; with a smaller --parallel if memory is short",
                code="part_killed",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _parse_part(place: tuple[str, str, str], number: int) -> int:
    from cityledger.runner import Runner

    dataset, partition, delivery = place
    return Runner.from_settings().parse_part(dataset, partition, number, delivery).parsed
