"""The file of `freshet state export`, for tests that change it: its lines, and the checksum at its end (src/base/hash.h)."""

import base64
import json

MASK = (1 << 64) - 1
HASH_A = 0x9e3779b97f4a7c15
HASH_B = 0xd6e8feb86659fd93


def fold(a, b):
    product = a * b
    return (product ^ product >> 64) & MASK


def hash_bytes(data, seed):
    result = seed ^ HASH_B ^ len(data)
    while len(data) > 8:
        result = fold(result ^ int.from_bytes(data[:8], "little"), HASH_A)
        data = data[8:]
    result = fold(result ^ int.from_bytes(data, "little"), HASH_B)
    return fold(result ^ HASH_A, HASH_B)


def read(path):
    """(head, entries): each entry is [space, name, key, value], the last two as bytes."""
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return lines[0], [[space, name, base64.b64decode(key), base64.b64decode(value)] for space, name, key, value in lines[1:-1]]


def write(path, head, entries):
    lines = [json.dumps(head)] + [json.dumps([space, name, base64.b64encode(key).decode(), base64.b64encode(value).decode()])
                                  for space, name, key, value in entries]
    sums = [HASH_A, HASH_B]
    for line in lines:
        sums = [hash_bytes((line + "\n").encode(), one) for one in sums]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.write(json.dumps({"entries": len(entries), "sum": f"{sums[0]:016x}{sums[1]:016x}"}) + "\n")
