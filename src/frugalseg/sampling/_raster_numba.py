"""Kernels for the triangulated grid of samples on the CPU; `_raster_cpu` calls them.

Nodes are integers, in fractions of a pixel (`interpolation.snap`), so that "inside" is exact: no
pixel lies between neighbouring triangles, and all devices agree. Each kernel computes a band of
rows (or nodes, or channels) of an image and releases Python's lock. All are in one file: Numba's
cache notices changes file by file.
"""

import numpy as np
from numba import njit

BD = 1  # the quad a b / d c is split along b-d, not a-c
CONVEX = 2  # the quad is convex
HUGE = 1e30
FAR = 1 << 62
TIE = 1e-12  # relative; below it two diagonals are equally good

_jit = njit(cache=True, nogil=True, error_model="numpy")


@_jit
def _cross(ar, ac, br, bc, cr, cc):
    """Twice the signed area of the triangle a b c."""
    return (br - ar) * (cc - ac) - (bc - ac) * (cr - ar)


@_jit
def split(nodes, splits, extent):
    """Choose the diagonal of each quad and store the rows that each line of quads touches."""
    for i in range(splits.shape[0]):
        extent[i, 0] = min(nodes[i, :, 0].min(), nodes[i + 1, :, 0].min())
        extent[i, 1] = max(nodes[i, :, 0].max(), nodes[i + 1, :, 0].max())
        for j in range(splits.shape[1]):
            ar, ac = nodes[i, j, 0], nodes[i, j, 1]
            br, bc = nodes[i, j + 1, 0], nodes[i, j + 1, 1]
            cr, cc = nodes[i + 1, j + 1, 0], nodes[i + 1, j + 1, 1]
            dr, dc = nodes[i + 1, j, 0], nodes[i + 1, j, 1]
            abc = _cross(ar, ac, br, bc, cr, cc)
            acd = _cross(ar, ac, cr, cc, dr, dc)
            abd = _cross(ar, ac, br, bc, dr, dc)
            bcd = _cross(br, bc, cr, cc, dr, dc)
            along_ac = (abc > 0 and acd > 0) or (abc < 0 and acd < 0)
            along_bd = (abd > 0 and bcd > 0) or (abd < 0 and bcd < 0)
            flags = 0
            if along_ac and along_bd:
                # sine of the sum of the angles at b and d, up to a positive factor
                dot_b = (ar - br) * (cr - br) + (ac - bc) * (cc - bc)
                dot_d = (ar - dr) * (cr - dr) + (ac - dc) * (cc - dc)
                x = np.float64(abs(abc)) * np.float64(dot_d)
                y = np.float64(abs(acd)) * np.float64(dot_b)
                flags = CONVEX | (BD if x + y < -TIE * (abs(x) + abs(y)) else 0)
            elif along_bd:
                flags = BD
            splits[i, j] = flags


@_jit
def _corners(i, j, second, split, w):
    """Nodes (row-major numbers) of the first or second triangle of quad (i, j)."""
    a = i * w + j
    b, c, d = a + 1, a + w + 1, a + w
    if split & BD:
        return (b, c, d) if second else (a, b, d)
    return (a, c, d) if second else (a, b, c)


@_jit
def _places(flat, p, q, s):
    """Rows and columns of three nodes."""
    return flat[p, 0], flat[p, 1], flat[q, 0], flat[q, 1], flat[s, 0], flat[s, 1]


@_jit
def _widen(pr, pc, qr, qc, shift, first, last, left, right):
    """Widen the spans of pixel columns of rows first..last by the edge p-q, exactly.

    A horizontal edge adds nothing: its ends belong to the other edges.
    """
    if pr > qr:
        pr, pc, qr, qc = qr, qc, pr, pc
    rise, run = qr - pr, qc - pc
    up = (1 << shift) - 1
    begin = max(first, (pr + up) >> shift)
    end = min(last, qr >> shift)
    if rise == 0 or begin > end:
        return
    if run == 0:
        low, high = (pc + up) >> shift, pc >> shift
        for r in range(begin - first, end - first + 1):
            left[r] = min(left[r], low)
            right[r] = max(right[r], high)
        return
    # whole steps and remainder, carried from row to row: one division for each edge, not each row
    start = ((begin << shift) - pr) * run
    column, rest = pc + start // rise, start % rise
    step, more = (run << shift) // rise, (run << shift) % rise
    for r in range(begin - first, end - first + 1):
        left[r] = min(left[r], (column + (1 if rest else 0) + up) >> shift)
        right[r] = max(right[r], column >> shift)
        column += step
        rest += more
        if rest >= rise:
            column += 1
            rest -= rise


