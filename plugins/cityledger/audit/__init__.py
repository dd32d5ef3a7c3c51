"""Proof of a number: trace to the line, evidence pack, offline verification, re-derivation."""
