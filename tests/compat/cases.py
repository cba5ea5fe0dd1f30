# SPDX-License-Identifier: Apache-2.0
"""What is asked of a director: services, and packets from client and server.
Every case is a function of a `Talk` (record.py), which sends, and writes down
what came. A packet is quoted in an ICMP error as it should have arrived, not as
it did: so every director is asked the same."""

import logging

logging.getLogger("scapy").setLevel(logging.ERROR)

from scapy.layers.inet import ICMP, IP, TCP, UDP, Ether, IPOption  # noqa: E402
from scapy.layers.inet6 import (  # noqa: E402
    ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6PacketTooBig, ICMPv6ParamProblem,
    ICMPv6TimeExceeded, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, PadN)
from scapy.layers.l2 import GRE  # noqa: E402
from scapy.layers.sctp import SCTP, SCTPChunkInit, SCTPChunkInitAck  # noqa: E402
from scapy.packet import Raw  # noqa: E402

from decode import GUE_PORT  # noqa: E402
from lab import MAC, V4, V6  # noqa: E402

PORT, SERVER_PORT = 80, 8080
OPTION = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
METHODS = {
    "masq": "-m",
    "dr": "-g",
    "ipip": "-i",
    "gue": f"-i --tun-type gue --tun-port {GUE_PORT}",
    "gue-csum": f"-i --tun-type gue --tun-port {GUE_PORT} --tun-csum",
    "gre": "-i --tun-type gre",
    "gre-csum": "-i --tun-type gre --tun-csum",
}
TUNNELS = [method for method, options in METHODS.items() if options.startswith("-i")]


# --- packets --------------------------------------------------------------------


def ip(net, src, dst, ttl=64, tos=0, df=True, ident=0x1111, **more):
    if net.six:
        return IPv6(src=src, dst=dst, hlim=ttl, tc=tos, **more)
    return IP(src=src, dst=dst, ttl=ttl, tos=tos, id=ident, flags="DF" if df else 0, **more)


def data(size):
    return Raw(bytes(i & 255 for i in range(size)))


def l4(proto, sport, dport, flags="S", size=0, **more):
    if proto == "udp":
        return UDP(sport=sport, dport=dport, **more) / data(size or 10)
    if proto == "sctp":
        chunk = SCTPChunkInitAck if flags == "SA" else SCTPChunkInit
        return SCTP(sport=sport, dport=dport, tag=0) / chunk(init_tag=7, a_rwnd=9000)
    segment = TCP(sport=sport, dport=dport, flags=flags, seq=1000, ack=2000 * ("A" in flags), **more)
    return segment / data(size) if size else segment


def from_client(packet):
    return "client", Ether(src=MAC["client"], dst=MAC["eth0"]) / packet


def from_server(packet):
    return "server", Ether(src=MAC["server"], dst=MAC["eth1"]) / packet


def error(net, src, dst, kind, quoted, cut=None):
    """An ICMP error of a kind that both families have. A quoted transport
    checksum is what the sender had written, so none is computed anew."""
    quoted = bytes(quoted)[:cut]
    if not net.six:
        types = {"port": (3, 3), "host": (3, 1), "protocol": (3, 2), "big": (3, 4), "ttl": (11, 0),
                 "quench": (4, 0), "parameter": (12, 0), "redirect": (5, 1)}
        icmp_type, code = types[kind]
        more = {"nexthopmtu": 1300} if kind == "big" else {}
        if kind == "redirect":
            more = {"gw": "10.2.0.253"}
        return IP(src=src, dst=dst, ttl=60, id=0x2222) / ICMP(type=icmp_type, code=code, **more) / quoted
    message = {
        "port": ICMPv6DestUnreach(code=4),
        "host": ICMPv6DestUnreach(code=3),
        "protocol": ICMPv6ParamProblem(code=1, ptr=6),
        "big": ICMPv6PacketTooBig(mtu=1300),
        "ttl": ICMPv6TimeExceeded(code=0),
    }[kind]
    return IPv6(src=src, dst=dst, hlim=60) / message / quoted


def kinds(net):
    both = ["port", "host", "big", "ttl", "protocol"]
    return both if net.six else both + ["quench", "parameter", "redirect"]


