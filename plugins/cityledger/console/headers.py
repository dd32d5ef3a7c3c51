"""What pages of the console may load and run."""

from __future__ import annotations

#: Only our own files; no inline script. Vega positions its tooltips by style attributes, hence
#: ``style-src-attr``. Airflow shows the console in a frame of its own origin: ``frame-ancestors``.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "script-src-attr 'none'",
        "style-src 'self'",
        "style-src-attr 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    )
)
