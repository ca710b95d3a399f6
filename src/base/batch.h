/* batch.h - rows on their way: columns, where each row came from, and the rows that were refused.
 *
 * A batch is what one stage of a step hands to the next. All of it lives in the micro-batch arena
 * and is gone at the next step. A column is an array of cells of the type's C form (type.h) and a
 * bitmap of validity; the layouts of text, lists and bitmaps are those of DuckDB's vectors, so
 * that the SQL engine takes and gives whole columns by memcpy:
 *
 *   valid     one bit a row, 1 = not null; NULL = every row is valid
 *   text      16 bytes: length, then 12 bytes inline (zero-padded) or 4 bytes of prefix + pointer
 *   span      offset and length of the elements in children[0] (arrays)
 *   struct    no data; children[i] is field i, with as many rows as the struct
 *
 * Two rules hold everywhere: the cell of a null is zero bytes (so that no garbage pointer is ever
 * followed), and the children of a null struct are null.
 *
 * A batch made by a reader has `origins`: for each row its place and raw record. A batch made by
 * the source or the feature set has `rows` instead: for each row, which reader's row it was made
 * from (ROW_OF), or is NULL where a row has no single origin (a batch query that aggregates).
 */
#ifndef FRESHET_BASE_BATCH_H
#define FRESHET_BASE_BATCH_H

#include <freshet/freshet.h>

#include <math.h>

#include "base/arena.h"
#include "base/reason.h"
#include "base/type.h"

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

#define TEXT_INLINE_MAX 12u

/* 16 bytes with the pointer at the eighth, as DuckDB has it: hence packed. */
typedef struct cell_text {
    uint32_t length;
    union {
        char inlined[12];
        struct __attribute__((packed, aligned(4))) {
            char prefix[4];
            const char *pointer;
        } outside;
    } as;
} __attribute__((aligned(8))) cell_text;

/* Every NaN in one form, and -0.0 in that of 0.0: equal values as equal bytes. */
static inline double real_canonical(double value)
{
    return value != value ? (double)NAN : value == 0 ? 0.0 : value;
}

/* The same for a cell of any type; only those of floats and doubles change. */
void cell_make_canonical(const type *type, void *cell);

typedef struct cell_span {
    uint64_t offset;
    uint64_t length;
} cell_span;

typedef struct column column;
struct column {
    const type *type;
    uint64_t *valid;
    void *data;
    column *children;    /* array: 1, the elements; struct: one a field */
    uint64_t n_elements; /* array: rows used in children[0] */
    uint64_t capacity;   /* rows that data and valid have room for */
    bool is_raw;         /* cells that were not written are not zero: no time is lost on them */
};

/* Where a reader's row came from. `partition` indexes the reader's partitions (reader.h), `offset`
 * is the place in it: the first byte of the record in a file, the row of a Parquet file, the offset
 * of a Kafka message. `raw` is the record as read (no NUL behind it), valid for the step; NULL
 * where the record has no text of its own (Parquet, tables). `lane` is the watermark's
 * partition. */
typedef struct origin {
    const char *raw;
    uint32_t raw_length;
    uint32_t partition;
    int64_t offset;
    uint32_t lane;
    uint32_t length; /* bytes or rows that this record takes: the next one is at offset + length */
} origin;

/* Which of the rows that stacks (features) make of one row, from 1; copies 0: all of them. */
typedef struct row_copy {
    uint32_t copy, copies;
} row_copy;

/* A row that was refused: what the dead letters get. All texts live in the step's arena. */
typedef struct reject {
    const char *reader;    /* id, or NULL for a row of a batch query that has no single reader */
    const char *partition; /* file or topic/partition; NULL where reader is NULL */
    int64_t offset;        /* -1 where reader is NULL */
    const char *reason;    /* one sentence, which quotes the value as it stood in the input */
    const char *raw;
    size_t raw_length;
    reason_code code; /* set by rejects_add */
    /* of several rows that the query has made of one record: which, from 1; 0: it has made one */
    uint32_t part, parts;
    row_copy stacked; /* copies 0: it was refused before any stack, or there is none */
    /* of a message, where the reader's rows have more of it than its value */
    bool has_message;
    const char *key; /* NULL: none */
    size_t key_length;
    int64_t message_us; /* its time; INT64_MIN: none */
    int message_kind;   /* of that time, as Kafka has it */
} reject;

