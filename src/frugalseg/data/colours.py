"""Colours for classes that have none."""

import colorsys

Colour = tuple[int, int, int]


def distinct_colours(count: int) -> list[Colour]:
    """Colours that are easily told apart, black first, all different."""
    colours: list[Colour] = [(0, 0, 0)]
    step = 0
    while len(colours) < count:
        # hues by the golden ratio never come back close to each other soon
        hue = (step * 0.618034) % 1.0
        saturation = (0.85, 0.6, 0.4)[(step // 3) % 3]
        value = (0.95, 0.65, 0.8)[step % 3]
        red, green, blue = (round(255 * v) for v in colorsys.hsv_to_rgb(hue, saturation, value))
        if (red, green, blue) not in colours:
            colours.append((red, green, blue))
        step += 1
    return colours[:count]
