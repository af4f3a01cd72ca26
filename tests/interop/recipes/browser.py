"""Presses as a browser does, over /ws, with nothing but Python: browser.py HOST:PORT PAYLOAD"""

import base64
import json
import os
import socket
import struct
import sys

address, payload = sys.argv[1:]
host, port = address.rsplit(":", 1)
connection = socket.create_connection((host, int(port)), 10)
connection.settimeout(10)
key = base64.b64encode(os.urandom(16)).decode()
connection.sendall(
    f"GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: lockstep.v1\r\n\r\n".encode()
)
stream = connection.makefile("rb")
assert b"101" in stream.readline()
while stream.readline().strip():
    pass


def send(frame):
    data, mask = json.dumps(frame).encode(), os.urandom(4)
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
    connection.sendall(b"\x81" + length + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))


def receive():
    _, length = stream.read(2)
    if length == 126:
        length = struct.unpack(">H", stream.read(2))[0]
    elif length == 127:
        length = struct.unpack(">Q", stream.read(8))[0]
    return json.loads(stream.read(length))


send({"type": "pub", "topic": "lockstep/main/pomodoro/set", "payload": payload, "ref": "b"})
while (frame := receive()).get("ref") != "b":
    pass
sys.exit(frame["type"] != "ack")