def encapsulated(method, outer_net, inner, inner_six):
    """As the server gets it through a tunnel."""
    outer = ip(outer_net, outer_net.director, outer_net.server, ttl=63)
    if method.startswith("gue"):
        shim = UDP(sport=40000, dport=GUE_PORT, chksum=0 if method == "gue" else None)
        return outer / shim / (b"\0" + bytes([41 if inner_six else 4]) + b"\0\0" + bytes(inner))
    if method.startswith("gre"):
        return outer / GRE(proto=0x86DD if inner_six else 0x800,
                           chksum_present=int(method == "gre-csum")) / inner
    return outer / inner


# --- parts of cases -------------------------------------------------------------


def serve(talk, net, proto, method, server=None, server_net=None, weight=1):
    """A service with a server; 8080 where a method can change ports."""
    server_net = server_net or net
    port = SERVER_PORT if method == "masq" else PORT
    service = f"{OPTION[proto]} {net[PORT]}"
    talk.configure(f"-A {service} -s rr")
    talk.configure(f"-a {service} -r {server_net.at(server or server_net.server, port)}"
                   f" {METHODS[method]} -w {weight}")


def to_service(net, proto, sport, flags="S", size=0, l4_more=None, **ip_more):
    return ip(net, net.client, net.vip, **ip_more) / l4(proto, sport, PORT, flags, size, **(l4_more or {}))


def reply(net, proto, method, sport, flags="SA", size=0, **ip_more):
    """What the server answers: its own address and port by Masq, else the
    service's."""
    if method == "masq":
        return ip(net, net.server, net.client, **ip_more) / l4(proto, SERVER_PORT, sport, flags, size)
    return ip(net, net.vip, net.client, **ip_more) / l4(proto, PORT, sport, flags, size)


def as_server_got(net, proto, method, sport, flags="S", size=0):
    """A packet of the client's behind the director."""
    if method == "masq":
        return ip(net, net.client, net.server, ttl=63) / l4(proto, sport, SERVER_PORT, flags, size)
    return ip(net, net.client, net.vip, ttl=63) / l4(proto, sport, PORT, flags, size)


# --- cases ----------------------------------------------------------------------

CASES = []


def case(name, function, *args, **mtu):
    CASES.append((name, mtu, function, args))


def connection(talk, net, proto, method):
    serve(talk, net, proto, method)
    port = talk.port()
    talk.send("the first packet", from_client(to_service(net, proto, port)))
    talk.send("the first again", from_client(to_service(net, proto, port)))
    talk.send("data", from_client(to_service(net, proto, port, "PA", 100)))
    talk.send("the server's answer", from_server(reply(net, proto, method, port)))
    talk.send("its data", from_server(reply(net, proto, method, port, "PA", 100)))
    talk.send("its end", from_server(reply(net, proto, method, port, "FA")))
    talk.send("without DF", from_client(to_service(net, proto, port, "A", 20, df=False)))
    talk.send("TOS b8", from_client(to_service(net, proto, port, "A", tos=0xB8)))
    talk.send("ECT(1)", from_client(to_service(net, proto, port, "A", tos=0x01)))
    talk.send("CE", from_client(to_service(net, proto, port, "A", tos=0x03)))


def ttl(talk, net, method):
    serve(talk, net, "tcp", method)
    port = talk.port()
    talk.send("TTL 1 first", from_client(to_service(net, "tcp", port, ttl=1)))
    talk.send("TTL 2", from_client(to_service(net, "tcp", port, ttl=2)))
    talk.send("TTL 1 later", from_client(to_service(net, "tcp", port, "PA", 700, ttl=1)))
    talk.send("TTL 2 from the server", from_server(reply(net, "tcp", method, port, ttl=2)))
    talk.send("TTL 1 from the server", from_server(reply(net, "tcp", method, port, ttl=1)))


def too_big(talk, net, proto, method, sizes, **where):
    serve(talk, net, proto, method, **where)
    port = talk.port()
    head = (40 if net.six else 20) + (8 if proto == "udp" else 20)
    talk.send("the first", from_client(to_service(net, proto, port)))
    for size in sizes:
        for df in (True,) if net.six else (True, False):
            talk.send(f"{size} bytes{'' if df else ' without DF'}",
                      from_client(to_service(net, proto, port, "PA", size - head, df=df)))


