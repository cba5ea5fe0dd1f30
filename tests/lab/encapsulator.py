#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A director that does nothing but put packets into a tunnel.

Frames that come in by one interface and are for one of the addresses go out by
another, inside an outer header. Written from the RFCs, not from the packet
path: it is what the decapsulator is checked against. Ends at SIGTERM.
"""

import argparse
import ipaddress
import signal
import socket
import struct
import sys

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
PACKET_HOST = 0
IPIP, UDP, IPV6, GRE = 4, 17, 41, 47


def checksum(data):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def address_of(packet, kind):
    return packet[16:20] if kind == ETH_P_IP else packet[24:40]


def gue(args, packet, inner, outer):
    """draft-ietf-intarea-gue, variant 0: no options, in UDP."""
    data = struct.pack("!BBH", 0, inner, 0) + packet
    length = 8 + len(data)
    head = struct.pack("!HHHH", 40000, args.port, length, 0)
    if args.csum:
        source, dest = (ipaddress.ip_address(a).packed for a in outer)
        pseudo = source + dest + struct.pack("!HH", UDP, length)
        right = checksum(pseudo + head + data) or 0xFFFF
        head = head[:6] + struct.pack("!H", right ^ args.spoil)
    return UDP, head + data


def gre(args, packet, kind):
    """RFC 2784."""
    if not args.csum:
        return GRE, struct.pack("!HH", 0, kind) + packet
    head = struct.pack("!HHHH", 0x8000, kind, 0, 0)
    right = checksum(head + packet)
    return GRE, struct.pack("!HHHH", 0x8000, kind, right ^ args.spoil, 0) + packet


def encapsulate(args, packet, kind):
    """The outer packet and its EtherType."""
    outer = (args.source, args.dest)
    inner = IPIP if kind == ETH_P_IP else IPV6
    if args.type == "gue":
        protocol, data = gue(args, packet, inner, outer)
    elif args.type == "gre":
        protocol, data = gre(args, packet, kind)
    else:
        protocol, data = inner, packet
    source, dest = (ipaddress.ip_address(a) for a in outer)
    if source.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(data), protocol, 64)
        return head + source.packed + dest.packed + data, ETH_P_IPV6
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0x4000, 64,
                       protocol, 0) + source.packed + dest.packed
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return head + data, ETH_P_IP


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", required=True, help="interface of clients")
    parser.add_argument("--out", required=True, help="interface of the server")
    parser.add_argument("--mac", required=True, help="the server's")
    parser.add_argument("--type", choices=["ipip", "gue", "gre"], required=True)
    parser.add_argument("--csum", action="store_true")
    parser.add_argument("--spoil", type=int, default=0,
                        help="bits to turn over in that checksum")
    parser.add_argument("--port", type=int, default=6080)
    parser.add_argument("source")
    parser.add_argument("dest")
    parser.add_argument("vips", nargs="+")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    vips = {ipaddress.ip_address(vip).packed for vip in args.vips}
    clients = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                            socket.htons(ETH_P_ALL))
    clients.bind((args.into, ETH_P_ALL))
    server = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    server.bind((args.out, 0))
    server_mac = bytes.fromhex(args.mac.replace(":", ""))
    own_mac = server.getsockname()[4]
    print("ready", flush=True)
    while True:
        frame, meta = clients.recvfrom(65536)
        kind = struct.unpack("!H", frame[12:14])[0]
        packet = frame[14:]
        if meta[2] != PACKET_HOST or kind not in (ETH_P_IP, ETH_P_IPV6):
            continue
        if address_of(packet, kind) not in vips:
            continue
        data, outer_kind = encapsulate(args, packet, kind)
        server.send(server_mac + own_mac + struct.pack("!H", outer_kind) + data)


if __name__ == "__main__":
    main()
