# SPDX-License-Identifier: Apache-2.0
"""Command lines for judge.py: every example of ipvsadm's manual, and those of
tests/unit/ipvsadm_cases.h, which the unit tests hold against a preloaded library
in place of the kernel, here against the kernel itself."""

import os
import re
import shlex

UNIT_CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../unit/ipvsadm_cases.h")
SERVERS = [f"192.168.10.{i}:80" for i in range(1, 6)]
NAT = ["-A -t 207.175.44.110:80 -s rr", *(f"-a -t 207.175.44.110:80 -r {server} -m" for server in SERVERS)]
GUE_OPTIONS = ["--tun-port 6080 --tun-nocsum", "--tun-port 6080 --tun-csum", "--tun-port 6080 --tun-remcsum",
               "--tun-port 6078", "--tun-port 6079"]
GUE = ["-A -t 207.175.44.110:80 -s rr",
       *(f"-a -t 207.175.44.110:80 -r {server} -i --tun-type gue {options}"
         for server, options in zip(SERVERS, GUE_OPTIONS))]
MANUAL = {
    "Example 1 - Simple Virtual Service": NAT,
    "Example 2 - Firewall-Mark Virtual Service":
        ["-A -f 1 -s rr", *(f"-a -f 1 -r 192.168.10.{i}:0 -m" for i in range(1, 6))],
    "Example 3 - Virtual Service with GUE Tunneling": GUE,
    "Example 4 - Virtual Service with GRE Tunneling":
        ["-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 192.168.11.1:80 -i --tun-type gre --tun-csum"],
    "IPv6": ["-A -t [2001:db8::80]:80 -s rr", "-a -t [2001:db8::80]:80 -r [2001:db8::a0a0]:80 -m"],
}
RESTORES = [NAT, GUE]  # the manual gives these as one restore, too
# What a restore makes of lines, and of what the kernel refuses.
RESTORED = [
    "-A -t 1.2.3.4:80 -s rr\n-A -t 1.2.3.4:80 -s rr\n-a -t 1.2.3.4:80 -r 10.2.0.11:80 -m\n",
    "ipvsadm -A -t 1.2.3.4:80 -s rr\n\n  \nipvsadm -a -t 1.2.3.4:80 -r 10.2.0.11:80 -m -w 3\n",
    "-A -t 1.2.3.4:80\n-L -n\n-S -n\n-D -t 1.2.3.4:81\n",
    "-D -t 1.2.3.4:80\n-A -t 1.2.3.4:81\n",
    "-L -n -t 1.2.3.4:80\n-A -t 1.2.3.4:81\n",
    "-C\n-Z\n--set 1 2 3\n-L --timeout\n",
    "",
]
# With a mistake in the middle; a comment is one, and a second restore: words and
# exit code are the same, what is done is not (docs/differences.md).
MISTAKEN = [
    "-A -t 1.2.3.4:80 -s rr\n-A -t 1.2.3.4 -s rr\n-A -t 1.2.3.4:81 -s rr\n",
    "-A -t 1.2.3.4:80 -s rr\n# comment\n-A -t 1.2.3.4:81 -s rr\n",
    "-A -t 1.2.3.4:80 -s rr # comment\n-A -t 1.2.3.4:81 -s rr\n",
    "-A -t 1.2.3.4:80\n-R\n-A -t 1.2.3.4:81\n",
]


def table(name):
    """First words of the rows of a table in the unit tests' header."""
    with open(UNIT_CASES, encoding="utf-8") as file:
        text = file.read()
    body = re.search(rf"{name}\[\] = {{(.*?)\n}};", text, re.DOTALL)[1]
    rows = re.findall(r'\{((?:\s*"(?:[^"\\]|\\.)*")+)\s*,', body)
    return ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', row)).replace(r"\"", '"') for row in rows]


WRONG = table("kMistakes")


def words(line):
    return shlex.split(line)


def histories():
    """[(name, history)] of all lines. What is accepted has one of its own, and
    all listings after it."""
    def of(*steps):
        return {"steps": list(steps), "conns": []}

    def argv(line, **more):
        return {"do": "argv", "words": words(line), **more}

    result = [(name, of(*map(argv, lines))) for name, lines in MANUAL.items()]
    for text in ["\n".join(lines) + "\n" for lines in RESTORES] + RESTORED:
        result.append(("restore", of(argv("-R", input=text))))
        result.append(("restore", of(argv("-A -t 1.2.3.4:8 -s rr"), argv("", name="ipvsadm-restore", input=text),
                                     argv("-n", name="ipvsadm-save"))))
    for text in MISTAKEN:
        ends = {"input": text, "ends": "restore: a line is a mistake"}
        result += [("restore", of(argv("-R", **ends))), ("restore", of(argv("", name="ipvsadm-restore", **ends)))]
    result += [(line, of(argv(line))) for line in table("kAccepted")]
    for line in table("kAccepted"):
        if re.match(r"-[eEdDZ] |--(edit|delete)", line):
            of_service = [argv(line.replace(match[0], "-A", 1)) for match in re.finditer(r"^-[EDZ]", line)]
            result.append((line, of(argv("-A -t 1.2.3.4:80"), argv("-A -u 1.2.3.4:80"),
                                    argv("-a -t 1.2.3.4:80 -r 10.0.0.1 -m"), *of_service, argv(line))))
    step = 12
    for i in range(0, len(WRONG), step):
        result.append(("mistakes", of(*map(argv, WRONG[i : i + step]))))
    return result
