#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A witness of what servers say to each other:
witness.py FILE [MAX-BYTES]

Run where all the servers' cables end (net.py's hub): writes every frame that one of
them sends from or to a quorum or election port into FILE, as pcap, until it is ended
or FILE is so large. A frame is written before it is forwarded, and all of them in one
order: what was written before an answer to it. If it had no time for some, an empty frame
says so, somewhere behind them.
"""

import ctypes
import signal
import socket
import struct
import sys

QUORUM_PORT, ELECTION_PORT = 2888, 3888
MAX_BYTES = 1 << 30
BUFFER = 64 << 20

PCAP_NS = 0xa1b23c4d
ETHERNET = 1

ETH_P_ALL = 3
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
PACKET_STATISTICS = 6

# IPv4, TCP, either port one of the two; offsets as in struct sock_filter
FILTER = (
    (0x28, 0, 0, 12),                   # ldh ethertype
    (0x15, 0, 9, 0x0800),               # jne IPv4, no
    (0x30, 0, 0, 23),                   # ldb protocol
    (0x15, 0, 7, 6),                    # jne TCP, no
    (0xb1, 0, 0, 14),                   # ldx length of the IP header
    (0x48, 0, 0, 14),                   # ldh source port
    (0x15, 5, 0, QUORUM_PORT),
    (0x15, 4, 0, ELECTION_PORT),
    (0x48, 0, 0, 16),                   # ldh destination port
    (0x15, 2, 0, QUORUM_PORT),
    (0x15, 1, 0, ELECTION_PORT),
    (0x06, 0, 0, 0),                    # no
    (0x06, 0, 0, 0x40000),              # all of it
)


def listen():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                      socket.htons(ETH_P_ALL))
    code = b"".join(struct.pack("HBBI", *i) for i in FILTER)
    buf = ctypes.create_string_buffer(code, len(code))
    s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack(
        "HL", len(FILTER), ctypes.addressof(buf)))
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    return s


def head():
    return struct.pack("<IHHiIII", PCAP_NS, 2, 4, 0, 0, 0x40000, ETHERNET)


def frame(sec, nsec, data):
    return struct.pack("<IIII", sec, nsec, len(data), len(data)) + data


def own_up(s, f):
    """Says so if there was no room for some, since it was asked last."""
    if struct.unpack("II", s.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]:
        f.write(frame(0, 0, b""))
    f.flush()


def main(path, most=MAX_BYTES):
    s = listen()
    over = []
    signal.signal(signal.SIGTERM, lambda *a: over.append(1))
    s.settimeout(0.5)
    with open(path, "wb") as f:
        f.write(head())
        f.flush()
        while f.tell() < most:
            try:
                data, more, _, _ = s.recvmsg(1 << 18, 64)
            except TimeoutError:
                own_up(s, f)
                if over:
                    break
                continue
            sec, nsec = next((struct.unpack("ll", d[:16]) for _, t, d in more
                              if t == SO_TIMESTAMPNS), (0, 0))
            f.write(frame(sec, nsec, data))
        own_up(s, f)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else MAX_BYTES)
