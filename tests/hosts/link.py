#!/usr/bin/env python3
"""What a link between two hosts is like.

link.py answer             on one host: serves one caller
link.py ask HOST BYTES     on the other: prints the milliseconds of a message there and back (the least of ten), the seconds that
                           BYTES take, and how many packets were sent again
"""
import socket
import sys
import time

PORT = 7077


def sent_again():
    with open("/proc/net/snmp") as file:
        names, values = (line.split() for line in file if line.startswith("Tcp:"))
    return int(values[names.index("RetransSegs")])


if sys.argv[1] == "answer":
    with socket.create_server(("", PORT)) as server:
        caller, _ = server.accept()
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := caller.recv(1 << 16):
            # The last byte of what must be answered is a 1.
            if data[-1]:
                caller.sendall(b"\1")
else:
    while True:
        try:
            peer = socket.create_connection((sys.argv[2], PORT), 10)
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def answered_after(data):
        begin = time.monotonic()
        peer.sendall(data)
        assert peer.recv(1) == b"\1"
        return time.monotonic() - begin

    least = min(answered_after(b"\1") for _ in range(10))
    before = sent_again()
    seconds = answered_after(bytes(int(sys.argv[3]) - 1) + b"\1")
    print(f"{1e3 * least:.3f} {seconds:.3f} {sent_again() - before}")
