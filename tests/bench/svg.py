"""Draw curves of growth as an SVG that needs nothing but a browser. Pure."""

from collections.abc import Sequence
from html import escape
from math import log10

from tests.bench.growth import BAND, Curve

WIDTH, HEIGHT = 300, 210
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 34, 40
HEADER = 30
MOST_SHARE = 2.0
TICKS = (0.0, 0.5, 1.0, 1.5, 2.0)
STYLE = """
text { font: 11px sans-serif; fill: #333 } .title { font-weight: bold } .small { font-size: 10px; fill: #666 }
.axis { stroke: #888; fill: none } .grid { stroke: #ddd } .band { fill: #dff0d8 } .one { stroke: #7a9a6a }
.curve { stroke: #1f5fa8; stroke-width: 2; fill: none } .flat { fill: #1f5fa8 } .off { fill: #c0392b }
"""


def draw(curves: Sequence[Curve], *, caption: str) -> str:
    """Return an SVG with a panel for each curve: sizes on a logarithmic axis, cost by that of the smallest size."""
    panels = [panel(curve, left=n * WIDTH) for n, curve in enumerate(curves)]
    width, height = WIDTH * len(curves), HEADER + HEIGHT
    background = f'<rect width="{width}" height="{height}" fill="#fff"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    title = f'<text x="12" y="20">{escape(caption)}</text>'
    return "\n".join([head, f"<style>{STYLE}</style>", background, title, *panels, "</svg>\n"])


def panel(curve: Curve, *, left: int) -> str:
    """Return one curve with its axes; a cost beyond the axis is drawn at its end."""
    places = [(x_of(size, curve), y_of(share), size, share) for size, share in curve.relative]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in places)
    costs = f"{curve.points[0].median_us:,.0f} µs at {curve.points[0].size:,}"
    parts = [
        f'<g transform="translate({left},{HEADER})">',
        text(LEFT, 14, f"CPU of a proof by {curve.of}", kind="title"),
        text(LEFT, 27, f"1 = {costs}; the band is ± {BAND:.0%}", kind="small"),
        axes(),
        f'<polyline class="curve" points="{line}"/>',
    ]
    for x, y, size, share in places:
        colour = "flat" if abs(share - 1) <= BAND else "off"
        parts.append(f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        parts.append(text(x, y - 8, f"{share:.2f}", anchor="middle"))
        parts.append(text(x, HEIGHT - BOTTOM + 14, short(size), anchor="middle"))
    parts += [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, curve.of, anchor="middle", kind="small"), "</g>"]
    return "\n".join(parts)


def axes() -> str:
    """Return the band, the grid and the scale of relative costs."""
    right, low, high = WIDTH - RIGHT, y_of(1 - BAND), y_of(1 + BAND)
    parts = [f'<rect class="band" x="{LEFT}" y="{high:.1f}" width="{right - LEFT}" height="{low - high:.1f}"/>']
    for tick in TICKS:
        kind, y = "one" if tick == 1 else "grid", y_of(tick)
        parts.append(f'<line class="{kind}" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(text(LEFT - 6, y + 4, f"{tick:g}", anchor="end"))
    parts.append(f'<path class="axis" d="M{LEFT},{TOP} V{HEIGHT - BOTTOM} H{right}"/>')
    return "\n".join(parts)


def text(x: float, y: float, said: str, *, anchor: str = "start", kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'


def x_of(size: int, curve: Curve) -> float:
    """Return where a size lies; the first and the last leave room for their labels."""
    low, high = (log10(curve.points[n].size) for n in (0, -1))
    share = (log10(size) - low) / (high - low) if high > low else 0.5
    return LEFT + 18 + share * (WIDTH - LEFT - RIGHT - 36)


def y_of(share: float) -> float:
    return HEIGHT - BOTTOM - min(share, MOST_SHARE) / MOST_SHARE * (HEIGHT - TOP - BOTTOM)


def short(size: int) -> str:
    """Return a size in at most four characters: 950, 1.9k, 20k, 1M."""
    for unit, factor in (("M", 1_000_000), ("k", 1_000)):
        # What would be rounded up to the next unit belongs there.
        if size >= factor * 0.9995:
            value = size / factor
            return f"{value:.1f}".removesuffix(".0") + unit if value < 9.95 else f"{value:.0f}{unit}"
    return str(size)
