"""Deterministic extracts of the fictional city 云汐市, with an answer key of every planted defect.

Everything here is generated. Names, numbers and addresses belong to nobody: the area codes lie
outside the assigned range, so no identifier can be a real person's or firm's.
"""
