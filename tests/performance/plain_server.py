"""What a service costs that does nothing: FastAPI answers given bytes, by the same uvicorn.

Usage: plain_server.py FILE. The answer to every text is what the file holds.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel


class Question(BaseModel):
    inputs: str | list[str]
    model: str = "auto"


def main(file: str) -> None:
    app, answer = FastAPI(), Path(file).read_bytes()

    @app.post("/v1/classify")
    async def classify(question: Question) -> Response:
        return Response(answer, media_type="application/json")

    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(app, access_log=False, log_level="warning")
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
