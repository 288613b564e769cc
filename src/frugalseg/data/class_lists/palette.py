"""Colours for classes and regions that have none."""

import colorsys

Colour = tuple[int, int, int]
# The colours of Okabe and Ito without black, which colour-blind readers can tell apart too.
_FIRST: tuple[Colour, ...] = (
    *((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167)),
    *((240, 228, 66), (86, 180, 233), (213, 94, 0)),
)


def distinct_colours(count: int) -> list[Colour]:
    """Colours that are easily told apart, black first, all different."""
    colours: list[Colour] = [(0, 0, 0)]
    step = 0
    while len(colours) < count:
        # successive hues, spaced by the golden ratio, stay far from each other
        hue = (step * 0.618034) % 1.0
        saturation = (0.85, 0.6, 0.4)[(step // 3) % 3]
        value = (0.95, 0.65, 0.8)[step % 3]
        red, green, blue = (round(255 * v) for v in colorsys.hsv_to_rgb(hue, saturation, value))
        if (red, green, blue) not in colours:
            colours.append((red, green, blue))
        step += 1
    return colours[:count]


def region_colours(count: int) -> list[Colour]:
    """Colours to lay over photographs, easily told apart, none black, all different."""
    colours = list(_FIRST[:count])
    # then, one by one, the colour that differs most from all before
    pool = distinct_colours(max(300, 2 * count) + 1)[1:]
    left = {c: min(_distance(c, first) for first in _FIRST) for c in pool}
    while len(colours) < count:
        furthest = max(left, key=lambda c: left[c])
        colours.append(furthest)
        del left[furthest]
        left = {c: min(near, _distance(c, furthest)) for c, near in left.items()}
    return colours


def _distance(one: Colour, other: Colour) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
