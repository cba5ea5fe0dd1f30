# SPDX-License-Identifier: Apache-2.0
"""A director under a load of XDP frames, in the topology of tests/compat/lab.py.

The director's device receives in a kernel thread of its own (threaded NAPI), so
that the CPU time of what it does with packets, be it an XDP program or the
kernel's stack down to the next device, is that thread's run time: neither the
sender nor the receiver at the end is in it. The threads of both ends share its
CPU in turns; the sender has another one.

Once `join`ed, all three take turns on the sender's CPU, without threads: what
such a CPU takes for a packet from end to end.
"""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/compat"))

from lab import MAC, V4, Lab, attach_xdp, run  # noqa: E402
from live_report import Spread  # noqa: E402

SERVERS = 8
SENDER_CPU, DIRECTOR_CPU = 0, 1
PROTO = {"tcp": 6, "udp": 17}
PORTS = {"masq": 1001, "route": 1002, "tunnel": 1003}
# As such clusters are wired: with NAT the real servers are behind the director,
# otherwise beside it, and their answers do not come by.
DEVICES = {"masq": "eth1", "route": "eth0", "tunnel": "eth0"}
NETS = {"eth0": "10.0.0", "eth1": "10.2.0"}
NEW_FROM = 1 << 20  # flows below are established ones
IPIP = 4


def server(method, number):
    return f"{NETS[DEVICES[method]]}.{11 + number}"


def service_lines():
    """What ipvsadm -R and xlvs -R read: each method, UDP and TCP."""
    lines = []
    for method, letter in (("masq", "m"), ("route", "g"), ("tunnel", "i")):
        for proto in ("u", "t"):
            at = f"-{proto} {V4.vip}:{PORTS[method]}"
            lines.append(f"-A {at} -s rr")
            lines += [f"-a {at} -r {server(method, i)}:{PORTS[method]} -{letter}" for i in range(SERVERS)]
    return "\n".join(lines) + "\n"


def napi_threads():
    found = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/comm") as file:
                    if file.read().startswith("napi/"):
                        found.add(int(entry.name))
            except OSError:
                pass  # it has ended
    return found


class LiveLab(Lab):
    """`control`: what the director does by XDP itself: none, drop or tx."""

    def __init__(self, name, program, control="none"):
        self.program, self.control, self.load = program, control, None
        self.next_new = NEW_FROM
        super().__init__(name, {})

    def up(self, mtu):
        super().up(mtu)
        lines = [f"neigh replace {net}.{11 + i} lladdr {MAC['server']} dev {device} nud permanent"
                 for device, net in NETS.items() for i in range(SERVERS)]
        lines.append(f"route add 10.64.0.0/10 via {V4.client_router}")
        run("ip", "-n", self.dir, "-batch", "-", input="\n".join(lines))
        self.arrival_cpu = DIRECTOR_CPU
        self.thread = self.thread_of(self.dir)
        for netns in self.ends.values():
            self.thread_of(netns)
        self.load = subprocess.Popen(
            [self.program, self.ends["client"], self.ends["server"], self.dir, str(SENDER_CPU),
             self.control],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    @staticmethod
    def thread_of(netns):
        """Makes the receiver of a device a thread of its own. One that is as
        urgent as the others gives way to none before it is done, and all that
        waits for it meanwhile is done at once, as under full load."""
        before = napi_threads()
        run("ip", "netns", "exec", netns, "sh", "-c", "echo 1 >/sys/class/net/eth0/threaded")
        (thread,) = napi_threads() - before
        os.sched_setaffinity(thread, {DIRECTOR_CPU})
        os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(1))
        return thread

    def join(self):
        """Has all receive where the sender is."""
        for netns in (self.dir, *self.ends.values()):
            run("ip", "netns", "exec", netns, "sh", "-c", "echo 0 >/sys/class/net/eth0/threaded")
        self.arrival_cpu, self.thread = SENDER_CPU, 0

    def receive(self):
        pass  # self.load does

    def connect(self):
        pass

    def in_director(self, *words, **options):
        return run("nsenter", f"--net=/run/netns/{self.dir}", *words, **options)

    def answer(self):
        line = self.load.stdout.readline()
        if not line:
            raise SystemExit("the load ended before it answered")
        return json.loads(line)

    def send(self, **request):
        request |= {"thread": self.thread, "arrival_cpu": self.arrival_cpu}
        self.load.stdin.write(json.dumps(request) + "\n")
        self.load.stdin.flush()
        return self.answer()

    def down(self):
        if self.load is not None:
            self.load.terminate()
            self.load.wait()
            self.load = None
        super().down()


