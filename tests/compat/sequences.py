# SPDX-License-Identifier: Apache-2.0
"""Every scheduler by every pattern of weights, with connections that are closed at
once and that are held open: histories for judge.py."""

import random

from history import SCHEDULERS
from lab import V4, V6
from side import CLIENTS, server

PATTERNS = {"5,3,1,0,2": [5, 3, 1, 0, 2], "1,1,1,1,1": [1, 1, 1, 1, 1], "1000,1,30,7": [1000, 1, 30, 7],
            "6,3": [6, 3], "0,0": [0, 0]}
TALKS = {"held open": ["S", "A"], "closed at once": ["S", "A", "FA"], "UDP": [""]}
CONNS = 40
CHANGES = ["-e {service} -r {first} -g -w 0", "-e {service} -r {first} -g -w 4", "-d {service} -r {first}",
           "-a {service} -r {first} -g -w 2"]


def history(scheduler, weights, talk, six, change, count=CONNS):
    """Connections, and after some of them a change of the list."""
    rng = random.Random(f"{scheduler} {weights} {talk} {six}")
    net = V6 if six else V4
    proto = "udp" if talk == [""] else "tcp"
    vip = "[{W0}]" if six else "{V0}"
    service = f"{'-u' if proto == 'udp' else '-t'} {vip}:80"

    def at(number):
        return f"[{server(net, number)}]:80" if six else f"{server(net, number)}:80"

    added = [f"-A {service} -s {scheduler}"]
    added += [f"-a {service} -r {at(i)} -g -w {weight}" for i, weight in enumerate(weights)]
    conns = [{"six": six, "proto": proto, "vip": "W0" if six else "V0", "dport": 80,
              "client": rng.randrange(CLIENTS), "sport": rng.randint(1024, 65535)} for _ in range(count)]
    steps = [{"do": "lines", "lines": added}]
    parts = 1 + len(CHANGES) * change
    each = count // parts
    for part in range(parts):
        if part:
            steps.append({"do": "lines", "lines": [CHANGES[part - 1].format(service=service, first=at(0),
                                                                           V0="{V0}", W0="{W0}")]})
        mine = range(part * each, (part + 1) * each)
        # Each in its turn, as its end frees the server for the next.
        rounds = [[["client", conn, flags, 0] for conn in mine[at_once : at_once + 40] for flags in talk]
                  for at_once in range(0, each, 40)]
        steps.append({"do": "packets", "rounds": rounds})
    return {"steps": steps, "conns": conns}


def histories(features):
    schedulers = SCHEDULERS + ["lblc", "lblcr"] * ("lblc" in features)
    for scheduler in schedulers:
        for pattern, weights in PATTERNS.items():
            for name, talk in TALKS.items():
                for six in (False, True)[: 1 + (weights == PATTERNS["5,3,1,0,2"])]:
                    change = name != "closed at once" and len(weights) > 4
                    yield (f"{scheduler} {pattern} {name} IPv{6 if six else 4}",
                           history(scheduler, weights, talk, six, change))
    # Which server is chance, how often is not.
    for pattern in ("5,3,1,0,2", "1,1,1,1,1"):
        for name, talk in TALKS.items():
            drawn = history("twos", PATTERNS[pattern], talk, False, False, 320)
            yield f"twos {pattern} {name} IPv4", drawn | {"by_chance": True}
