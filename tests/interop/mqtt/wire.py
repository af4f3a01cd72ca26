"""A small MQTT client of raw packets, 3.1.1 and 5: it sends what it is told to and keeps what it hears."""

import socket
import struct
import threading
import time

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 2, 3, 4, 5, 6, 7
SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 9, 11, 13, 14

# Properties of MQTT 5: identifier and form.
PROPERTIES = {
    "payload_format": (0x01, "byte"),
    "message_expiry": (0x02, "four"),
    "content_type": (0x03, "text"),
    "response_topic": (0x08, "text"),
    "correlation": (0x09, "bytes"),
    "subscription_id": (0x0B, "varint"),
    "session_expiry": (0x11, "four"),
    "assigned_client_id": (0x12, "text"),
    "server_keep_alive": (0x13, "two"),
    "will_delay": (0x18, "four"),
    "reason_string": (0x1F, "text"),
    "receive_maximum": (0x21, "two"),
    "topic_alias_maximum": (0x22, "two"),
    "topic_alias": (0x23, "two"),
    "maximum_qos": (0x24, "byte"),
    "retain_available": (0x25, "byte"),
    "user": (0x26, "pair"),
    "maximum_packet_size": (0x27, "four"),
    "wildcards_available": (0x28, "byte"),
    "subscription_ids_available": (0x29, "byte"),
    "shared_available": (0x2A, "byte"),
}
NAMES = {number: (name, form) for name, (number, form) in PROPERTIES.items()}
REPEATED = ("user", "subscription_id")

# As long as clients wait for an answer to CONNECT.
CONNACK_WITHIN = 0.5


class Closed(Exception):
    """The hub has closed the connection."""


def varint(value):
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def string(value):
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(raw)) + raw


def properties(given):
    out = b""
    for name, value in given.items():
        number, form = PROPERTIES[name]
        for one in value if name in REPEATED and isinstance(value, list) else [value]:
            out += bytes([number])
            if form == "pair":
                out += string(one[0]) + string(one[1])
            elif form in ("text", "bytes"):
                out += string(one)
            elif form == "varint":
                out += varint(one)
            else:
                out += struct.pack({"byte": "!B", "two": "!H", "four": "!I"}[form], one)
    return varint(len(out)) + out


class Reader:
    """Takes values off a packet's body."""

    def __init__(self, raw):
        self.raw = raw

    def take(self, length):
        part, self.raw = self.raw[:length], self.raw[length:]
        assert len(part) == length, "the packet ends too early"
        return part

    def number(self, length):
        return int.from_bytes(self.take(length), "big")

    def string(self):
        return self.take(self.number(2))

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def properties(self):
        part, found = Reader(self.take(self.varint())), {}
        while part.raw:
            name, form = NAMES[part.number(1)]
            if form == "pair":
                value = (part.string().decode(), part.string().decode())
            elif form in ("text", "bytes"):
                value = part.string() if form == "bytes" else part.string().decode()
            elif form == "varint":
                value = part.varint()
            else:
                value = part.number({"byte": 1, "two": 2, "four": 4}[form])
            if name in REPEATED:
                found.setdefault(name, []).append(value)
            else:
                assert name not in found, f"{name} comes twice"
                found[name] = value
        return found


class Message:
    def __init__(self, first, body, v5):
        self.qos, self.retain, self.dup = first >> 1 & 3, bool(first & 1), bool(first & 8)
        self.name = body.string().decode()
        self.id = body.number(2) if self.qos else 0
        self.properties = body.properties() if v5 else {}
        self.payload = body.raw
        # The name that an alias stands for is put in by the client.
        self.topic = self.name

    def __repr__(self):
        return f"<{self.topic} {self.payload!r} qos {self.qos} retain {self.retain} {self.properties}>"


class Connack:
    def __init__(self, body, v5):
        self.present, self.reason = bool(body.number(1) & 1), body.number(1)
        self.properties = body.properties() if v5 else {}