typedef struct rejects {
    arena *arena;
    reject *items;
    uint32_t n;
    uint32_t capacity;
} rejects;

typedef struct batch {
    arena *arena;
    schema schema;
    column *columns; /* schema.n_fields of them */
    uint32_t n_rows;
    origin *origins; /* reader batches: n_rows of them */
    /* feature rows of a windowed or aggregated set: which of two rows of a key is the newer one;
     * NULL: the event time is, and of equal ones the later arrival */
    int64_t *write_us;
    uint8_t *row_kinds; /* feature rows: ROW_... bits; NULL: ROW_NEW | ROW_ONLINE for each */
    uint64_t *rows;     /* other batches: ROW_OF values, ascending; or NULL */
    uint32_t *lanes;  /* source batches: the watermark's partition of each row; NULL: all of one */
    row_copy *wanted; /* source batches of a replay: the only one that is made; or NULL */
    /* source batches of a join: behind these rows none comes before that second */
    bool has_watermark;
    int64_t watermark_s;
} batch;

/* The origin of a row of the source: the reader's index and the row in that reader's batch. */
#define ROW_OF(reader, row) (((uint64_t)(reader) << 32) | (uint32_t)(row))
#define ROW_READER(value) ((uint32_t)((value) >> 32))
#define ROW_INDEX(value) ((uint32_t)(value))

/* What a feature row is to the writers. */
enum {
    ROW_NEW = 1,       /* output for the first time: to `history` */
    ROW_ONLINE = 2,    /* its key's newest row at this moment: to the online store */
    ROW_CORRECTION = 4 /* output before with other values: to `history` with corrections */
};

#define BATCH_ROWS_MAX (1u << 20)

/* Gives `batch` columns of that schema with room for `capacity` rows and no rows yet. The schema is
 * referred to, not copied. */
freshet_code batch_init(batch *batch, arena *arena, const schema *schema, uint32_t capacity,
                        freshet_error *err);

/* The same for columns whose cells are all written, or set null, before anybody looks at them: they
 * are not made zero first. `which`: those of them, per column; NULL: all. */
freshet_code batch_init_raw(batch *batch, arena *arena, const schema *schema, const bool *which,
                            uint32_t capacity, freshet_error *err);

/* Room for at least `rows` rows in a column (and its struct children), keeping what is there. */
freshet_code column_reserve(arena *arena, column *column, uint64_t rows, freshet_error *err);
freshet_code column_init(arena *arena, column *column, const type *type, uint64_t capacity,
                         freshet_error *err);
freshet_code column_init_raw(arena *arena, column *column, const type *type, uint64_t capacity,
                             freshet_error *err);

/* Room for at least `rows` rows in every column of a reader's batch and in its origins, keeping
 * what is there; `doing` is for the message when memory is out. */
freshet_code batch_reserve(batch *batch, uint64_t rows, const char *doing, freshet_error *err);

/* Which cells of a column to copy, and how. */
typedef struct cell_choice {
    const uint32_t *rows; /* their numbers; or NULL: */
    uint64_t first;       /* those from this row on */
    uint64_t n;
    /* long texts are copied, too; grows by the bytes of texts and elements. NULL: they stay where
     * they are */
    size_t *keeps;
    /* spans of arrays go on pointing into the same elements, for an `into` that has none yet */
    bool shares;
} cell_choice;

/* Copies cells to the rows of `into`, a column of the same type, from `at` on, for which there is
 * room; elements of arrays go behind those that it has. False where memory is out: what was copied
 * then lies behind the rows that count. */
bool column_copy(arena *arena, const column *from, const cell_choice *which, column *into,
                 uint64_t at);

