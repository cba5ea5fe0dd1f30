# SPDX-License-Identifier: Apache-2.0
"""Draws histories: commands and packets, in steps that two directors play (side.py).
A history is made of plain lists and dictionaries, so that it can be written
down, and steps can be left out of it.

    {"do": "lines", "lines": [..]}         commands, by one `ipvsadm -R`
    {"do": "argv", "words": [..]}          a command by its words
    {"do": "packets", "rounds": [[[end, conn, flags, bytes], ..], ..]}
                                           a round at once, one after the other;
                                           end: client, server, or unasked, a
                                           server that has no connection
    {"do": "again"}                        what is saved, cleared and restored
    {"do": "stats"} {"do": "wait"} {"do": "sysctl"} {"do": "mark"}

Connections are numbers of history["conns"]. Nothing here knows what a director
answers: what is drawn follows from the seed alone."""

import random

import lines as wrong
from decode import GUE_PORT
from lab import V4, V6
from side import CLIENTS, SERVERS, may_begin_anew, server

SCHEDULERS = "rr wrr lc wlc sed nq fo ovf sh dh mh".split()
WEIGHTS = ([5, 3, 1, 0, 2], [1, 1, 1, 1, 1])
TUNNELS = ["", "--tun-type ipip", f"--tun-type gue --tun-port {GUE_PORT}",
           f"--tun-type gue --tun-port {GUE_PORT} --tun-csum", f"--tun-type gue --tun-port {GUE_PORT} --tun-nocsum",
           "--tun-type gre", "--tun-type gre --tun-csum"]
OPTIONS = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}

# What can be left out of the drawing: --features says what is not.
FEATURES = {
    "ipv6": "services of IPv6",
    "udp": "services of UDP",
    "sctp": "services of SCTP",
    "tunnels": "-i with every --tun-type",
    "mixed": "real servers of the other family, by a tunnel",
    "flags": "-b of sh and mh",
    "wrong": "wrong command lines",
    "set": "--set",
    "stats": "--stats after IPVS's snapshot, and -Z",
    "expiry": "connections that end while one waits",
    "persist": "-p and -M",
    "ops": "-o",
    "thresholds": "-x and -y",
    "marks": "-f",
    "lblc": "lblc and lblcr",
    "sysctl": "expire_nodest_conn, expire_quiescent_template, conn_reuse_mode, sloppy_tcp, drop_packet, secure_tcp",
    "unasked": "nat_icmp_send, and packets of real servers that nobody asked",
}

SYSCTLS = [("expire_nodest_conn", [1]), ("expire_quiescent_template", [1]), ("conn_reuse_mode", [0, 2, 3]),
           ("sloppy_tcp", [1]), ("drop_packet", [3]), ("secure_tcp", [3])]

LISTS = ["-Ln", "-ln", "-Lnc", "-Sn", "-S -n", "-L -n --sort", "-L -n --thresholds", "-L -n --persistent-conn",
         "--list --numeric --tun-info", "-L -n -c --persistent-conn", "-L --timeout"]

# What a client and its server say, one round a word: c or s, and the flags.
TCP_TALKS = {
    "SYN": ["cS"],
    "half open": ["cS", "sSA"],
    "open": ["cS", "sSA", "cA"],
    "data": ["cS", "sSA", "cA", "cPA", "sPA"],
    "closed by the client": ["cS", "sSA", "cA", "cFA", "sFA", "cA"],
    "closed by the server": ["cS", "sSA", "cA", "sFA", "cFA", "sA"],
    "reset": ["cS", "sSA", "cA", "cR"],
    "refused": ["cS", "sRA"],
    "SYN and RST": ["cS", "cR"],
    "SYN and FIN": ["cS", "cFA"],
    "one-sided": ["cS", "cA", "cFA"],
}
UDP_TALKS = {"question": ["c"], "answer": ["c", "s"], "many": ["c", "c", "s", "c", "s"],
             "no checksum": ["c0", "s0"]}
