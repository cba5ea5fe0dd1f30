#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what tools/bench measured: picture.py FIGURES.json PICTURE.svg

Left: what a packet of an established connection costs above the floor, by
number of connections, R beside the director's two directions. Right: every
path with one connection, or with the most there is.
"""
import json
import sys

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402  (after the choice above)

INK = "#1f2933"
FAINT = "#7b8794"
GRID = "#e4e7eb"
LINES = [  # path, label, colour
    ("r", "R: kernel hash map, NAT", "#9aa5b1"),
    ("masq-in-4tcp", "xlvs, client → service", "#0b69a3"),
    ("masq-out-4tcp", "xlvs, real server → client", "#e8833a"),
]
PATHS = [  # key without the kind of packet, label
    ("masq-in", "Masq, in"),
    ("masq-out", "Masq, out"),
    ("route", "Route"),
    ("ipip", "Tunnel, ipip"),
    ("gue", "Tunnel, gue"),
]
KINDS = [  # kind of packet, label, colour
    ("4tcp", "IPv4", "#0b69a3"),
    ("6tcp", "IPv6", "#6cb3dd"),
]


def above(figures):
    """{(path, connections): {"median": ns, "p10": ...}}"""
    return {
        (row["path"], row.get("connections", 0)): row["above_ns"]
        for row in figures["established"]
        if "above_ns" in row
    }


def short(count):
    for size, suffix in ((1_000_000, " M"), (1_000, " k")):
        if count >= size:
            return f"{count // size}{suffix}"
    return str(count)


def draw_lines(axes, costs):
    counts = sorted({count for path, count in costs if path == "r"})
    ends = []
    for path, label, colour in LINES:
        points = [(x, costs[path, x]) for x in counts if (path, x) in costs]
        xs = [x for x, _ in points]
        medians = [cost["median"] for _, cost in points]
        axes.fill_between(
            xs,
            [cost["p10"] for _, cost in points],
            [cost["p90"] for _, cost in points],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
        axes.plot(xs, medians, color=colour, marker="o", markersize=5,
                  linewidth=2, label=label)
        ends.append(medians[-1])
        if path == "masq-out-4tcp":  # nearly the same as the other way
            continue
        for x, y in zip(xs, medians):
            at, offset, edge = y, (-4, 7), "right"
            if path != "r":  # below both ways
                other = costs.get(("masq-out-4tcp", x), {"median": y})
                at, offset, edge = min(y, other["median"]), (4, -14), "left"
            axes.annotate(f"{y:.0f}", (x, at), textcoords="offset points",
                          xytext=offset, ha=edge, fontsize=9,
                          color=FAINT if path == "r" else colour)
    axes.set_xscale("log")
    axes.set_xlim(0.3 * counts[0], 2.4 * counts[-1])
    axes.set_xticks(counts)
    axes.set_xticklabels([short(count) for count in counts])
    axes.minorticks_off()
    top = 1.12 * max(ends)
    axes.set_ylim(-0.05 * top, top)
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= top])
    axes.set_xlabel("connections, visited at random")
    axes.set_title("Established connection, Masq, IPv4, TCP", loc="left")
    axes.legend(frameon=False, loc="upper left")
    axes.grid(axis="y", color=GRID)


def draw_bars(axes, costs):
    height = 0.38
    rows = [row for row in PATHS if (row[0] + "-4tcp", 1) in costs]
    longest = 0
    for i, (kind, label, colour) in enumerate(KINDS):
        for row, (key, _) in enumerate(rows):
            cost = costs.get((f"{key}-{kind}", 1))
            if cost is None:
                continue
            y = row + (i - 0.5) * height
            ns = cost["median"]
            longest = max(longest, ns)
            axes.barh(y, ns, height * 0.92, color=colour,
                      label=label if row == 0 else None)
            axes.annotate(f"{ns:.0f}", (ns, y), textcoords="offset points",
                          xytext=(4, 0), va="center", color=INK, fontsize=9)
    r = costs.get(("r", 1))
    if r is not None:
        axes.axvline(r["median"], color=FAINT, linewidth=1.2,
                     linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(f"R {r['median']:.0f}", (r["median"], -0.62),
                      textcoords="offset points", xytext=(4, 0), va="center",
                      color=FAINT, fontsize=9)
        longest = max(longest, r["median"])
    axes.set_yticks(range(len(rows)))
    axes.set_yticklabels([label for _, label in rows])
    axes.set_ylim(len(rows) - 0.4, -0.85)
    axes.set_xlim(0, 1.2 * longest or 1)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("ns a packet above the floor")
    axes.set_title("Every way to a real server, 1 connection", loc="left")
    axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.8))
    axes.grid(axis="x", color=GRID)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: picture.py FIGURES.json PICTURE.svg")
    with open(sys.argv[1], encoding="utf-8") as file:
        figures = json.load(file)
    costs = above(figures)
    if not any(path == "r" for path, _ in costs):
        sys.exit(f"picture.py: {sys.argv[1]} has no figures of R to draw")
    pyplot.rcParams.update({
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "axes.titlesize": 11.5,
        "axes.titleweight": "bold",
        "axes.titlepad": 12,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.color": INK,
        "ytick.color": INK,
        "svg.hashsalt": "xlvs",  # the same picture of the same figures
    })
    picture, (left, right) = pyplot.subplots(
        1, 2, figsize=(11, 4.6), gridspec_kw={"width_ratios": [1.15, 1]})
    draw_lines(left, costs)
    left.set_ylabel("ns a packet above the floor")
    draw_bars(right, costs)
    floor = next(row for row in figures["established"] if row["path"] == "tx")
    picture.text(
        0.012, 0.015,
        f"One CPU, medians (band: p10 to p90). Floor: MAC swap and XDP_TX, "
        f"{floor['ns']['median']:.0f} ns. {figures['cpu']}, "
        f"Linux {figures['kernel'].split('-')[0]}, commit {figures['commit']}",
        color=FAINT, fontsize=8)
    picture.tight_layout(rect=(0, 0.045, 1, 1), w_pad=3)
    picture.savefig(sys.argv[2], facecolor="white",
                    metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
