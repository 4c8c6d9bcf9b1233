"""A server of one file: answers texts by their first word, or ends at once if it is told to.

python trivial.py PORT [STATUS]
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys


async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split()[0])
            texts = json.loads(await reader.readexactly(length))["inputs"]
            body = json.dumps([{"label": text.split()[0]} for text in texts]).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(client, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    # A child, as servers have them that spread over processes; it outlives a parent that is killed.
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(child.pid, flush=True)
    await server.serve_forever()


if len(sys.argv) > 2:
    print("no model", file=sys.stderr)
    sys.exit(int(sys.argv[2]))
asyncio.run(main())
