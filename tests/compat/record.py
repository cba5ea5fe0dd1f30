#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a director answers, written down: the kernel's IPVS or xlvs.

  record.py ipvs >FILE            needs a kernel with IPVS, as in tools/vm
  record.py xlvs >FILE            $XLVS is the program
  record.py compare IPVS XLVS     says what differs; exit code 1 if anything does
                                  that is not meant (known.py)

Both are asked the same (cases.py), over the same addresses (lab.py). A record
is text: for each case, what was configured, each packet sent and, indented,
those that came to the client and to the server, decoded (decode.py) and, up to
144 bytes, in hex.
ipvs-6.12.txt is the record of Linux 6.12; 6.1 answers the same, but goes on
where known.py says that 6.12 gives up a tunnel.

--only WORD: cases whose name contains it. --packets: shows what differs whole.
"""

import argparse
import os
import platform
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import decode  # noqa: E402
import known  # noqa: E402

HEX_BYTES = 144  # of a frame that came, written out


class Director:
    def __init__(self, which, program):
        self.which, self.program = which, program
        self.environment = dict(os.environ, XLVS_INSTANCE=f"compat{os.getpid()}")
        self.netns = None

    def command(self, *words):
        return subprocess.run(["nsenter", f"--net=/run/netns/{self.netns}", self.program, *words],
                              env=self.environment, capture_output=True, text=True, check=False)

    def must(self, *words):
        done = self.command(*words)
        if done.returncode:
            raise SystemExit(f"{self.program} {' '.join(words)}: {done.stdout}{done.stderr}")

    def attach(self, netns):
        self.netns = netns
        if self.which == "xlvs":
            self.must("attach", "eth0", "eth1")

    def detach(self):
        if self.netns is None:
            return
        if self.which == "xlvs":
            self.command("detach", "--purge")
        else:
            self.command("-C")
        self.netns = None


class Talk:
    """One case: configures, sends, writes down."""

    def __init__(self, lab, director, number, out):
        self.lab, self.director, self.out = lab, director, out
        self.next_port = 10000 + 40 * number

    def port(self):
        """Of a client that nobody has used."""
        self.next_port += 1
        return self.next_port

    def configure(self, words):
        done = self.director.command(*words.split())
        says = (done.stdout + done.stderr).strip()
        print(f"  $ {words}" + (f"  -> {done.returncode} {says}" if done.returncode else ""), file=self.out)

    def send(self, what, *packets, wait=0.0):
        frames = [(end, bytes(packet)) for end, packet in packets]
        print(f"  {what}", file=self.out)
        for end, frame in frames:
            self.show(f"{end} sends", frame)
        came = self.lab.exchange(frames, wait)
        if came is None:
            print("    NOTHING ANSWERS ANY MORE", file=self.out)
            return
        for end, frame in came:
            self.show(f"  {end} gets", frame)
            text = frame[:HEX_BYTES].hex()
            for i in range(0, len(text), 96):
                print("        " + text[i : i + 96], file=self.out)
        if not came:
            print("      nothing comes", file=self.out)

    def show(self, what, frame):
        print(f"    {what}: {decode.to_text(decode.layers(frame))}", file=self.out)


def record(which, program, only):
    import cases
    import lab as labs

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # so answers come in order
    print(f"{which} on Linux {platform.release()}")
    numbered = [(i, *one) for i, one in enumerate(cases.CASES) if only in one[0]]
    labs_needed = []
    for one in numbered:
        if one[2] not in labs_needed:
            labs_needed.append(one[2])
    for mtu in labs_needed:
        director = Director(which, program)
        lab = labs.Lab(f"compat{os.getpid()}", mtu)
        try:
            director.attach(lab.dir)
            for number, name, its_mtu, function, args in numbered:
                if its_mtu != mtu:
                    continue
                print(f"\n{name}")
                director.must("-C")
                lab.forget()
                function(Talk(lab, director, number, sys.stdout), *args)
                sys.stdout.flush()
        finally:
            director.detach()
            lab.down()


# --- comparison -----------------------------------------------------------------


def parse(file):
    """{(case, step): [(end, layers)]}, and the first line."""
    steps, case, step = {}, None, None
    with open(file, encoding="utf-8") as lines:
        first = next(lines).strip()
        for line in lines:
            line = line.rstrip("\n")
            if re.match(r"\S", line):
                case = line
            elif re.match(r"  [^ $]", line):
                step = (case, line.strip())
                assert step not in steps, f"{file} has {step} twice"
                steps[step] = []
            elif match := re.match(r"      (client|server) gets: (.*)", line):
                steps[step].append((match[1], decode.from_text(match[2])))
            elif match := re.match(r"    (NOTHING ANSWERS.*)", line):
                steps[step].append(("nobody", [(match[1].lower(), {})]))
            elif match := re.match(r"  (\$ .* -> \d+ .*)", line):
                steps[(case, match[1])] = []
    return first, steps


def allowed(layers, index, field, left, right):
    """A name for a difference between `left` and `right` that says nothing, or
    None."""
    names = [layer[0] for layer in layers]
    name, fields = layers[index]
    error = index == 1 and names[2:3] in (["icmp"], ["icmp6"])
    if name == "ip" and field == "id":
        if error:
            return "IP id of an ICMP error that the director makes"
        if index == 1 and fields["src"] == "10.2.0.1":
            return "IP id of a tunnel packet"
    if name == "udp" and field == "sport" and names[index + 1 : index + 2] == ["gue"]:
        return "source port of GUE"
    if name == "ip6" and field == "flow":
        return "flow label of what the director's kernel makes"
    if name == "ip" and field == "opts" and left[:8] == right[:8] == "44080900":
        return "time of a timestamp"
    return None


def differences(a, b, notes):
    """Of two lists of frames, in words."""
    if [end for end, _ in a] != [end for end, _ in b]:
        return [f"IPVS: {', '.join(describe(a)) or 'nothing'}; xlvs: {', '.join(describe(b)) or 'nothing'}"]
    said = []
    for (end, left), (_, right) in zip(a, b):
        if [name for name, _ in left] != [name for name, _ in right]:
            said.append(f"to the {end}, IPVS: {names_of(left)}; xlvs: {names_of(right)}")
            continue
        for index, ((name, fields), (_, others)) in enumerate(zip(left, right)):
            for field in fields | others:
                if fields.get(field) == others.get(field):
                    continue
                note = allowed(left, index, field, fields.get(field), others.get(field))
                if note:
                    notes[note] = notes.get(note, 0) + 1
                else:
                    said.append(f"to the {end}, {name} {field}: IPVS {fields.get(field)}, xlvs {others.get(field)}")
    return said


def names_of(layers):
    return " | ".join(name for name, _ in layers)


def describe(frames):
    return [f"{end} gets {names_of(layers[1:])}" for end, layers in frames]


def compare(ipvs_file, xlvs_file, packets):
    first, ipvs = parse(ipvs_file)
    second, xlvs = parse(xlvs_file)
    print(f"{first}; {second}")
    notes, meant, different, case = {}, {}, 0, None
    for step in dict.fromkeys([*ipvs, *xlvs]):
        if step not in ipvs or step not in xlvs:
            said = [f"only in {'IPVS' if step in ipvs else 'xlvs'}'s record"]
        else:
            said = differences(ipvs[step], xlvs[step], notes)
        reasons = [known.reason(*step, words) for words in said]
        for name in filter(None, reasons):
            meant[name] = meant.get(name, 0) + 1
        said = [words for words, name in zip(said, reasons) if not name]
        if not said:
            continue
        different += 1
        if case != step[0]:
            case = step[0]
            print(f"\n{case}")
        print(f"  {step[1]}")
        for words in said:
            print(f"    {words}")
        for who, record in (("IPVS", ipvs), ("xlvs", xlvs)) if packets else ():
            for end, layers in record.get(step, []):
                print(f"      {who} {end} {decode.to_text(layers)}")
    print()
    for note, count in sorted(notes.items()):
        print(f"allowed: {note} ({count})")
    for name, count in sorted(meant.items()):
        print(f"meant: {name} ({count})")
    print(f"{len(ipvs)} steps, {different} differ otherwise")
    return 1 if different else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["ipvs", "xlvs", "compare"])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--only", default="")
    parser.add_argument("--packets", action="store_true")
    arguments = parser.parse_args()
    if arguments.what == "compare":
        if len(arguments.files) != 2:
            parser.error("compare takes two records")
        sys.exit(compare(*arguments.files, arguments.packets))
    program = "ipvsadm" if arguments.what == "ipvs" else os.environ.get("XLVS", "xlvs")
    record(arguments.what, program, arguments.only)


if __name__ == "__main__":
    main()
