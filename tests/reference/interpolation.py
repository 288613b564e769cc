"""Interpolation over the triangulated samples from its definition: every pixel asks every triangle.

Whole numbers of any length, so that "inside" and "tie" have no rounding.
"""

from fractions import Fraction

import numpy as np


def snapped(phi, size):
    """Places as whole numbers of 2**-shift pixels, and the shift."""
    shift = 30 - max(size).bit_length()
    sides = [max(length - 1 << shift, (1 << shift) - 1) for length in size]
    places = np.asarray(phi, np.float64) * np.array(sides, np.float64)
    return [[tuple(int(np.rint(x)) for x in place) for place in row] for row in places], shift


def twice_area(p, q, s):
    return (q[0] - p[0]) * (s[1] - p[1]) - (q[1] - p[1]) * (s[0] - p[0])


def sides_agree(first, second):
    return first * second > 0


def angle_cosine(p, at, q):
    return (p[0] - at[0]) * (q[0] - at[0]) + (p[1] - at[1]) * (q[1] - at[1])


def splits_along_bd(a, b, c, d):
    """The diagonal b-d: the only one inside, or Delaunay in a convex quad (ties go to a-c)."""
    inside_ac = sides_agree(twice_area(a, b, c), twice_area(a, c, d))
    inside_bd = sides_agree(twice_area(a, b, d), twice_area(b, c, d))
    if not (inside_ac and inside_bd):
        return inside_bd
    # b and d sum to more than 180 degrees: the sine of their sum is negative
    x = abs(twice_area(a, b, c)) * angle_cosine(a, d, c)
    y = abs(twice_area(a, c, d)) * angle_cosine(a, b, c)
    return x + y < -Fraction(1, 10**12) * (abs(x) + abs(y))


def triangles(h, w, places):
    """Corners (i, j) of all triangles in the order in which later ones win."""
    result = []
    for i in range(h - 1):
        for j in range(w - 1):
            a, b, c, d = (i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)
            if splits_along_bd(*(places[m][n] for m, n in (a, b, c, d))):
                result += [(a, b, d), (b, c, d)]
            else:
                result += [(a, b, c), (a, c, d)]
    return result


def slow_raster(phi, size):
    """Per pixel: number of the triangle that answers (-1: none), its corners and their weights."""
    h, w = np.asarray(phi).shape[:2]
    places, shift = snapped(phi, size)
    corners_of = triangles(h, w, places)
    numbers = np.full(size, -1)
    answers = {}
    for row in range(size[0]):
        for column in range(size[1]):
            pixel = (row << shift, column << shift)
            for number in reversed(range(len(corners_of))):
                p, q, s = (places[i][j] for i, j in corners_of[number])
                area = twice_area(p, q, s)
                if area == 0:
                    continue
                weights = [
                    Fraction(twice_area(*edge, pixel), area) for edge in ((q, s), (s, p), (p, q))
                ]
                if min(weights) >= 0:
                    numbers[row, column] = number
                    answers[row, column] = corners_of[number], [float(x) for x in weights]
                    break
    return numbers, answers


def slow_interpolate(scores, phi, size):
    """(N, C, h, w), (N, h, w, 2) -> (N, C, H, W), NaN where no triangle answers."""
    scores, phi = np.asarray(scores, np.float64), np.asarray(phi)
    out = np.full((*scores.shape[:2], *size), np.nan)
    for n in range(len(scores)):
        for (row, column), (corners, weights) in slow_raster(phi[n], size)[1].items():
            out[n, :, row, column] = sum(
                x * scores[n, :, i, j] for (i, j), x in zip(corners, weights, strict=True)
            )
    return out
