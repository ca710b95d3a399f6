/* hash.h - one hash of bytes, for the table of keys, for sets of values and as a checksum.
 *
 * Words of eight bytes are multiplied into 128 bits and folded (the idea of wyhash, Wang Yi). It is
 * good and fast, and no protection against someone who wants collisions: a table that meets them
 * gets slow, not wrong. The values are part of the saved state's format: do not change them.
 */
#ifndef FRESHET_BASE_HASH_H
#define FRESHET_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/batch.h"

#define HASH_A UINT64_C(0x9e3779b97f4a7c15) /* odd, bits well mixed: 2^64 / the golden ratio */
#define HASH_B UINT64_C(0xd6e8feb86659fd93)

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    uint128 product = (uint128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_bytes(const void *bytes, size_t length, uint64_t seed)
{
    const unsigned char *at = bytes;
    uint64_t hash = seed ^ HASH_B ^ length;
    for (; length > 8; length -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = hash_fold(hash ^ word, HASH_A);
    }
    uint64_t last = 0;
    if (length > 0)
        memcpy(&last, at, length);
    hash = hash_fold(hash ^ last, HASH_B);
    return hash_fold(hash ^ HASH_A, HASH_B);
}

#endif
