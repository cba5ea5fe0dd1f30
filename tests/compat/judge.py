#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The judge: the same commands and packets to the kernel's IPVS and to xlvs, and
all answers of both compared: exit codes and texts, packets, listings.

  judge.py run         histories drawn from a seed (history.py)
  judge.py sequences   every scheduler by every pattern of weights (sequences.py)
  judge.py lines       command lines of the manual and mistakes (lines.py)
  judge.py play FILE   histories that were written down by --keep

It needs a kernel with IPVS, and ipvsadm; $XLVS is the program:

  tools/vm --timeout 3000 6.12 -- tests/compat/judge.py run --count 2000

A difference that known.py has no name for is a failure: what was played is made
shorter as long as the difference stays, and shown with both answers. The exit
code is 1 if there was one.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import decode  # noqa: E402
import history as histories  # noqa: E402
import lines  # noqa: E402
import sequences  # noqa: E402
import shrink  # noqa: E402
import verdict as verdicts  # noqa: E402
from side import Player, fill, names, virtuals  # noqa: E402


SHRINK_S = 60  # at most, to make one failure shorter


class Court:
    """Both directors. Each play has a number, by which it has its VIPs."""

    def __init__(self, program, second):
        cpus = sorted(os.sched_getaffinity(0))
        self.players = [Player("ipvs", "/sbin/ipvsadm", cpus[0]), Player(second, program, cpus[-1])]
        for player in self.players:
            player.answer()
        self.plays = 0
        self.seconds = Counter()
        # The kernel has one table of connections for all: a list of some is not
        # right while others come and go.
        self.one_at_a_time = second == "ipvs"

    def play(self, history):
        seen = {}
        for player in self.players:
            player.ask("play", self.plays, history)
            if self.one_at_a_time:
                seen[player] = player.answer()
        for player in self.players:
            if not self.one_at_a_time:
                seen[player] = player.answer()
            self.seconds[player.which] += seen[player][1]
        self.plays += 1
        return judged(history, self.plays - 1, [seen[player][0] for player in self.players])

    def end(self):
        for player in self.players:
            player.end()


def judged(history, number, answers):
    mine = virtuals(number)
    found = verdicts.judge(history, *answers, lambda virtual: virtual.rpartition(":")[0] in mine)
    found.number, found.answers = number, answers
    return found


# --- what is said ---------------------------------------------------------------


def shown(step, history, words):
    """A step as a person would write it."""
    def text(template):
        return fill(template, words)

    if step["do"] == "lines":
        return ["$ ipvsadm -R", *("    " + text(line) for line in step["lines"])]
    if step["do"] == "argv":
        said = [f"$ {step.get('name', 'ipvsadm')} {text(' '.join(step['words']))}"]
        return said + ["    < " + text(line) for line in step.get("input", "").splitlines()]
    if step["do"] == "packets":
        said = []
        for number, packets in enumerate(step["rounds"], 1):
            for end, conn, flags, size in packets:
                of = history["conns"][conn]
                said.append(f"packets {number}: {end} {of['proto']} {flags or '-'} of client {of['client']} port"
                            f" {of['sport']} to {words[of['vip']]} port {of['dport']}" + f", {size} bytes" * bool(size))
        return said
    return [" ".join([step["do"], *(f"{key}={value}" for key, value in step.items() if key != "do")])]


def explain(name, history, found):
    words = names(found.number)
    print(f"\n{name}")
    at = found.failures[0][0]
    for step in history["steps"][: at + 1]:
        for line in shown(step, history, words):
            print(f"  {line}")
    if at == len(history["steps"]):
        print("  and everything listed")
    for _, said in found.failures[:12]:
        print(f"    {said}")
    for who, answers in zip(("IPVS", "xlvs"), found.answers):
        answer = answers[at]
        print(f"  {who}: exit code {answer['code']}")
        for line in (answer["err"] + answer["out"]).splitlines()[:60]:
            print(f"      {line}")
        for number, frames in enumerate(answer.get("rounds", []), 1):
            for end, data in frames:
                print(f"      packets {number}, {end} gets {decode.to_text(decode.layers(data)) if data else '-'}")
    sys.stdout.flush()


