"""Parquet files as others write them, by hand: also what DuckDB would not write (columns of the type Null, decimals
of more than 38 digits). One row group, plain pages, no compression; any value may be None.

    write(path, {"id": ("bigint", [1, 2]), "seen": ("timestamp_ns", [0, None])})
"""

import struct

BOOLEAN, INT32, INT64, FLOAT, DOUBLE, BYTES, FIXED = 0, 1, 2, 4, 5, 6, 7


# ---- Thrift's compact protocol: a struct is a list of (field id, value) -----------------------------------------

class Binary(bytes):
    pass


class I32(int):
    pass


class I64(int):
    pass


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def zigzag(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def kind(value):
    if isinstance(value, bool):
        return 1 if value else 2
    if isinstance(value, I32):
        return 5
    if isinstance(value, I64):
        return 6
    if isinstance(value, Binary):
        return 8
    return 9 if isinstance(value, list) else 12


def encode(value):
    if isinstance(value, bool):
        return b""
    if isinstance(value, int):
        return zigzag(value)
    if isinstance(value, Binary):
        return varint(len(value)) + value
    if isinstance(value, list):
        of = kind(value[0]) if value else 12
        head = bytes([len(value) << 4 | of]) if len(value) < 15 else bytes([0xF0 | of]) + varint(len(value))
        return head + b"".join(encode(each) for each in value)
    out, before = b"", 0
    for number, each in sorted(value.items()):
        if each is None:
            continue
        out += bytes([number - before << 4 | kind(each)]) + encode(each)
        before = number
    return out + b"\0"


# ---- types --------------------------------------------------------------------------------------------------------

def timestamp(unit, utc=False):
    return {8: {1: utc, 2: {unit: {}}}}


def column_type(name):
    """Physical type, length, logical type, converted type, scale, precision; how a value is written."""
    if name.startswith("decimal("):
        precision, scale = (int(part) for part in name[8:-1].split(","))
        size = (precision * 3322 // 1000 + 8) // 8 + 1
        return (FIXED, size, {5: {1: I32(scale), 2: I32(precision)}}, 5, scale, precision,
                lambda v: v.to_bytes(size, "big", signed=True))
    return {
        "boolean": (BOOLEAN, None, None, None, None, None, None),
        "integer": (INT32, None, None, None, None, None, lambda v: struct.pack("<i", v)),
        "bigint": (INT64, None, None, None, None, None, lambda v: struct.pack("<q", v)),
        "float": (FLOAT, None, None, None, None, None, lambda v: struct.pack("<f", v)),
        "double": (DOUBLE, None, None, None, None, None, lambda v: struct.pack("<d", v)),
        "string": (BYTES, None, {1: {}}, 0, None, None, lambda v: text(v.encode())),
        "binary": (BYTES, None, None, None, None, None, text),
        "date": (INT32, None, {6: {}}, 6, None, None, lambda v: struct.pack("<i", v)),
        "timestamp_ms": (INT64, None, timestamp(1), None, None, None, lambda v: struct.pack("<q", v)),
        "timestamp_us": (INT64, None, timestamp(2), None, None, None, lambda v: struct.pack("<q", v)),
        "timestamp_ns": (INT64, None, timestamp(3), None, None, None, lambda v: struct.pack("<q", v)),
        "timestamp_ns_utc": (INT64, None, timestamp(3, True), None, None, None, lambda v: struct.pack("<q", v)),
        "null": (INT32, None, {11: {}}, None, None, None, lambda v: struct.pack("<i", v)),
    }[name]


def text(value):
    return struct.pack("<I", len(value)) + value


def page(of, values):
    """The bytes of a data page: definition levels, then the values that are there."""
    levels = b"".join(varint(1 << 1) + bytes([value is not None]) for value in values)
    there = [value for value in values if value is not None]
    if of[0] == BOOLEAN:
        bits = sum(value << i for i, value in enumerate(there))
        data = bits.to_bytes((len(there) + 7) // 8, "little")
    else:
        data = b"".join(of[6](value) for value in there)
    body = struct.pack("<I", len(levels)) + levels + data
    header = encode({1: I32(0), 2: I32(len(body)), 3: I32(len(body)),
                     5: {1: I32(len(values)), 2: I32(0), 3: I32(3), 4: I32(3)}})
    return header + body


def parquet(columns):
    out = b"PAR1"
    n_rows = max((len(values) for _, values in columns.values()), default=0)
    schema = [{4: Binary(b"schema"), 5: I32(len(columns))}]
    chunks = []
    for name, (type_name, values) in columns.items():
        of = column_type(type_name)
        schema.append({1: I32(of[0]), 2: None if of[1] is None else I32(of[1]), 3: I32(1), 4: Binary(name.encode()),
                       6: None if of[3] is None else I32(of[3]), 7: None if of[4] is None else I32(of[4]),
                       8: None if of[5] is None else I32(of[5]), 10: of[2]})
        data = page(of, values)
        chunks.append({2: I64(len(out)), 3: {1: I32(of[0]), 2: [I32(0), I32(3)], 3: [Binary(name.encode())], 4: I32(0),
                                             5: I64(len(values)), 6: I64(len(data)), 7: I64(len(data)),
                                             9: I64(len(out))}})
        out += data
    groups = [{1: chunks, 2: I64(len(out) - 4), 3: I64(n_rows)}] if n_rows > 0 else []
    footer = encode({1: I32(1), 2: schema, 3: I64(n_rows), 4: groups, 6: Binary(b"by hand")})
    return out + footer + struct.pack("<I", len(footer)) + b"PAR1"
