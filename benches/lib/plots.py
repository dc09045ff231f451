"""Plots in SVG, readable on white and on black: no background, greys in the middle."""

from __future__ import annotations

import math
from html import escape

COLOURS = {"ours": "#e0672f", "rust": "#4a8fd0", "other": "#a0709c", "limit": "#4f9d69"}
LINES = ["#e0672f", "#d9a022", "#4f9d69", "#a0709c", "#4a8fd0", "#2aa5a0", "#8a8a8a"]
GREY = "#808080"
WIDTH = 720


def svg(height: int, body: list[str], title: str) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{GREY}">'
    return "\n".join([head, f"<title>{escape(title)}</title>", *body, "</svg>", ""])


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def number(v: float) -> str:
    if v >= 1000:
        return f"{v:,.0f}"
    return f"{v:.3g}" if v < 100 else f"{v:.0f}"


def bars(title: str, rows: list[tuple[str, str, float]]) -> str:
    """Rows of name, kind and value; the shortest is the best. What is far beyond the others is cut, and says so."""
    left, step, top = 210, 22, 34
    values = sorted(value for *_, value in rows)
    longest = min(values[-1], 4 * values[len(values) // 2])
    body = [text(0, 16, title)]
    for i, (name, kind, value) in enumerate(rows):
        y = top + i * step
        width = max(1.0, min(value, longest) / longest * (WIDTH - left - 90))
        body += [
            text(left - 8, y + 13, name, "end"),
            f'<rect x="{left}" y="{y + 2}" width="{width:.1f}" height="{step - 7}" rx="2" fill="{COLOURS[kind]}"/>',
            text(left + width + 6, y + 13, number(value) + (" →" if value > longest else "")),
        ]
    return svg(top + len(rows) * step + 6, body, title)


def curves(title: str, across: str, lines: dict[str, list[tuple[float, float]]]) -> str:
    """A line per name, both axes logarithmic."""
    lines = {name: points for name, points in lines.items() if points}
    left, right, top, bottom = 56, WIDTH - 190, 34, 330
    xs = sorted({x for points in lines.values() for x, _ in points})
    ys = [y for points in lines.values() for _, y in points if y > 0]
    low, high = math.floor(math.log2(min(ys))), math.ceil(math.log2(max(ys)))
    high = max(high, low + 1)

    def x_at(x: float) -> float:
        span = math.log(xs[-1] / xs[0]) or 1
        return left + math.log(x / xs[0]) / span * (right - left)

    def y_at(y: float) -> float:
        return bottom - (math.log2(max(y, 2**low)) - low) / (high - low) * (bottom - top)

    body = [text(0, 16, title), text((left + right) / 2, bottom + 36, across, "middle")]
    for power in range(low, high + 1, max(1, (high - low) // 8)):
        y = y_at(2**power)
        body.append(f'<path d="M{left} {y:.1f}H{right}" stroke="{GREY}" stroke-opacity="0.3"/>')
        body.append(text(left - 6, y + 4, number(2.0**power), "end"))
    body += [text(x_at(x), bottom + 18, number(x), "middle") for x in xs]
    for i, (name, points) in enumerate(lines.items()):
        colour, points = LINES[i % len(LINES)], sorted(points)
        path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [f'<circle cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="3" fill="{colour}"/>' for x, y in points]
        body.append(f'<rect x="{right + 14}" y="{top + i * 20}" width="12" height="12" rx="2" fill="{colour}"/>')
        body.append(text(right + 32, top + 10 + i * 20, name))
    return svg(bottom + 46, body, title)
