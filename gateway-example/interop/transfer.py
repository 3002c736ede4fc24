#!/usr/bin/env python3
"""Moves bytes both ways over TCP and compares their SHA-256.

transfer.py serve ADDRESS PORT                   answers until killed
transfer.py run ADDRESS PORT MEGABYTES           prints "RESULT up=0 down=0" if both are equal
"""
import hashlib
import os
import socket
import sys
import threading
import time

MEGABYTE = 1 << 20


def blocks(count):
    """Random blocks of a megabyte: one of them from the system, each made unlike the others."""
    base = os.urandom(MEGABYTE - 8)
    for number in range(count):
        yield number.to_bytes(8, "big") + base


def read_line(stream):
    line = stream.readline(200)
    if not line.endswith(b"\n"):
        raise ConnectionError("connection ended early")
    return line.decode().split()


def digest_of(stream, length):
    digest = hashlib.sha256()
    while length > 0:
        data = stream.read(min(length, 65536))
        if not data:
            raise ConnectionError("connection ended early")
        digest.update(data)
        length -= len(data)
    return digest.hexdigest()


def send(connection, count):
    digest = hashlib.sha256()
    for block in blocks(count):
        digest.update(block)
        connection.sendall(block)
    return digest.hexdigest()


def answer(connection):
    with connection, connection.makefile("rb") as stream:
        direction, count = read_line(stream)
        if direction == "up":
            connection.sendall(digest_of(stream, int(count) * MEGABYTE).encode() + b"\n")
        else:
            connection.sendall(send(connection, int(count)).encode() + b"\n")


def serve(address, port):
    listener = socket.create_server((address, port))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def move(address, port, direction, count):
    with socket.create_connection((address, port), timeout=30) as connection:
        with connection.makefile("rb") as stream:
            connection.sendall(f"{direction} {count}\n".encode())
            if direction == "up":
                ours = send(connection, count)
            else:
                ours = digest_of(stream, count * MEGABYTE)
            return [ours] == read_line(stream)


def run(address, port, count):
    results = []
    for direction in ("up", "down"):
        start = time.monotonic()
        try:
            equal = move(address, port, direction, count)
        except OSError as error:
            print(f"{direction}: {error}")
            equal = False
        seconds = time.monotonic() - start
        print(f"{direction}: {count} MB in {seconds:.1f} s, {count * 8.389 / seconds:.0f} Mbit/s")
        results.append(f"{direction}={0 if equal else 1}")
    print("RESULT " + " ".join(results))
    return 0 if results == ["up=0", "down=0"] else 1


if sys.argv[1] == "serve":
    serve(sys.argv[2], int(sys.argv[3]))
else:
    sys.exit(run(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
