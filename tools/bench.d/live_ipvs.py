#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The part of `tools/bench ipvs` that runs in the guest."""

import argparse
import json
import sys

from live_lab import Case, LiveLab, XlvsLab, run, service_lines
from live_report import Progress, Target, machine, machine_line, ratios, table

NAMES = {"masq": "Masq (NAT)", "route": "Route (DR)", "tunnel": "Tunnel (IPIP)"}


class IpvsLab(LiveLab):
    def __init__(self, name, program, conn_tab_bits):
        self.conn_tab_bits = conn_tab_bits
        super().__init__(name, program)

    def up(self, mtu):
        super().up(mtu)
        run("modprobe", "ip_vs", f"conn_tab_bits={self.conn_tab_bits}")
        self.in_director("ipvsadm", "-R", input=service_lines())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ms", type=int, default=400)
    parser.add_argument("--flows", type=int, default=1000)
    parser.add_argument("--news", type=int, default=5000)
    options = parser.parse_args()

    program = f"{options.build}/tools/bench.d/xlvs_bench_live"
    print("  making five directors", file=sys.stderr, flush=True)
    drop = LiveLab("bench-drop", program, "drop")
    tx = LiveLab("bench-tx", program, "tx")
    routing = LiveLab("bench-route", program)
    # Tables of both as large as the load needs, as each page that is visited anew
    # costs an emulator 200 ns: new ones by three methods, half may be embryonic.
    conn_tab_bits = min((6 * options.rounds * options.news).bit_length(), 20)
    ipvs = IpvsLab("bench-ipvs", program, conn_tab_bits)
    xlvs = XlvsLab("bench-xlvs", program, f"{options.build}/loader/xlvs", 1 << conn_tab_bits)

    cases = [Case("XDP_DROP (control)", drop, "control"), Case("XDP_TX (control)", tx, "control"),
             Case("kernel routing (control)", routing, "routing")]
    pairs = {}
    for new in (False, True):
        for method, name in NAMES.items():
            what = f"{name}, {'new' if new else 'established'}"
            pair = (Case(f"xlvs  {what}", xlvs, method, new), Case(f"IPVS  {what}", ipvs, method, new))
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
        targets.append(Target(f"{NAMES[method]}: {what}, beside IPVS", wanted, ratios(mine.ns, theirs.ns)))
    about = machine(options.commit)
    print("\n".join(table("director, one CPU", cases)))
    print("\ntargets")
    print("\n".join(target.line() for target in targets))
    print(f"\n{machine_line(about)}\n{options.flows} flows; medians of {options.rounds} rounds")
    with open(options.out, "w") as file:
        json.dump({"machine": about, "flows": options.flows,
                   "cases": [case.json() for case in cases],
                   "targets": [target.json() for target in targets]}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