@_jit
def _rows(lowest, highest, shift, first, last):
    """Pixel rows between two heights, within first..last (empty if begin > end)."""
    return max(first, (lowest + (1 << shift) - 1) >> shift), min(last, highest >> shift)


@_jit
def _triangle_spans(flat, p, q, s, shift, first, last, left, right):
    """Spans of a triangle's pixels by row; returns its rows and twice its signed area."""
    pr, pc, qr, qc, sr, sc = _places(flat, p, q, s)
    area = _cross(pr, pc, qr, qc, sr, sc)
    begin, end = _rows(min(pr, qr, sr), max(pr, qr, sr), shift, first, last)
    if area == 0 or begin > end:
        return begin, begin - 1, area
    for r in range(begin - first, end - first + 1):
        left[r], right[r] = FAR, -1
    _widen(pr, pc, qr, qc, shift, first, last, left, right)
    _widen(qr, qc, sr, sc, shift, first, last, left, right)
    _widen(sr, sc, pr, pc, shift, first, last, left, right)
    return begin, end, area


@_jit
def _quad_spans(flat, a, b, c, d, shift, first, last, left, right):
    """Spans of a convex quad's pixels by row; returns its rows."""
    ar, br, cr, dr = flat[a, 0], flat[b, 0], flat[c, 0], flat[d, 0]
    begin, end = _rows(min(ar, br, cr, dr), max(ar, br, cr, dr), shift, first, last)
    if begin > end:
        return begin, end
    for r in range(begin - first, end - first + 1):
        left[r], right[r] = FAR, -1
    _widen(ar, flat[a, 1], br, flat[b, 1], shift, first, last, left, right)
    _widen(br, flat[b, 1], cr, flat[c, 1], shift, first, last, left, right)
    _widen(cr, flat[c, 1], dr, flat[d, 1], shift, first, last, left, right)
    _widen(dr, flat[d, 1], ar, flat[a, 1], shift, first, last, left, right)
    return begin, end


@_jit
def _fill(out, begin, end, first, left, right, value):
    for r in range(begin, end + 1):
        for x in range(left[r - first], right[r - first] + 1):
            out[r, x] = value


@_jit
def paint_triangles(nodes, splits, extent, shift, first, last, out):
    """Number of the triangle at each pixel of rows first..last; later triangles paint over."""
    h, w = nodes.shape[0], nodes.shape[1]
    flat = nodes.reshape(h * w, 2)
    left, right = np.empty((2, last - first + 1), np.int64)
    for i in range(h - 1):
        begin, end = _rows(extent[i, 0], extent[i, 1], shift, first, last)
        if begin > end:
            continue
        for j in range(w - 1):
            for second in range(2):
                p, q, s = _corners(i, j, second, splits[i, j], w)
                begin, end, _ = _triangle_spans(flat, p, q, s, shift, first, last, left, right)
                _fill(out, begin, end, first, left, right, 2 * (i * (w - 1) + j) + second)


@_jit
def weigh(nodes, splits, shift, first, last, triangles, corners, weights):
    """Corners and barycentric weights of each pixel of rows first..last."""
    h, w = nodes.shape[0], nodes.shape[1]
    flat = nodes.reshape(h * w, 2)
    for r in range(first, last + 1):
        y = r << shift
        for column in range(triangles.shape[1]):
            x = column << shift
            number = triangles[r, column]
            i, j = divmod(number >> 1, w - 1)
            p, q, s = _corners(i, j, number & 1, splits[i, j], w)
            pr, pc, qr, qc, sr, sc = _places(flat, p, q, s)
            area = np.float64(_cross(pr, pc, qr, qc, sr, sc))
            corners[r, column, 0], corners[r, column, 1], corners[r, column, 2] = p, q, s
            weights[r, column, 0] = _cross(qr, qc, sr, sc, y, x) / area
            weights[r, column, 1] = _cross(sr, sc, pr, pc, y, x) / area
            weights[r, column, 2] = _cross(pr, pc, qr, qc, y, x) / area