def too_big_for_clients(talk, net, proto, method):
    serve(talk, net, proto, method)
    port = talk.port()
    head = (40 if net.six else 20) + (8 if proto == "udp" else 20)
    talk.send("the first", from_client(to_service(net, proto, port)))
    for size in (1400, 1401, 1500):
        for df in (True,) if net.six else (True, False):
            talk.send(f"{size} bytes{'' if df else ' without DF'}",
                      from_server(reply(net, proto, method, port, "PA", size - head, df=df)))


def no_server(talk, net, proto):
    service = f"{OPTION[proto]} {net[PORT]}"
    talk.configure(f"-A {service} -s rr")
    talk.send("no server", from_client(to_service(net, proto, talk.port())))
    talk.send("no server, long", from_client(to_service(net, proto, talk.port(), "S", 1000)))
    talk.send("no server, TTL 1", from_client(to_service(net, proto, talk.port(), ttl=1)))
    talk.configure(f"-a {service} -r {net.at(net.server, PORT)} -g -w 0")
    talk.send("weight 0", from_client(to_service(net, proto, talk.port())))
    talk.send("options", from_client(to_service(net, proto, talk.port(), **options(net))))


def options(net):
    return {} if net.six else {"options": [IPOption(b"\x01\x01\x01\x00")]}


def first_packets(talk, net, method):
    serve(talk, net, "tcp", method)
    for flags in ("A", "PA", "FA", "R", "RA", "SA", "F", "", "SF", "SR", "SPA"):
        talk.send(f"first is {flags or 'nothing'}", from_client(to_service(net, "tcp", talk.port(), flags)))
    talk.send("from port 20",
              from_client(ip(net, net.client, net.vip) / l4("tcp", 20, PORT)))
    talk.send("another port", from_client(ip(net, net.client, net.vip) / l4("tcp", talk.port(), 81)))
    talk.send("another protocol", from_client(to_service(net, "udp", talk.port())))


def unreachable(talk, net, proto, method):
    for name, server in (("no route", net.nowhere), ("prohibited", net.prohibited)):
        talk.configure("-C")
        serve(talk, net, proto, method, server=server)
        talk.send(name, from_client(to_service(net, proto, talk.port())))
        port = talk.port()
        talk.send(name + ", another", from_client(to_service(net, proto, port)))
        talk.send(name + ", the same", from_client(to_service(net, proto, port)))


def unresolved(talk, net, method):
    serve(talk, net, "tcp", method, server=net.ghost)
    talk.send("nobody answers for its MAC address",
              from_client(to_service(net, "tcp", talk.port())), wait=4.5)


def gateway(talk, net, method):
    serve(talk, net, "tcp", method, server=net.far)
    port = talk.port()
    talk.send("behind a router", from_client(to_service(net, "tcp", port)))
    talk.send("again", from_client(to_service(net, "tcp", port)))


def removed(talk, net, method):
    serve(talk, net, "tcp", method)
    port = talk.port()
    talk.send("the first", from_client(to_service(net, "tcp", port)))
    server = net.at(net.server, SERVER_PORT if method == "masq" else PORT)
    talk.configure(f"-d -t {net[PORT]} -r {server}")
    talk.send("its server was removed", from_client(to_service(net, "tcp", port, "A")))
    talk.send("a new one", from_client(to_service(net, "tcp", talk.port())))
    talk.send("the server answers", from_server(reply(net, "tcp", method, port)))
    talk.configure(f"-a -t {net[PORT]} -r {server} {METHODS[method]}")
    talk.send("and came back", from_client(to_service(net, "tcp", port, "A")))


def unknown_reply(talk, net):
    serve(talk, net, "tcp", "masq")
    talk.send("a reply of no connection", from_server(reply(net, "tcp", "masq", talk.port())))
    talk.send("of another port",
              from_server(ip(net, net.server, net.client) / l4("tcp", 9999, talk.port(), "SA")))


