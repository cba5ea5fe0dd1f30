# SPDX-License-Identifier: Apache-2.0
"""A director between a client's and a server's cable, each end of which is a
raw socket: nobody but the director answers anything.

    client --- eth0 director eth1 --- server

Addresses and MACs never change, so that what two directors send can be
compared. Neighbours are known to the director beforehand, but for GHOST, which
nobody resolves.
"""

import ctypes
import os
import select
import socket
import subprocess
import tempfile
import time

CLONE_NEWNET = 0x40000000
PACKET_OUTGOING = 4
MARK = b"the end of answers "

MAC = {
    "client": "02:00:00:00:00:c1",
    "server": "02:00:00:00:00:51",
    "eth0": "02:00:00:00:00:d0",
    "eth1": "02:00:00:00:00:d1",
}


class Net:
    """Addresses of one family."""

    def __init__(self, six):
        self.six = six
        self.bits = 128 if six else 32
        self.client_net = "2001:db8:a::/64" if six else "10.0.0.0/24"
        prefix = "2001:db8:{}::{}" if six else "10.{}.0.{}"
        part = ("a", "1", "b", "c") if six else (0, 1, 2, 3)
        self.client = prefix.format(part[0], 2)
        self.client_router = prefix.format(part[0], 254)
        self.gateway = prefix.format(part[0], 1)  # the director's, to the client
        self.vip = prefix.format(part[1], 100)
        self.director = prefix.format(part[2], 1)  # its own, to the servers
        self.server = prefix.format(part[2], 11)
        self.server2 = prefix.format(part[2], 12)
        self.server_router = prefix.format(part[2], 254)
        self.ghost = prefix.format(part[2], 99)
        self.far = prefix.format(part[3], 11)  # behind server_router
        self.nowhere = "2001:db8:77::1" if six else "10.77.0.1"
        self.prohibited = "2001:db8:78::1" if six else "10.78.0.1"

    def __getitem__(self, port):
        """As ipvsadm writes the service's address."""
        return self.at(self.vip, port)

    def at(self, address, port):
        return f"[{address}]:{port}" if self.six else f"{address}:{port}"


V4, V6 = Net(False), Net(True)


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def in_netns(netns, action):
    """Runs action() in a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as here, open(f"/run/netns/{netns}") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"enter {netns}")
        try:
            return action()
        finally:
            libc.setns(here.fileno(), CLONE_NEWNET)


def attach_xdp(body, devices):
    """Has XDP do with what these devices receive, [(network namespace, device)],
    what the body of a function in C says, instead of what it did before."""
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(directory, "all.o")
        run("clang", "-O2", "-target", "bpf", "-x", "c", "-c", "-", "-o", program,
            input=f'__attribute__((section("xdp.frags"), used)) int all(void* context) {{ {body} }}')
        for netns, device in devices:
            run(*f"ip -force -n {netns} link set {device} xdp obj {program} sec xdp.frags".split())


class Cable:
    """The far end of one of the director's cables."""

    def __init__(self, netns):
        def make():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            sock.bind(("eth0", 0))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            return sock

        self.sock = in_netns(netns, make)
        self.sock.setblocking(False)

    def send(self, frame):
        self.sock.send(frame)

    def receive(self):
        """A frame, or None for what does not count: our own, ARP, neighbour and
        multicast listener discovery."""
        frame, address = self.sock.recvfrom(65536)
        if address[2] == PACKET_OUTGOING or frame[12:14] == b"\x08\x06":
            return None
        if frame[12:14] == b"\x86\xdd":
            protocol, at = frame[20], 54
            if protocol == 0:
                protocol, at = frame[54], 62
            if protocol == 58 and frame[at] in (130, 131, 132, 133, 134, 135, 136, 137, 143):
                return None
        return frame


