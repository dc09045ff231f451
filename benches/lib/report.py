"""The report of a run: tables, ratios, targets."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

import costs
import plots
from measure import QUIET
from plots import number
from scenarios import CURVES, ECHO, SCENARIOS, TLS, Scenario
from servers import SERVERS

#: Differences under this count as equal.
EQUAL = 0.05
KINDS = {s.name: s.kind for s in SERVERS}
OURS, INLINE = "actix-sockets", "actix-sockets-inline"

Results = dict[str, list[dict]]


@dataclass
class Figures:
    """The medians of one server's measurements in one scenario."""

    rate: float | None
    cpu: float | None
    p50: float | None
    p99: float | None
    #: KiB of a connection at rest.
    memory: float | None
    spread: float | None
    server_busy: float | None
    #: Bytes of an answer as it travels.
    bytes: float | None


def figures(rows: list[dict]) -> Figures:
    # A measurement taken beside busy processes counts only where there is no quieter one.
    good = [r for r in rows if "failed" not in r]
    good = [r for r in good if r.get("others", 0) <= QUIET] or good

    def median(key: str) -> float | None:
        values = [r[key] for r in good if key in r]
        return statistics.median(values) if values else None

    rates = [r["msgs_per_s"] for r in good if "msgs_per_s" in r]
    rate, memory = median("msgs_per_s"), median("bytes_per_conn")
    return Figures(
        rate=rate,
        cpu=median("server_us_per_msg"),
        p50=median("p50_us"),
        p99=median("p99_us"),
        memory=None if memory is None else max(memory, 0) / 1024,
        spread=(max(rates) - min(rates)) / rate if rate else None,
        server_busy=median("server_cpu"),
        bytes=median("bytes_per_msg"),
    )


def all_figures(results: Results) -> dict[str, Figures]:
    return {server: figures(rows) for server, rows in results.items()}


def best_rust(of: dict[str, Figures], key: str) -> float | None:
    """The best of the other Rust libraries: the most messages, or the least of anything else."""
    values = [v for s, f in of.items() if KINDS.get(s) == "rust" and (v := getattr(f, key)) is not None]
    return (max if key == "rate" else min)(values, default=None)


def ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


def shown(value: float | None) -> str:
    return "–" if value is None else number(value)


def shown_ratio(value: float | None) -> str:
    """With `=` where the difference does not count."""
    if value is None:
        return "–"
    return f"= {value:.2f}" if abs(value - 1) < EQUAL else f"{value:.2f}"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))) + " |"

    rule = "|" + "|".join("-" * (w + 1) + ("-" if i == 0 else ":") for i, w in enumerate(widths)) + "|"
    return [line(heads), rule, *map(line, rows)]


def scenario_table(scenario: Scenario, results: Results, baseline: str) -> list[str]:
    of = all_figures(results)
    base = of.get(baseline)
    if scenario.idle:
        best = best_rust(of, "memory")
        rows = [
            [name, shown(f.memory), shown_ratio(ratio(f.memory, best))]
            for name, f in sorted(of.items(), key=lambda item: (item[1].memory is None, item[1].memory))
        ]
        return table(["server", "KiB each", "to best Rust peer"], rows)
    best_rate, best_cpu = best_rust(of, "rate"), best_rust(of, "cpu")
    one = scenario.unit.removesuffix("s")

    def row(name: str, f: Figures) -> dict[str, str]:
        cells = {"server": name, f"{scenario.unit}/s": shown(f.rate)}
        if base:
            cells[f"to {baseline}"] = shown_ratio(ratio(f.rate, base.rate))
        if best_rate:
            cells["to best Rust peer"] = shown_ratio(ratio(f.rate, best_rate))
        cells |= {"spread": percent(f.spread), f"CPU µs/{one}": shown(f.cpu)}
        if base:
            cells[f"CPU to {baseline}"] = shown_ratio(ratio(f.cpu, base.cpu))
        if best_cpu:
            cells["CPU to best Rust peer"] = shown_ratio(ratio(f.cpu, best_cpu))
        cells |= {"p50 µs": shown(f.p50), "p99 µs": shown(f.p99), "server busy": percent(f.server_busy)}
        if scenario.role == "deflate":
            cells["bytes each"] = shown(f.bytes)
        return cells

    rows = [row(name, f) for name, f in sorted(of.items(), key=lambda item: -(item[1].rate or 0))]
    return table(list(rows[0]), [list(cells.values()) for cells in rows]) if rows else ["No server takes part."]