class Client:
    """One client id. With `listens` a thread reads and answers; without, the test does it packet by packet."""

    def __init__(self, address, client_id, v5, listens=True):
        self.address, self.client_id, self.v5, self.listens = address, client_id, v5, listens
        self.socket, self.thread, self.next_id = None, None, 0
        self.paused = False
        self.forget()

    def forget(self):
        self.messages, self.subacks, self.unsubacks, self.disconnects = [], [], [], []

    def connect(self, clean=True, keep_alive=0, will=None, protocol="MQTT", same_socket=False, **given):
        if not same_socket:
            self.close()
            self.socket = socket.create_connection(self.address, CONNACK_WITHIN)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.buffer, self.aliases = b"", {}
        flags = 2 if clean else 0
        payload = string(self.client_id)
        if will:
            topic, text, qos, retain, will_properties = will
            flags |= 4 | qos << 3 | (32 if retain else 0)
            payload += (properties(will_properties) if self.v5 else b"") + string(topic) + string(text)
        head = string(protocol) + bytes([5 if self.v5 else 4, flags]) + struct.pack("!H", keep_alive)
        self.send(0x10, head + (properties(given) if self.v5 else b"") + payload)
        if same_socket:
            return None
        self.outgoing, self.incoming = ({}, {}) if clean else (getattr(self, "outgoing", {}), getattr(self, "incoming", {}))
        kind, _, body = self.packet()
        assert kind == CONNACK, kind
        connack = Connack(body, self.v5)
        if connack.reason:
            self.close()
            return connack
        if self.listens:
            self.thread = threading.Thread(target=self.listen, args=(self.socket,), daemon=True)
            self.thread.start()
        return connack

    def send(self, first, body):
        self.socket.sendall(bytes([first]) + varint(len(body)) + body)

    def packet(self):
        """The next packet: its kind, its flags, its body."""
        while True:
            at, length, shift = 1, 0, 0
            while at < len(self.buffer):
                byte = self.buffer[at]
                length |= (byte & 127) << shift
                at, shift = at + 1, shift + 7
                if byte < 128:
                    if len(self.buffer) < at + length:
                        break
                    first, body = self.buffer[0], self.buffer[at : at + length]
                    self.buffer = self.buffer[at + length :]
                    return first >> 4, first & 15, Reader(body)
            more = self.socket.recv(65536)
            if not more:
                raise Closed
            self.buffer += more

    def listen(self, mine):
        while self.socket is mine:
            try:
                self.take(*self.packet())
            except (TimeoutError, socket.timeout):
                continue
            except (Closed, OSError):
                return

    def take(self, kind, flags, body):
        """Keeps what came and answers as the protocol wants."""
        if kind == PUBLISH:
            message = Message(flags, body, self.v5)
            if self.paused:
                return
            alias = message.properties.get("topic_alias")
            if alias:
                message.topic = self.aliases.setdefault(alias, message.name) if not message.name else message.name
                self.aliases[alias] = message.topic
            if message.qos == 2:
                self.incoming[message.id] = message
                self.send(0x50, struct.pack("!H", message.id))
            else:
                self.messages.append(message)
                if message.qos:
                    self.send(0x40, struct.pack("!H", message.id))
        elif kind == PUBREL:
            number = body.number(2)
            if number in self.incoming:
                self.messages.append(self.incoming.pop(number))
            self.send(0x70, struct.pack("!H", number))
        elif kind == PUBREC:
            number = body.number(2)
            if body.raw and body.number(1) >= 0x80:
                self.outgoing.pop(number)
            else:
                self.send(0x62, struct.pack("!H", number))
        elif kind in (PUBACK, PUBCOMP):
            self.outgoing.pop(body.number(2))
        elif kind == SUBACK:
            number, given = body.number(2), body.properties() if self.v5 else {}
            self.subacks.append((number, list(body.raw), given))
        elif kind == UNSUBACK:
            number, _ = body.number(2), body.properties() if self.v5 else {}
            self.unsubacks.append((number, list(body.raw)))
        elif kind == DISCONNECT:
            self.disconnects.append(body.number(1) if body.raw else 0)
        else:
            raise AssertionError(f"a packet of kind {kind} is not for a client")

    def number(self):
        self.next_id = self.next_id % 65535 + 1
        return self.next_id

    def subscribe(self, filters, options, **given):
        number = self.number()
        body = struct.pack("!H", number) + (properties(given) if self.v5 else b"")
        for one, option in zip(filters, options, strict=True):
            body += string(one) + bytes([option])
        self.send(0x82, body)
        return number

    def unsubscribe(self, filters):
        number = self.number()
        self.send(0xA2, struct.pack("!H", number) + (b"\0" if self.v5 else b"") + b"".join(map(string, filters)))
        return number

    def publish(self, topic, payload, qos=0, retain=False, **given):
        number = self.number() if qos else 0
        if qos:
            self.outgoing[number] = topic
        body = string(topic) + (struct.pack("!H", number) if qos else b"")
        raw = payload.encode() if isinstance(payload, str) else payload
        self.send(0x30 | qos << 1 | retain, body + (properties(given) if self.v5 else b"") + raw)
        return number

    def settled(self):
        """Waits until every handshake both ways is done."""
        until = time.monotonic() + 4
        while (self.outgoing or self.incoming) and not self.paused and time.monotonic() < until:
            time.sleep(0.01)
        assert self.paused or not (self.outgoing or self.incoming), (self.outgoing, self.incoming)

    def disconnect(self, **given):
        self.settled()
        self.send(0xE0, b"\0" + properties(given) if self.v5 and given else b"")
        until = time.monotonic() + 2
        while self.thread and self.thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        assert not (self.thread and self.thread.is_alive()), "the hub does not close after DISCONNECT"
        self.close()

    def vanish(self):
        self.close()

    def close(self):
        gone, self.socket = self.socket, None
        if gone:
            try:
                gone.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            gone.close()
        if self.thread:
            self.thread.join()
            self.thread = None
