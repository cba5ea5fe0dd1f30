# SPDX-License-Identifier: Apache-2.0
"""Frames from a few words, without scapy, whose import alone takes seconds where
a CPU is emulated. What a client or a server sends in a history (history.py)."""

import socket
import struct

import decode

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
FLAGS = {letter: 1 << bit for bit, letter in enumerate(decode.TCP_FLAGS)}
# Chunk types of RFC 9260. INIT and INIT ACK have a body, ERROR has none here.
CHUNKS = {"DATA": 0, "INIT": 1, "INIT_ACK": 2, "SACK": 3, "HEARTBEAT": 4, "ABORT": 6, "SHUTDOWN": 7,
          "SHUTDOWN_ACK": 8, "ERROR": 9, "COOKIE_ECHO": 10, "COOKIE_ACK": 11, "SHUTDOWN_COMPLETE": 14}


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(pseudo, segment, at):
    total = ~decode.sum16(pseudo + segment) & 0xFFFF
    return segment[:at] + struct.pack("!H", total or 0xFFFF) + segment[at + 2 :]


def payload(size):
    return bytes(i & 255 for i in range(size))


def l4(proto, sport, dport, flags, size, pseudo):
    """A segment. `flags`: letters for TCP, the name of a chunk for SCTP, 0 for UDP
    without a checksum."""
    if proto == "tcp":
        bits = sum(FLAGS[letter] for letter in flags)
        segment = struct.pack("!HHIIBBHHH", sport, dport, 1000, 2000 * ("A" in flags), 0x50, bits, 8192, 0, 0)
        return checksum(pseudo(len(segment) + size), segment + payload(size), 16)
    if proto == "udp":
        size = size or 10
        segment = struct.pack("!HHHH", sport, dport, 8 + size, 0) + payload(size)
        return segment if flags == "0" else checksum(pseudo(len(segment)), segment, 6)
    body = struct.pack("!IIHHI", 7, 9000, 1, 1, 1) if flags.startswith("INIT") else payload(12)
    chunk = struct.pack("!BBH", CHUNKS[flags], 3 * (flags == "DATA"), 4 + len(body)) + body
    whole = struct.pack("!HHII", sport, dport, 7 * (flags != "INIT"), 0) + chunk
    return whole[:8] + struct.pack("<I", decode.crc32c(whole)) + whole[12:]


def frame(macs, src, dst, proto, sport, dport, flags="S", size=0):
    """`macs`: (destination, source). `src`, `dst`: addresses as text."""
    source, destination = packed(src), packed(dst)
    number = PROTOCOLS[proto]
    six = len(source) == 16

    def pseudo(length):
        return source + destination + (struct.pack("!II", length, number) if six else struct.pack("!HH", number, length))

    # IPv6 has no UDP without a checksum.
    segment = l4(proto, sport, dport, "" if six and flags == "0" else flags, size, pseudo)
    ethernet = mac(macs[0]) + mac(macs[1])
    if six:
        header = struct.pack("!IHBB", 0x60000000, len(segment), number, 64) + source + destination
        return ethernet + b"\x86\xdd" + header + segment
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0x1111, 0x4000, 64, number, 0)
    header = checksum(b"", header + source + destination, 10)
    return ethernet + b"\x08\x00" + header + segment


def flow(data):
    """(src, dst, proto, sport, dport) of a frame without tunnel; None of others."""
    if data[12:14] == b"\x08\x00" and data[14] == 0x45:
        source, destination, number, at = data[26:30], data[30:34], data[23], 34
    elif data[12:14] == b"\x86\xdd":
        source, destination, number, at = data[22:38], data[38:54], data[20], 54
    else:
        return None
    names = [name for name, value in PROTOCOLS.items() if value == number]
    if not names or len(data) < at + 4:
        return None
    family = socket.AF_INET if len(source) == 4 else socket.AF_INET6
    return (socket.inet_ntop(family, source), socket.inet_ntop(family, destination), names[0],
            *struct.unpack("!HH", data[at : at + 4]))
