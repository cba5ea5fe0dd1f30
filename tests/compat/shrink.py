# SPDX-License-Identifier: Apache-2.0
"""Makes a history in which two directors differ shorter, as long as they differ
in the same way: steps are left out, then lines of commands, then connections,
then rounds of packets."""

import copy
import re
import time


def kind(found):
    """A failure without the numbers of its history."""
    words = re.sub(r"\[?[0-9a-f:]*:[0-9a-f:]+\]?|0x[0-9a-f]+|[0-9a-f]*\d[0-9a-f.:]*", "#", found.failures[0][1])
    return re.sub(r"(# ?)+", "# ", re.sub(r" +('?)", r" \1", words)).replace(" '", "'")


def without_steps(history):
    """Ways to leave out steps: many at once first, the last first."""
    count = len(history["steps"])
    size = max(count // 2, 1)
    while size:
        for at in range(count - size, -1, -size):
            yield lambda h, at=at, size=size: h["steps"].__delitem__(slice(at, at + size))
        size //= 2


def without_each(field):
    """Of steps with such a list: one of its entries, the last first."""

    def ways(history):
        for at, step in enumerate(history["steps"]):
            for number in range(len(step.get(field, [])) - 1, -1, -1):
                yield lambda h, at=at, number=number: h["steps"][at][field].__delitem__(number)

    return ways


def drop_conns(history, conns):
    for step in history["steps"]:
        if step["do"] == "packets":
            rounds = [[packet for packet in packets if packet[1] not in conns] for packets in step["rounds"]]
            step["rounds"] = [packets for packets in rounds if packets]
    history["steps"] = [step for step in history["steps"] if step["do"] != "packets" or step["rounds"]]


def without_conns(history):
    used = sorted({packet[1] for step in history["steps"] if step["do"] == "packets"
                   for packets in step["rounds"] for packet in packets})
    size = max(len(used) // 2, 1)
    while size and used:
        for at in range(0, len(used), size):
            yield lambda h, some=tuple(used[at : at + size]): drop_conns(h, some)
        size //= 2


def shrunk(court, history, found, plays, seconds):
    """The shortest that was found within so many plays and seconds, and what it
    says."""
    until = time.monotonic() + seconds
    wanted = kind(found)
    best, best_found = copy.deepcopy(history), found
    del best["steps"][found.failures[0][0] + 1 :]
    for ways in (without_steps, without_conns, without_each("lines"), without_each("rounds"),
                 without_steps, without_conns):
        again = True
        while again and plays > 0:
            again = False
            for leave_out in ways(best):
                if plays <= 0 or time.monotonic() > until:
                    plays = 0
                    break
                shorter = copy.deepcopy(best)
                try:
                    leave_out(shorter)
                except IndexError:
                    continue
                shorter["steps"] = [step for step in shorter["steps"] if step.get("lines") != []
                                    and step.get("rounds") != []]
                if shorter["steps"] == best["steps"] or not shorter["steps"]:
                    continue
                plays -= 1
                its = court.play(shorter)
                if its.failures and kind(its) == wanted:
                    del shorter["steps"][its.failures[0][0] + 1 :]
                    best, best_found, again = shorter, its, True
                    break
    if best_found is found:
        # As it is shown: the failing play was of the whole history.
        return history, found
    return best, best_found
