/* spark_rows.h - functions of Spark in C, written row by row.
 *
 * A function of one row reads its arguments and gives one value, once:
 *
 *     static void call_repeat(row_call *call)
 *     {
 *         const cell_text *text = text_at(call, 0);
 *         int32_t n = int_at(call, 1);
 *         ...
 *         give_text(call, bytes, length);
 *     }
 *     {SPARK_ROWS("spark_repeat", "string", call_repeat), .arguments = {"string", "integer"}},
 *
 * A row with a null argument gives null and is not called, unless the function says `takes_nulls`;
 * then it asks has(). Memory comes from call->arena, which lives as long as the call of the batch,
 * and so do the texts of the arguments: give_text_there refers to them. What fails is said by
 * fail_memory or fail_row, once; the value of that row does not matter then.
 */
#ifndef FRESHET_FUNCTIONS_SPARK_ROWS_H
#define FRESHET_FUNCTIONS_SPARK_ROWS_H

#include "sql/sql.h"

typedef struct row_call {
    const batch *in;
    column *out;
    arena *arena;
    uint32_t row;
    freshet_code code;
    freshet_error *err;
    void *kept; /* the function's own, NULL at the first row of a batch: a pattern, compiled */
} row_call;

typedef struct row_function {
    void (*call)(row_call *call);
    bool takes_nulls;
} row_function;

/* sql_call_fn, whose context is a row_function. */
freshet_code spark_rows_call(void *context, const batch *arguments, column *result,
                             freshet_error *err);

#define SPARK_ROWS(its_name, gives, function)                                             \
    .name = (its_name), .returns = (gives), .call = spark_rows_call, .takes_nulls = true, \
    .context = (void *)&(const row_function)                                              \
    {                                                                                     \
        (function), false                                                                 \
    }
/* The same of a function that is called for nulls, too. */
#define SPARK_ROWS_NULLS(its_name, gives, function)                                       \
    .name = (its_name), .returns = (gives), .call = spark_rows_call, .takes_nulls = true, \
    .context = (void *)&(const row_function)                                              \
    {                                                                                     \
        (function), true                                                                  \
    }

/* ---- arguments ---- */

static inline bool has(const row_call *call, uint32_t i)
{
    return column_is_valid(&call->in->columns[i], call->row);
}

static inline const cell_text *text_at(const row_call *call, uint32_t i)
{
    return (const cell_text *)call->in->columns[i].data + call->row;
}

static inline int32_t int_at(const row_call *call, uint32_t i)
{
    return ((const int32_t *)call->in->columns[i].data)[call->row];
}

static inline int64_t long_at(const row_call *call, uint32_t i)
{
    return ((const int64_t *)call->in->columns[i].data)[call->row];
}

static inline double double_at(const row_call *call, uint32_t i)
{
    return ((const double *)call->in->columns[i].data)[call->row];
}

static inline bool boolean_at(const row_call *call, uint32_t i)
{
    return ((const uint8_t *)call->in->columns[i].data)[call->row] != 0;
}

/* ---- the value ---- */

void give_null(row_call *call);
void give_text(row_call *call, const char *bytes, size_t length);
/* The bytes stay where they are until the end of the batch's call. */
void give_text_there(row_call *call, const char *bytes, size_t length);

static inline void give_int(row_call *call, int32_t value)
{
    ((int32_t *)call->out->data)[call->row] = value;
}

static inline void give_long(row_call *call, int64_t value)
{
    ((int64_t *)call->out->data)[call->row] = value;
}

static inline void give_double(row_call *call, double value)
{
    ((double *)call->out->data)[call->row] = value;
}

static inline void give_boolean(row_call *call, bool value)
{
    ((uint8_t *)call->out->data)[call->row] = value;
}

/* An array of texts: begin, any number of elements, which stay where they are. */
void give_list(row_call *call);
void give_element(row_call *call, const char *bytes, size_t length);
void give_element_null(row_call *call);

/* Memory of the call; on want of it fail_memory has been called. */
void *call_memory(row_call *call, size_t size);

/* The same for a text that a row is made into, which has a limit: lpad(x, 2000000000) is a mistake.
 */
#define TEXT_MADE_MAX (64u << 20)
char *made_memory(row_call *call, uint64_t size);

void fail_memory(row_call *call);
/* The row is at fault. */
void fail_row(row_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- characters of UTF-8 ---- */

/* Bytes of the character that begins with this one, as Spark counts them. */
unsigned character_length(unsigned char first);
int32_t count_characters(const char *bytes, size_t length);
/* The byte where the n-th character begins, counted from 0; `length` behind the last. */
size_t character_at(const char *bytes, size_t length, int64_t n);
/* The code point at *at, which is moved behind it; a byte that begins none stands for itself. */
uint32_t take_character(const char **at, const char *end);
/* Its bytes, at most 4; how many. */
unsigned write_character(uint32_t character, char *into);

/* Where `part` first stands in the text from byte `from` on; -1: nowhere. */
int64_t find_bytes(const char *bytes, size_t length, size_t from, const char *part,
                   size_t part_length);

/* ---- all of them ---- */

/* Tables of the families, each closed by a row without a name. */
extern const sql_function spark_texts[];
extern const sql_function spark_bytes[];
extern const sql_function spark_patterns[];
extern const sql_function spark_times[];
extern const sql_function spark_numbers[];
extern const sql_function spark_json[];
extern const sql_function spark_hashes[];
extern const sql_function spark_cells[];

#endif
