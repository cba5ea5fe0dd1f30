# SPDX-License-Identifier: Apache-2.0
"""Compares what two directors said and sent in a step. A difference is a line of
text, on which known.py may have a name."""

import re
from collections import Counter

import decode
import known
import record

# Of what a connection has left, beside the time by which one director is ahead.
EXPIRE_TOLERANCE_S = 2
# What is asked later is not compared: connections in CLOSE end after 10 s, on a
# busy machine before one director is asked and after the other was.
LATE_S = 8
CONN_ROW = re.compile(r"(\S+) +(\d+):(\d\d) +(\S+) +(\S+) +(\S+) +(\S+.*)")
# Of a packet, what may be another without a meaning: it is left out of the order
# in which two lists are laid side by side.
VOLATILE = re.compile(r"\b(id|csum|flow|sport)=\S+")


def by_service(lines):
    """The listing after --timeout with its services in an order of our own."""
    result, blocks, title = [], [], 0
    for line in lines:
        if line.startswith("Timeout (tcp"):
            result.append(line)
            title = 3
        elif title:
            result.append(line)
            title -= 1
            blocks = [] if title else [[]]
        elif blocks and re.match(r"(TCP|UDP|SCTP|FWM) ", line):
            blocks.append([line])
        elif blocks and line.startswith("  -> "):
            blocks[-1].append(line)
        else:
            result += sum(sorted(blocks), [])
            result.append(line)
            blocks = []
    return result + sum(sorted(blocks), [])


def listing(text, ours):
    """Lines of listings, and rows of connections as {(what, ..): [seconds]}, of
    those whose virtual address `ours` accepts."""
    lines, conns = [], {}
    for line in by_service(text.splitlines()):
        row = CONN_ROW.fullmatch(line)
        if not row:
            lines.append(re.sub(r"\(size=\d+\)", "(size=)", line))
        elif ours(row[6]):
            key = (row[1], row[4], row[5], row[6], row[7])
            conns.setdefault(key, []).append(int(row[2]) * 60 + int(row[3]))
    return lines, conns


def text_differences(what, left, right):
    said = []
    lines = max(len(left), len(right))
    for i in range(lines):
        a = left[i] if i < len(left) else None
        b = right[i] if i < len(right) else None
        if a != b:
            said.append(f"{what}: IPVS {a!r}, xlvs {b!r}")
    return said


def about_to_end(left, right, tolerance_s):
    """Whether one director lists a connection no more that is in its last
    seconds with the other. Then counts differ, too, for nothing."""
    def by_flow(conns):
        return {(key[0], *key[2:]): min(seconds) for key, seconds in conns.items()}

    left, right = by_flow(left), by_flow(right)
    return any((left | right)[flow] <= tolerance_s + 1 for flow in left.keys() ^ right.keys())


def conn_differences(left, right, tolerance_s):
    """Of connections as listing() has them."""
    said = []
    for key in sorted(left.keys() | right.keys()):
        a, b = sorted(left.get(key, [])), sorted(right.get(key, []))
        row = " ".join(key)
        if len(a) != len(b):
            said.append(f"-Lnc {row}: IPVS {len(a) or 'none'}, xlvs {len(b) or 'none'}")
        for of_ipvs, of_xlvs in zip(a, b):
            if abs(of_ipvs - of_xlvs) > tolerance_s:
                said.append(f"-Lnc {row}: IPVS expires in {of_ipvs} s, xlvs in {of_xlvs} s")
    return said


def side_by_side(frames):
    """Frames in an order that two directors have in common."""
    texts = [(end, decode.to_text(decode.layers(data)) if data else "NOTHING-ANSWERS-ANY-MORE") for end, data in frames]
    texts.sort(key=lambda one: (one[0], VOLATILE.sub("", one[1])))
    return [(end, decode.from_text(text)) for end, text in texts]


