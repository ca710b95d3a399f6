/* cql_values.h - cells as bytes of CQL's native protocol, and back.
 *
 *   boolean            boolean               1 byte, 00 or 01
 *   integer, bigint    int, bigint           4, 8 bytes, two's complement
 *   float, double      float, double         IEEE 754; NaN and infinities as they are
 *   decimal(w,s)       decimal               int scale, then the digits, shortest two's complement
 *   string, binary     text, blob            the bytes; an empty one has length 0, and is no null
 *   date               date                  unsigned days, 1970-01-01 at 2^31
 *   timestamp          timestamp             int64 of milliseconds, cut off towards the past
 *   array<T>           frozen<list<T>>       int n, then each element as int length and bytes
 *
 * All numbers are big-endian. A value is put with its length before it (int32, -1 for null), as the
 * protocol has it. A list of CQL holds no nulls: an array with a null inside cannot be put, and its
 * row is refused rather than changed.
 */
#ifndef FRESHET_WRITERS_CASSANDRA_CQL_VALUES_H
#define FRESHET_WRITERS_CASSANDRA_CQL_VALUES_H

#include "base/batch.h"
#include "base/text.h"
#include "writers/cassandra/cql.h"

/* The type as system_schema shows it: "frozen<list<text>>", in the arena. *out is NULL for a type
 * that has none (struct, and arrays of it). */
freshet_code cql_type_name(arena *arena, const type *type, const char **out, freshet_error *err);

/* Appends the length and the bytes. False: the array holds a null, and what was appended is of no
 * use. Want of memory, or the buffer's limit, shows in into->failed. */
bool cql_value_put(text_buffer *into, const column *column, uint64_t row);

/* The value at *at, which moves behind it; false where [*at, end) holds no whole one. */
bool cql_value_next(const unsigned char **at, const unsigned char *end, cql_value *out);

/* Decodes into a row that the column has room for; texts are copied into the arena. FRESHET_FAILED
 * where the bytes are no value of the column's type. */
freshet_code cql_value_get(arena *arena, const cql_value *value, column *into, uint64_t row,
                           freshet_error *err);

/* Numbers of the statement's own: write timestamps, TTLs. */
void cql_put_bigint(unsigned char into[8], int64_t value);
void cql_put_int(unsigned char into[4], int32_t value);
int32_t cql_get_int(const unsigned char from[4]);
int64_t cql_get_bigint(const unsigned char from[8]);

#endif
