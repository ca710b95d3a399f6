/* spark_hashes.c - Spark's hashes: hash() is Murmur3 (x86, 32 bits, seed 42) with a tail that
 * Spark alone has, xxhash64() is xxHash (64 bits, seed 42). Both take columns one after the other,
 * the hash so far as the seed of the next; nulls change nothing. crc32 and SHA-2 are what they are
 * everywhere (FIPS 180-4).
 */
#include <stdio.h>
#include <string.h>

#include "functions/spark_rows.h"

#define SEED 42

/* ---- Murmur3 --------------------------------------------------------------------------------- */

static uint32_t rotate32(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static uint32_t murmur_mix(uint32_t hash, uint32_t word)
{
    hash ^= rotate32(word * 0xcc9e2d51u, 15) * 0x1b873593u;
    return rotate32(hash, 13) * 5 + 0xe6546b64u;
}

static uint32_t murmur_end(uint32_t hash, uint32_t length)
{
    hash ^= length;
    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    return hash ^ hash >> 16;
}

static uint64_t murmur_int(uint32_t value, uint64_t seed)
{
    return murmur_end(murmur_mix((uint32_t)seed, value), 4);
}

static uint64_t murmur_long(uint64_t value, uint64_t seed)
{
    uint32_t hash = murmur_mix((uint32_t)seed, (uint32_t)value);
    return murmur_end(murmur_mix(hash, (uint32_t)(value >> 32)), 8);
}

/* Each byte behind the last whole word is a word of its own, with its sign. */
static uint64_t murmur_bytes(const void *bytes, size_t length, uint64_t seed)
{
    const signed char *at = bytes;
    uint32_t hash = (uint32_t)seed, word;
    size_t i = 0;
    for (; i + 4 <= length; i += 4) {
        memcpy(&word, at + i, 4);
        hash = murmur_mix(hash, word);
    }
    for (; i < length; i++)
        hash = murmur_mix(hash, (uint32_t)(int32_t)at[i]);
    return murmur_end(hash, (uint32_t)length);
}

/* ---- xxHash64 -------------------------------------------------------------------------------- */

#define XX_1 UINT64_C(0x9E3779B185EBCA87)
#define XX_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define XX_3 UINT64_C(0x165667B19E3779F9)
#define XX_4 UINT64_C(0x85EBCA77C2B2AE63)
#define XX_5 UINT64_C(0x27D4EB2F165667C5)

static uint64_t rotate64(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static uint64_t xx_end(uint64_t hash)
{
    hash = (hash ^ hash >> 33) * XX_2;
    hash = (hash ^ hash >> 29) * XX_3;
    return hash ^ hash >> 32;
}

static uint64_t xx_int(uint32_t value, uint64_t seed)
{
    uint64_t hash = (seed + XX_5 + 4) ^ (uint64_t)value * XX_1;
    return xx_end(rotate64(hash, 23) * XX_2 + XX_3);
}

static uint64_t xx_long(uint64_t value, uint64_t seed)
{
    uint64_t hash = (seed + XX_5 + 8) ^ rotate64(value * XX_2, 31) * XX_1;
    return xx_end(rotate64(hash, 27) * XX_1 + XX_4);
}

static uint64_t xx_word(const char *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

/* Blocks of 32 bytes in four lanes. */
static uint64_t xx_blocks(const char *at, size_t length, uint64_t seed)
{
    uint64_t lanes[4] = {seed + XX_1 + XX_2, seed + XX_2, seed, seed - XX_1};
    static const int turns[4] = {1, 7, 12, 18};
    uint64_t hash = 0;
    for (; length >= 32; length -= 32, at += 32)
        for (int i = 0; i < 4; i++)
            lanes[i] = rotate64(lanes[i] + xx_word(at + i * 8) * XX_2, 31) * XX_1;
    for (int i = 0; i < 4; i++)
        hash += rotate64(lanes[i], turns[i]);
    for (int i = 0; i < 4; i++)
        hash = (hash ^ rotate64(lanes[i] * XX_2, 31) * XX_1) * XX_1 + XX_4;
    return hash;
}

static uint64_t xx_bytes(const void *bytes, size_t length, uint64_t seed)
{
    const char *at = bytes, *end = at + length;
    uint64_t hash = length >= 32 ? xx_blocks(at, length, seed) : seed + XX_5;
    hash += length;
    for (at += length & ~(size_t)31; end - at >= 8; at += 8) {
        hash ^= rotate64(xx_word(at) * XX_2, 31) * XX_1;
        hash = rotate64(hash, 27) * XX_1 + XX_4;
    }
    if (end - at >= 4) {
        uint32_t word;
        memcpy(&word, at, 4);
        hash = rotate64(hash ^ (uint64_t)word * XX_1, 23) * XX_2 + XX_3;
        at += 4;
    }
    for (; at < end; at++)
        hash = rotate64(hash ^ (uint64_t)(unsigned char)*at * XX_5, 11) * XX_1;
    return xx_end(hash);
}

/* ---- cells ----------------------------------------------------------------------------------- */

typedef struct hasher {
    uint64_t (*of_int)(uint32_t value, uint64_t seed);
    uint64_t (*of_long)(uint64_t value, uint64_t seed);
    uint64_t (*of_bytes)(const void *bytes, size_t length, uint64_t seed);
} hasher;

/* Java's BigInteger.toByteArray: the fewest bytes, most significant first. */
static uint64_t hash_large(const hasher *hasher, int128 value, uint64_t seed)
{
    unsigned char bytes[16];
    size_t first = 0;
    for (int i = 15; i >= 0; i--, value >>= 8)
        bytes[i] = (unsigned char)value;
    while (first < 15 && ((bytes[first] == 0 && bytes[first + 1] < 128) ||
                          (bytes[first] == 255 && bytes[first + 1] >= 128)))
        first++;
    return hasher->of_bytes(bytes + first, 16 - first, seed);
}

static uint64_t hash_real(const hasher *hasher, const column *column, uint64_t row, uint64_t seed)
{
    if (column->type->kind == TYPE_FLOAT) {
        float value = ((const float *)column->data)[row];
        uint32_t bits = 0x7fc00000u;
        if (value == 0)
            value = 0;
        if (value == value)
            memcpy(&bits, &value, sizeof bits);
        return hasher->of_int(bits, seed);
    }
    double value = real_canonical(((const double *)column->data)[row]);
    uint64_t bits = UINT64_C(0x7ff8000000000000);
    if (value == value)
        memcpy(&bits, &value, sizeof bits);
    return hasher->of_long(bits, seed);
}

/* Recursion: at most TYPE_DEPTH_MAX deep. */
static uint64_t hash_cell(const hasher *hasher, const column *column, uint64_t row, uint64_t seed)
{
    if (!column_is_valid(column, row))
        return seed;
    const void *data = column->data;
    switch (column->type->kind) {
    case TYPE_BOOLEAN: return hasher->of_int(((const uint8_t *)data)[row] != 0, seed);
    case TYPE_INTEGER:
    case TYPE_DATE: return hasher->of_int(((const uint32_t *)data)[row], seed);
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: return hasher->of_long(((const uint64_t *)data)[row], seed);
    case TYPE_FLOAT:
    case TYPE_DOUBLE: return hash_real(hasher, column, row, seed);
    case TYPE_DECIMAL: {
        int128 value = ((const int128 *)data)[row];
        return column->type->width <= 18 ? hasher->of_long((uint64_t)value, seed)
                                         : hash_large(hasher, value, seed);
    }
    case TYPE_STRING:
    case TYPE_BINARY: {
        const cell_text *text = (const cell_text *)data + row;
        return hasher->of_bytes(text_bytes(text), text->length, seed);
    }
    case TYPE_ARRAY: {
        cell_span span = ((const cell_span *)data)[row];
        for (uint64_t i = 0; i < span.length; i++)
            seed = hash_cell(hasher, &column->children[0], span.offset + i, seed);
        return seed;
    }
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < column->type->n_fields; i++)
            seed = hash_cell(hasher, &column->children[i], row, seed);
        return seed;
    }
    return seed;
}

static uint64_t hash_row(const row_call *call, const hasher *hasher)
{
    uint64_t hash = SEED;
    for (uint32_t i = 0; i < call->in->schema.n_fields; i++)
        hash = hash_cell(hasher, &call->in->columns[i], call->row, hash);
    return hash;
}

static void call_hash(row_call *call)
{
    static const hasher murmur = {murmur_int, murmur_long, murmur_bytes};
    give_int(call, (int32_t)hash_row(call, &murmur));
}

static void call_xxhash(row_call *call)
{
    static const hasher xx = {xx_int, xx_long, xx_bytes};
    give_long(call, (int64_t)hash_row(call, &xx));
}

/* ---- CRC-32 ---------------------------------------------------------------------------------- */

static void call_crc32(row_call *call)
{
    const cell_text *text = text_at(call, 0);
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t i = 0; i < text->length; i++) {
        crc ^= (unsigned char)text_bytes(text)[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
    }
    give_long(call, ~crc);
}

/* ---- SHA-2 ----------------------------------------------------------------------------------- */

/* The first 32 bits of the fractions of the cube roots of the first 64 primes are the first halves
 * of the 64 bits that SHA-512 has of the first 80. */
static const uint64_t sha_rounds[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
    0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
    0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
    0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
    0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
    0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
    0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
    0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
    0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
    0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

typedef struct sha {
    uint64_t state[8];
    bool is_512;
    uint32_t given; /* bytes of the digest */
} sha;

static uint64_t sha_turn(const sha *sha, uint64_t x, int n)
{
    return sha->is_512 ? rotate64(x, 64 - n) : rotate32((uint32_t)x, 32 - n);
}

static void sha_block(sha *sha, const unsigned char *block)
{
    static const int turns[2][10] = {{7, 18, 3, 17, 19, 10, 6, 11, 25, 2},
                                     {1, 8, 7, 19, 61, 6, 14, 18, 41, 28}};
    const int *t = turns[sha->is_512];
    const int n_rounds = sha->is_512 ? 80 : 64, size = sha->is_512 ? 8 : 4;
    const uint64_t mask = sha->is_512 ? UINT64_MAX : UINT32_MAX;
    uint64_t w[80] = {0}, s[8];
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < size; k++)
            w[i] = w[i] << 8 | block[i * size + k];
    for (int i = 16; i < n_rounds; i++) {
        uint64_t a = w[i - 15], b = w[i - 2];
        a = sha_turn(sha, a, t[0]) ^ sha_turn(sha, a, t[1]) ^ a >> t[2];
        b = sha_turn(sha, b, t[3]) ^ sha_turn(sha, b, t[4]) ^ b >> t[5];
        w[i] = (w[i - 16] + a + w[i - 7] + b) & mask;
    }
    memcpy(s, sha->state, sizeof s);
    for (int i = 0; i < n_rounds; i++) {
        uint64_t e = s[4], a = s[0];
        uint64_t one = sha_turn(sha, e, t[6]) ^ sha_turn(sha, e, t[7]) ^ sha_turn(sha, e, t[8]);
        uint64_t round = sha->is_512 ? sha_rounds[i] : sha_rounds[i] >> 32;
        one += s[7] + ((e & s[5]) ^ (~e & s[6])) + round + w[i];
        uint64_t two = sha_turn(sha, a, t[9]) ^ sha_turn(sha, a, sha->is_512 ? 34 : 13) ^
                       sha_turn(sha, a, sha->is_512 ? 39 : 22);
        two += (a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]);
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] = (s[4] + one) & mask;
        s[0] = (one + two) & mask;
    }
    for (int i = 0; i < 8; i++)
        sha->state[i] = (sha->state[i] + s[i]) & mask;
}

