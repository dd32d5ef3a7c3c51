"""How much a browser may send: checked while it comes in, before anything else looks at it.

FastAPI reads a form before it asks who sent it, so without a bound anybody could fill the disk.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Forms hold a few sentences.
FORM_BYTES: Final = 1 << 20
#: Corrected files: far more than people edit by hand; larger ones are for the command line.
UPLOAD_BYTES: Final = 32 << 20
#: How the addresses end that take files.
UPLOADS: Final = ("/corrections",)


class BodyLimit:
    """Refuses larger bodies with status 413, whatever length they declare."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # The form around the file takes some bytes, too.
        upload = scope["path"].endswith(UPLOADS)
        most = FORM_BYTES + (UPLOAD_BYTES if upload else 0)
        declared = Headers(scope=scope).get("content-length", "0")
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            if declared.isdecimal() and int(declared) > most:
                raise HTTPException(413)
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise HTTPException(413)
            return message

        await self.app(scope, bounded, send)