@_jit
def winners(scores, first, last, rows, winners):
    """Copy scores (C, nodes) of nodes first..last-1 to rows (nodes, C); store each node's winner.

    Infinite scores become finite, so that a weight of zero does not make NaN of them.
    """
    for k in range(first, last):
        best, winner = -HUGE, 0
        for c in range(scores.shape[0]):
            score = min(max(scores[c, k], -HUGE), HUGE)
            rows[k, c] = score
            if score > best:
                best, winner = score, c
        winners[k] = winner


@_jit
def _wins(score, other, lower):
    """Whether a class beats another; of equal ones the lower wins."""
    return (score > other) | ((score == other) & lower)


@_jit
def _candidates(rows, p, q, s, winners, classes):
    """Classes that none of the corners' winners beats at all three corners, in ascending order.

    Exact, as scores are linear within the triangle.
    """
    i, j, k = winners[p], winners[q], winners[s]
    pi, pj, pk = rows[p, i], rows[p, j], rows[p, k]
    qi, qj, qk = rows[q, i], rows[q, j], rows[q, k]
    si, sj, sk = rows[s, i], rows[s, j], rows[s, k]
    count = 0
    for m in range(rows.shape[1]):
        x, y, z = rows[p, m], rows[q, m], rows[s, m]
        beaten = _wins(pi, x, i < m) & _wins(qi, y, i < m) & _wins(si, z, i < m)
        beaten |= _wins(pj, x, j < m) & _wins(qj, y, j < m) & _wins(sj, z, j < m)
        beaten |= _wins(pk, x, k < m) & _wins(qk, y, k < m) & _wins(sk, z, k < m)
        classes[count] = m
        count += 0 if beaten else 1
    return count


# One long function on purpose: cut into smaller ones, it took 1.2 to 1.5 times as long.
@_jit
def _compete(
    flat, rows, p, q, s, area, shift, begin, end, first, left, right, classes, count, line, few, out
):
    """Fill a triangle's spans with the best of the candidate classes, row by row.

    A row compares pixel by pixel only the classes that the winners of its two ends do not beat at
    both ends.
    """
    pr, pc, qr, qc, sr, sc = _places(flat, p, q, s)
    inverse = 1.0 / np.float64(area)
    unit = np.float64(1 << shift)
    # change of each corner's weight from one pixel to the next
    tp, tq, ts = (sr - qr) * inverse * unit, (pr - sr) * inverse * unit, (qr - pr) * inverse * unit
    slope, start, finish, kept = line[0], line[1], line[2], line[3]
    at_p, at_q, at_s = line[4], line[5], line[6]
    for n in range(count):
        at_p[n], at_q[n], at_s[n] = rows[p, classes[n]], rows[q, classes[n]], rows[s, classes[n]]
        slope[n] = tp * at_p[n] + tq * at_q[n] + ts * at_s[n]
    for r in range(begin, end + 1):
        x0, x1 = left[r - first], right[r - first]
        steps = x1 - x0
        if steps < 0:
            continue
        y, x = r << shift, x0 << shift
        wp = _cross(qr, qc, sr, sc, y, x) * inverse
        wq = _cross(sr, sc, pr, pc, y, x) * inverse
        ws = _cross(pr, pc, qr, qc, y, x) * inverse
        for n in range(count):
            start[n] = wp * at_p[n] + wq * at_q[n] + ws * at_s[n]
            finish[n] = start[n] + steps * slope[n]
        one, other = 0, 0  # winners of the first and the last pixel
        one_start, other_finish = start[0], finish[0]
        for n in range(1, count):
            one = n if start[n] > one_start else one
            one_start = max(start[n], one_start)
            other = n if finish[n] > other_finish else other
            other_finish = max(finish[n], other_finish)
        before, after = classes[one], classes[other]
        if one == other:
            for step in range(steps + 1):
                out[r, x0 + step] = before
            continue
        out[r, x0], out[r, x1] = before, after
        if steps == 1:
            continue
        one_finish, other_start = finish[one], start[other]
        number = 0
        for n in range(count):
            beaten = _wins(one_start, start[n], one < n) & _wins(one_finish, finish[n], one < n)
            behind = other < n
            beaten |= _wins(other_start, start[n], behind) & _wins(other_finish, finish[n], behind)
            kept[number] = n
            number += 0 if beaten else 1
        if number == 2:
            turn = (one_start - other_start) / (slope[other] - slope[one])
            turn = np.floor(turn) if one < other else np.ceil(turn) - 1
            last = max(0, min(int(turn), steps - 1))
            for step in range(1, last + 1):
                out[r, x0 + step] = before
            for step in range(last + 1, steps):
                out[r, x0 + step] = after
            continue
        for n in range(number):
            m = int(kept[n])
            few[n], start[n], finish[n] = classes[m], start[m], slope[m]
        for step in range(1, steps):
            best, winner = start[0] + step * finish[0], few[0]
            for n in range(1, number):
                score = start[n] + step * finish[n]
                winner = few[n] if score > best else winner
                best = max(best, score)
            out[r, x0 + step] = winner


