# SPDX-License-Identifier: Apache-2.0
"""HTTP from wrk to nginx through one balancer, in a lab of tools/lab.

A balancer's CPU time is that of the threads by which the director's devices
receive (threaded NAPI: XDP, or the kernel's stack from there to the next device)
and, if it is a proxy, of its process. The devices behind the director's cables
have such threads, too, so that clients' and servers' receiving is in theirs.

Everybody's is that of all of a lab's processes, these threads and the kernel's
for softirqs: what /proc/stat would count for the whole machine, without what
else goes on there.

With `nics` each of the director's cables is cut, and XDP redirects what comes to
either side of the cut to the other one. Then what the director receives are XDP
frames, as from a NIC's driver: that they were skbs before is the cut's expense.

    client --- cut --- eth0 director eth1 --- cut --- switch with 4 nginx
"""

import contextlib
import json
import os
import re
import resource
import subprocess
import tempfile
import time

from live_lab import ROOT, attach_xdp, napi_threads, run
from live_report import Spread

SERVERS = 4
VIP = "192.168.1.100"
CONNECTIONS = 80  # so many have no more packets on their way than rings hold
CLOSE = ("-H", "Connection: close")  # a connection a request
CLIENT, ROUTER = "10.0.0.2/24", "10.0.0.1"
REDIRECT = "return ((long (*)(int, long))23)(%d, 0);"  # helper 23 is bpf_redirect()


def server(number):
    return f"192.168.1.{11 + number}"


def schedstat_ns(path):
    with open(path) as file:
        return int(file.read().split()[0])


def tasks_ns(process):
    tasks = f"/proc/{process}/task"
    return sum(schedstat_ns(f"{tasks}/{task}/schedstat") for task in os.listdir(tasks))


def processes(belongs):
    """Those of which belongs(number) is true, and does not fail."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if belongs(entry.name):
                    found.append(entry.name)
    return found


def is_softirq_thread(number):
    with open(f"/proc/{number}/comm") as file:
        return file.read().startswith("ksoftirqd/")


class Requests:
    """What a balancer did with requests of one kind, by round. `options`: wrk's."""

    def __init__(self, options=()):
        self.options = options
        self.per_s, self.p50, self.p99 = [], [], []
        self.balancer_us, self.all_us, self.errors = [], [], 0

    def json(self):
        return {"requests_per_s": Spread(self.per_s).json(), "p50_ms": Spread(self.p50).json(),
                "p99_ms": Spread(self.p99).json(), "balancer_us_per_request": Spread(self.balancer_us).json(),
                "all_us_per_request": Spread(self.all_us).json(), "errors": self.errors}


class Direct:
    """No balancer: the director routes to one server."""

    name, lab, url = "routing, to one server", "bench-none", f"http://{server(0)}/"

    def __init__(self, nics):
        self.single, self.kept, self.other_threads = Requests(CLOSE), Requests(), set()
        self.remove()
        try:
            run(str(ROOT / "tools/lab"), "up", "--name", self.lab, "--servers", str(SERVERS))
            if nics:
                self.cut()
            for who, device in (("client", "eth0"), ("net", "dir")):
                self.tune(who, device)
            self.threads = self.thread_of("dir", "eth0") | self.thread_of("dir", "eth1")
            self.other_threads |= self.thread_of("client", "eth0") | self.thread_of("net", "dir")
            self.inside("client", "sh", "-c", "echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range")
            self.balance()
            self.everybody = self.find_everybody()
            self.measure(1.0, Requests(CLOSE))
        except BaseException:
            self.down()
            raise

    def find_everybody(self):
        spaces = {os.stat(f"/run/netns/{name}").st_ino for name in os.listdir("/run/netns")
                  if name.startswith(f"{self.lab}-")}
        mine = processes(lambda number: os.stat(f"/proc/{number}/ns/net").st_ino in spaces)
        return [*mine, *processes(is_softirq_thread), *self.threads, *self.other_threads]

    def tune(self, who, device):
        """Who cannot leave segments whole has its skbs received by NAPI; who has
        GRO is sent XDP frames; who computes checksums may have XDP after it."""
        run("ip", "netns", "exec", f"{self.lab}-{who}", "ethtool", "-K", device, "tx", "off", "tso", "off",
            "gso", "off", "gro", "on")

    def cut(self):
        """The director keeps its ends of both cables."""
        nics = f"{self.lab}-nics"
        run("ip", "netns", "add", nics)
        for who, device, its_end in (("client", "eth0", "eth0"), ("net", "dir", "eth1")):
            netns, near, far = f"{self.lab}-{who}", f"{its_end}-near", f"{its_end}-far"
            run(*f"ip -n {netns} link set {device} down".split())
            run(*f"ip -n {netns} link set {device} netns {nics} name {near}".split())
            run(*f"ip -n {nics} link add {far} type veth peer name {device} netns {netns}".split())
            for end in (near, far):
                self.tune("nics", end)
            for end, other in ((near, far), (far, near)):
                self.redirect(end, other)
                self.other_threads |= self.thread_of("nics", end)
        run("ip", "-n", f"{self.lab}-net", "link", "set", "dir", "master", "br0", "up")
        run("ip", "-n", f"{self.lab}-client", "-batch", "-",
            input=f"addr add {CLIENT} dev eth0\nlink set eth0 up\nroute add default via {ROUTER}\n")

    def redirect(self, device, other):
        """By XDP: what `device` receives leaves by the other one."""
        netns = f"{self.lab}-nics"
        (link,) = json.loads(run("ip", "-n", netns, "-json", "link", "show", other))
        attach_xdp(REDIRECT % link["ifindex"], [(netns, device)])
        run(*f"ip -n {netns} link set {device} up".split())

    def balance(self):
        pass

    def thread_of(self, who, device):
        before = napi_threads()
        run("ip", "netns", "exec", f"{self.lab}-{who}", "sh", "-c",
            f"echo 1 >/sys/class/net/{device}/threaded")
        return napi_threads() - before

    def inside(self, who, *words, **options):
        return run("nsenter", f"--net=/run/netns/{self.lab}-{who}", *words, **options)

    def spent_ns(self):
        return sum(map(tasks_ns, self.threads))

    def all_ns(self):
        wrk = resource.getrusage(resource.RUSAGE_CHILDREN)
        return sum(map(tasks_ns, self.everybody)) + 1e9 * (wrk.ru_utime + wrk.ru_stime)

    def measure(self, seconds, asked):
        """Adds what was seen to `asked`."""
        spent, everybody = self.spent_ns(), self.all_ns()
        said = self.inside("client", "wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds:.0f}",
                           "--timeout", "5", "--latency", *asked.options, self.url)
        spent, everybody = self.spent_ns() - spent, self.all_ns() - everybody
        requests = int(re.search(r"(\d+) requests in", said)[1])
        if not requests:
            raise SystemExit(f"{self.name}: no request was answered: {said}")
        asked.per_s.append(float(re.search(r"Requests/sec: +([\d.]+)", said)[1]))
        asked.p50.append(milliseconds(said, 50))
        asked.p99.append(milliseconds(said, 99))
        asked.balancer_us.append(spent / 1e3 / requests)
        asked.all_us.append(everybody / 1e3 / requests)
        for line in said.splitlines():
            if "Socket errors" in line:
                asked.errors += sum(int(number) for number in re.findall(r"\d+", line))
            elif "Non-2xx" in line:
                asked.errors += int(line.split()[-1])

    def remove(self):
        subprocess.run(["ip", "netns", "del", f"{self.lab}-nics"], capture_output=True, check=False)
        subprocess.run([ROOT / "tools/lab", "down", "--name", self.lab], capture_output=True, check=False)

    def down(self):
        self.remove()