def remarks(results: Results) -> list[str]:
    lines = []
    for server, rows in results.items():
        failed = [r["failed"] for r in rows if "failed" in r]
        if failed:
            lines.append(f"- {server}: {len(failed)} of {len(rows)} measurements failed: {failed[0]}")
        elif any(r.get("unclean") for r in rows):
            lines.append(f"- {server}: does not end the connection itself within 1 s of the closing handshake.")
    loud = [r["others"] for rows in results.values() for r in rows if r.get("others", 0) > QUIET]
    if loud:
        lines.append(f"- {len(loud)} measurements shared the processors with others (up to {max(loud):.2f} of one).")
    return lines and ["", *lines]


@dataclass
class Target:
    what: str
    wanted: str
    got: str
    met: bool


def targets(everything: dict[str, Results]) -> list[Target]:
    """What the library is held to, as far as it was measured."""
    of = {name: all_figures(results) for name, results in everything.items()}
    found: list[Target] = []

    def hold(what: str, value: float | None, limit: float, least: bool = False) -> None:
        if value is not None:
            met = value >= limit if least else value <= limit
            found.append(Target(what, f"{'≥' if least else '≤'} {limit:.2f}", f"{value:.2f}", met))

    def value(scenario: str, server: str, key: str) -> float | None:
        f = of.get(scenario, {}).get(server)
        return f and getattr(f, key)

    for s in (*ECHO, *TLS, "deflate"):
        if s in of:
            hold(f"{s}: messages/s to the best Rust peer's", ratio(value(s, OURS, "rate"), best_rust(of[s], "rate")), 1 - EQUAL, least=True)
            hold(f"{s}: CPU/message to the best Rust peer's", ratio(value(s, OURS, "cpu"), best_rust(of[s], "cpu")), 1 + EQUAL)
    for s in (*ECHO, *TLS, "deflate"):
        hold(f"{s}, inline: CPU/message to uWebSockets'", ratio(value(s, INLINE, "cpu"), value(s, "uwebsockets", "cpu")), 1 + EQUAL)
        hold(f"{s}, inline: CPU/message to the limit's", ratio(value(s, INLINE, "cpu"), value(s, "limit", "cpu")), 1.25)
    for s in ("handshakes", "http-1", "http-16"):
        if s in of:
            hold(f"{s}: rate to the best Rust peer's", ratio(value(s, OURS, "rate"), best_rust(of[s], "rate")), 1 - EQUAL, least=True)
    for n in (1000, 5000, 15000):
        s = f"idle-{n}"
        if s in of:
            hold(f"{n} idle connections: KiB each", value(s, OURS, "memory"), 4)
            hold(f"{n} idle connections: to the best Rust peer's", ratio(value(s, OURS, "memory"), best_rust(of[s], "memory")), 1)
    hold("15000 idle connections to 1000: KiB each", ratio(value("idle-15000", OURS, "memory"), value("idle-1000", OURS, "memory")), 1 + EQUAL)
    two = ratio(value("workers-1", OURS, "cpu"), value("workers-2", OURS, "cpu"))
    hold("two workers' throughput to one's, by CPU/message", two and 2 * two, 1.8, least=True)
    return found


