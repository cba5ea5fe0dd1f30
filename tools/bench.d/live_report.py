# SPDX-License-Identifier: Apache-2.0
"""What was measured, as a table of at most 80 columns and as JSON."""

import os
import statistics
import sys
import time


class Progress:
    """A line on standard error: rewritten on a terminal, else one every round."""

    def __init__(self, what, steps):
        self.what, self.steps, self.done = what, steps, 0
        self.begun = time.monotonic()
        self.on_terminal = sys.stderr.isatty()

    def step(self, text):
        self.done += 1
        seconds = time.monotonic() - self.begun
        line = f"  {self.what}: {self.done} of {self.steps}  {text:<30.30s} {seconds:4.0f} s"
        if self.on_terminal:
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self):
        if self.on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class Spread:
    """Median and quartiles of what rounds gave."""

    def __init__(self, values):
        self.values = list(values)
        self.median = statistics.median(self.values)
        if len(self.values) > 2:
            self.low, _, self.high = statistics.quantiles(self.values, n=4, method="inclusive")
        else:
            self.low, self.high = min(self.values), max(self.values)

    def json(self):
        return {"median": self.median, "quartiles": [self.low, self.high], "rounds": self.values}


def ratios(ours, theirs):
    """How many times as much theirs costs, round by round."""
    return Spread(other / own for own, other in zip(ours, theirs))


def table(title, cases):
    """CPU time of the director, by case."""
    lines = [f"{title:<41s} {'ns/packet':>10s} {'middle half':>13s} {'packets/s':>11s}"]
    for case in cases:
        ns = Spread(case.ns)
        lines.append(f"{case.name:<41.41s} {ns.median:10.0f} {f'{ns.low:.0f}-{ns.high:.0f}':>13s} "
                     f"{si(1e9 / ns.median):>11s}")
    return lines


class Target:
    def __init__(self, text, wanted, spread):
        self.text, self.wanted, self.got = text, wanted, spread

    def met(self):
        return self.got.median >= self.wanted

    def line(self):
        return (f"{'yes' if self.met() else 'no':<3s} {self.text:<54.54s} {self.got.median:5.1f} x"
                f"  wanted {self.wanted:2g} x")

    def json(self):
        return {"text": self.text, "wanted": self.wanted, "met": self.met(), "ratio": self.got.json()}


def cpu_model():
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown"


def machine(commit):
    return {"cpu": cpu_model(), "cpus": os.cpu_count(), "kernel": os.uname().release, "commit": commit}


def machine_line(about):
    return f"{about['cpu']}, {about['cpus']} CPUs, Linux {about['kernel']}, commit {about['commit']}"


def si(value):
    """1234567 -> 1.23 M"""
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.3g}"
