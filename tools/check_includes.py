#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The include rule: who may include whom, by folder.

The first matching row decides. A row says which project folders a file may
include (prefixes of the path in #include "..."); anything else in quotes or
angle brackets that belongs to the project is a violation. Some rows also name
system headers that are out of bounds.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
STAGES = ("parse", "lookup", "schedule", "forward", "emit", "expire")
STAGE = ("maps/", "bpf/lib/", "bpf/tables.h")
NO_BPF = re.compile(r"^(bpf/|linux/bpf|sys/syscall|xdp/)|\.skel\.h$")

# folder, what it may include, what it must not include even from the system
RULES = [
    ("maps/", ("maps/",), None),
    ("bpf/lib/", ("maps/", "bpf/lib/", "bpf/tables.h"), None),
    ("bpf/tables.h", ("maps/", "bpf/lib/"), None),
    *[(f"bpf/{s}/", STAGE + (f"bpf/{s}/",), None) for s in STAGES],
    # A program of its own, beside the director.
    ("bpf/decap", ("maps/", "bpf/lib/", "bpf/decap/"), None),
    ("bpf/", ("maps/", "bpf/"), None),
    ("loader/base/", ("loader/base/",), NO_BPF),
    ("loader/net/", ("loader/base/", "loader/net/", "maps/addr.h"), NO_BPF),
    ("loader/model/", ("loader/base/", "loader/net/", "loader/model/"), NO_BPF),
    (
        "loader/schedule/",
        ("maps/", "loader/base/", "loader/net/", "loader/model/",
         "loader/schedule/"),
        NO_BPF,
    ),
    (
        "loader/real/",
        ("loader/base/", "loader/net/", "loader/model/", "loader/real/"),
        NO_BPF,
    ),
    (
        "loader/cli/",
        ("loader/base/", "loader/net/", "loader/model/", "loader/schedule/",
         "loader/real/", "loader/cli/"),
        NO_BPF,
    ),
    (
        "loader/datapath/",
        ("maps/", "loader/base/", "loader/net/", "loader/model/",
         "loader/schedule/", "loader/datapath/"),
        None,
    ),
    ("loader/", ("maps/", "loader/"), None),
    ("tools/", ("maps/", "bpf/", "loader/", "tools/"), None),
    ("tests/", ("maps/", "bpf/", "loader/", "tests/"), None),
]
PROJECT = ("maps/", "bpf/", "loader/", "tests/", "tools/")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')


def is_project(path, quoted):
    if path.startswith(PROJECT) and (ROOT / path).exists():
        return True
    return quoted and not path.endswith(".skel.h") and (ROOT / path).exists()


def main():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard",
         "*.h", "*.c", "*.cc", "*.cpp"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split()
    bad = 0
    for name in sorted(listed):
        file = ROOT / name
        if not file.exists():
            continue
        rule = next((r for r in RULES if name.startswith(r[0])), None)
        if rule is None:
            print(f"{name}: no rule for this folder")
            bad += 1
            continue
        folder, may, never = rule
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quoted, path = match.group(1) == '"', match.group(2)
            why = None
            if is_project(path, quoted) and not path.startswith(may):
                why = f"{folder} may include only {' '.join(may)}"
            elif never and never.search(path):
                why = f"{folder} must not know BPF"
            if why:
                print(f"{name}:{number}: includes {path}: {why}")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
