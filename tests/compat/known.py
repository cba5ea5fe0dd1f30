# SPDX-License-Identifier: Apache-2.0
"""Differences from IPVS that are meant, as a row of docs/differences.md says, or
that are defects of IPVS, as a comment here says. (case, step, words of the
comparison) are regular expressions, the first that fits counts.

What is not here is a defect, or a row that is missing."""

import re

KNOWN = [
    # docs/differences.md
    ("UDP checksum 0, Masq", r": checksums", r"UDP's is 0", r"udp csum: IPVS ok, xlvs none"),
    ("Route, nobody resolves the real server", r"dr: nobody resolves", r"", r"xlvs: nothing"),
    ("IPv4 header checksum of a known connection", r": checksums", r"IP's is wrong, later", r"IPVS: nothing"),
    ("fragments are not put together", r"(masq|dr): fragments", r"the second first|only the first", r"IPVS: "),
    ("fragments are not put together", r"^v6 (masq|dr): fragments", r"", r"frag6 id"),
    ("fragments are not put together", r"(ipip|gue-csum): fragments", r"", r""),
    ("too large for a tunnel, DF not set", r"too big for the tunnel", r"without DF", r""),
    ("ICMP errors about a tunnel of IPv6", r"^v6.*: ICMP errors about the tunnel", r" from |quoted|inner header",
     r"IPVS: nothing; xlvs: client gets ip6 \| icmp6"),
    # The route that IPVS remembers is the one from before the error: the next
    # error tells the client the truth.
    ("IPVS tells the client its old MTU", r"^v4 ipip: ICMP errors about the tunnel", r"^big",
     r"icmp rest: IPVS 000005c8, xlvs 00000500"),
    # IPVS 6.12 sends nothing at all if less than 1280 bytes remain in a GUE
    # tunnel; 6.1 does.
    ("IPVS gives up a GUE tunnel over IPv6", r"^v6 gue.*: ICMP errors about the tunnel",
     r"goes on|1400 bytes", r"IPVS: nothing; xlvs: server gets"),
    # xlvs passes on each error, and keeps no MTU of a tunnel's way: so a packet
    # goes as far as it can, and the router answers again.
    ("MTU of a tunnel's way is the router's to tell", r": ICMP errors about the tunnel", r"^1400 bytes",
     r"IPVS: client gets .*icmp.*; xlvs: server gets"),
    # Hosts that answer for the time and the route are routers: of the two, only
    # IPVS's packets have been through the kernel's input.
    ("record route and timestamp are not filled in", r": options", r"record route|timestamp", r"ip opts"),
    # It looks only at what it rewrites.
    ("ICMP checksum, Route and Tunnel", r"(dr|ipip): ICMP errors from the client's side", r"wrong checksum",
     r"xlvs: nothing"),
    # The director's own ICMPv6 errors to a VIP are packets of the host.
    ("the host's own packets to a VIP", r"^v6 .*: (TTL|too big for the clients' link)", r"",
     r"IPVS: server gets .*icmp6.*; xlvs: nothing"),
]


def reason(case, step, words):
    for name, in_case, in_step, in_words in KNOWN:
        if re.search(in_case, case) and re.search(in_step, step) and re.search(in_words, words):
            return name
    return None


# What judge.py need not judge: answers after which two directors have different
# services. Of IPVS a name, exit code and stderr; of xlvs the same.
ENDS = [
    ("IPv6 with a v4-mapped address", "xlvs", 1, r"IPv4-mapped addresses are not supported"),
    # A list of flags without a flag in it is read behind its end.
    ("ipvsadm ends by a signal", "ipvs", -11, r""),
]


def ends(ipvs, xlvs):
    """The name of what ends a history without a failure, or None."""
    for name, which, code, in_err in ENDS:
        answer = ipvs if which == "ipvs" else xlvs
        if answer["code"] == code and re.search(in_err, answer["err"]):
            return name
    return None


# Differences that judge.py sees, as above: (name, kind of step, words of the
# comparison, and, if not None, a command or setting of this step or
# before).
JUDGED = [
    # Whether IPVS ends them depends on the order in its table.
    ("expire_nodest_conn: templates of a real server that is removed", r"", r"-Lnc \S+ ASSURED \S+:0 .*: IPVS 1, xlvs none",
     r"^expire_nodest_conn$"),
    ("UDP checksum 0, Masq", r"packets", r"udp csum: IPVS ok, xlvs none", None),
    ("nat_icmp_send: the ICMP error to a real server", r"packets",
     r"to the server, ip6? src: IPVS \S+, xlvs \S+", None),
    ("a mark of 2^31 or more", r"", r"std(out|err): IPVS '(FWM |.*-f )\s*-\d+ .*', xlvs '(FWM |.*-f )\s*\d{10} ", None),
    # It is not found by its connections any more, nor ended with them.
    ("a template whose service gets another mask", r"", r"-Lnc \S+ (NONE|ASSURED) \S+:0 .*: IPVS (none|1), xlvs (none|1)$",
     r"^-E "),
]


def judged(steps, words):
    """`steps` up to the one where it was seen."""
    commands = "\n".join(line for step in steps
                         for line in [*step.get("lines", []), " ".join(step.get("words", [])), step.get("key", "")])
    for name, in_step, in_words, before in JUDGED:
        if re.search(in_step, steps[-1]["do"]) and re.search(in_words, words) and (
                before is None or re.search(before, commands, re.MULTILINE)):
            return name
    return None