def with_options(talk, net, method):
    serve(talk, net, "tcp", method)
    port = talk.port()

    def packet(extra, flags="S"):
        segment = l4("tcp", port, PORT, flags)
        if net.six:
            return ip(net, net.client, net.vip) / extra / segment
        return ip(net, net.client, net.vip, options=[extra]) / segment

    if net.six:
        extras = (("hop-by-hop", IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])),
                  ("destination options", IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)])))
    else:
        extras = (("no operation", IPOption(b"\x01\x01\x01\x00")),
                  ("record route", IPOption(b"\x07\x07\x04\0\0\0\0\0")),
                  ("router alert", IPOption(b"\x94\x04\0\0")),
                  ("timestamp", IPOption(b"\x44\x08\x05\0\0\0\0\0")))
    for name, extra in extras:
        talk.send(name + ", first", from_client(packet(extra)))
        talk.send(name + ", later", from_client(packet(extra, "A")))
    if method == "masq":
        answer = (ip(net, net.server, net.client) / extras[0][1] / l4("tcp", SERVER_PORT, port, "SA")
                  if net.six else ip(net, net.server, net.client, options=[extras[0][1]]) /
                  l4("tcp", SERVER_PORT, port, "SA"))
        talk.send(extras[0][0] + ", from the server", from_server(answer))


