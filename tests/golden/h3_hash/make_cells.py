"""Makes src/functions/h3_cells_testing.h: places, and their cells at all resolutions by the library that Butterfree
uses, PyPI's h3==3.7.7:

    python3 -m pip install h3==3.7.7 && python3 tests/golden/h3_hash/make_cells.py >src/functions/h3_cells_testing.h

A place's 16 ids, with blanks between, are there as their CRC-32.
"""

import random
import zlib

from h3 import h3

PLACES = 1000
A_LINE = 2


def places(chance):
    yield from ((0, 0), (90, 0), (-90, 0), (0, 180), (0, -180), (89.999999, 12.3), (95, 200), (-95, -200), (45, 540))
    for index in sorted(h3.get_pentagon_indexes(15))[:24]:
        yield h3.h3_to_geo(index)
    for index in sorted(h3.get_res0_indexes())[:60]:
        yield from h3.h3_to_geo_boundary(index)[:2]  # where three cells meet
    while True:
        yield chance.uniform(-90, 90), chance.uniform(-180, 180)


def main():
    rows = []
    for lat, lng in places(random.Random(11)):
        lat, lng = round(lat * 1e6), round(lng * 1e6)
        ids = " ".join(h3.geo_to_h3(lat / 1e6, lng / 1e6, resolution) for resolution in range(16))
        rows.append("{%d, %d, 0x%x}," % (lat, lng, zlib.crc32(ids.encode())))
        if len(rows) == PLACES:
            break
    print("""/* h3_cells_testing.h - places and their H3 cells, made with the library of Butterfree
 * by tests/golden/h3_hash/make_cells.py. */
#ifndef FRESHET_FUNCTIONS_H3_CELLS_TESTING_H
#define FRESHET_FUNCTIONS_H3_CELLS_TESTING_H

#include <stdint.h>

/* Millionths of degrees, and the CRC-32 of the ids at resolutions 0 to 15 with blanks between. */
static const struct {
    int32_t lat, lng;
    uint32_t ids;
} h3_cells[] = {
    /* clang-format off */""")
    for first in range(0, len(rows), A_LINE):
        print("    " + " ".join(rows[first:first + A_LINE]))
    print("""    /* clang-format on */
};

#endif""")


main()