static void sha_all(sha *sha, const char *bytes, size_t length)
{
    const size_t size = sha->is_512 ? 128 : 64, tail = sha->is_512 ? 16 : 8;
    unsigned char last[256] = {0};
    size_t at = 0;
    for (; length - at >= size; at += size)
        sha_block(sha, (const unsigned char *)bytes + at);
    size_t rest = length - at, blocks = rest + 1 + tail > size ? 2 : 1;
    memcpy(last, bytes + at, rest);
    last[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        last[blocks * size - 1 - (size_t)i] = (unsigned char)((uint64_t)length * 8 >> (8 * i));
    for (size_t i = 0; i < blocks; i++)
        sha_block(sha, last + i * size);
}

static const struct {
    int32_t bits;
    sha begins;
} sha_kinds[] = {
    {224,
     {{0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7,
       0xbefa4fa4},
      false,
      28}},
    {256,
     {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
       0x5be0cd19},
      false,
      32}},
    {384,
     {{0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
       0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4},
      true,
      48}},
    {512,
     {{0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
       0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179},
      true,
      64}},
};

static void call_sha2(row_call *call)
{
    static const char hex[] = "0123456789abcdef";
    const cell_text *text = text_at(call, 0);
    int32_t bits = int_at(call, 1) == 0 ? 256 : int_at(call, 1);
    for (size_t k = 0; k < sizeof sha_kinds / sizeof *sha_kinds; k++) {
        char made[128];
        if (sha_kinds[k].bits != bits)
            continue;
        sha sha = sha_kinds[k].begins;
        sha_all(&sha, text_bytes(text), text->length);
        const uint32_t size = sha.is_512 ? 8 : 4;
        for (uint32_t i = 0; i < sha.given; i++) {
            uint64_t byte = sha.state[i / size] >> (8 * (size - 1 - i % size)) & 255;
            made[i * 2] = hex[byte >> 4];
            made[i * 2 + 1] = hex[byte & 15];
        }
        give_text(call, made, sha.given * 2);
        return;
    }
    give_null(call);
}

const sql_function spark_hashes[] = {
    {SPARK_ROWS_NULLS("spark_hash", "integer", call_hash), .is_variadic = true,
     .arguments = {SQL_ANY}},
    {SPARK_ROWS_NULLS("spark_xxhash64", "bigint", call_xxhash), .is_variadic = true,
     .arguments = {SQL_ANY}},
    {SPARK_ROWS("spark_crc32", "bigint", call_crc32), .arguments = {"binary"}},
    /* the bytes, and how many bits: 0, 224, 256, 384, 512; null for others */
    {SPARK_ROWS("spark_sha2", "string", call_sha2), .arguments = {"binary", "integer"}},
    {.name = NULL},
};