def pieces(net, src, dst, datagram, ident, cut=1000):
    """A datagram in two fragments. Checksummed before it is cut."""
    whole = bytes(ip(net, src, dst) / datagram)[40 if net.six else 20 :]
    if net.six:
        proto = 17
        return [ip(net, src, dst) / IPv6ExtHdrFragment(nh=proto, offset=0, m=1, id=ident) / whole[:cut],
                ip(net, src, dst) / IPv6ExtHdrFragment(nh=proto, offset=cut // 8, m=0, id=ident) / whole[cut:]]
    return [IP(src=src, dst=dst, id=ident, flags="MF", proto=17) / whole[:cut],
            IP(src=src, dst=dst, id=ident, frag=cut // 8, proto=17) / whole[cut:]]


def fragments(talk, net, method):
    serve(talk, net, "udp", method)
    port = talk.port()
    datagram = l4("udp", port, PORT, size=1600)
    first, second = pieces(net, net.client, net.vip, datagram, talk.port())
    talk.send("in order", from_client(first), from_client(second))
    first, second = pieces(net, net.client, net.vip, datagram, talk.port())
    talk.send("in order, again", from_client(first), from_client(second))
    first, second = pieces(net, net.client, net.vip, datagram, talk.port())
    talk.send("the second first", from_client(second), from_client(first))
    first, second = pieces(net, net.client, net.vip, datagram, talk.port())
    talk.send("only the first", from_client(first), wait=2.5)
    if method == "masq":
        answer = l4("udp", SERVER_PORT, port, size=1600)
        first, second = pieces(net, net.server, net.client, answer, talk.port())
        talk.send("from the server", from_server(first), from_server(second))


def checksums(talk, net, method):
    serve(talk, net, "tcp", method)
    talk.configure(f"-A -u {net[PORT]} -s rr")
    port = SERVER_PORT if method == "masq" else PORT
    talk.configure(f"-a -u {net[PORT]} -r {net.at(net.server, port)} {METHODS[method]}")
    port = talk.port()
    talk.send("TCP's is wrong, first", from_client(to_service(net, "tcp", port, l4_more={"chksum": 0x1234})))
    talk.send("right", from_client(to_service(net, "tcp", port)))
    talk.send("TCP's is wrong, later",
              from_client(to_service(net, "tcp", port, "A", l4_more={"chksum": 0x1234})))
    talk.send("UDP's is 0", from_client(to_service(net, "udp", port, l4_more={"chksum": 0})))
    talk.send("UDP's is 0, later", from_client(to_service(net, "udp", port, l4_more={"chksum": 0})))
    talk.send("UDP's is wrong", from_client(to_service(net, "udp", talk.port(), l4_more={"chksum": 0x1234})))
    if not net.six:
        talk.send("IP's is wrong, first", from_client(to_service(net, "tcp", talk.port(), chksum=0x1234)))
        talk.send("IP's is wrong, later", from_client(to_service(net, "tcp", port, "A", chksum=0x1234)))


def errors_from_behind(talk, net, proto, method):
    """About what the client sent."""
    serve(talk, net, proto, method)
    port = talk.port()
    talk.send("the first packet", from_client(to_service(net, proto, port)))
    quoted = as_server_got(net, proto, method, port, "A", 60)
    for who, src in (("the server", net.server), ("a router", net.server_router)):
        for kind in kinds(net):
            talk.send(f"{kind}, from {who}", from_server(error(net, src, net.client, kind, quoted)))
    head = 40 if net.six else 20
    talk.send("port, 8 bytes quoted",
              from_server(error(net, net.server, net.client, "port", quoted, head + 8)))
    wrong = error(net, net.server, net.client, "port", quoted)
    wrong[1].fields["cksum" if net.six else "chksum"] = 0x1234
    talk.send("port, wrong checksum", from_server(wrong))
    low = error(net, net.server, net.client, "port", quoted)
    setattr(low, "hlim" if net.six else "ttl", 1)
    talk.send("port, TTL 1", from_server(low))
    other = as_server_got(net, proto, method, talk.port(), "A", 60)
    talk.send("port, of no connection", from_server(error(net, net.server, net.client, "port", other)))
    talk.send("the connection goes on", from_client(to_service(net, proto, port, "A")))


def errors_from_before(talk, net, proto, method):
    """About what the service sent."""
    serve(talk, net, proto, method)
    port = talk.port()
    talk.send("the first packet", from_client(to_service(net, proto, port)))
    if method == "masq":
        talk.send("its answer", from_server(reply(net, proto, method, port)))
    quoted = ip(net, net.vip, net.client, ttl=62) / l4(proto, PORT, port, "A", 60)
    for who, src in (("the client", net.client), ("a router", net.client_router)):
        for kind in kinds(net):
            talk.send(f"{kind}, from {who}", from_client(error(net, src, net.vip, kind, quoted)))
    head = 40 if net.six else 20
    talk.send("big, 8 bytes quoted",
              from_client(error(net, net.client_router, net.vip, "big", quoted, head + 8)))
    wrong = error(net, net.client, net.vip, "port", quoted)
    wrong[1].fields["cksum" if net.six else "chksum"] = 0x1234
    talk.send("port, wrong checksum", from_client(wrong))
    low = error(net, net.client, net.vip, "port", quoted)
    setattr(low, "hlim" if net.six else "ttl", 1)
    talk.send("port, TTL 1", from_client(low))
    other = ip(net, net.vip, net.client, ttl=62) / l4(proto, PORT, talk.port(), "A", 60)
    talk.send("port, of no connection", from_client(error(net, net.client, net.vip, "port", other)))
    talk.send("the connection goes on", from_client(to_service(net, proto, port, "A")))


def errors_about_tunnels(talk, net, method, outer_net):
    """About what the director sent."""
    serve(talk, net, "tcp", method, server_net=outer_net)
    port = talk.port()
    talk.send("the first packet", from_client(to_service(net, "tcp", port)))
    inner = ip(net, net.client, net.vip, ttl=63) / l4("tcp", port, PORT, "A", 60)
    quoted = encapsulated(method, outer_net, inner, net.six)
    for kind in ("big", "host", "port", "protocol", "ttl"):
        for who, src in (("the server", outer_net.server), ("a router", outer_net.server_router)):
            talk.send(f"{kind}, from {who}",
                      from_server(error(outer_net, src, outer_net.director, kind, quoted)))
    whole = len(bytes(quoted)) - len(bytes(inner))
    head = 40 if net.six else 20
    talk.send("big, inner header and 8 bytes",
              from_server(error(outer_net, outer_net.server, outer_net.director, "big", quoted, whole + head + 8)))
    talk.send("the connection goes on", from_client(to_service(net, "tcp", port, "A")))
    talk.send("1400 bytes", from_client(to_service(net, "tcp", port, "PA", 1360 - 20 * net.six)))
    talk.send("big, 8 bytes",
              from_server(error(outer_net, outer_net.server, outer_net.director, "big", quoted,
                                (40 if outer_net.six else 20) + 8)))
    if not net.six:
        inner = ip(net, net.client, net.vip, ttl=63, df=False) / l4("tcp", port, PORT, "A", 60)
        quoted = encapsulated(method, outer_net, inner, net.six)
        talk.send("big, inner without DF",
                  from_server(error(outer_net, outer_net.server, outer_net.director, "big", quoted)))


def mixed(talk, net, outer_net, method):
    serve(talk, net, "tcp", method, server_net=outer_net)
    port = talk.port()
    talk.send("the first packet", from_client(to_service(net, "tcp", port)))
    talk.send("data without DF", from_client(to_service(net, "tcp", port, "PA", 100, df=False)))
    talk.send("CE", from_client(to_service(net, "tcp", port, "A", tos=0x03)))
    talk.send("TTL 1", from_client(to_service(net, "tcp", port, "A", ttl=1)))


def local(talk, net, proto, method):
    """The director is the real server: its kernel answers."""
    serve(talk, net, proto, method, server=net.director)
    port = talk.port()
    talk.send("the host's own server", from_client(to_service(net, proto, port)))
    talk.send("TTL 1", from_client(to_service(net, proto, talk.port(), ttl=1)))


def echo(talk, net):
    serve(talk, net, "tcp", "masq")
    request = ICMPv6EchoRequest(id=7, seq=1, data=b"x" * 20) if net.six else ICMP(id=7, seq=1) / (b"x" * 20)
    talk.send("echo to the VIP", from_client(ip(net, net.client, net.vip) / request))
    talk.send("echo to the server", from_client(ip(net, net.client, net.server) / request))


for net in (V4, V6):
    family = "v6" if net.six else "v4"
    for proto in ("tcp", "udp"):
        for method in METHODS:
            case(f"{family} {proto} {method}: a connection", connection, net, proto, method)
        case(f"{family} {proto}: no server", no_server, net, proto)
        for method in ("masq", "dr", "ipip"):
            case(f"{family} {proto} {method}: unreachable", unreachable, net, proto, method)
        for method in ("masq", "dr"):
            case(f"{family} {proto} {method}: too big for the servers' link", too_big, net, proto, method,
                 (1400, 1401, 1500), eth1=1400)
            case(f"{family} {proto} {method}: too big for the clients' link", too_big_for_clients, net, proto,
                 method, eth0=1400)
            case(f"{family} {proto} {method}: local", local, net, proto, method)
        for method in ("masq", "dr", "ipip"):
            case(f"{family} {proto} {method}: ICMP errors from behind", errors_from_behind, net, proto, method)
            case(f"{family} {proto} {method}: ICMP errors from the client's side",
                 errors_from_before, net, proto, method)
    case(f"{family} sctp masq: a connection", connection, net, "sctp", "masq")
    for method in METHODS:
        case(f"{family} {method}: TTL", ttl, net, method)
    for method in ("masq", "dr", "ipip", "gue", "gre"):
        case(f"{family} {method}: nobody resolves the server", unresolved, net, method)
        case(f"{family} {method}: a server behind a router", gateway, net, method)
    for method in ("masq", "dr", "ipip", "gue-csum"):
        case(f"{family} {method}: options", with_options, net, method)
        case(f"{family} {method}: fragments", fragments, net, method)
        case(f"{family} {method}: checksums", checksums, net, method)
        case(f"{family} {method}: a server that is removed", removed, net, method)
    case(f"{family} masq: first packets", first_packets, net, "masq")
    case(f"{family} dr: first packets", first_packets, net, "dr")
    case(f"{family} masq: replies of no connection", unknown_reply, net)
    case(f"{family}: echo", echo, net)
    for method in TUNNELS:
        outer = {"ipip": 0, "gue": 12, "gue-csum": 12, "gre": 4, "gre-csum": 8}[method]
        for mtu in (1500, 1400):
            fits = mtu - (40 if net.six else 20) - outer
            case(f"{family} {method}: too big for the tunnel, MTU {mtu}", too_big, net, "tcp", method,
                 (fits, fits + 1, 1500), **({} if mtu == 1500 else {"eth1": mtu}))
        case(f"{family} {method}: ICMP errors about the tunnel", errors_about_tunnels, net, method, net)
for method in TUNNELS:
    case(f"v4 in v6 {method}", mixed, V4, V6, method)
    case(f"v6 in v4 {method}", mixed, V6, V4, method)
    case(f"v6 in v4 {method}: ICMP errors about the tunnel", errors_about_tunnels, V6, method, V4)