@_jit
def _uniform_run(winners, flat, i, j, w):
    """End of the run of upright rectangles, from quad (i, j) on, whose corners share one winner.

    Most quads of a uniform grid are in long runs. Returns j if there is no run.
    """
    a = i * w + j
    top, bottom = flat[a, 0], flat[a + w, 0]
    if top >= bottom:
        return j
    end = j
    while end < w - 1:
        b = i * w + end + 1
        if winners[b] != winners[a] or winners[b + w] != winners[a] or winners[a + w] != winners[a]:
            break
        level = flat[b, 0] == top and flat[b + w, 0] == bottom and flat[b, 1] > flat[b - 1, 1]
        if not level or flat[b, 1] != flat[b + w, 1] or flat[b - 1, 1] != flat[b + w - 1, 1]:
            break
        end += 1
    return end


@_jit
def paint_classes(rows, winners, nodes, splits, extent, shift, first, last, out):
    """Best class at each pixel of rows first..last."""
    h, w = nodes.shape[0], nodes.shape[1]
    flat = nodes.reshape(h * w, 2)
    left, right = np.empty((2, last - first + 1), np.int64)
    classes = np.empty(rows.shape[1] + 1, np.int64)
    line = np.empty((7, rows.shape[1] + 1), np.float64)
    few = np.empty(rows.shape[1] + 1, np.int64)
    for i in range(h - 1):
        begin, end = _rows(extent[i, 0], extent[i, 1], shift, first, last)
        if begin > end:
            continue
        painted = 0
        for j in range(w - 1):
            if j < painted:
                continue
            a = i * w + j
            b, c, d = a + 1, a + w + 1, a + w
            if winners[a] == winners[b] == winners[c] == winners[d]:
                painted = _uniform_run(winners, flat, i, j, w)
                if painted > j:
                    c = d + painted - j
                    begin, end = _rows(flat[a, 0], flat[c, 0], shift, first, last)
                    for r in range(begin - first, end - first + 1):
                        left[r] = (flat[a, 1] + (1 << shift) - 1) >> shift
                        right[r] = flat[c, 1] >> shift
                    _fill(out, begin, end, first, left, right, winners[a])
                    continue
                if splits[i, j] & CONVEX:
                    begin, end = _quad_spans(flat, a, b, c, d, shift, first, last, left, right)
                    _fill(out, begin, end, first, left, right, winners[a])
                    continue
            for second in range(2):
                p, q, s = _corners(i, j, second, splits[i, j], w)
                begin, end, area = _triangle_spans(flat, p, q, s, shift, first, last, left, right)
                if begin > end:
                    continue
                if winners[p] == winners[q] == winners[s]:
                    _fill(out, begin, end, first, left, right, winners[p])
                    continue
                count = _candidates(rows, p, q, s, winners, classes)
                _compete(
                    flat, rows, p, q, s, area, shift, begin, end, first, left, right,
                    classes, count, line, few, out,
                )  # fmt: skip


@_jit
def gather(scores, corners, weights, first, last, out):
    """out (C, H, W) = weighted scores (C, nodes) of each pixel's corners, rows first..last."""
    for r in range(first, last + 1):
        for c in range(scores.shape[0]):
            for x in range(corners.shape[1]):
                out[c, r, x] = (
                    weights[r, x, 0] * scores[c, corners[r, x, 0]]
                    + weights[r, x, 1] * scores[c, corners[r, x, 1]]
                    + weights[r, x, 2] * scores[c, corners[r, x, 2]]
                )


@_jit
def scatter(grad, corners, weights, first, last, out):
    """The transpose of `gather`, added to out (C, nodes), channels first..last-1."""
    for r in range(corners.shape[0]):
        for c in range(first, last):
            for x in range(corners.shape[1]):
                g = grad[c, r, x]
                out[c, corners[r, x, 0]] += weights[r, x, 0] * g
                out[c, corners[r, x, 1]] += weights[r, x, 1] * g
                out[c, corners[r, x, 2]] += weights[r, x, 2] * g