def frame_differences(left, right, notes):
    """Of what came in a round. Equal frames need not be understood."""
    a, b = Counter(left), Counter(right)
    only_a, only_b = list((a - b).elements()), list((b - a).elements())
    if not only_a and not only_b:
        return []
    one, other = side_by_side(only_a), side_by_side(only_b)
    if len(one) == len(other):
        return record.differences(one, other, notes)
    said = []
    for name, frames in (("IPVS", one), ("xlvs", other)):
        said += [f"only of {name}, to the {end}: {decode.to_text(layers[1:])}" for end, layers in frames]
    return said


def differences(left, right, ours, notes, tolerance_s=EXPIRE_TOLERANCE_S):
    """Between two answers to the same step."""
    said = []
    if left["code"] != right["code"]:
        said.append(f"exit code: IPVS {left['code']}, xlvs {right['code']}")
    said += text_differences("stderr", left["err"].splitlines(), right["err"].splitlines())
    a_lines, a_conns = listing(left["out"], ours)
    b_lines, b_conns = listing(right["out"], ours)
    said += text_differences("stdout", a_lines, b_lines)
    said += conn_differences(a_conns, b_conns, tolerance_s)
    for number, (a, b) in enumerate(zip(left.get("rounds", []), right.get("rounds", [])), 1):
        said += [f"packets {number}, {words}" for words in frame_differences(a, b, notes)]
    return said


# By degrees of freedom: what two samples of one distribution exceed once in
# 10,000 times.
CHI_SQUARE = [0, 15.1, 18.4, 21.1, 23.5, 25.7, 27.9, 29.9]


def chance_differences(left, right):
    """Whether the servers of two samples could be drawn in the same way."""
    counts = [Counter(data[:6].hex(":") for packets in answer["rounds"] for end, data in packets if end == "server")
              for answer in (left, right)]
    servers = sorted(counts[0] | counts[1])
    totals = [sum(count.values()) for count in counts]
    if not all(totals) or len(servers) > len(CHI_SQUARE):
        return [] if totals[0] == totals[1] else [f"packets to servers: IPVS {totals[0]}, xlvs {totals[1]}"]
    distance = 0.0
    for server in servers:
        both = counts[0][server] + counts[1][server]
        for count, total in zip(counts, totals):
            expected = both * total / sum(totals)
            distance += (count[server] - expected) ** 2 / expected
    if distance <= CHI_SQUARE[len(servers) - 1]:
        return []
    said = [", ".join(f"{server[-2:]} {count[server]}" for server in servers) for count in counts]
    return [f"how often each server: IPVS {said[0]}, xlvs {said[1]}"]


class Verdict:
    """Of one play: `failures` are [(step, difference)], the first step that has
    one only, since what follows from it would be told again and again."""

    def __init__(self):
        self.failures, self.meant, self.notes = [], Counter(), {}
        self.late = False  # the rest was not compared


def judge(history, ipvs, xlvs, ours):
    verdict = Verdict()
    begun, drifts = None, [0.0]
    for number, (left, right) in enumerate(zip(ipvs, xlvs)):
        if name := known.ends(left, right):
            verdict.meant[name] += 1
            return verdict
        step = history["steps"][number] if number < len(history["steps"]) else {"do": "last"}
        drifts.append(left["at_s"] - right["at_s"])
        now = max(left["at_s"], right["at_s"])
        begun = now if step["do"] == "packets" and begun is None else begun
        if step["do"] in ("packets", "lines") and begun is not None and now - begun > LATE_S and not history.get("slow"):
            verdict.late = True
            return verdict
        if history.get("by_chance") and step["do"] in ("packets", "last"):
            said = chance_differences(left, right) if step["do"] == "packets" else []
            verdict.failures += [(number, words) for words in said]
            continue
        tolerance_s = EXPIRE_TOLERANCE_S + max(drifts) - min(drifts)
        if about_to_end(listing(left["out"], ours)[1], listing(right["out"], ours)[1], tolerance_s):
            verdict.late = True
            return verdict
        for words in differences(left, right, ours, verdict.notes, tolerance_s):
            name = known.judged([*history["steps"][:number], step], words)
            if name:
                verdict.meant[name] += 1
            else:
                verdict.failures.append((number, words))
        if "ends" in step:  # from here on they differ, and are meant to
            verdict.meant[step["ends"]] += 1
            return verdict
        if verdict.failures:
            return verdict
    return verdict