/* Puts rows behind the `n` rows of a column that was made by column_init: of `more`, a column of
 * the same type, those with the `n_more` numbers in `rows`, or the first ones where it is NULL.
 * Long texts stay where they are. */
freshet_code column_append(arena *arena, column *into, uint64_t n, const column *more,
                           const uint32_t *rows, uint32_t n_more, freshet_error *err);

/* Marks row null, zeroes its cell, and (structs) its children. The bitmap is made at the first
 * null; false where memory is out. */
bool column_set_null(arena *arena, column *column, uint64_t row);

static inline bool column_is_valid(const column *column, uint64_t row)
{
    return column->valid == NULL || (column->valid[row >> 6] >> (row & 63) & 1) != 0;
}

/* A new batch of the rows with these numbers, in their order; `doing` is for the message when
 * memory is out. */
freshet_code batch_gather(const batch *from, const uint32_t *rows, uint32_t n, batch *into,
                          const char *doing, freshet_error *err);

/* A new batch of the rows whose `keep` byte is not 0, in order: columns are copied, except when all
 * are kept, which gives the same columns. Used after rows were rejected. */
freshet_code batch_select(const batch *from, const uint8_t *keep, batch *into, freshet_error *err);

static inline uint32_t text_four(const char *bytes)
{
    uint32_t four;
    __builtin_memcpy(&four, bytes, sizeof four);
    return four;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "cells, as states, are little-endian");

/* The up to 12 bytes of a short text as the last three quarters of its cell: whole words that may
 * overlap, since a cell put together byte by byte stalls the load that follows. */
static inline void text_inline(const char *bytes, uint32_t length, uint64_t words[2])
{
    uint64_t first = 0, rest = 0;
    if (length >= 8) {
        first = text_four(bytes);
        rest = text_four(bytes + 4) | (uint64_t)text_four(bytes + length - 4) << (8 * (length - 8));
    } else if (length >= 4) {
        first = text_four(bytes);
        rest = (uint64_t)text_four(bytes + length - 4) >> (8 * (8 - length));
    } else if (length > 0) {
        first = (uint64_t)(uint8_t)bytes[0] |
                (uint64_t)(uint8_t)bytes[length / 2] << (8 * (length / 2)) |
                (uint64_t)(uint8_t)bytes[length - 1] << (8 * (length - 1));
    }
    words[0] = length | first << 32;
    words[1] = rest;
}

/* A cell for `length` bytes at `bytes`, which must outlive the cell when longer than 12. */
static inline cell_text text_of(const char *bytes, uint32_t length)
{
    cell_text cell;
    uint64_t words[2];
    if (length <= TEXT_INLINE_MAX) {
        text_inline(bytes, length, words);
    } else {
        words[0] = length | (uint64_t)text_four(bytes) << 32;
        words[1] = (uintptr_t)bytes;
    }
    __builtin_memcpy(&cell, words, sizeof cell);
    return cell;
}

/* The cell's bytes: no NUL behind them; points into the cell itself when 12 bytes or fewer. */
static inline const char *text_bytes(const cell_text *cell)
{
    return cell->length <= TEXT_INLINE_MAX ? cell->as.inlined : cell->as.outside.pointer;
}

/* Appends one JSON value for the cell to a growing text: timestamps as ISO 8601 UTC with six
 * decimals, decimals as strings in plain notation (a JSON number would lose digits), binary as
 * base64, NaN and infinities as strings. */
struct text_buffer;
freshet_code column_to_json(const column *column, uint64_t row, struct text_buffer *into,
                            freshet_error *err);

/* The whole row as one JSON object. */
freshet_code batch_row_to_json(const batch *batch, uint64_t row, struct text_buffer *into,
                               freshet_error *err);

/* A row that has no text of its own (Parquet, a table, a whole query's row) as a JSON object, the
 * reject's raw. */
freshet_code rejects_describe(rejects *rejects, const batch *from, uint64_t row, reject *into,
                              freshet_error *err);

/* Adds a reject; its sentence is formatted into the arena. False where memory is out. */
bool rejects_add(rejects *rejects, const reject *where, reason_code code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
