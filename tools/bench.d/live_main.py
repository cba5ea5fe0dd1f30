#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `tools/bench live` runs once all is installed and built."""

import argparse
import contextlib
import json
import os
import signal
import sys

import live_tcp
from live_lab import PORTS, V4, SERVERS, Case, LiveLab, XlvsLab, server
from live_report import Progress, Spread, Target, machine, machine_line, ratios, table

CONNS = 1_000_000  # half of them may be embryonic at a time
NAMES = {"masq": "Masq", "route": "Route", "tunnel": "Tunnel"}
FRAMES, SOCKETS = "as frames", "from sockets"


class NftLab(LiveLab):
    def up(self, mtu):
        super().up(mtu)
        ports = [("udp", PORTS["masq"]), ("tcp", PORTS["masq"])]
        servers = [server("masq", i) for i in range(SERVERS)]
        self.in_director("nft", "-f", "-", input=live_tcp.nft_rules(V4.vip, ports, servers))

    def forget(self):
        """Conntrack entries count for the whole machine, and there is a limit."""
        self.in_director("conntrack", "-F")


class Packets:
    """The part with a sender of our own."""

    def __init__(self, options, stack):
        self.options = options
        program = f"{options.build}/tools/bench.d/xlvs_bench_live"

        def make(kind, *words):
            lab = kind(*words)
            stack.callback(lab.down)
            return lab

        drop = make(LiveLab, "bench-drop", program, "drop")
        tx = make(LiveLab, "bench-tx", program, "tx")
        routing = make(LiveLab, "bench-route", program)
        self.nft = make(NftLab, "bench-nft", program)
        xlvs = make(XlvsLab, "bench-xlvs", program, f"{options.build}/loader/xlvs", CONNS)

        def known(sender):
            return [Case("XDP_DROP (control)", drop, "control", sender=sender),
                    Case("XDP_TX (control)", tx, "control", sender=sender),
                    Case("kernel routing (control)", routing, "routing", sender=sender),
                    *(Case(f"xlvs {name}, established", xlvs, method, sender=sender)
                      for method, name in NAMES.items()),
                    Case("nftables DNAT, established", self.nft, "masq", sender=sender)]

        self.frames = known("frames")
        self.news = [Case("xlvs Masq, new connections", xlvs, "masq", new=True),
                     Case("nftables DNAT, new connections", self.nft, "masq", new=True)]
        self.sockets = known("sockets")

    def measure(self):
        options = self.options
        cases = [*self.frames, *self.news, *self.sockets]
        progress = Progress("packets, round", options.rounds)
        for _ in range(options.rounds):
            # Before each round, as what follows forgets them.
            for case in self.frames:
                case.establish(options.flows)
            for case in cases:
                case.sample(options.flows, options.ms, options.news)
                if case is self.news[-1]:
                    self.nft.forget()
                    for again in self.frames:
                        if again.lab is self.nft:
                            again.establish(options.flows)
            progress.step("")
        progress.end()


def measure_tcp(options, stack, nics, what):
    balancers = []
    for kind, *words in ((live_tcp.Direct,), (live_tcp.Xlvs, f"{options.build}/loader/xlvs"),
                         (live_tcp.Nftables,), (live_tcp.Haproxy,)):
        balancers.append(kind(nics, *words))
        stack.callback(balancers[-1].down)
    progress = Progress(f"HTTP {what}, round", 2 * options.http_rounds)
    for _ in range(options.http_rounds):
        for balancer in balancers:
            balancer.measure(options.seconds, balancer.single)
        progress.step("a connection a request")
        for balancer in balancers:
            balancer.measure(options.seconds, balancer.kept)
        progress.step("connections kept")
    progress.end()
    return balancers


def http_table(title, asked):
    """`asked`: name and Requests of each."""
    lines = [f"{title:<30s} {'requests':>9s} {'latency, ms':>15s} {'CPU us/request':>17s}",
             f"{'':<30s} {'/s':>9s} {'p50':>7s} {'p99':>7s} {'balancer':>9s} {'all':>7s} {'errors':>6s}"]
    for name, one in asked:
        median = [Spread(v).median for v in (one.per_s, one.p50, one.p99, one.balancer_us, one.all_us)]
        lines.append(f"{name:<30s} {median[0]:9.0f} {median[1]:7.2f} {median[2]:7.2f} "
                     f"{median[3]:9.1f} {median[4]:7.0f} {one.errors:6d}")
    return lines


def http_tables(what, balancers):
    return [f"HTTP {what}", *http_table("a connection a request", [(one.name, one.single) for one in balancers]),
            *http_table("connections kept", [(one.name, one.kept) for one in balancers])]


def http_json(balancers):
    _, xlvs, nft, _ = balancers
    return {"balancers": [{"name": one.name, "a_connection_a_request": one.single.json(),
                           "connections_kept": one.kept.json()} for one in balancers],
            "beside_nftables": ratios(xlvs.single.balancer_us, nft.single.balancer_us).json()}


def end(number, _):
    """Once: what follows is the removal of all that was made."""
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--json", default="")
    for name, value in (("rounds", 7), ("ms", 300), ("flows", 1000), ("news", 20000), ("http-rounds", 5),
                        ("seconds", 4)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("needs two CPUs: one sends, one is the director's")

    with contextlib.ExitStack() as stack:
        packets = Packets(options, stack)
        packets.measure()
    http = {}
    for nics, what in ((True, FRAMES), (False, SOCKETS)):
        with contextlib.ExitStack() as stack:
            http[what] = measure_tcp(options, stack, nics, what)

    mine = next(case for case in packets.frames if case.lab.name == "bench-xlvs")
    targets = [
        Target("packets/s of a CPU, Masq beside nftables DNAT", 4, ratios(mine.ns, packets.frames[-1].ns)),
        Target("new connections/s of a CPU, beside nftables DNAT", 4,
               ratios(packets.news[0].ns, packets.news[1].ns)),
    ]
    for what, (_, xlvs, _, proxy) in http.items():
        for how, ours, theirs in (("", xlvs.single, proxy.single), (", kept", xlvs.kept, proxy.kept)):
            targets.append(Target(f"requests/CPU second, HAProxy, {what}{how}", 10,
                                  ratios(ours.balancer_us, theirs.balancer_us)))
    about = machine(options.commit)
    if options.json != "-":
        print("\n".join([*table("XDP frames, as from a NIC", packets.frames), *table("", packets.news)[1:], "",
                         *table("from sockets: an skb first, then XDP", packets.sockets), "",
                         *(line for pair in http.items() for line in [*http_tables(*pair), ""]),
                         "targets", *(target.line() for target in targets), "", machine_line(about),
                         f"{options.flows} flows; medians of {options.rounds} rounds, HTTP of {options.http_rounds}"]))
    if options.json:
        result = {
            "machine": about, "flows": options.flows,
            "frames": [case.json() for case in [*packets.frames, *packets.news]],
            "sockets": [case.json() for case in packets.sockets],
            "http_frames": http_json(http[FRAMES]), "http_sockets": http_json(http[SOCKETS]),
            "targets": [target.json() for target in targets],
        }
        text = json.dumps(result, indent=1)
        if options.json == "-":
            print(text)
        else:
            with open(options.json, "w") as file:
                file.write(text + "\n")


if __name__ == "__main__":
    main()
