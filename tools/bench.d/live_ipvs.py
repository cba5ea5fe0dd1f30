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


class Part:
    """All cases, measured in one way, in labs of their own."""

    def __init__(self, name, options, joined):
        self.name, self.options, self.pairs = name, options, {}
        program = f"{options.build}/tools/bench.d/xlvs_bench_live"
        # Tables of both as large as the load needs, as each page that is visited anew
        # costs an emulator 300 ns: new ones by three methods, half may be embryonic.
        conn_tab_bits = min((6 * options.rounds * options.news).bit_length(), 20)
        print("  making five directors", file=sys.stderr, flush=True)
        self.labs = (LiveLab("bench-drop", program, "drop"), LiveLab("bench-tx", program, "tx"),
                     LiveLab("bench-route", program), IpvsLab("bench-ipvs", program, conn_tab_bits),
                     XlvsLab("bench-xlvs", program, f"{options.build}/loader/xlvs", 1 << conn_tab_bits))
        if joined:
            for lab in self.labs:
                lab.join()
        drop, tx, routing, ipvs, xlvs = self.labs
        self.cases = [Case("XDP_DROP (control)", drop, "control"), Case("XDP_TX (control)", tx, "control"),
                      Case("kernel routing (control)", routing, "routing")]
        for new in (False, True):
            for method, its_name in NAMES.items():
                what = f"{its_name}, {'new' if new else 'established'}"
                pair = (Case(f"xlvs  {what}", xlvs, method, new), Case(f"IPVS  {what}", ipvs, method, new))
                self.pairs[method, new] = pair
                self.cases += pair

    def measure(self):
        options = self.options
        progress = Progress("round", options.rounds)
        for case in self.cases:
            if not case.new:
                case.establish(options.flows)
        for _ in range(options.rounds):
            for case in self.cases:
                case.sample(options.flows, options.ms, options.news)
            mine, theirs = self.pairs["masq", False]
            progress.step(f"NAT {theirs.ns[-1] / mine.ns[-1]:.1f} x")
        progress.end()
        for lab in self.labs:
            lab.down()

    def targets(self):
        for (method, new), (mine, theirs) in self.pairs.items():
            wanted = 6 if method == "masq" and not new else 5
            what = "new connections/s" if new else "packets/s"
            yield Target(f"{NAMES[method]}: {what}", wanted, ratios(mine.ns, theirs.ns))

    def json(self):
        return {"name": self.name, "cases": [case.json() for case in self.cases],
                "targets": [target.json() for target in self.targets()]}


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

    parts = []
    for name, joined in (("the director's CPU", False), ("sender, director and receiver on one CPU", True)):
        parts.append(Part(name, options, joined))
        parts[-1].measure()

    about = machine(options.commit)
    for part in parts:
        print("\n".join([*table(part.name, part.cases), ""]))
    print("targets, beside IPVS")
    for part in parts:
        print("\n".join([part.name, *(target.line() for target in part.targets())]))
    print(f"\n{machine_line(about)}\n{options.flows} flows; medians of {options.rounds} rounds")
    with open(options.out, "w") as file:
        json.dump({"machine": about, "flows": options.flows,
                   "parts": [part.json() for part in parts]}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
