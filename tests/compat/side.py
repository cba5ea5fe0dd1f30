# SPDX-License-Identifier: Apache-2.0
"""One director, the kernel's IPVS or xlvs, that plays histories (history.py) and
says what it saw. It has a process, a CPU and a lab of its own, so that both
directors play at the same time and the order of packets is the order in which
they were sent.

A history is played with its own VIPs, so that what earlier ones left in the
tables is not met again: {V0} .. {V3} in its words are the run's IPv4 VIPs, {W0}
.. {W3} its IPv6 ones."""

import ipaddress
import multiprocessing
import os
import re
import socket
import subprocess
import time
import traceback

import frames
from lab import CLONE_NEWNET, MAC, V4, V6, Lab, run

CLIENTS = 64
SERVERS = 8
RUN_VIPS = 4  # of each family
IPVS_SYSCTL = "/proc/sys/net/ipv4/vs/"
TIMER_S = 0.05  # of IPVS, to run; see docs/differences.md: begins anew
FLUSH_S = 4.5  # see docs/differences.md: expire_nodest_conn
PLAYS_AN_ATTACHMENT = 40  # then xlvs starts afresh, if nothing else removes old connections
CONN_ROW = re.compile(r"\w+ +\d+:\d\d ")

# What is asked after each step, and once at the end. A restore reads commands
# that list, too: so a step costs one process.
# --nosort comes after --timeout, by which verdict.py knows it: the kernel lists
# services as they happen to be hashed.
ASK = ["-L --timeout", "-L -n --nosort", "-L -n -c"]
ASK_ALL = ["-L -n", *ASK, "-L -n --thresholds", "-L -n --persistent-conn", "-L -n --tun-info", "-S -n"]
ASK_STATS = ["-L -n --stats --exact"]
CLEAN = ["-C", "--set 900 120 300"]


def may_begin_anew(packet):
    """Whether a packet of a history may take the place of a connection."""
    return packet[0] == "client" and packet[2][:1] in ("S", "I")


def client(net, number):
    return f"2001:db8:a::{16 + number:x}" if net.six else f"10.0.0.{16 + number}"


def server(net, number):
    return f"2001:db8:b::{17 + number:x}" if net.six else f"10.2.0.{11 + number}"


def server_mac(number):
    """Each its own, so that who gets a Route packet can be seen."""
    return f"02:00:00:00:52:{11 + number:02x}"


def vips(net, play):
    numbers = range(play * RUN_VIPS, (play + 1) * RUN_VIPS)
    if net.six:
        return [f"2001:db8:1:1::{n + 1:x}" for n in numbers]
    return [f"10.1.{1 + n // 250 % 250}.{1 + n % 250}" for n in numbers]


def names(play):
    """What a history's placeholders are in a play."""
    words = {f"V{i}": vip for i, vip in enumerate(vips(V4, play))}
    words |= {f"W{i}": vip for i, vip in enumerate(vips(V6, play))}
    return words | {f"M{i}": str(play * RUN_VIPS + i + 1) for i in range(RUN_VIPS)}


def virtuals(play):
    """Virtual addresses of the connections of a play, and of their templates, as
    they are listed."""
    result = {*vips(V4, play), *(f"[{vip}]" for vip in vips(V6, play))}
    for name, mark in names(play).items():
        if name[0] == "M":
            address = int(mark).to_bytes(4, "big")
            result |= {str(ipaddress.ip_address(address)), f"[{ipaddress.ip_address(address + bytes(12))}]"}
    return result


def fill(text, words):
    return re.sub(r"\{([VWM]\d)\}", lambda match: words[match[1]], text)


class JudgeLab(Lab):
    settle_s = 0.004

    def up(self, mtu):
        super().up(mtu)
        lines = ["route add local 10.1.0.0/16 dev lo"]
        for net in (V4, V6):
            for i in range(CLIENTS):
                lines.append(f"neigh replace {client(net, i)} lladdr {MAC['client']} dev eth0 nud permanent")
            for i in range(SERVERS):
                lines.append(f"neigh replace {server(net, i)} lladdr {server_mac(i)} dev eth1 nud permanent")
        run("ip", "-n", self.dir, "-batch", "-", input="\n".join(lines))


