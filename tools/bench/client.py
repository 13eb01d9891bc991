"""What the Python clients of the measurements share: connections, requests, figures."""

import os
import resource
import socket
import sys

CLIENT = "9f1c43a6-52e2-4c8e-9a57-0f4d5b1c7a10"
PROJECT = "nusku-bench"
TOKEN = os.environ.get("BENCH_TOKEN") or "none"


class Connection:
    """A TCP connection to the server, and what of its bytes was not asked for yet."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def send(self, data):
        self.socket.sendall(data)

    def until(self, mark):
        """What comes before `mark`, which is taken too."""
        while mark not in self.received:
            self.receive()
        found, self.received = self.received.split(mark, 1)
        return found

    def take(self, length):
        while len(self.received) < length:
            self.receive()
        taken, self.received = self.received[:length], self.received[length:]
        return taken

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            sys.exit("the server hung up")
        self.received += data


def post(path, body=b""):
    """A POST as bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nClient-ID: {CLIENT}\r\n"
        f"X-Project-ID: {PROJECT}\r\nX-Auth-Token: {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def first_line_and_length(head):
    """Of the head of a request or an answer: its first line, and the length of its body."""
    lines = head.decode().lower().split("\r\n")
    length = next((int(it.split(":")[1]) for it in lines if it.startswith("content-length:")), 0)
    return lines[0], length


def status(connection):
    """Reads one answer; its status."""
    line, length = first_line_and_length(connection.until(b"\r\n\r\n"))
    connection.take(length)
    return int(line.split()[1])


def raise_file_limit():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def percentiles(milliseconds):
    """p50, p99 and max, as one line for scripts."""
    took = sorted(milliseconds)
    return f"{took[len(took) // 2]:.3f} {took[len(took) * 99 // 100]:.3f} {took[-1]:.3f}"
