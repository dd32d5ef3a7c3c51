"""``make bench``: every benchmark, one after the other."""

from __future__ import annotations

from tests.benchmarks import bench_history, bench_ingest, bench_ledger, bench_log

if __name__ == "__main__":
    bench_ingest.main()
    bench_log.main([])
    bench_ledger.main([])
    bench_history.main([])