class Xlvs(Direct):
    name, lab, url = "xlvs Masq, rr", "bench-tcp-x", f"http://{VIP}/"

    def __init__(self, nics, xlvs):
        self.xlvs = [xlvs, "--instance", self.lab]
        super().__init__(nics)

    def balance(self):
        self.inside("dir", *self.xlvs, "attach", "--conns", "1M", "eth0", "eth1")
        lines = [f"-A -t {VIP}:80 -s rr"] + [f"-a -t {VIP}:80 -r {server(i)}:80 -m" for i in range(SERVERS)]
        self.inside("dir", *self.xlvs, "-R", input="\n".join(lines) + "\n")

    def remove(self):
        subprocess.run([*self.xlvs, "detach", "--purge"], capture_output=True, check=False)
        super().remove()


class Nftables(Direct):
    name, lab, url = "nftables DNAT, numgen", "bench-tcp-n", f"http://{VIP}/"

    def balance(self):
        self.inside("dir", "nft", "-f", "-", input=nft_rules(VIP, [("tcp", 80)], [server(i) for i in range(SERVERS)]))


class Haproxy(Direct):
    name, lab, url = "HAProxy, TCP mode, roundrobin", "bench-tcp-h", f"http://{VIP}/"
    process = None

    def balance(self):
        servers = "\n".join(f"  server rs{i} {server(i)}:80" for i in range(SERVERS))
        # In a file without a name, which nobody has to remove.
        with tempfile.TemporaryFile("w+") as file:
            file.write(f"global\n  maxconn 8192\ndefaults\n  mode tcp\n  timeout connect 5s\n"
                       f"  timeout client 30s\n  timeout server 30s\nlisten bench\n  bind {VIP}:80 backlog 4096\n"
                       f"  balance roundrobin\n{servers}\n")
            file.flush()
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.lab}-dir", "haproxy", "-db", "-q", "-f",
                 f"/proc/self/fd/{file.fileno()}"], pass_fds=[file.fileno()], stdin=subprocess.DEVNULL)
            until = time.monotonic() + 5
            while f"{VIP}:80" not in self.inside("dir", "ss", "-Hltn"):
                if self.process.poll() is not None or time.monotonic() > until:
                    raise SystemExit("haproxy does not listen")
                time.sleep(0.05)

    def spent_ns(self):
        return super().spent_ns() + tasks_ns(self.process.pid)

    def down(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        super().down()


def milliseconds(said, percent):
    value, unit = re.search(rf"^ *{percent}% +([\d.]+)(us|ms|s)", said, re.MULTILINE).groups()
    return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def nft_rules(vip, ports, servers):
    """DNAT of these ports, to servers in turn."""
    to = ", ".join(f"{i} : {address}" for i, address in enumerate(servers))
    rules = "\n".join(f"    ip daddr {vip} {proto} dport {port} dnat to numgen inc mod {len(servers)} "
                      f"map {{ {to} }}" for proto, port in ports)
    return (f"table ip bench {{\n  chain prerouting {{\n    type nat hook prerouting priority dstnat;\n"
            f"{rules}\n  }}\n}}\n")
