#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the packets of tests/packet/ against scapy's.

usage: oracle_test.py ORACLE_FRAMES

The packet tests compare what the director sends with what our own builder says
it should send, so a mistake of the builder would be believed. Here somebody
else builds the same packets: ORACLE_FRAMES prints frames and what they are
meant to be, and each of them must

- be what scapy builds from that, byte for byte,
- come out of scapy unchanged when it takes it apart, forgets all checksums and
  lengths, and computes them anew,
- if it is a fragment, be put together with the others to the packet.

With GTEST_OUTPUT=xml:DIR/ in the environment, writes its cases to
DIR/oracle_test.xml as a GoogleTest program would.
"""

import contextlib
import io
import json
import logging
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as xml

logging.getLogger("scapy").setLevel(logging.ERROR)
try:
    from scapy.fields import (BitField, ByteField, FieldLenField, IntField,
                              ShortField, StrLenField)
    from scapy.layers import inet6
    from scapy.layers.inet import (ICMP, IP, IPOption_EOL, IPOption_NOP,
                                   IPOption_RR, IPOption_Router_Alert, TCP,
                                   UDP, defragment)
    from scapy.layers.inet6 import (
        HBHOptUnknown, ICMPv6DestUnreach, ICMPv6EchoRequest,
        ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6,
        IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
        IPv6ExtHdrRouting, RouterAlert, defragment6)
    from scapy.layers.l2 import Dot1AD, Dot1Q, Ether, GRE
    from scapy.layers.sctp import (SCTP, SCTPChunkAbort, SCTPChunkCookieAck,
                                   SCTPChunkData, SCTPChunkInit,
                                   SCTPChunkShutdown)
    from scapy.packet import Packet, Raw, bind_layers
    from scapy.utils import hexdiff
except ImportError as error:
    sys.exit(f"cannot load scapy: {error}; install Debian's python3-scapy")

GUE_PORT = 6080
SHOWN = 5  # failures in full: a mistake has many


# ---- headers that scapy does not know

class GUE(Packet):
    """Generic UDP Encapsulation, variant 0."""
    name = "GUE"
    fields_desc = [BitField("variant", 0, 2), BitField("control", 0, 1),
                   BitField("hlen", 0, 5), ByteField("proto", 0),
                   ShortField("flags", 0)]


bind_layers(UDP, GUE, dport=GUE_PORT)
bind_layers(GUE, IP, proto=4)
bind_layers(GUE, IPv6, proto=41)


class AuthenticationHeader(inet6._IPv6ExtHdr):
    """scapy's own has no length and hides what follows."""
    name = "AH"
    fields_desc = [ByteField("nh", 59),
                   FieldLenField("len", None, length_of="icv", fmt="B",
                                 adjust=lambda _, icv: (12 + icv) // 4 - 2),
                   ShortField("reserved", 0), IntField("spi", 0),
                   IntField("seq", 0),
                   StrLenField("icv", b"",
                               length_from=lambda ah: ah.len * 4 - 4)]


inet6.ipv6nhcls[51] = AuthenticationHeader
inet6.ipv6nhcls[132] = SCTP
inet6.ipv6nhcls[47] = GRE

# ---- from what is meant to scapy's layers

IP_OPTIONS = {
    "end": IPOption_EOL,
    "nop": IPOption_NOP,
    "router_alert": IPOption_Router_Alert,
    "record_route": lambda: IPOption_RR(routers=["0.0.0.0", "0.0.0.0"]),
}

SCTP_CHUNKS = {
    "init": SCTPChunkInit,
    "data": SCTPChunkData,
    "shutdown": SCTPChunkShutdown,
    "cookie_ack": SCTPChunkCookieAck,
    "abort": SCTPChunkAbort,
}

PROTOCOLS = {"tcp": 6, "udp": 17, "gue": 17, "sctp": 132, "gre": 47}
EXTENSIONS = {"hop_by_hop_router_alert": 0, "routing": 43, "fragment": 44,
              "authentication": 51, "dest_options": 60}
# What routers on the way look at: in front of a fragment header.
IN_EVERY_FRAGMENT = {"hop_by_hop_router_alert", "routing"}

ICMP_MESSAGES = {
    4: {
        "echo_request": lambda l4: ICMP(type=8, id=l4["id"], seq=l4["seq"]),
        "port_unreachable": lambda _: ICMP(type=3, code=3),
        "host_unreachable": lambda _: ICMP(type=3, code=1),
        "ttl_exceeded": lambda _: ICMP(type=11, code=0),
        "too_big": lambda l4: ICMP(type=3, code=4, nexthopmtu=l4["mtu"]),
    },
    6: {
        "echo_request":
            lambda l4: ICMPv6EchoRequest(id=l4["id"], seq=l4["seq"]),
        "port_unreachable": lambda _: ICMPv6DestUnreach(code=4),
        "host_unreachable": lambda _: ICMPv6DestUnreach(code=3),
        "ttl_exceeded": lambda _: ICMPv6TimeExceeded(),
        "too_big": lambda l4: ICMPv6PacketTooBig(mtu=l4["mtu"]),
    },
}


def chunk(spec):
    fields = {name: bytes.fromhex(value) if name == "data" else value
              for name, value in spec.items() if name != "type"}
    return SCTP_CHUNKS[spec["type"]](**fields)


def extension(spec):
    kind = spec["type"]
    if kind == "hop_by_hop_router_alert":
        return IPv6ExtHdrHopByHop(options=[RouterAlert()])
    if kind == "routing":
        return IPv6ExtHdrRouting(segleft=0, addresses=[spec["address"]])
    if kind == "fragment":
        return IPv6ExtHdrFragment(offset=spec["offset"], m=spec["more"],
                                  id=spec["id"])
    if kind == "authentication":
        return AuthenticationHeader(spi=spec["spi"], seq=spec["seq"],
                                    icv=bytes.fromhex(spec["icv"]))
    option = HBHOptUnknown(otype=spec["option"],
                           optdata=bytes.fromhex(spec["data"]))
    return IPv6ExtHdrDestOpt(options=[option])


def ports(spec):
    return {"sport": spec["sport"], "dport": spec["dport"]}


def l4_protocol(spec):
    kind = spec["l4"]["type"]
    if kind == "ipip":
        return 4 if spec["inner"]["ip"]["version"] == 4 else 41
    return PROTOCOLS.get(kind, 1 if spec["ip"]["version"] == 4 else 58)


def l4(spec):
    """The L4 header and all that follows."""
    what, kind = spec["l4"], spec["l4"]["type"]
    if "inner" in spec:
        inner = bytes(packet(spec["inner"]))[:spec["inner_bytes"]]
        inner_v4 = spec["inner"]["ip"]["version"] == 4
    else:
        inner = bytes.fromhex(spec["payload"])
    payload = Raw(inner) if inner else None
    if kind == "tcp":
        options = [(name, tuple(value) if isinstance(value, list) else value)
                   for name, value in what.get("options", [])]
        header = TCP(**ports(what), seq=what["seq"], ack=what["ack"],
                     flags=what["flags"], window=what["window"],
                     urgptr=what["urgent"], options=options)
    elif kind in ("udp", "gue"):
        header = UDP(**ports(what))
        if not what["with_check"]:
            header.chksum = 0
        if kind == "gue":
            header /= GUE(proto=4 if inner_v4 else 41)
    elif kind == "sctp":
        header = SCTP(**ports(what), tag=what["tag"])
        for each in what["chunks"]:
            header /= chunk(each)
    elif kind == "gre":
        header = GRE(chksum_present=int(what["with_check"]),
                     proto=0x0800 if inner_v4 else 0x86dd)
    elif kind == "ipip":
        return payload
    else:
        header = ICMP_MESSAGES[spec["ip"]["version"]][kind](what)
    return header / payload if payload else header


def ip_headers(spec):
    """The IP header and each of its extension headers, not yet chained."""
    ip = spec["ip"]
    if ip["version"] == 4:
        options = [IP_OPTIONS[name]() for name in ip.get("options", [])]
        return [IP(src=ip["saddr"], dst=ip["daddr"], tos=ip["tos"],
                   ttl=ip["ttl"], id=ip["id"],
                   flags="DF" if ip["dont_fragment"] else 0,
                   proto=l4_protocol(spec), options=options)]
    extensions = ip.get("extensions", [])
    headers = [IPv6(src=ip["saddr"], dst=ip["daddr"], tc=ip["tos"],
                    hlim=ip["ttl"], fl=ip["flow_label"])]
    headers += [extension(each) for each in extensions]
    following = [EXTENSIONS[each["type"]] for each in extensions]
    for header, nh in zip(headers, following + [l4_protocol(spec)]):
        header.nh = nh
    return headers


def joined(layers):
    whole = layers[0]
    for layer in layers[1:]:
        whole = whole / layer
    return whole


def packet(spec):
    return joined(ip_headers(spec) + [l4(spec)])


def in_ethernet(spec, ip):
    ethernet = spec["ethernet"]
    whole = Ether(dst=ethernet["dmac"], src=ethernet["smac"])
    layer, types = whole, [tag["tpid"] for tag in ethernet["vlans"]]
    types.append(0x0800 if spec["ip"]["version"] == 4 else 0x86dd)
    layer.type = types[0]
    for tag, following in zip(ethernet["vlans"], types[1:]):
        kind = Dot1Q if tag["tpid"] == 0x8100 else Dot1AD
        tci = tag["tci"]
        whole /= kind(prio=tci >> 13, id=tci >> 12 & 1, vlan=tci & 0xfff,
                      type=following)
    return whole / ip


def later_options(options):
    """Those of the second and later fragments."""
    kept = []
    for option in options:
        if option.copy_flag or isinstance(option, IPOption_EOL):
            kept.append(option)
        else:
            kept += [IPOption_NOP()] * len(bytes(option))
    return kept


def pieces(body, sizes):
    """(offset, piece, is there more) for each."""
    at = 0
    for size in sizes + [len(body)]:
        piece = body[at:at + size]
        if piece:
            yield at, piece, at + len(piece) < len(body)
        at += len(piece)


def fragments4(spec):
    header, = ip_headers(spec)
    body = bytes(packet(spec))[len(bytes(header)):]
    for at, piece, more in pieces(body, spec["fragments"]["sizes"]):
        each = header.copy()
        each.flags = "MF" if more else 0
        each.frag = at // 8
        if at > 0:
            each.options = later_options(header.options)
        yield each / Raw(piece)


def fragments6(spec):
    headers = ip_headers(spec)
    kinds = [each["type"] for each in spec["ip"].get("extensions", [])]
    kept = 1 + max((i + 1 for i, kind in enumerate(kinds)
                    if kind in IN_EVERY_FRAGMENT), default=0)
    kept_bytes = sum(len(bytes(header)) for header in headers[:kept])
    body = bytes(packet(spec))[kept_bytes:]
    cut_protocol = headers[kept - 1].nh
    headers[kept - 1].nh = 44
    for at, piece, more in pieces(body, spec["fragments"]["sizes"]):
        fragment = IPv6ExtHdrFragment(nh=cut_protocol, offset=at // 8,
                                      m=int(more), id=spec["fragments"]["id"])
        yield joined([header.copy() for header in headers[:kept]] +
                     [fragment, Raw(piece)])


def built(spec):
    """All frames, as bytes."""
    if "fragments" not in spec:
        padding = bytes.fromhex(spec["ethernet"]["padding"])
        return [bytes(in_ethernet(spec, packet(spec))) + padding]
    cut = fragments4 if spec["ip"]["version"] == 4 else fragments6
    return [bytes(in_ethernet(spec, each)) for each in cut(spec)]


# ---- from our bytes

def is_cut_behind(layer):
    """Whether only a part of what follows may be there: fragments, quotes."""
    if isinstance(layer, IP):
        return layer.flags.MF or layer.frag > 0
    if isinstance(layer, IPv6ExtHdrFragment):
        return layer.m or layer.offset > 0
    if isinstance(layer, ICMP):
        return layer.type in (3, 11)
    return isinstance(layer, inet6._ICMPv6Error)


def make_opaque(layer):
    """What follows is bytes, whatever scapy took it for."""
    rest = layer.payload.original
    layer.remove_payload()
    layer.add_payload(Raw(rest))


def recomputed(frame, spec):
    """What scapy makes of it when it computes what can be computed anew. Also
    the names of the headers it saw."""
    padding = bytes.fromhex(spec["ethernet"]["padding"])
    whole = Ether(frame.removesuffix(padding))
    layer, seen = whole, set()
    while layer:
        seen.add(layer.name)
        for name in ("chksum", "cksum", "len", "plen", "ihl", "dataofs"):
            no_check = (isinstance(layer, UDP) and name == "chksum" and
                        layer.chksum == 0)
            if name in layer.fields and not no_check:
                delattr(layer, name)
        if is_cut_behind(layer):
            make_opaque(layer)
        layer = layer.payload
    return bytes(whole) + padding, seen


def expected_headers(spec):
    """The names of those that recomputed() must have seen."""
    if "fragments" in spec:
        return set()
    kind = spec["l4"]["type"]
    names = {"tcp": {"TCP"}, "udp": {"UDP"}, "gue": {"UDP", "GUE"},
             "gre": {"GRE"}, "ipip": set()}
    if kind == "sctp":
        return {"SCTP", *(chunk(each).name for each in spec["l4"]["chunks"])}
    if kind not in names:
        return {ICMP_MESSAGES[spec["ip"]["version"]][kind](spec["l4"]).name}
    return names[kind] | (expected_headers(spec["inner"]) if "inner" in spec
                          else set())


def reassembled(frames, version):
    """From the IP header on, put together by scapy."""
    if version == 4:
        packets = [Ether(frame)[IP] for frame in frames]
        for each in packets:
            make_opaque(each)
        return bytes(defragment(packets)[0])
    return bytes(defragment6([Ether(frame)[IPv6] for frame in frames]))


# ---- the comparison

def difference(want, got):
    """What is wrong, as text; nothing if nothing is."""
    if want == got:
        return ""
    return "\n".join([shown("scapy's", want), shown("ours", got),
                      "--- differences (scapy's above, ours below)",
                      hexdiff_text(want, got)])


def shown(title, frame):
    return (f"--- {title}, {len(frame)} bytes\n"
            f"{Ether(frame).show2(dump=True)}")


def hexdiff_text(want, got):
    """hexdiff() knows only how to print."""
    with io.StringIO() as text, contextlib.redirect_stdout(text):
        hexdiff(want, got)
        return text.getvalue()


def verdict(row):
    """What is wrong with a row, nothing if nothing is."""
    spec = row["spec"]
    ours = [bytes.fromhex(frame) for frame in row["frames"]]
    scapys = built(spec)
    if len(ours) != len(scapys):
        return f"{len(ours)} frames, of scapy {len(scapys)}"
    for want, got in zip(scapys, ours):
        if text := difference(want, got):
            return "scapy builds another:\n" + text
    for frame in ours:
        again, seen = recomputed(frame, spec)
        if text := difference(again, frame):
            return "scapy computes other lengths or checksums:\n" + text
        if missed := expected_headers(spec) - seen:
            return f"scapy does not see {missed}:\n" + shown("ours", frame)
    if "fragments" in spec:
        whole = packet(spec)
        if IP in whole:
            whole[IP].flags = 0  # as the fragments have it
        link = bytes(in_ethernet(spec, b""))
        together = reassembled(ours, spec["ip"]["version"])
        if text := difference(link + bytes(whole), link + together):
            return "scapy puts the fragments together to another:\n" + text
    return ""


def write_results(cases):
    """As GoogleTest would."""
    output = os.environ.get("GTEST_OUTPUT", "")
    if not output.startswith("xml:"):
        return
    suite = xml.Element("testsuite", name="Oracle")
    for name, wrong in cases:
        case = xml.SubElement(suite, "testcase", classname="Oracle", name=name,
                              status="run")
        if wrong:
            xml.SubElement(case, "failure", message=wrong)
    suites = xml.Element("testsuites")
    suites.append(suite)
    path = pathlib.Path(output.removeprefix("xml:"), "oracle_test.xml")
    xml.ElementTree(suites).write(path, encoding="utf-8")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rows = json.loads(subprocess.run([sys.argv[1]], check=True,
                                     stdout=subprocess.PIPE).stdout)
    cases = [(row["name"], verdict(row)) for row in rows]
    failures = [(name, wrong) for name, wrong in cases if wrong]
    for i, (name, wrong) in enumerate(failures):
        print(f"failed: {name}: {wrong if i < SHOWN else 'not shown'}")
    print(f"{len(cases) - len(failures)} packets are scapy's, "
          f"{len(failures)} are not")
    write_results(cases)
    sys.exit(1 if failures or not cases else 0)


if __name__ == "__main__":
    main()
