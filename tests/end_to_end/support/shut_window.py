"""A peer that asks and never reads: HTTP/2 by hand, with a window that stays shut."""
import contextlib
import socket
import struct
import threading

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
INITIAL_WINDOW_SIZE = 4


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """A header field that HPACK leaves as it is; both shorter than 127 bytes."""
    return b"".join([b"\0", bytes([len(name)]), name.encode(), bytes([len(value)]), value.encode()])


class ShutWindow:
    """One connection. `ended` are the calls that the server has ended; streams are 1, 3, 5 …"""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.ended = set()
        self.window = 65535  # of the connection; gRPC's window of a stream is as large
        self.stream = -1
        self.changed = threading.Condition()
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, 0)))
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def call(self, method, request, end=END_STREAM):
        """Sends one message of less than 64 KiB, as soon as the server takes it."""
        message = b"\0" + struct.pack(">I", len(request)) + request
        self.stream += 2
        fields = {":method": "POST", ":scheme": "http", ":path": f"/dyad.v1.{method}", ":authority": "localhost",
                  "te": "trailers", "content-type": "application/grpc"}
        block = b"".join(literal(*field) for field in fields.items())
        with self.changed:
            assert self.changed.wait_for(lambda: self.window >= len(message), timeout=60)
            self.window -= len(message)
        parts = [message[i:i + 16384] for i in range(0, len(message), 16384)]
        self.socket.sendall(
            frame(HEADERS, END_HEADERS, self.stream, block)
            + b"".join(frame(DATA, 0, self.stream, part) for part in parts)
            + frame(DATA, end, self.stream, b""))

    def read(self):
        with contextlib.suppress(ConnectionError):
            self.read_frames(self.socket.makefile("rb"))

    def read_frames(self, stream):
        while len(head := stream.read(9)) == 9:
            size = int.from_bytes(head[:3], "big")
            kind, flags, number = struct.unpack(">BBI", head[3:])
            payload = stream.read(size)
            with self.changed:
                if kind == SETTINGS and not flags & ACK:
                    self.socket.sendall(frame(SETTINGS, ACK, 0, b""))
                if kind == PING and not flags & ACK:
                    self.socket.sendall(frame(PING, ACK, 0, payload))
                if kind == WINDOW_UPDATE and number == 0:
                    self.window += int.from_bytes(payload, "big")
                if kind == RST_STREAM or kind == HEADERS and flags & END_STREAM:
                    self.ended.add(number)
                self.changed.notify_all()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.reader.join()
        self.socket.close()
