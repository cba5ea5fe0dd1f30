#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The part of `tools/bench ipvs` that runs in the guest."""

import argparse
import json
import os
import signal
import sys

import live_lab  # noqa: F401  makes lab known
from lab import run
from live_lab import PORTS, Case, LiveLab, service_lines
from live_report import Progress, Spread, Target, machine, machine_line, ratios, si

NAMES = {"masq": "Masq (NAT)", "route": "Route (DR)", "tunnel": "Tunnel (IPIP)"}
CONN_TAB_BITS = 20  # so that IPVS's chains are short, however many connections


class Ipvs:
    def __init__(self, program):
        run("modprobe", "ip_vs", f"conn_tab_bits={CONN_TAB_BITS}")
        self.lab = LiveLab("bench-ipvs", program)
        self.lab.in_director("ipvsadm", "-R", input=service_lines())


class Xlvs:
    def __init__(self, program, xlvs):
        self.xlvs = xlvs
        self.environment = dict(os.environ, XLVS_INSTANCE="bench-ipvs")
        self.lab = LiveLab("bench-xlvs", program)
        self.command("attach", "--conns", "1M", "eth0", "eth1")
        self.command("-R", input=service_lines())

    def command(self, *words, **options):
        return self.lab.in_director(self.xlvs, *words, env=self.environment, **options)


def table(cases, rounds):
    lines = [f"{'director, one CPU':<34s} {'ns/packet':>10s} {'spread':>15s} {'packets/s':>10s}"]
    for case in cases:
        spread = Spread(case.ns)
        lines.append(f"{case.name:<34s} {spread.median:10.0f} {f'{spread.low:.0f}-{spread.high:.0f}':>15s} "
                     f"{si(1e9 / spread.median):>10s}")
    lines.append(f"spread: the middle half of {rounds} rounds")
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ms", type=int, default=400)
    parser.add_argument("--flows", type=int, default=1000)
    parser.add_argument("--news", type=int, default=10000)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    program = f"{options.build}/tools/bench.d/xlvs_bench_live"
    print("  making four directors", file=sys.stderr, flush=True)
    drop = LiveLab("bench-drop", program, "drop")
    tx = LiveLab("bench-tx", program, "tx")
    routing = LiveLab("bench-route", program)
    ipvs = Ipvs(program)
    xlvs = Xlvs(program, f"{options.build}/loader/xlvs")

    cases = [Case("XDP_DROP (control)", drop, "control"), Case("XDP_TX (control)", tx, "control"),
             Case("kernel routing (control)", routing, "routing")]
    pairs = {}
    for new in (False, True):
        for method, name in NAMES.items():
            what = f"{name}, {'new' if new else 'established'}"
            pair = (Case(f"xlvs  {what}", xlvs.lab, method, new), Case(f"IPVS  {what}", ipvs.lab, method, new))
            pairs[method, new] = pair
            cases += pair
    progress = Progress("round", options.rounds)
    for case in cases:
        if not case.new:
            case.establish(options.flows)
    for _ in range(options.rounds):
        for case in cases:
            case.sample(options.flows, options.ms, options.news)
        mine, theirs = pairs["masq", False]
        progress.step(f"NAT {theirs.ns[-1] / mine.ns[-1]:.1f} x")
    progress.end()

    targets = []
    for (method, new), (mine, theirs) in pairs.items():
        wanted = 6 if method == "masq" and not new else 5
        what = "new connections/s" if new else "packets/s"
        targets.append(Target(f"{NAMES[method]}: IPVS's {what}", wanted, ratios(mine.ns, theirs.ns)))
    about = machine(options.commit)
    print("\n".join(table(cases, options.rounds)))
    print("\ntargets: xlvs does")
    print("\n".join(target.line() for target in targets))
    print(f"\n{options.flows} flows. {machine_line(about)}")
    with open(options.out, "w") as file:
        json.dump({"machine": about, "flows": options.flows,
                   "cases": [{"name": case.name, "ns_per_packet": Spread(case.ns).json(),
                              "packets_per_s_measured": Spread(case.rates).json()} for case in cases],
                   "targets": [target.json() for target in targets]}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
