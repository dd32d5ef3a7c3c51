"""The front door: everything that a stage needs to read and judge a dataset."""

from __future__ import annotations

from quality_checks.compiled import Suite
from quality_checks.compiler import compile_suite
from quality_checks.session import Session, Verdict

__all__ = ["Session", "Suite", "Verdict", "compile_suite"]
