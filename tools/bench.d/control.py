#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tools/bench.d/control measures, in the network namespace that it made.

Each command is a process of its own, as for an operator: its time is from start
to exit, its output goes to a file. What is checked of the output is checked
after the clock has stopped.
"""

import argparse
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
RESTORE_TARGET_S = 5
MEMORY_TARGET_BYTES = 1 << 30
UDP_TIMEOUT_S = 3600  # all connections live until all is measured


class Size:
    def __init__(self, quick):
        part = 10 if quick else 1
        self.services = 10_000 // part
        self.dests_each = 10
        self.dests = self.services * self.dests_each
        self.single = 500 // part  # services added by one command each
        self.listed_conns = 1_000_000 // part
        self.conns = 4_000_000 // part
        self.conns_max = 4_200_000 // part


class Row:
    """What was measured: samples in `unit`, and what is wanted of them."""

    def __init__(self, name, unit, below=None):
        self.name = name
        self.unit = unit
        self.below = below
        self.samples = []

    @property
    def median(self):
        return statistics.median(self.samples)

    @property
    def met(self):
        return None if self.below is None else self.median < self.below

    def json(self):
        row = {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.samples),
            "max": max(self.samples),
            "samples": self.samples,
        }
        if self.below is not None:
            row["target_below"] = self.below
            row["target_met"] = self.met
        return row


def number(value, unit):
    if unit == "MiB":
        return f"{value:.1f}"
    if unit == "/s":
        return f"{value:,.0f}"
    for limit, digits in ((0.1, 4), (1, 3), (10, 2)):
        if value < limit:
            return f"{value:.{digits}f}"
    return f"{value:.1f}"


def virtual(index):
    return f"10.1.{index >> 8}.{index & 255}:80"


def dest(index):
    return f"172.{16 + (index >> 16)}.{index >> 8 & 255}.{index & 255}:80"


def service_lines(count):
    return "".join(f"-A -u {virtual(i)} -s rr\n" for i in range(count))


def all_lines(size):
    lines = []
    for i in range(size.services):
        lines.append(f"-A -u {virtual(i)} -s rr\n")
        first = i * size.dests_each
        for j in range(first, first + size.dests_each):
            lines.append(f"-a -u {virtual(i)} -r {dest(j)} -m -w 1\n")
    return "".join(lines)


class Commands:
    """Runs xlvs and remembers what the largest of its processes needed."""

    def __init__(self, options, scratch):
        self.xlvs = options.xlvs
        self.options = options
        self.output = scratch / "output"
        self.peak_rss_bytes = 0

    def seconds(self, *words, lines=None):
        source = subprocess.DEVNULL if lines is None else lines.open("rb")
        with self.output.open("wb") as sink:
            begun = time.perf_counter()
            process = subprocess.Popen(
                [self.xlvs, *words],
                stdin=source, stdout=sink, stderr=subprocess.PIPE,
            )
            errors = process.stderr.read().decode()
            _, status, usage = os.wait4(process.pid, 0)
            took = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        if lines is not None:
            source.close()
        if process.returncode != 0:
            raise SystemExit(f"xlvs {' '.join(words)}: {errors.strip()}")
        self.peak_rss_bytes = max(self.peak_rss_bytes, usage.ru_maxrss * 1024)
        self.rss_bytes = usage.ru_maxrss * 1024
        return took

    def output_lines(self):
        with self.output.open("rb") as output:
            return sum(1 for _ in output)

    def status(self):
        self.seconds("status", "--json")
        return json.loads(self.output.read_bytes())

    def fill(self, first, count, services):
        instance = os.environ["XLVS_INSTANCE"]
        words = [instance, self.options.device, first, count, services]
        subprocess.run([self.options.fill, *map(str, words)], check=True)


def memlock_bytes():
    """What bpftool says that the instance's maps take."""
    total = 0
    instance = pathlib.Path("/sys/fs/bpf", os.environ["XLVS_INSTANCE"])
    for pin in instance.iterdir():
        shown = subprocess.run(
            ["bpftool", "-j", "map", "show", "pinned", pin],
            capture_output=True, text=True, check=False,
        )
        if shown.returncode == 0:  # else a program or a link
            total += json.loads(shown.stdout)["bytes_memlock"]
    return total


