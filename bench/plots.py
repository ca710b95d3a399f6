#!/usr/bin/env python3
"""Writes docs/reference/performance.md and its pictures from what `make bench` has measured.

    bench/plots.py [RESULTS.jsonl [FOLDER]]     build/bench/results.jsonl, docs/reference

Each part is of the newest run of its benchmark: `table`, `kafka-latency`, and `batch` where it is there. The pictures are SVG, drawn here, with
colours of their own for light and for dark. The page says when, where and of which commit; nothing in it is written by hand.
"""

import math
import os
import sys
from xml.sax.saxutils import escape

sys.dont_write_bytecode = True
import results
from harness import HERE, ROOT, median

PAGE = os.path.join(ROOT, "docs", "reference")
PICTURES = "performance"
WIDTH, NAME_WIDTH, BAR_WIDTH, LINE, TOP, BOTTOM = 900, 300, 430, 26, 62, 14
OTHERS_MOST = 0.1  # of the machine, above which a figure says little
STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 16px }
.small { fill: #59636e; font-size: 12px }
.back { fill: #ffffff }
.own { fill: #0969da } .base { fill: #80ccff } .peer { fill: #9198a1 }
.spread { stroke: #1f2328; stroke-width: 1.5 }
.grid { stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .small { fill: #9198a1 } .back { fill: #0d1117 }
.own { fill: #4493f8 } .base { fill: #1b4b91 } .peer { fill: #656c76 }
.spread { stroke: #f0f6fc } .grid { stroke: #3d444d }
}
</style>"""
SOURCES = {"files": "From files", "kafka": "From a Kafka topic"}
FIGURES = {  # name of the picture: its title, the figure of a run over so many events, how it is written, which is better
    "throughput": ("events a second", lambda run, events: events / run["work_s"], "%s", "more is better"),
    "cpu": ("microseconds of CPU an event", lambda run, events: 1e6 * run["cpu_s"] / events, "%.2f", "less is better"),
    "memory": ("peak memory, MiB", lambda run, events: run["peak_mib"], "%.0f", "less is better"),
}


def grouped(number):
    return "{:,.0f}".format(number)


def text(x, y, words, kind="", anchor="start"):
    return '<text x="%.1f" y="%.1f"%s text-anchor="%s">%s</text>' % (
        x, y, ' class="%s"' % kind if kind else "", anchor, escape(words))


def picture(title, under, height, parts):
    return "\n".join([
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">' % (WIDTH, height, WIDTH, height),
        "<title>%s</title>" % escape(title), STYLE, '<rect class="back" width="100%" height="100%" rx="6"/>',
        text(16, 26, title, "title"), text(16, 46, under, "small"), *parts, "</svg>", ""])


def kind_of(row):
    """Which colour: this build, another of ours, a peer."""
    if not row["name"].startswith("freshet"):
        return "peer"
    return "base" if row["name"].startswith("freshet of ") else "own"


def name_in_picture(row):
    return row["name"] + (" *" if row["note"] else "")


def bars(title, under, rows, figure, form):
    """A bar a row, its median; a thin line is from the least to the most."""
    found = [[figure(run, row["events"]) for run in row["runs"]] for row in rows]
    most = max(max(values) for values in found)
    parts = []
    for i, (row, values) in enumerate(zip(rows, found)):
        y = TOP + i * LINE
        middle, least, last = (BAR_WIDTH * of(values) / most for of in (median, min, max))
        value = form % (grouped(median(values)) if form == "%s" else median(values))
        parts += [text(NAME_WIDTH - 10, y + 15, name_in_picture(row), anchor="end"),
                  '<rect class="%s" x="%d" y="%d" width="%.1f" height="18" rx="2"/>' % (kind_of(row), NAME_WIDTH, y + 1, max(1, middle))]
        if last - least > 2:
            parts.append('<path class="spread" d="M%.1f %dH%.1f"/>' % (NAME_WIDTH + least, y + 10, NAME_WIDTH + last))
        parts.append(text(NAME_WIDTH + max(middle, last) + 8, y + 15, value))
    return picture(title, under, TOP + len(rows) * LINE + BOTTOM, parts)


def late_at(row, percent):
    return dict(row["distribution_ms"])[percent]


def latencies(title, under, rows):
    """A line a row on a logarithmic scale, from its quickest hundredth to its slowest thousandth, the median as a dot."""
    marks = (1, 50, 90, 99, 99.9)
    least = min(late_at(row, marks[0]) for _, row in rows)
    most = max(late_at(row, marks[-1]) for _, row in rows)
    low, high = math.floor(math.log10(max(least, 0.01))), math.ceil(math.log10(most))
    high = max(high, low + 1)
    width = WIDTH - NAME_WIDTH - 40

    def x(late_ms):
        return NAME_WIDTH + width * (math.log10(max(late_ms, 0.01)) - low) / (high - low)

    bottom = TOP + len(rows) * LINE
    parts = []
    for power in range(low, high + 1):
        at = x(10.0 ** power)
        parts += ['<path class="grid" d="M%.1f %dV%d"/>' % (at, TOP - 4, bottom), text(at, bottom + 16, "%g ms" % 10.0 ** power, "small", "middle")]
    for i, (name, row) in enumerate(rows):
        y = TOP + i * LINE + 10
        kind = "own" if name.startswith("freshet") else "peer"
        points = [x(late_at(row, percent)) for percent in marks]
        parts += [text(NAME_WIDTH - 10, y + 5, name, anchor="end"),
                  '<rect class="%s" x="%.1f" y="%d" width="%.1f" height="4"/>' % (kind, points[0], y - 2, max(1, points[-1] - points[0])),
                  '<circle class="%s" cx="%.1f" cy="%d" r="6"/>' % (kind, points[1], y)]
        parts += ['<path class="spread" d="M%.1f %dV%d"/>' % (point, y - 6, y + 6) for point in points[2:]]
    return picture(title, under, bottom + 28, parts)


def rows_of(lines, source):
    """The rows of the table, each with its runs: ours in the order in which they first ran, then the older build, then the peers, the
    quickest first."""
    rows = {}
    for line in lines:
        if line["source"] == source:
            row = rows.setdefault(line["name"], dict(line, runs=[]))
            row["runs"].append(line)

    def rank(row):
        kind = kind_of(row)
        speed = row["events"] / median([run["work_s"] for run in row["runs"]])
        return ["own", "base", "peer"].index(kind), -speed if kind == "peer" else 0

    return sorted(rows.values(), key=rank)


def spread(values, form):
    middle, least, most = (form(of(values)) for of in (median, min, max))
    return middle if len(values) == 1 else "%s (%s to %s)" % (middle, least, most)


def markdown(header, rows):
    return "\n".join(["| %s |" % " | ".join(header), "|%s" % ("---|" * len(header)), *("| %s |" % " | ".join(row) for row in rows)])


def table(rows):
    own = rows[0]["events"] / median([run["work_s"] for run in rows[0]["runs"]])
    lines = []
    for row in rows:
        runs, events = row["runs"], row["events"]
        firsts = [run["first_s"] for run in runs if run["first_s"] is not None]
        lines.append([
            name_in_picture(row) + ("" if kind_of(row) == "base" else ", " + row["version"]), grouped(events),
            spread([events / run["work_s"] for run in runs], grouped),
            "%.1f" % (own * median([run["work_s"] for run in runs]) / events),
            "%.2f" % median([1e6 * run["cpu_s"] / events for run in runs]), grouped(median([run["peak_mib"] for run in runs])),
            grouped(1000 * median(firsts)) if firsts else "at the end"])
    return markdown(["", "events", "events/s (least to most)", "Freshet is so many times as fast", "µs of CPU an event",
                     "peak memory, MiB", "start to first row, ms"], lines)


def where(line):
    machine = line["machine"]
    return "Measured at %s, commit `%s`, on %s cores of %s, %s GiB, %s." % (
        line["run"][:16].replace("T", " "), line["commit"], machine["cores"], machine["processor"], machine["memory_gib"], machine["system"])


def beside(lines):
    """A warning, where other processes were at work meanwhile."""
    most = max(line.get("others_share", 0) for line in lines)
    return "**Other processes took up to %.0f %% of the machine meanwhile: these figures show that everything runs, and nothing else.**\n\n" % (
        100 * most) if most > OTHERS_MOST else ""


def notes(rows):
    return ["\\* %s: %s" % (row["name"], row["note"]) for row in rows if row["note"]]


def part_of_table(lines, source, save):
    rows = rows_of(lines, source)
    if not rows:
        return []
    shares = sorted({row["events"] for row in rows}, reverse=True)
    said = ["## %s" % SOURCES[source], "", table(rows), ""]
    for note in notes(rows):
        said += [note + ".", ""]
    if len(shares) > 1:
        said += ["Those that would take too long are given fewer events: %s in place of %s. With these they have hardly begun: with more they "
                 "would be faster, and need less CPU for each." % (" or ".join(grouped(events) for events in shares[1:]), grouped(shares[0])), ""]
    for name, (what, figure, form, better) in FIGURES.items():
        title = "%s: %s" % (SOURCES[source], what)
        counts = sorted({len(row["runs"]) for row in rows})
        under = "median of %s runs, the thin line from the least to the most; %s" % (" to ".join(map(str, counts)), better)
        under = under.replace("median of 1 runs", "one run")
        said += [save("%s-%s.svg" % (source, name), title, bars(title, under, rows, figure, form)), ""]
    return said


def part_of_latency(lines, save):
    if not lines:
        return []
    found = {name: row for name, row in lines[-1]["results"].items() if isinstance(row, dict) and "distribution_ms" in row}
    if not found:
        return []
    title = "From an event's being made to its row, Kafka, 2,000 events a second"
    under = "from the quickest hundredth to the slowest thousandth; the dot is the median, the strokes p90, p99 and p99.9"
    head = ["", "p50, ms", "p90, ms", "p99, ms", "p99.9, ms", "most, ms"]
    columns = ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms")
    return ["## Latency", "", "Freshet's is seen from outside, by asking it without pause, and holds the question; Kafka Streams notes it itself, and nobody "
            "asks. A bare consumer, which does nothing with an event, is what the broker itself takes.", "", where(lines[-1]), "",
            markdown(head, [[name, *("%.2f" % row[column] for column in columns)] for name, row in found.items()]), "",
            save("latency.svg", title, latencies(title, under, list(found.items()))), ""]


def part_of_batch(lines, save):
    """Of bench/run batch, which has medians only."""
    if not lines:
        return []
    of = lines[-1]["results"]
    found = of["competitors"]
    rows = [{"name": name, "note": "", "events": 1, "runs": [row]} for name, row in found.items()]
    title = "A batch of %s rows: seconds" % grouped(of["events"])
    return ["## A batch", "", beside(found.values()) + "%s rows of Parquet through windows of 1 and 7 days to Parquet, median of %d. %s" % (
        grouped(of["events"]), of["rounds"], where(lines[-1])), "",
            markdown(["", "seconds", "CPU seconds", "peak memory, MiB"],
                     [[name, "%.2f" % row["wall_s"], "%.2f" % row["cpu_s"], grouped(row["peak_mib"])] for name, row in found.items()]), "",
            save("batch.svg", title, bars(title, "less is better", rows, lambda run, _: run["wall_s"], "%.2f")), ""]


HEAD = """# Performance

<!-- bench/plots.py writes this page from what make bench has measured: do not change it by hand. -->

The windows job, by Freshet and by what else does such work: of each event the count and the mean of its key's last 120 s, late events among
them, and each key's newest row in a table that can be asked. Events are JSON of 115 bytes with %s keys.

%s%s All take turns on the same two cores, the broker with them; each result is checked by DuckDB's,
as far as the order in which it reads the events lets it be told. Freshet makes a checkpoint a second and keeps a table of the last 100,000 rows. Its figure from files is of the whole process, with start and end; the others'
is as they say it themselves, without their start. CPU and memory are of the whole process, so a start weighs the more the fewer the events are. "Of a commit" is an older build of Freshet.

    make bench-peers    installs and builds the others, each pinned by version and checksum
    make bench          measures
    bench/plots.py      writes this page

[bench/README.md](../../bench/README.md) says how each is run, what is checked of it, and what else is measured.
"""


def write(lines, folder):
    """The page and its pictures; gives their paths."""
    written = []
    os.makedirs(os.path.join(folder, PICTURES), exist_ok=True)

    def save(name, title, drawn):
        path = os.path.join(folder, PICTURES, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(drawn)
        written.append(path)
        return "![%s](%s/%s)" % (title, PICTURES, name)

    measured = results.newest(lines, "table")
    said = [HEAD % ("100,000", beside(measured), where(measured[0]))]
    for source in SOURCES:
        said += part_of_table(measured, source, save)
    said += part_of_latency(results.newest(lines, "kafka-latency"), save)
    said += part_of_batch(results.newest(lines, "batch"), save)
    path = os.path.join(folder, "performance.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(said).rstrip() + "\n")
    return [path, *written]


if __name__ == "__main__":
    read_from, write_to = (sys.argv[1:] + [results.PATH, PAGE][len(sys.argv) - 1:])[:2]
    if not os.path.exists(read_from):
        sys.exit("bench/plots.py: there is no %s: make bench measures" % os.path.relpath(read_from))
    for one in write(results.read(read_from), write_to):
        print(os.path.relpath(one))