class Lab:
    """`mtu`: of the director's devices, if not 1500."""

    settle_s = 0.02  # how long nothing must come once both marks did

    def __init__(self, name, mtu):
        self.name = name
        self.dir, self.ends = f"{name}-dir", {"client": f"{name}-client", "server": f"{name}-server"}
        self.marks = 0
        self.down()
        try:
            self.up(mtu)
        except BaseException:
            self.down()
            raise

    def ip(self, *words):
        return run("ip", "-n", self.dir, *" ".join(words).split())

    def sysctl(self, netns, **values):
        def write():
            for key, value in values.items():
                with open("/proc/sys/net/" + key.replace("__", "/"), "w") as file:
                    file.write(str(value))

        in_netns(netns, write)

    def up(self, mtu):
        for netns in (self.dir, *self.ends.values()):
            run("ip", "netns", "add", netns)
            run("ip", "-n", netns, "link", "set", "lo", "up")
        for end, device in (("client", "eth0"), ("server", "eth1")):
            netns = self.ends[end]
            self.sysctl(netns, ipv6__conf__default__disable_ipv6=1)
            self.ip(f"link add {device} address {MAC[device]} type veth peer name eth0",
                    f"address {MAC[end]} netns {netns}")
        # No duplicate address detection, no limits on ICMP errors; what is left
        # of a fragmented packet is given up within the case that sent it.
        self.sysctl(
            self.dir,
            ipv4__ip_forward=1,
            ipv4__conf__all__rp_filter=0,
            ipv4__conf__default__rp_filter=0,
            ipv4__conf__all__send_redirects=0,
            ipv4__conf__default__send_redirects=0,
            ipv4__icmp_ratelimit=0,
            ipv4__icmp_ratemask=0,
            ipv6__icmp__ratelimit=0,
            ipv6__conf__all__forwarding=1,
            ipv4__ipfrag_time=1,
            ipv6__ip6frag_time=1,
            ipv6__conf__all__accept_dad=0,
            ipv6__conf__default__accept_dad=0,
        )
        self.sysctl(self.dir, ipv4__conf__eth0__rp_filter=0, ipv4__conf__eth1__rp_filter=0,
                    ipv4__conf__eth0__send_redirects=0, ipv4__conf__eth1__send_redirects=0)
        for netns, device in ((self.dir, "eth0"), (self.dir, "eth1"),
                              *((end, "eth0") for end in self.ends.values())):
            run("ip", "netns", "exec", netns, "ethtool", "-K", device, "tx", "off", "tso", "off",
                "gso", "off", "gro", "on", "txvlan", "off", "rxvlan", "off")
        self.receive()
        for device in ("eth0", "eth1"):
            self.ip(f"link set {device} up")
        for netns in self.ends.values():
            run(*f"ip -n {netns} link set eth0 up".split())
        for device, its_mtu in mtu.items():
            self.ip(f"link set {device} mtu {its_mtu}")
        for net in (V4, V6):
            mask, nodad = (64, "nodad") if net.six else (24, "")
            self.ip(f"addr add {net.gateway}/{mask} dev eth0 {nodad}")
            self.ip(f"addr add {net.director}/{mask} dev eth1 {nodad}")
            self.ip(f"addr add {net.vip}/{net.bits} dev lo {nodad}")
            for address in (net.client, net.client_router):
                self.ip(f"neigh add {address} lladdr {MAC['client']} dev eth0 nud permanent")
            for address in (net.server, net.server2, net.server_router):
                self.ip(f"neigh add {address} lladdr {MAC['server']} dev eth1 nud permanent")
            far = net.far.rsplit(":" if net.six else ".", 1)[0]
            self.ip(f"route add {far + ':/64' if net.six else far + '.0/24'} via {net.server_router}")
            self.ip(f"route add prohibit {net.prohibited}")
        self.connect()

    def receive(self):
        """Frames that XDP sends arrive only where XDP receives."""
        attach_xdp("return 2;", [(netns, "eth0") for netns in self.ends.values()])

    def connect(self):
        self.cables = {end: Cable(netns) for end, netns in self.ends.items()}
        self.wait_for_marks()

    def wait_for_marks(self):
        """Until the director forwards."""
        for _ in range(50):
            if self.exchange([], seconds=0.2) is not None:
                return
        raise SystemExit("the director does not forward")

    def forget(self):
        """What the director's kernel has learned from ICMP errors. IPVS brings
        another reassembly for IPv6 with it, when there is a service."""
        if os.path.exists("/proc/sys/net/netfilter/nf_conntrack_frag6_timeout"):
            self.sysctl(self.dir, netfilter__nf_conntrack_frag6_timeout=1)
        self.ip("route flush cache")
        self.ip("-6 route flush cache")

    def mark(self, end):
        """A datagram that the director's kernel routes to the other end."""
        self.marks += 1
        payload = MARK + str(self.marks).encode()
        here, there, device = (
            (V4.client, V4.server, "eth0") if end == "client" else (V4.server, V4.client, "eth1")
        )
        head = bytearray(
            bytes.fromhex(MAC[device].replace(":", "") + MAC[end].replace(":", "") + "0800")
            + bytes.fromhex("4500") + (28 + len(payload)).to_bytes(2, "big")
            + bytes.fromhex("0000000040110000")
            + socket.inet_aton(here) + socket.inet_aton(there)
        )
        total = sum(int.from_bytes(head[i : i + 2], "big") for i in range(14, 34, 2))
        total = (total & 0xFFFF) + (total >> 16)
        head[24:26] = (~total & 0xFFFF).to_bytes(2, "big")
        udp = bytes.fromhex("00090009") + (8 + len(payload)).to_bytes(2, "big") + b"\0\0"
        self.cables[end].send(bytes(head) + udp + payload)
        return payload

    def exchange(self, frames, wait=0.0, seconds=5.0):
        """Sends [(end, frame)], and then marks from both ends. What arrived at
        the ends until the marks did: [(end, frame)]; None if they did not."""
        for end, frame in frames:
            self.cables[end].send(frame)
        if wait:
            time.sleep(wait)
        missing = {self.mark("client"), self.mark("server")}
        came = {"client": [], "server": []}
        until = time.monotonic() + seconds
        while missing and time.monotonic() < until:
            self.collect(came, missing, 0.05)
        if missing:
            return None
        while self.collect(came, missing, self.settle_s):
            pass
        return [(end, frame) for end in ("client", "server") for frame in came[end]]

    def collect(self, came, missing, seconds):
        by_sock = {cable.sock: end for end, cable in self.cables.items()}
        ready, _, _ = select.select(list(by_sock), [], [], seconds)
        for sock in ready:
            end = by_sock[sock]
            try:
                frame = self.cables[end].receive()
            except BlockingIOError:
                continue
            if frame is None:
                continue
            at = frame.find(MARK)
            if at >= 0:
                missing.discard(frame[at:])
            else:
                came[end].append(frame)
        return bool(ready)

    def down(self):
        for netns in (self.dir, *self.ends.values()):
            subprocess.run(["ip", "netns", "del", netns], capture_output=True, check=False)
