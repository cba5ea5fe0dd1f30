#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what xlvs_simulate found: plot.py RESULTS.json DIRECTORY.

Debian's interpreter, for Debian's matplotlib.
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

plt.rcParams.update(
    {
        "svg.hashsalt": "xlvs",  # the same picture again is the same file
        "svg.fonttype": "none",
        "font.size": 10,
        "axes.grid": True,
        "grid.color": "#dddddd",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
    }
)
CPUS = [1, 2, 4, 8, 16, 32, 64, 128]
BATCH_COLOURS = {1: "#000000", 2: "#0072b2", 4: "#009e73", 8: "#d55e00", 16: "#cc79a7"}
DEST_COLOURS = {29: "#0072b2", 1000: "#009e73", 16384: "#e69f00", 100000: "#d55e00"}


def cpu_axis(axes):
    axes.set_xscale("log", base=2)
    axes.set_xticks(CPUS, [str(n) for n in CPUS])
    axes.set_xlabel("CPUs")


def save(figure, path):
    figure.savefig(path, metadata={"Date": None})
    # No blanks at the ends of lines, for git.
    text = path.read_text(encoding="utf-8")
    lines = [line.rstrip() for line in text.splitlines()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw_skew(results, path):
    figure, (busy, idle, writes) = plt.subplots(1, 3, figsize=(11, 3.8))
    for axes, traffic, title in (
        (busy, "busy", "10,000 connections/s for each CPU"),
        (idle, "idle", "20,000 connections/s in all"),
    ):
        for batch, colour in BATCH_COLOURS.items():
            rows = [
                row for row in results["skew"]
                if row["traffic"] == traffic and row["batch"] == batch
            ]
            axes.plot(
                [row["cpus"] for row in rows],
                [100 * row["skew_mean"] / row["conns_per_dest"] for row in rows],
                color=colour, marker="o", markersize=4, label=f"B = {batch}",
            )
        cpu_axis(axes)
        axes.set_yscale("log")
        axes.set_yticks([0.01, 0.1, 1, 10, 100], ["0.01", "0.1", "1", "10", "100"])
        axes.set_ylim(0.003, 300)
        axes.set_title(title, fontsize=10)
        axes.set_ylabel("most less least, % of the average")
    busy.legend(frameon=False, fontsize=9, ncol=2, loc="upper left")
    for name, key, style in (
        ("lc", "writes_per_change", "-"),
        ("rr", "writes_per_change_rr", "--"),
    ):
        rows = [
            row for row in results["skew"]
            if row["traffic"] == "busy" and row["cpus"] == 64 and row["batch"] <= 16
        ]
        writes.plot(
            [row["batch"] for row in rows], [100 * row[key] for row in rows],
            style, color="#0072b2", marker="o", markersize=4, label=name,
        )
    writes.set_xscale("log", base=2)
    batches = list(BATCH_COLOURS)
    writes.set_xticks(batches, [str(n) for n in batches])
    writes.set_yscale("log")
    writes.set_yticks([1, 10, 100], ["1", "10", "100"])
    writes.set_xlabel("B")
    writes.set_ylabel("shared writes, % of all changes")
    writes.set_title("64 CPUs, 10,000 connections/s each", fontsize=10)
    writes.legend(frameon=False, fontsize=9)
    save(figure, path)


def draw_fold(results, path):
    figure, (decision, tick) = plt.subplots(1, 2, figsize=(9, 3.8))
    by_dests = {}
    for row in results["fold"]:
        by_dests.setdefault(row["dests"], []).append(row)

    rows = by_dests[29]
    decision.plot(
        CPUS, [row["dests"] * row["cpus"] * row["read_ns"] for row in rows],
        color="#d55e00", marker="o", markersize=4, label="every CPU's counts",
    )
    decision.plot(
        CPUS, [29 * rows[0]["read_ns"] for _ in CPUS],
        color="#0072b2", marker="o", markersize=4, label="totals (as it is)",
    )
    decision.set_yscale("log")
    decision.set_yticks([10, 100, 1000, 10000], ["10", "100", "1,000", "10,000"])
    decision.set_ylim(5, 10000)
    decision.set_ylabel("ns")
    decision.set_title("reads of one decision, 29 real servers", fontsize=10)
    decision.legend(frameon=False, fontsize=9, loc="upper left")
    cpu_axis(decision)

    for dests, rows in by_dests.items():
        tick.plot(
            CPUS, [row["dests"] * row["cpus"] * row["read_ns"] / 1e6 for row in rows],
            color=DEST_COLOURS[dests], marker="o", markersize=4,
            label=f"{dests:,} real servers",
        )
    tick.axhline(
        1000 / results["ticks_per_second"], color="#000000", linestyle=":",
        label="a tick",
    )
    tick.set_yscale("log")
    tick.set_yticks([1e-4, 1e-2, 1, 100], ["0.0001", "0.01", "1", "100"])
    tick.set_ylim(1e-5, 1e5)
    tick.set_ylabel("ms")
    tick.set_title("reads of one fold, 8 of them a second", fontsize=10)
    tick.legend(frameon=False, fontsize=9, loc="upper left", ncol=2)
    cpu_axis(tick)
    save(figure, path)


def draw_overflow(results, path):
    figure, (refused, outside) = plt.subplots(1, 2, figsize=(9, 3.8))
    theory = results["overflow_theory"]
    refused.plot(
        [row["load"] for row in theory], [row["refused"] for row in theory],
        color="#000000", linewidth=1, label="Poisson",
    )
    flows = list(dict.fromkeys(row["flows"] for row in results["overflow"]))
    for name, marker, colour in zip(
        flows, ("o", "x", "+"), ("#0072b2", "#d55e00", "#009e73")
    ):
        rows = [row for row in results["overflow"] if row["flows"] == name]
        some = [row for row in rows if row["refused"] > 0]
        style = {"linestyle": "none", "marker": marker, "color": colour, "fillstyle": "none"}
        refused.plot(
            [row["load"] for row in some], [row["refused"] for row in some],
            label=name, **style,
        )
        outside.plot(
            [row["load"] for row in rows],
            [100 * row["outside_home"] for row in rows], **style,
        )
    for axes in (refused, outside):
        axes.axvline(results["planned_load"], color="#555555", linestyle=":")
        axes.set_xlabel("connections, of all slots")
    refused.annotate(
        "--conns", (results["planned_load"], 1e-4), rotation=90,
        xytext=(-12, 0), textcoords="offset points", color="#555555",
    )
    refused.set_yscale("log")
    refused.set_ylim(1e-13, 1)
    refused.set_title("refused, of all connections", fontsize=10)
    refused.legend(frameon=False, fontsize=8, loc="lower right")
    outside.set_ylim(0, None)
    outside.set_title("outside their home group, %", fontsize=10)
    save(figure, path)


def main():
    results = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    directory = pathlib.Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    draw_skew(results, directory / "lc-skew.svg")
    draw_fold(results, directory / "count-folding.svg")
    draw_overflow(results, directory / "table-overflow.svg")


if __name__ == "__main__":
    main()
