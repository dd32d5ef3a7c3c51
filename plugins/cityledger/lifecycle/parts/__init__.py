"""A landed file too large for one machine: cut into parts, parsed side by side, judged as one.

What comes out is what the whole way gives, byte for byte (docs/adr/0025).
"""