class XlvsLab(LiveLab):
    """Where the director is xlvs, with an instance of the lab's name and room for
    so many connections."""

    def __init__(self, name, program, xlvs, conns):
        self.xlvs, self.conns = xlvs, conns
        super().__init__(name, program)

    def up(self, mtu):
        super().up(mtu)
        said = self.command("attach", "--conns", str(self.conns), "eth0", "eth1")
        if said.count("native") != 2:
            raise SystemExit(f"xlvs attach: {said}")
        self.command("-R", input=service_lines())

    def command(self, *words, **options):
        return self.in_director(self.xlvs, "--instance", self.name, *words, **options)

    def down(self):
        subprocess.run([self.xlvs, "--instance", self.name, "detach", "--purge"], capture_output=True,
                       check=False)
        super().down()


class Case:
    """One thing to measure: what is sent to a lab's director, and what must
    become of it. `sender`: frames or sockets."""

    def __init__(self, name, lab, method, new=False, sender="frames"):
        self.name, self.lab, self.method, self.new = name, lab, method, new
        self.ns, self.rates = [], []
        self.l4 = "tcp" if new else "udp"
        proto = PROTO[self.l4]
        to, net, bits, out = V4.vip, f"{NETS[DEVICES.get(method, 'eth1')]}.0", 24, proto
        if method == "routing":
            to, net, bits = V4.server, V4.server, 32
        elif method in ("route", "control"):
            net, bits = V4.vip, 32
        elif method == "tunnel":
            out = IPIP
        self.request = {"sender": sender, "l4": self.l4, "to": to, "port": PORTS.get(method, 1000),
                        "expect": {"l4": out, "net": net, "bits": bits}}

    def establish(self, flows):
        self.check(self.lab.send(packets=flows, flows=0, first=0, ms=60000, **self.request))

    def sample(self, flows, ms, news):
        """Adds the director's ns per packet, or everybody's."""
        if self.new:
            more = {"packets": news, "flows": 0, "first": self.lab.next_new, "ms": 60000}
            self.lab.next_new += news
        else:
            more = {"packets": 1 << 40, "flows": flows, "first": 0, "ms": ms}
        result = self.lab.send(**more, **self.request)
        self.check(result)
        self.ns.append((result["thread_ns"] or result["wall_ns"]) / result["arrived"])
        self.rates.append(result["arrived"] * 1e9 / result["wall_ns"])

    def json(self):
        return {"name": self.name, "ns_per_packet": Spread(self.ns).json(),
                "packets_per_s_of_the_run": Spread(self.rates).json()}

    def check(self, result):
        if result["strays"] > 0 or result["arrived"] < 0.999 * result["sent"] or not result["sent"]:
            raise SystemExit(f"{self.name}: {result['sent']} packets sent, {result['arrived']} arrived, "
                             f"{result['strays']} elsewhere")
        problem = frame_problem(bytes.fromhex(result["frame"]), self.method, PROTO[self.l4])
        if problem:
            raise SystemExit(f"{self.name}: a packet arrived with {problem}: {result['frame']}")


def sum16(data):
    total = sum(int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def frame_problem(frame, method, proto):
    """What is wrong with a frame that arrived; empty: nothing."""
    if method != "control" and frame[:6] != bytes.fromhex(MAC["server"].replace(":", "")):
        return "a wrong MAC address"
    ip = frame[14:]
    if method == "tunnel":
        if sum16(ip[:20]) != 0xFFFF:
            return "a wrong outer checksum"
        ip = ip[20:]
    if sum16(ip[:20]) != 0xFFFF:
        return "a wrong IP checksum"
    l4 = ip[20 : int.from_bytes(ip[2:4], "big")]
    if sum16(ip[12:20] + bytes((0, proto)) + len(l4).to_bytes(2, "big") + l4) != 0xFFFF:
        return "a wrong UDP or TCP checksum"
    return ""