SCTP_TALKS = {
    "INIT": ["cINIT"],
    "open": ["cINIT", "sINIT_ACK", "cCOOKIE_ECHO", "sCOOKIE_ACK", "cDATA", "sSACK"],
    "closed": ["cINIT", "sINIT_ACK", "cCOOKIE_ECHO", "sCOOKIE_ACK", "cSHUTDOWN", "sSHUTDOWN_ACK",
               "cSHUTDOWN_COMPLETE"],
    "aborted": ["cINIT", "sINIT_ACK", "cABORT"],
}
TALKS = {"tcp": TCP_TALKS, "udp": UDP_TALKS, "sctp": SCTP_TALKS}
TCP_LATER = ["cA", "cPA", "cFA", "cR", "cS", "sA", "sPA", "sFA", "sR", "sSA", "cSA", "c", "cSF", "cRA"]
LATER = {"tcp": TCP_LATER, "udp": ["c", "s", "c0", "s0"],
         "sctp": ["cDATA", "sDATA", "cSHUTDOWN", "sSHUTDOWN", "cABORT", "sABORT", "cINIT", "cHEARTBEAT", "cERROR"]}
# What a real server sends that nobody asked.
UNASKED = {"tcp": ["A", "PA", "SA", "S", "FA", "R", "RA"], "udp": ["", "", "0"], "sctp": ["DATA", "SACK", "ABORT", "INIT"]}


class Service:
    def __init__(self, proto, vip, port, scheduler):
        self.proto, self.vip, self.port, self.scheduler = proto, vip, port, scheduler
        self.six = vip.startswith("W")
        self.mark = None  # then packets of vip carry it
        self.persistent = False
        self.persist = ""  # -p, once it had it
        self.dests = {}  # (server number, six) -> [port, method options, weight]
        self.gone = []  # dests that were removed
        self.lives = True

    @property
    def net(self):
        return V6 if self.six else V4

    def address(self):
        there = "{" + self.vip + "}"
        return f"[{there}]:{self.port}" if self.six else f"{there}:{self.port}"

    def ports(self):
        """To which its packets go."""
        if self.mark:
            return [self.port, self.port + 1, self.port + 9]
        return [self.port] if self.port else [80, 81, 443]

    def option(self):
        if self.mark:
            return f"-f {{{self.mark}}}" + " -6" * self.six
        return f"{OPTIONS[self.proto]} {self.address()}"


