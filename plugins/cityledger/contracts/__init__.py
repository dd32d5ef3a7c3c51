"""Contracts: what a department promised to deliver, written once, driving everything else."""