class Report:
    """Of all that was judged."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.count, self.failed, self.late = 0, 0, 0
        self.meant = Counter()
        self.kinds = Counter()
        self.began = time.monotonic()

    def add(self, court, name, history, found):
        self.count += 1
        if self.count % 100 == 0:
            print(f"{self.count} histories, {self.failed} differ, {time.monotonic() - self.began:.0f} s", flush=True)
        self.meant.update(found.meant)
        self.late += found.late
        if not found.failures:
            return
        self.failed += 1
        kind = shrink.kind(found)
        self.kinds[kind] += 1
        if self.kinds[kind] > self.arguments.same:
            print(f"\n{name}: again {found.failures[0][1]}")
            return
        if self.arguments.keep:
            with open(self.arguments.keep, "a", encoding="utf-8") as file:
                print(json.dumps({"name": name, "history": history}), file=file)
        if not self.arguments.whole:
            history, found = shrink.shrunk(court, history, found, self.arguments.plays, SHRINK_S)
        explain(name, history, found)

    def end(self, court):
        print()
        for name, count in sorted(self.meant.items()):
            print(f"meant: {name} ({count})")
        if self.late:
            print(f"not judged to the end: the machine was too slow ({self.late})")
        for kind, count in self.kinds.most_common():
            print(f"differs: {kind} ({count})")
        took = time.monotonic() - self.began
        print(f"{court.seconds['ipvs']:.0f} s of IPVS, {court.seconds['xlvs']:.0f} s of xlvs,"
              f" {court.plays} plays in {took:.0f} s")
        print(f"{self.count} histories, {self.failed} differ")
        return 1 if self.failed else 0


# --- what is judged -------------------------------------------------------------


def features_of(text):
    chosen = set()
    for word in text.split(","):
        chosen |= set(histories.FEATURES) if word == "all" else {word}
    unknown = chosen - set(histories.FEATURES)
    if unknown:
        raise SystemExit(f"no feature {', '.join(sorted(unknown))}; there are: {', '.join(histories.FEATURES)}")
    return chosen


def chosen_histories(arguments):
    """(name, history), drawn as they are asked for."""
    if arguments.what == "run":
        features = features_of(arguments.features)
        for number in range(arguments.first, arguments.first + arguments.count):
            name = f"seed {arguments.seed}, history {number}, features {arguments.features}"
            yield name, histories.draw(arguments.seed, number, features)
    elif arguments.what == "sequences":
        yield from sequences.histories(features_of(arguments.features))
    elif arguments.what == "lines":
        yield from lines.histories()
    else:
        with open(arguments.file, encoding="utf-8") as file:
            for line in file:
                kept = json.loads(line)
                yield kept["name"], kept["history"]


def judge_all(arguments):
    court = Court(os.environ.get("XLVS", "xlvs"), "ipvs" if arguments.fair else "xlvs")
    report = Report(arguments)
    until = time.monotonic() + arguments.seconds if arguments.seconds else None
    try:
        for name, history in chosen_histories(arguments):
            if arguments.only not in name:
                continue
            if until is not None and time.monotonic() > until:
                print(f"\nafter {arguments.seconds:.0f} s the rest is left out")
                break
            report.add(court, name, history, court.play(history))
    finally:
        court.end()
    return report.end(court)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "sequences", "lines", "play"])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--count", type=int, default=60, help="of histories (60)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first history (0)")
    parser.add_argument("--seed", help="of the drawing; without it one is drawn, and printed")
    parser.add_argument("--features", default="all", help="what is drawn: "
                        + "; ".join(f"{name} ({what})" for name, what in histories.FEATURES.items())
                        + "; all (the default)")
    parser.add_argument("--seconds", type=float, help="begin none after so many")
    parser.add_argument("--only", default="", help="those whose name contains it")
    parser.add_argument("--whole", action="store_true", help="do not make failures shorter")
    parser.add_argument("--plays", type=int, default=80, help="of one failure, to make it shorter (80)")
    parser.add_argument("--same", type=int, default=2, help="failures of one kind that are shown whole (2)")
    parser.add_argument("--fair", action="store_true", help="IPVS in place of xlvs, too: nothing may differ")
    parser.add_argument("--keep", help="write what differs to this file, for play")
    arguments = parser.parse_args()
    if (arguments.what == "play") != (arguments.file is not None):
        parser.error("play takes a file, the others none")
    if arguments.seed is None:
        arguments.seed = str(random.SystemRandom().randrange(1 << 32))
    if arguments.what == "run":
        print(f"seed {arguments.seed}, histories {arguments.first} to {arguments.first + arguments.count - 1},"
              f" features {arguments.features}", flush=True)
    sys.exit(judge_all(arguments))


if __name__ == "__main__":
    main()