class Side:
    def __init__(self, which, program, cpu):
        os.sched_setaffinity(0, {cpu})
        self.which, self.program = which, program
        self.lab = JudgeLab(f"judge{os.getpid()}", {})
        with open(f"/run/netns/{self.lab.dir}") as netns:
            self.setns(netns.fileno())
        self.environment = dict(os.environ, XLVS_INSTANCE=f"judge{os.getpid()}")
        # Answers of ICMPv6 have the VIP as source only if it is an address.
        self.batch = subprocess.Popen(["ip", "-batch", "-"], stdin=subprocess.PIPE, text=True)
        self.plays = 0
        self.marked = False
        self.flushes = True  # whether -C can end connections
        if which == "xlvs":
            self.attach()
            self.flushes = False  # not before the next play
        else:
            self.ipvsadm(["-L"])  # loads the module
            for name in "rr wrr lc wlc sed nq fo ovf sh dh mh lblc lblcr twos".split():
                subprocess.run(["modprobe", f"ip_vs_{name}"], check=False)
            self.sysctl("expire_nodest_conn", 0)

    @staticmethod
    def setns(descriptor):
        import ctypes

        if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "enter the director")

    def end(self):
        if self.which == "xlvs":
            self.xlvs("detach", "--purge")
        else:
            self.ipvsadm(["-C"])
        self.batch.stdin.close()
        self.batch.wait()
        self.lab.down()

    # --- commands -------------------------------------------------------------

    def ipvsadm(self, words, text=None, name="ipvsadm"):
        """As the program is called; (exit code, stdout, stderr)."""
        program = self.program if self.which == "xlvs" else name
        done = subprocess.run([name, *words], executable=program, input=text or "", env=self.environment,
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def xlvs(self, *words):
        done = subprocess.run([self.program, *words], env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def attach(self):
        self.xlvs("detach", "--purge")
        code, out, err = self.xlvs("attach", "--conns", "65536", "eth0", "eth1")
        if code or "native" not in out:
            raise RuntimeError(f"xlvs attach: {out}{err}")

    def sysctl(self, key, value):
        if self.which == "xlvs":
            return self.xlvs("set", key, str(value))
        try:
            with open(IPVS_SYSCTL + key, "w") as file:
                file.write(str(value))
        except OSError as error:
            return 1, "", f"{key}: {error.strerror}\n"
        return 0, "", ""

    def mark(self, number, proto, vip, ports):
        """Packets of clients to these ports carry a mark from now on."""
        six = ":" in vip
        if self.which == "xlvs":
            there = f"[{vip}]" if six else vip
            return self.xlvs("mark", "add", number, "--match", f"{proto} {there}:{ports[0]}-{ports[1]}")
        if not self.marked:
            run("tc", "qdisc", "add", "dev", "eth0", "clsact")
            self.marked = True
        run("tc", "filter", "add", "dev", "eth0", "ingress", "protocol", "ipv6" if six else "ip", "flower",
            "ip_proto", proto, "dst_ip", vip, "dst_port", f"{ports[0]}-{ports[1]}" if ports[0] != ports[1]
            else str(ports[0]), "action", "skbedit", "mark", number)
        return 0, "", ""

    # --- a play ---------------------------------------------------------------

    def play(self, number, history):
        """What was seen after each step."""
        self.words = names(number)
        ends = [re.escape(virtual) for virtual in virtuals(number)]
        self.mine = re.compile(rf" ({'|'.join(ends)}):\d")
        self.ask = fill("\n".join(ASK), self.words) + "\n"
        self.history, self.masqueraded, self.set_keys = history, {}, []
        self.batch.stdin.write("".join(f"addr add {vip}/128 dev lo nodad\n" for vip in vips(V6, number)))
        self.batch.stdin.flush()
        seen = []
        self.began = time.monotonic()
        for step in history["steps"]:
            seen.append(getattr(self, "do_" + step["do"])(step))
        seen.append(self.last())
        self.plays += 1
        if not self.flushes and self.plays % PLAYS_AN_ATTACHMENT == 0:
            self.attach()
        return seen, time.monotonic() - self.began

    def do_lines(self, step):
        """Commands by a restore, then what there is now."""
        text = fill("\n".join(step["lines"]), self.words) + "\n"
        if "expire_nodest_conn" not in self.set_keys:
            return self.said(self.ipvsadm(["-R"], text + self.ask))
        code, out, err = self.ipvsadm(["-R"], text)
        self.until_flushed(text.split())
        _, asked, also = self.ipvsadm(["-R"], self.ask)
        return self.said((code, out + asked, err + also))

    def do_argv(self, step):
        words = [fill(word, self.words) for word in step["words"]]
        text = fill(step.get("input", ""), self.words)
        answer = self.ipvsadm(words, text, step.get("name", "ipvsadm"))
        self.until_flushed(words)
        return self.said(answer)

    def until_flushed(self, words):
        """Connections of what was removed end as xlvs's timer goes over its table.
        IPVS waits, too, so that the same time passes for those that stay."""
        if "expire_nodest_conn" in self.set_keys and {"-d", "-D", "-C"} & set(words):
            time.sleep(FLUSH_S)

    def do_again(self, _):
        """What -S writes restores all that it says, under live connections."""
        saved = self.ipvsadm(["-S", "-n"])
        if "expire_nodest_conn" in self.set_keys:
            # Of real servers that come back at once, connections may or may not.
            self.ipvsadm(["-C"])
            self.until_flushed(["-C"])
        restored = self.ipvsadm([], saved[1], "ipvsadm-restore")
        _, asked, err = self.ipvsadm(["-R"], self.ask)
        return self.said((saved[0] or restored[0], saved[1] + restored[1] + asked, saved[2] + restored[2] + err))

    def do_sysctl(self, step):
        self.set_keys.append(step["key"])
        answer = self.said(self.sysctl(step["key"], step["value"]))
        if step["key"] == "drop_packet" and not answer["code"]:
            self.until_a_drop()
        return answer

    def until_a_drop(self):
        """Which packet is the next that is dropped depends on all before it: now
        it is as many on as am_droprate says."""
        vip, port = "10.1.254.1", self.plays % 60000 + 1000
        self.ipvsadm(["-R"], f"-A -u {vip}:9 -s rr\n-a -u {vip}:9 -r {server(V4, 0)}:9 -g\n")
        for number in range(20):
            sent = frames.frame((MAC["eth0"], MAC["client"]), client(V4, number), vip, "udp", port, 9)
            if not self.lab.exchange([("client", sent)]):
                break
        self.ipvsadm(["-D", "-u", f"{vip}:9"])

    def do_mark(self, step):
        return self.said(self.mark(self.words[step["mark"]], step["proto"], self.words[step["vip"]], step["ports"]))

    def do_wait(self, step):
        time.sleep(step["seconds"])
        return self.said(self.ipvsadm(["-R"], self.ask))

    def do_stats(self, step):
        """IPVS shows a snapshot that is up to two seconds old. xlvs waits, too,
        so that the same time passes for connections."""
        time.sleep(2.2)
        first = self.ipvsadm(["-R"], "\n".join(ASK_STATS) + "\n")
        until = time.monotonic() + 2
        while self.which == "ipvs" and time.monotonic() < until:
            time.sleep(0.5)
            again = self.ipvsadm(["-R"], "\n".join(ASK_STATS) + "\n")
            if again == first:
                break
            first = again
        return self.said(first)

    def do_packets(self, step):
        rounds = [self.round(packets) for packets in step["rounds"]]
        return self.said(self.ipvsadm(["-R"], self.ask)) | {"rounds": rounds}

    def last(self):
        """All there is to ask; and then nothing is left."""
        if self.flushes:
            # Without this, connections and removed real servers would stay.
            self.sysctl("expire_nodest_conn", 1)
            self.set_keys.append("expire_nodest_conn")
        else:
            self.reset()
        code, out, err = self.ipvsadm(["-R"], fill("\n".join(ASK_ALL + CLEAN), self.words) + "\n")
        if code:
            self.ipvsadm(["-R"], "\n".join(CLEAN) + "\n")
        if self.which == "ipvs":
            until = time.monotonic() + 1
            while self.conns_left() and time.monotonic() < until:
                time.sleep(0.01)
            if self.marked:
                run("tc", "qdisc", "del", "dev", "eth0", "clsact")
                self.marked = False
        self.reset()
        return self.said((code, out, err))

    def reset(self):
        for key in self.set_keys:
            self.sysctl(key, self.default(key))
        self.set_keys = []

    @staticmethod
    def default(key):
        return {"conn_reuse_mode": 1, "am_droprate": 10}.get(key, 0)

    @staticmethod
    def conns_left():
        """Whether there are any but templates, some of which stay behind."""
        with open("/proc/net/ip_vs_conn") as file:
            next(file)
            return any(line.split()[2] != "0000" for line in file)

    def said(self, answer):
        """Without connections of earlier plays."""
        code, out, err = answer
        out = "".join(line for line in out.splitlines(True) if not CONN_ROW.match(line) or self.mine.search(line))
        return {"code": code, "out": out, "err": err, "at_s": time.monotonic() - self.began}

    # --- packets --------------------------------------------------------------

    def round(self, packets):
        """Packets at once: frames that came, [(end, frame)]."""
        sends = [frame for frame in map(self.frame, packets) if frame]
        came = self.lab.exchange(sends)
        if came is None:
            return [("nobody", b"")]
        for end, data in came:
            self.learn(end, data)
        if len(packets) == 1 and may_begin_anew(packets[0]):
            time.sleep(TIMER_S)
        return came

    def ends_of(self, conn):
        net = V6 if conn["six"] else V4
        return client(net, conn["client"]), self.words[conn["vip"]]

    def frame(self, packet):
        end, number, flags, size = packet
        conn = self.history["conns"][number]
        here, vip = self.ends_of(conn)
        proto = conn["proto"]
        if end == "client":
            return end, frames.frame((MAC["eth0"], MAC["client"]), here, vip, proto, conn["sport"],
                                     conn["dport"], flags, size)
        if end == "unasked":
            net = V6 if conn["six"] else V4
            return "server", frames.frame((MAC["eth1"], server_mac(conn["server"])), server(net, conn["server"]), here,
                                          proto, conn["dport"], conn["sport"], flags, size)
        # Replies of Route and Tunnel go other ways, so that nobody sends them here.
        behind = self.masqueraded.get((here, proto, conn["sport"]))
        if behind is None:
            return None
        address, port = behind
        return end, frames.frame((MAC["eth1"], MAC["server"]), address, here, proto, port, conn["sport"], flags, size)

    def learn(self, end, data):
        """Who answers a client's Masq connection."""
        flow = frames.flow(data) if end == "server" else None
        if flow is None or flow[1] in self.words.values():
            return
        self.masqueraded[(flow[0], flow[2], flow[3])] = (flow[1], flow[4])


class Player:
    """A side in a process of its own."""

    def __init__(self, which, program, cpu):
        self.which = which
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=serve, args=(other, which, program, cpu), daemon=True)
        self.process.start()
        other.close()

    def ask(self, *request):
        self.pipe.send(request)

    def answer(self):
        kind, value = self.pipe.recv()
        if kind == "error":
            raise RuntimeError(f"{self.which}: {value}")
        return value

    def end(self):
        try:
            self.ask("end")
            self.answer()
        except (EOFError, OSError, RuntimeError):
            pass
        self.process.join(30)


def serve(pipe, which, program, cpu):
    side = None
    try:
        side = Side(which, program, cpu)
        pipe.send(("ready", None))
        while (request := pipe.recv())[0] != "end":
            pipe.send(("seen", side.play(*request[1:])))
    except BaseException:  # whatever it is, the other process must hear of it
        pipe.send(("error", traceback.format_exc()))
    if side is not None:
        side.end()
        pipe.send(("ended", None))
