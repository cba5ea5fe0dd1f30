#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts test cases, not test programs.

usage: count_tests.py CTEST_JUNIT GTEST_DIR

ctest knows programs; GTEST_OUTPUT=xml:GTEST_DIR/ made each GoogleTest program,
and oracle_test.py, write its cases. A program without such a file is one case;
one that failed although its cases passed (a crash at exit, a leak, a timeout)
is a failed case more. Prints what failed or was skipped, then `PASSED FAILED`
as the last line. A skipped case is a failure unless its reason names the
kernel.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as xml


def main():
    junit, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    passed, failed = 0, 0
    for program in xml.parse(junit).iter("testcase"):
        name = program.get("name")
        fine = program.get("status") == "run"
        file = folder / f"{name}.xml"
        here = 0
        if file.exists():
            for case in xml.parse(file).iter("testcase"):
                title = f"{case.get('classname')}.{case.get('name')}"
                skipped = case.find("skipped")
                if case.find("failure") is not None:
                    here += 1
                    print(f"failed: {name}: {title}")
                elif skipped is not None:
                    why = (skipped.get("message") or "").strip()
                    if re.search(r"\bkernel\b", why, re.I):
                        print(f"skipped: {title}: {why}")
                    else:
                        here += 1
                        print(f"failed: {title} skipped: {why or 'no reason'}")
                elif case.get("status") == "notrun":
                    print(f"disabled: {title}")
                else:
                    passed += 1
        elif fine:
            passed += 1
        if not fine and here == 0:
            here = 1
            print(f"failed: {name} ({program.get('status')})")
        failed += here
    print(passed, failed)


if __name__ == "__main__":
    main()
