"""What an installation tells about itself: traces, metrics and logs.

Nothing of it leaves the machine unless a setting names where it should go. See
``docs/observability.md``.
"""
