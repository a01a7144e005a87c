from xml.etree import ElementTree as ET

import pytest

from tests.bench.growth import Curve, Point
from tests.bench.svg import draw, short

SVG = "{http://www.w3.org/2000/svg}"


def a_curve(*costs):
    sizes = [1, 30, 1_000_000]
    return Curve(of="schools & more", points=[Point(size=s, cost_us=c) for s, c in zip(sizes, costs, strict=False)])


def parsed(drawing):
    return ET.fromstring(drawing)  # noqa: S314 -- our own


@pytest.mark.parametrize(("cost", "is_flat"), [(120.0, True), (121.0, False), (80.0, True), (79.0, False)], ids=str)
def test_a_curve_is_flat_within_a_fifth_of_its_smallest_size(cost, is_flat):
    assert a_curve([100.0], [cost]).is_flat is is_flat


def test_a_point_costs_the_middle_of_what_was_measured():
    assert a_curve([90.0, 100.0, 900.0], [50.0]).relative == [(1, 1.0), (30, 0.5)]


def test_a_drawing_has_a_panel_with_all_points_for_each_curve():
    root = parsed(draw([a_curve([100.0], [119.0], [150.0]), a_curve([1.0])], caption="2 < 3"))

    panels = root.findall(f"{SVG}g")
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert [len(panel.findall(f"{SVG}circle")) for panel in panels] == [3, 1]
    assert {"2 < 3", "CPU of a proof by schools & more", "1.19", "1M"} <= set(texts)


def test_what_leaves_the_band_is_drawn_in_another_colour_and_never_outside():
    root = parsed(draw([a_curve([100.0], [121.0], [9_000.0])], caption=""))

    circles = list(root.iter(f"{SVG}circle"))
    assert [circle.get("class") for circle in circles] == ["flat", "off", "off"]
    assert all(float(circle.get("cy")) >= 0 for circle in circles)


@pytest.mark.parametrize(
    ("size", "said"), [(1, "1"), (950, "950"), (1_940, "1.9k"), (20_400, "20k"), (999_990, "1M"), (3_000, "3k")]
)
def test_sizes_are_short_enough_to_stand_below_the_axis(size, said):
    assert short(size) == said
