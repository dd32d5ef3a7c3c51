"""Takes the past of the lake away, in which removed rows could still be read.

A new build has none of them, but DuckLake keeps the files of older snapshots. After a build of all
tables anew, every older snapshot is expired and its files are deleted. Between the two the newest
tables are compared with their recorded digests: expiry has lost live rows in DuckLake's past, and
as long as no file is deleted, nothing is lost for good.
"""

from __future__ import annotations

from cityledger.errors import CityLedgerError
from cityledger.lifecycle.content_digest import table_digest
from cityledger.records import Record
from cityledger.runner import Runner
from cityledger.storage import duck


class Forgotten(Record):
    """What was taken away.

    Attributes:
        snapshot_id: The build that is left.
        expired: Older snapshots.
        files: Of the lake that were deleted.
    """

    snapshot_id: int
    expired: int
    files: int


def forget_past(runner: Runner) -> Forgotten:
    """Build the lake anew from what is released, publish, and delete what older builds left.

    Values of older builds can no longer be traced to rows, nor can their tables be re-read: what
    was published stays, and so do evidence packs.

    Raises:
        CityLedgerError: the newest tables are not what their digests say once the past is expired
            (code ``lake_changed``); no file has been deleted then.
        UnavailableError: database or object store do not answer; run again.
    """
    built = runner.standardise(full_refresh=True)
    if built is None:  # a full build always gives a result; keeps the type honest
        raise AssertionError("no build")
    runner.publish()
    with (
        runner.database.lock("standardise"),
        duck.connect(runner.settings, lake=True) as connection,
    ):
        old = [
            int(row[0])
            for row in connection.execute(
                "SELECT snapshot_id FROM lake.snapshots() WHERE snapshot_id < ?",
                [built.snapshot_id],
            ).fetchall()
        ]
        if old:
            listed = ", ".join(map(str, old))
            connection.execute(f"CALL ducklake_expire_snapshots('lake', versions => [{listed}])")
        changed = [
            table
            for table, digest in built.digests.items()
            if table_digest(connection, table, built.snapshot_id).sha256 != digest
        ]
        if changed:
            raise CityLedgerError(
                f"{len(changed)} table(s) changed when older snapshots were expired: {changed[0]}",
                fix="no file was deleted: restore the last backup, and keep this installation as"
                " it is for those who look into it",
                code="lake_changed",
            )
        files = connection.execute(
            "CALL ducklake_cleanup_old_files('lake', cleanup_all => true)"
        ).fetchall()
    return Forgotten(snapshot_id=built.snapshot_id, expired=len(old), files=len(files))