def kernel_bytes():
    """The machine's memory of the kinds that BPF maps are made of, with what
    others make and give back meanwhile."""
    kib = 0
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        for line in meminfo:
            if line.startswith(("VmallocUsed:", "Percpu:")):
                kib += int(line.split()[1])
    return kib * 1024


def settled_kernel_bytes():
    """The same when what an instance before had is given back, which takes the
    kernel a moment."""
    taken = kernel_bytes()
    for _ in range(20):
        time.sleep(0.25)
        before, taken = taken, kernel_bytes()
        if before - taken < MIB:
            break
    return taken


def expect(what, got, wanted):
    if got != wanted:
        raise SystemExit(f"{what}: {got} instead of {wanted}")


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K  .. {text}")
        sys.stderr.flush()
    else:
        print(f"  .. {text}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, options, scratch):
        self.options = options
        self.size = Size(options.quick)
        self.x = Commands(options, scratch)
        self.rows = {}
        self.services_file = scratch / "services"
        self.services_file.write_text(service_lines(self.size.services))
        self.all_file = scratch / "all"
        self.all_file.write_text(all_lines(self.size))
        self.saved = scratch / "saved"

    def note(self, name, value, unit="s", below=None):
        row = self.rows.setdefault(name, Row(name, unit, below))
        row.samples.append(value)

    def timed(self, name, *words, lines=None, below=None):
        took = self.x.seconds(*words, lines=lines)
        self.note(name, took, below=below)
        return took

    def attach_words(self):
        # One to spare, for what is added to the crowd.
        return [
            "attach", self.options.device,
            "--conns", str(self.size.conns_max),
            "--services", str(self.size.services + 1),
            "--dests", str(self.size.dests + 1),
        ]

    def restore(self):
        self.x.seconds("-R", lines=self.all_file)

    def configuration(self):
        """One round with an instance of its own, without connections."""
        x, size = self.x, self.size
        crowd = f"{size.services:,} services, {size.dests:,} real servers"
        self.timed("attach, everything new", *self.attach_words())
        self.timed("start and end of a command (-h)", "-h")

        begun = time.perf_counter()
        for index in range(size.single):
            x.seconds("-A", "-u", virtual(index), "-s", "rr")
        took = time.perf_counter() - begun
        self.note(
            f"services added, the first {size.single}, one command each",
            size.single / took, "/s",
        )
        x.seconds("-C")
        took = x.seconds("-R", lines=self.services_file)
        self.note(
            f"services added, {size.services:,} by -R", size.services / took, "/s"
        )
        x.seconds("-C")

        self.timed(
            f"-R: {crowd}", "-R", lines=self.all_file, below=RESTORE_TARGET_S
        )
        self.timed("-L -n of it", "-L", "-n")
        expect("lines of -L -n", x.output_lines(), 3 + size.services + size.dests)
        self.timed("-S -n of it", "-S", "-n")
        self.saved.write_bytes(x.output.read_bytes())
        self.timed("-L -n --json of it", "-L", "-n", "--json")
        json.loads(x.output.read_bytes())
        one = ["-u", virtual(size.services // 2), "-r", "10.2.0.1:80"]
        self.timed("one real server more (-a)", "-a", *one, "-m")
        self.timed("one less (-d)", "-d", *one)
        self.timed("one service more (-A)", "-A", "-u", "10.2.0.1:80")
        self.timed("one less (-D)", "-D", "-u", "10.2.0.1:80")

        # Another program means another instance, today: nothing is balanced
        # from the first of these commands to the end of the last.
        begun = time.perf_counter()
        x.seconds("detach", "--purge")
        x.seconds(*self.attach_words())
        x.seconds("-R", lines=self.saved)
        took = time.perf_counter() - begun
        self.note("another program: purge, attach, -R", took)
        status = x.status()
        expect("services", status["services"], size.services)
        expect("real servers", status["dests"], size.dests)
        self.timed("-C of it", "-C")
        x.seconds("detach", "--purge")

    def connections(self):
        """Once filled, measured as often as there are rounds."""
        x, size, rounds = self.x, self.size, self.options.rounds
        kernel_before = settled_kernel_bytes()
        x.peak_rss_bytes = 0
        x.seconds(*self.attach_words())
        self.restore()
        x.seconds("--set", "0", "0", str(UDP_TIMEOUT_S))
        peak_rss = x.peak_rss_bytes
        progress(f"{size.listed_conns:,} connections")
        x.fill(0, size.listed_conns, size.services)
        for _ in range(rounds):
            name = f"-L -n -c: {size.listed_conns:,} connections"
            self.timed(name, "-L", "-n", "-c")
        expect("lines of -L -n -c", x.output_lines(), 2 + size.listed_conns)

        progress(f"{size.conns:,} connections")
        x.fill(size.listed_conns, size.conns - size.listed_conns, size.services)
        x.peak_rss_bytes = peak_rss
        for _ in range(rounds):
            self.timed(f"status: {size.conns:,} connections", "status")
            status_rss = x.rss_bytes
            self.timed("-L -n: the same", "-L", "-n")
            one = ["-u", virtual(0), "-r", "10.2.0.1:80"]
            self.timed("one real server more: the same", "-a", *one, "-m")
            self.timed("one less: the same", "-d", *one)
            begun = time.perf_counter()
            x.seconds("detach", self.options.device)
            x.seconds("attach", self.options.device)
            took = time.perf_counter() - begun
            self.note("detach and attach: the same", took)
        peak_rss = x.peak_rss_bytes
        status = x.status()
        expect("connections", status["conns"], size.conns)
        maps = status["memory_bytes"]
        kernel = kernel_bytes() - kernel_before
        in_all = maps + peak_rss
        for name, value, below in (
            ("maps, by xlvs status", maps, None),
            ("maps, by bpftool", memlock_bytes(), None),
            ("VmallocUsed and Percpu grown by", kernel, None),
            ("xlvs status, its process at most", status_rss, None),
            ("maps and the largest process but -c", in_all, MEMORY_TARGET_BYTES / MIB),
        ):
            self.note(name, value / MIB, "MiB", below)
        x.peak_rss_bytes = 0
        x.seconds("-L", "-n", "-c")
        expect("lines of -L -n -c", x.output_lines(), 2 + size.conns)
        self.note(
            "-L -n -c of all of them, its process at most", x.peak_rss_bytes / MIB, "MiB"
        )
        x.seconds("detach", "--purge")

    def run(self):
        for index in range(self.options.rounds):
            progress(f"configuration, round {index + 1} of {self.options.rounds}")
            self.configuration()
        self.connections()
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def print_table(rows):
    print(f"{'':50} {'median':>9} {'range':>17}")
    for row in rows:
        name = row.name if row.unit == "/s" else f"{row.name}, {row.unit}"
        few, many = (number(f(row.samples), row.unit) for f in (min, max))
        span = "" if len(row.samples) == 1 else f"{few} - {many}"
        print(f"{name:50} {number(row.median, row.unit):>9} {span:>17}".rstrip())
    print()
    for row in rows:
        if row.below is not None:
            print(
                f"{row.name}: below {row.below:,.0f} {row.unit}: "
                f"{'yes' if row.met else 'no'}"
            )


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--xlvs", required=True)
    parser.add_argument("--fill", required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--rounds", type=int, default=3, choices=range(1, 51), metavar="N"
    )
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="xlvs-bench.") as scratch:
        bench = Bench(options, pathlib.Path(scratch))
        bench.run()
    rows = list(bench.rows.values())
    cpus = len(os.sched_getaffinity(0))
    if options.json != "-":
        print(f"{cpu_model()}, {cpus} CPUs, Linux {platform.release()}")
        print(f"commit {options.commit}, {options.rounds} rounds\n")
        print_table(rows)
    if options.json:
        text = json.dumps(
            {
                "cpu": cpu_model(),
                "cpus": cpus,
                "kernel": platform.release(),
                "commit": options.commit,
                "quick": options.quick,
                "rows": [row.json() for row in rows],
            },
            indent=2,
        )
        if options.json == "-":
            print(text)
        else:
            pathlib.Path(options.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
