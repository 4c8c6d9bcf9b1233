"""HTTP/1.1 on a socket, for clients that are slow, careless, or mean to hold the server up.

httptools reads heads, and uvicorn runs the process. What lies between is ours, for what uvicorn
leaves open: it parses all that has come, however much that is, and waits for ever for the slow.
"""
