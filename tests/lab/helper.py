#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What curl and wrk cannot do for the lab's checks.

hold     opens connections one after the other and keeps them: in order, prints
         the name of the server behind each; then "ready"; then sleeps.
stream   keeps one connection to each of N servers and asks on all of them
         again and again until SIGTERM; then prints, for each, its server, the
         answers, and what broke it ("-" if nothing did).
visit    new connections, several at a time, until SIGTERM; then prints the
         number of answers, of failures, and the failures by kind.
servers  UDP echo servers in several network namespaces: each answers with its
         name, a space, and what it got.
udp      sends datagrams from new ports and prints the answers.

Addresses are ADDRESS:PORT or [ADDRESS]:PORT. Only the standard library.
"""

import argparse
import collections
import ctypes
import os
import selectors
import signal
import socket
import struct
import sys
import threading
import time

IP_MTU_DISCOVER = 10  # of <linux/in.h>, which Python's socket lacks

stop = threading.Event()


def address(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def say(*words):
    print(*words, flush=True)


def ask(sock, path="/", close=False):
    """One HTTP request; the answer's body, which is the server's name."""
    head = f"GET {path} HTTP/1.1\r\nHost: lab\r\n"
    head += "Connection: close\r\n\r\n" if close else "\r\n"
    sock.sendall(head.encode())
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("closed")
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise ConnectionError(head.split(b"\r\n", 1)[0].decode())
    length = None
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while length is not None and len(body) < length:
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("closed in the middle")
        body += more
    return body.decode().strip()


def connect(to, timeout=5.0, port=0):
    sock = socket.create_connection(to, timeout, ("", port) if port else None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def wait_for_stop(limit):
    stop.wait(limit)


def hold(args):
    socks = []
    for _ in range(args.count):
        sock = connect(args.to, port=args.port)
        say(ask(sock, close=args.end in ("server", "both")))
        if args.end == "reset":
            linger = struct.pack("ii", 1, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            sock.close()
        elif args.end == "client":
            # The client's FIN first; the server answers it with its own.
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass
            sock.close()
        elif args.end == "both":
            # The server's FIN first, so no TIME_WAIT on the client's port.
            while sock.recv(4096):
                pass
            sock.close()
        else:
            socks.append(sock)
    say("ready")
    if socks:
        wait_for_stop(args.limit)


def stream(args):
    """Connections are opened in order, so that rr gives one to each server."""
    links = []
    for _ in range(args.count):
        sock = connect(args.to, timeout=args.timeout)
        links.append([sock, ask(sock), 1, "-"])
    say("ready")

    def run(link):
        try:
            while not stop.is_set():
                name = ask(link[0])
                if name != link[1]:
                    raise ConnectionError(f"answered by {name}")
                link[2] += 1
                stop.wait(args.pause)
        except OSError as error:
            link[3] = type(error).__name__

    threads = [threading.Thread(target=run, args=(link,)) for link in links]
    for thread in threads:
        thread.start()
    wait_for_stop(args.limit)
    stop.set()
    for thread in threads:
        thread.join()
    for _, name, answers, broke in links:
        say(name, answers, broke)


def visit(args):
    lock = threading.Lock()
    kinds = collections.Counter()
    answers = 0

    def run():
        nonlocal answers
        while not stop.is_set():
            try:
                with connect(args.to, timeout=3.0) as sock:
                    ask(sock, close=True)
                with lock:
                    answers += 1
            except OSError as error:
                with lock:
                    kinds[type(error).__name__] += 1
            stop.wait(args.pause)

    threads = [threading.Thread(target=run) for _ in range(args.count)]
    for thread in threads:
        thread.start()
    say("ready")
    wait_for_stop(args.limit)
    stop.set()
    for thread in threads:
        thread.join()
    text = ",".join(f"{kind}:{n}" for kind, n in sorted(kinds.items()))
    say(answers, sum(kinds.values()), text or "-")


def servers(args):
    libc = ctypes.CDLL(None, use_errno=True)
    poll = selectors.DefaultSelector()
    for netns in args.netns:
        with open(f"/run/netns/{netns}", "rb") as file:
            if libc.setns(file.fileno(), 0x40000000):  # CLONE_NEWNET
                raise OSError(ctypes.get_errno(), f"setns {netns}")
        # Of both families.
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((args.bind, args.port))
        sock.setblocking(False)
        name = netns.rsplit("-", 1)[-1].encode()
        poll.register(sock, selectors.EVENT_READ, name)
    say("ready")
    end = time.monotonic() + args.limit
    while not stop.is_set() and time.monotonic() < end:
        for key, _ in poll.select(0.2):
            data, peer = key.fileobj.recvfrom(65536)
            key.fileobj.sendto(key.data + b" " + data, peer)


def udp(args):
    """Each socket is a port of its own, so a connection of its own."""
    family = socket.AF_INET6 if ":" in args.to[0] else socket.AF_INET
    for i in range(args.count):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2.0)
            if args.may_be_cut:
                sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)
            if args.port:
                sock.bind(("", args.port + i))
            sock.connect(args.to)
            for turn in range(args.turns):
                text = f"{i}.{turn}".encode() + b"x" * args.size
                sock.send(text)
                try:
                    name, _, rest = sock.recv(65536).partition(b" ")
                except OSError as error:
                    say(type(error).__name__)
                    continue
                say(name.decode() if rest == text else "other-text")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)

    def command(run, **more):
        sub = commands.add_parser(run.__name__)
        sub.set_defaults(run=run)
        if "to" not in more:
            sub.add_argument("--to", type=address, required=True)
        sub.add_argument("--count", type=int, default=1)
        sub.add_argument("--limit", type=float, default=120)
        return sub

    sub = command(hold)
    sub.add_argument("--port", type=int, default=0, help="the client's")
    sub.add_argument(
        "--end",
        default="none",
        choices=["none", "server", "client", "both", "reset"],
    )
    sub = command(stream)
    sub.add_argument("--pause", type=float, default=0.05)
    sub.add_argument("--timeout", type=float, default=3.0)
    command(visit).add_argument("--pause", type=float, default=0.005)
    sub = command(servers, to=None)
    sub.add_argument("--port", type=int, default=53)
    sub.add_argument("--bind", default="::", help="answers come from there")
    sub.add_argument("netns", nargs="+")
    sub = command(udp)
    # Ports that the kernel picks may come twice.
    sub.add_argument("--port", type=int, default=0, help="the first client's")
    sub.add_argument("--turns", type=int, default=1)
    sub.add_argument("--size", type=int, default=0)
    sub.add_argument("--may-be-cut", action="store_true", help="DF is not set")

    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    args.run(args)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        os.close(sys.stdout.fileno())