class Draw:
    def __init__(self, seed, features):
        self.rng = random.Random(seed)
        self.features = features
        self.steps, self.conns, self.services = [], [], []
        self.service_of = []  # of each connection
        self.removed = False  # anything, so far

    def may(self, feature, chance):
        # The draw is made in any case: a feature less leaves the rest as it was.
        return self.rng.random() < chance and feature in self.features

    def history(self):
        self.set_up()
        slow = self.may("expiry", 0.03)
        if slow:
            self.expiry()
        else:
            for _ in range(self.rng.randint(3, 7)):
                self.step()
            if self.may("stats", 0.12):
                self.stats()
            if self.may("unasked", 0.15):
                self.unasked()
        return {"steps": self.steps, "conns": self.conns, "slow": slow}

    # --- configuration ----------------------------------------------------------

    def scheduler(self):
        if self.may("lblc", 0.2):
            return self.rng.choice(["lblc", "lblcr"])
        return self.rng.choice(SCHEDULERS)

    def service_options(self, service):
        words = f"-s {service.scheduler}"
        service.persistent = self.may("persist", 0.4)
        if service.persistent or service.port == 0:
            # For good: a template's time is another's, see docs/differences.md.
            service.persist = service.persist or self.rng.choice([" -p", " -p 60", " -p 600"])
            words += service.persist
            if self.rng.random() < 0.4:
                masks = ["64", "120", "128"] if service.six else ["255.255.255.0", "255.255.255.240", "255.255.255.255"]
                words += " -M " + self.rng.choice(masks)
        if service.proto == "udp" and self.may("ops", 0.4):
            words += " -o"
        if service.scheduler in ("sh", "mh") and self.may("flags", 0.6):
            flags = [f"{service.scheduler}-{name}" for name in ("fallback", "port") if self.rng.random() < 0.6]
            words += f" -b {','.join(flags)}" if flags else ""
        return words

    def method(self, service, dest_six):
        methods = ["-m", "-m", "-g"] if dest_six == service.six else []
        if "tunnels" in self.features or dest_six != service.six:
            methods += ["-i " + self.rng.choice(TUNNELS)]
        return self.rng.choice(methods).strip()

    def weight(self, index, pattern):
        return pattern[index % len(pattern)] if pattern else self.rng.choice([0, 1, 1, 2, 3, 4, 7, 50, 1000])

    def threshold_options(self):
        if not self.may("thresholds", 0.5):
            return ""
        upper = self.rng.randint(1, 4)
        return f" -x {upper}" + (f" -y {self.rng.randint(1, upper)}" if self.rng.random() < 0.5 else "")

    def dest_line(self, command, service, key, values):
        number, six = key
        port, method, weight = values
        address = server(V6 if six else V4, number)
        address = f"[{address}]:{port}" if six else f"{address}:{port}"
        if command == "-d":
            return f"-d {service.option()} -r {address}"
        return f"{command} {service.option()} -r {address} {method} -w {weight}" + self.threshold_options()

    def new_dest(self, service, weight):
        six = service.six != self.may("mixed", 0.1)
        free = [n for n in range(SERVERS) if (n, six) not in service.dests]
        if not free:
            return None
        key = (self.rng.choice(free), six)
        method = self.method(service, six)
        port = self.rng.choice([service.port, 8080]) if method == "-m" and service.port else service.port
        service.dests[key] = [port, method, weight]
        return self.dest_line("-a", service, key, service.dests[key])

    def new_service(self):
        proto = "udp" if self.may("udp", 0.25) else "sctp" if self.may("sctp", 0.1) else "tcp"
        vip = ("W" if self.may("ipv6", 0.35) else "V") + str(self.rng.randrange(3))
        port = self.rng.choice([80, 443, 8080, 53])
        if self.may("persist", 0.15):
            port = 0
        service = Service(proto, vip, port, self.scheduler())
        if any((s.proto, s.vip, s.port) == (proto, vip, service.port) and s.lives for s in self.services):
            return []
        if port and len(self.services) < 4 and self.may("marks", 0.4):
            service.mark = f"M{len(self.services)}"
            self.steps.append({"do": "mark", "mark": service.mark, "proto": proto, "vip": vip,
                               "ports": [service.port, service.port + 9]})
        self.services.append(service)
        added = [f"-A {service.option()} {self.service_options(service)}"]
        pattern = self.rng.choice([*WEIGHTS, None])
        for index in range(self.rng.randint(1, 5)):
            added.append(self.new_dest(service, self.weight(index, pattern)))
        return [line for line in added if line]

    def set_up(self):
        if self.may("sysctl", 0.6):
            key, values = self.rng.choice(SYSCTLS)
            if key == "drop_packet":
                self.steps.append({"do": "sysctl", "key": "am_droprate", "value": 3})
            self.steps.append({"do": "sysctl", "key": key, "value": self.rng.choice(values)})
        added = []
        for _ in range(self.rng.choice([1, 1, 1, 2, 2])):
            added += self.new_service()
        self.steps.append({"do": "lines", "lines": added})

    # --- steps ------------------------------------------------------------------

    def step(self):
        kind = self.rng.random()
        if kind < 0.6:
            self.packets()
        elif kind < 0.83:
            self.commands()
        elif kind < 0.95:
            self.by_words()
        else:
            self.packets()

    def live(self):
        return [service for service in self.services if service.lives]

    def command(self):
        """A line that changes something, now and then nothing."""
        rng = self.rng
        if not self.live() or rng.random() < 0.06:
            added = self.new_service()
            if added:
                return added
        if not self.live():
            return [f"-D -t 10.1.0.1:{rng.randint(1, 99)}"]
        service = rng.choice(self.live())
        known = sorted(service.dests)
        kind = rng.random()
        if known and kind < 0.35:
            key = rng.choice(known)
            values = service.dests[key]
            values[2] = rng.choice([0, 0, 1, 2, 3, 5, values[2]])
            if rng.random() < 0.15:
                method = self.method(service, key[1])
                # To or from Route, IPVS may ask for the virtual address's
                # neighbour (docs/differences.md).
                if values[1].startswith("-g") == method.startswith("-g"):
                    values[1] = method
            return [self.dest_line("-e", service, key, values)]
        if known and kind < 0.5:
            key = rng.choice(known)
            self.removed = True
            service.gone.append((key, service.dests.pop(key)))
            lines = [self.dest_line("-d", service, *service.gone[-1])]
            if rng.random() < 0.3:
                key, values = service.gone.pop()
                service.dests[key] = values
                lines.append(self.dest_line("-a", service, key, values))
            return lines
        if service.gone and kind < 0.62:
            key, values = service.gone.pop(rng.randrange(len(service.gone)))
            if key not in service.dests:
                service.dests[key] = values
                return [self.dest_line("-a", service, key, values)]
        if kind < 0.74:
            line = self.new_dest(service, rng.choice([0, 1, 1, 2, 3, 5]))
            return [line] if line else []
        if kind < 0.84:
            if rng.random() < 0.6:
                service.scheduler = self.scheduler()
            return [f"-E {service.option()} {self.service_options(service)}"]
        if kind < 0.88:
            lines = [f"-D {service.option()}"]
            self.removed = True
            service.lives = False
            if rng.random() < 0.5:
                service.lives = True
                lines.append(f"-A {service.option()} {self.service_options(service)}")
                lines += [self.dest_line("-a", service, key, service.dests[key]) for key in sorted(service.dests)]
            return lines
        if kind < 0.9 and self.may("set", 1):
            return [f"--set {rng.choice([0, 10, 33, 900])} {rng.choice([0, 20, 44, 120])} {rng.choice([0, 30, 55, 300])}"]
        if kind < 0.94:  # what exists
            if known and rng.random() < 0.6:
                return [self.dest_line("-a", service, known[0], service.dests[known[0]])]
            # A mistake would end the restore: xlvs does nothing of it then.
            return [f"-A {service.option()} -s rr" + " -p" * (not service.port)]
        if kind < 0.98:  # what does not
            key, values = (rng.randrange(SERVERS), service.six), [service.port, "-m", 1]
            if key not in service.dests:
                return [self.dest_line(rng.choice(["-d", "-e"]), service, key, values)]
        return [f"-L -n {service.option()}"]

    def commands(self):
        lines = []
        for _ in range(self.rng.choice([1, 1, 2, 3])):
            lines += self.command()
        for part in self.parts(lines):
            self.steps.append({"do": "lines", "lines": part})

    def parts(self, lines):
        """With expire_nodest_conn, of real servers that come back at once
        connections may or may not: they come back in a step of their own."""
        if not lines or not any(step.get("key") == "expire_nodest_conn" for step in self.steps):
            return [lines] * bool(lines)
        parts = [[]]
        for line in lines:
            parts[-1].append(line)
            if line[:2] in ("-d", "-D"):
                parts.append([])
        return [part for part in parts if part]

    def by_words(self):
        """A command of its own process, so that its exit code and its own
        output are seen."""
        if self.may("wrong", 0.5):
            self.steps.append({"do": "argv", "words": wrong.words(self.rng.choice(wrong.WRONG))})
            return
        kind = self.rng.random()
        if kind < 0.15:
            self.removed = True
            self.steps.append({"do": "again"})
            return
        if kind < 0.4:
            self.steps.append({"do": "argv", "words": self.rng.choice(LISTS).split()})
            if self.live() and self.steps[-1]["words"][-1] == "--tun-info":
                self.steps[-1]["words"] += self.rng.choice(self.live()).option().split()
            return
        for line in self.command():
            self.steps.append({"do": "argv", "words": line.split()})

    def stats(self):
        # What IPVS counts in the two seconds before a real server is removed it
        # shows when the server is back.
        if not self.conns or self.removed:
            return
        self.steps.append({"do": "stats"})
        if self.live() and self.rng.random() < 0.5:
            of_one = self.rng.random() < 0.5
            self.steps.append({"do": "argv", "words": ["-Z"] + self.rng.choice(self.live()).option().split() * of_one})
            self.steps.append({"do": "argv", "words": ["-L", "-n", "--stats"]})

    def unasked(self):
        """Packets that come from a real server and are of no connection."""
        rng = self.rng
        if rng.random() < 0.8:
            self.steps.append({"do": "sysctl", "key": "nat_icmp_send", "value": 1})
        rounds = []
        for _ in range(rng.randint(1, 4)):
            service = rng.choice(self.services)
            known = sorted(service.dests)
            number, six = rng.choice(known) if known else (rng.randrange(SERVERS), service.six)
            port = service.dests[number, six][0] if known else service.port
            proto = service.proto if rng.random() < 0.8 else rng.choice(["tcp", "udp"])
            self.conns.append({
                "six": six, "proto": proto, "vip": service.vip, "dport": rng.choice([port, port, port, 22]) or 80,
                "client": rng.randrange(CLIENTS), "sport": rng.randint(1024, 65535), "server": number})
            rounds.append([["unasked", len(self.conns) - 1, rng.choice(UNASKED[proto]), 0]])
        self.steps.append({"do": "packets", "rounds": rounds})

    def expiry(self):
        """What is idle ends: of UDP, and of TCP what was established."""
        self.steps.append({"do": "lines", "lines": ["--set 3 3 3"]})
        self.packets()
        self.steps.append({"do": "lines", "lines": ["--set 900 120 300"]})
        self.steps.append({"do": "wait", "seconds": 5.5})
        self.packets()

    # --- packets ----------------------------------------------------------------

    def new_conn(self, service, some):
        self.conns.append({
            "six": service.six, "proto": service.proto, "vip": service.vip, "dport": self.rng.choice(service.ports()),
            "client": self.rng.choice(some), "sport": self.rng.randint(1024, 65535)})
        self.service_of.append(service)
        return len(self.conns) - 1

    @staticmethod
    def packet(conn, word, size=0):
        return ["client" if word[0] == "c" else "server", conn, word[1:], size]

    def packets(self):
        rng = self.rng
        if not self.services:
            return
        rounds = []
        service = rng.choice(self.live() or self.services)
        mine = [conn for conn, its in enumerate(self.service_of) if its is service]
        if mine and rng.random() < 0.4:
            rounds += self.later(service, mine)
        if rng.random() < 0.85:
            rounds += self.new(service)
        if rng.random() < 0.05:
            rounds.append(self.stray(service))
        if rounds:
            self.steps.append({"do": "packets", "rounds": rounds})

    def new(self, service):
        """New connections, all in the same way, or each in its own."""
        rng = self.rng
        some = rng.sample(range(CLIENTS), rng.choice([1, 3, 10]))
        conns = [self.new_conn(service, some) for _ in range(rng.choice([1, 2, 4, 6, 8, 12]))]
        talks = TALKS[service.proto]
        names = sorted(talks)
        at_once = rng.random() < 0.7
        name = rng.choice(names)
        chosen = {conn: talks[name if at_once else rng.choice(names)] for conn in conns}
        if rng.random() < 0.25:  # one after the other
            return [[self.packet(conn, word)] for conn in conns[:4] for word in chosen[conn]]
        longest = max(len(talk) for talk in chosen.values())
        return [[self.packet(conn, chosen[conn][i], rng.choice([0, 0, 0, 100]) * (service.proto == "tcp"))
                 for conn in conns if i < len(chosen[conn])] for i in range(longest)]

    def later(self, service, mine):
        rng = self.rng
        some = rng.sample(mine, min(len(mine), rng.choice([1, 2, 5])))
        drawn = [[self.packet(conn, rng.choice(LATER[service.proto])) for conn in some]
                 for _ in range(rng.choice([1, 1, 2]))]
        rounds = []
        for packets in drawn:
            # In a round of its own: until its timer runs, IPVS counts the
            # connection that was there.
            rest = [packet for packet in packets if not may_begin_anew(packet)]
            rounds += [rest] * bool(rest) + [[packet] for packet in packets if may_begin_anew(packet)]
        return rounds

    def stray(self, service):
        """What begins no connection, or of a port that nobody serves."""
        conn = self.new_conn(service, list(range(CLIENTS)))
        if self.rng.random() < 0.5 and not service.mark and service.port:
            self.conns[conn]["dport"] = 9999
        return [self.packet(conn, self.rng.choice({"tcp": ["cA", "cFA", "cR", "cSA", "c"], "udp": ["c"],
                                                   "sctp": ["cDATA", "cABORT"]}[service.proto]))]


def draw(seed, number, features):
    return Draw(f"{seed}:{number}", features).history()