def render(run: dict, baseline: str, folder: Path) -> str:
    """The report; its plots are written to the folder."""
    everything: dict[str, Results] = run["scenarios"]
    machine = run["machine"]
    out = [
        "# Benchmarks",
        "",
        "Made by `benches/run`; `benches/README.md` tells what each scenario is and how it is measured. The raw figures are in",
        "[`benchmarks.json`](benchmarks.json). **Only ratios within one table mean something.** `=` marks differences under 5 %, which do not.",
        "",
        f"- {machine['processor']}, Linux {machine['kernel']}, {machine['rustc']}; commit {machine['commit']}",
        f"- {machine['settings']}",
        f"- Descriptors a process may have: {machine['descriptors']}",
        "- `actix-sockets`: the example `echo`, a handler actor made for each connection; `actix-sockets-inline`: the echo in a fused stage.",
        "- `limit` is no library: an epoll loop that makes none of the checks. `-batch`: the program echoes all that is readable and flushes once.",
        "- TLS: rustls with ring; `-openssl` and `actix-*`: OpenSSL, as ours.",
    ]
    out += [f"- **Not built: {what}**: {why}" for what, why in run.get("unbuilt", {}).items()]
    if (folder / "benchmarks-notes.md").exists():
        out.append("- What is behind the figures: [`benchmarks-notes.md`](benchmarks-notes.md)")
    if held := targets(everything):
        missed = sum(not t.met for t in held)
        out += ["", f"## Targets: {len(held) - missed} met, {missed} not", ""]
        out += table(["target", "wanted", "measured", ""], [[t.what, t.wanted, t.got, "met" if t.met else "**missed**"] for t in held])
    for scenario in SCENARIOS:
        results = everything.get(scenario.name)
        if not results or scenario.curve:
            continue
        out += ["", f"## {scenario.name}", "", f"{scenario.title}.", ""]
        rows = [(s, KINDS.get(s, "other"), f.cpu) for s, f in all_figures(results).items() if f.cpu is not None]
        if len(rows) > 2:
            picture = f"benchmarks-{scenario.name}.svg"
            title = f"{scenario.name}: server CPU, µs per {scenario.unit.removesuffix('s')} (less is better)"
            (folder / picture).write_text(plots.bars(title, sorted(rows, key=lambda row: row[2])))
            out += [f"![{title}]({picture})", ""]
        out += scenario_table(scenario, results, baseline) + remarks(results)
    for curve, about in CURVES.items():
        out += render_curve(curve, about, everything, folder)
    if found := run.get("costs"):
        out += ["", "## costs", "", "What a stage, or a hop between actors, adds to a 64-byte message's way from the wire to the echo and back, 64 at a time; client"]
        out += ["and server on one thread. The last column has the two ways of the program `costs` whose difference it is.", "", *costs_table(found)]
    return "\n".join(out) + "\n"


def costs_table(found: dict[str, dict]) -> list[str]:
    return table(["between wire and echo", "ns", "instructions", "from"], costs.rows(found))


def render_curve(curve: str, about: str, everything: dict[str, Results], folder: Path) -> list[str]:
    points = [s for s in SCENARIOS if s.curve == curve and s.name in everything]
    if not points:
        return []
    key = "memory" if curve == "idle" else "cpu"
    of = {s.at: all_figures(everything[s.name]) for s in points}
    names = list(dict.fromkeys(name for figures_at in of.values() for name in figures_at))

    def at(n: int, name: str) -> float | None:
        f = of[n].get(name)
        return f and getattr(f, key)

    unit = "KiB each" if curve == "idle" else "CPU, µs per message"
    lines = {name: [(n, v) for n in of if (v := at(n, name)) is not None] for name in names}
    picture = f"benchmarks-{curve}.svg"
    (folder / picture).write_text(plots.curves(f"{unit} (less is better)", "connections" if curve != "in-flight" else "in flight", lines))
    names.sort(key=lambda name: lines[name][-1][1] if lines[name] else float("inf"))
    out = ["", f"## {curve}", "", f"{about}.", "", f"![{about}]({picture})", ""]
    out += table([f"{unit}, at", *(f"{n:,}" for n in of)], [[name, *(shown(at(n, name)) for n in of)] for name in names])
    for s in points:
        out += remarks(everything[s.name])[1:]
    return out
