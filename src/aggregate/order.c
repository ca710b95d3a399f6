/* order.c - min, max, first, last.
 *
 * min and max share a partial, in three forms: keys (families.h) for all types of eight bytes or
 * fewer, 128-bit integers for decimals, texts compared by their bytes. first and last share one,
 * which copies cells; texts longer than a cell are pointed at, not copied: the partial of events
 * lives no longer than the events.
 */
#include "aggregate/families.h"

/* ---- min, max and range ---------------------------------------------------------------------- */

typedef struct extremes_key {
    int64_t min, max;
    uint64_t n;
} extremes_key;

typedef struct extremes_decimal {
    int128 min, max;
    uint64_t n;
} extremes_decimal;

typedef struct extremes_text {
    cell_text min, max;
    uint64_t n;
} extremes_text;

/* Takes in what older events gave; `is_less` compares two of their values. */
#define MERGE_EXTREMES(name, extremes, is_less)               \
    static inline void name(void *partial, const void *older) \
    {                                                         \
        __typeof__(extremes) *into = partial;                 \
        const __typeof__(extremes) *from = older;             \
        if (from->n == 0)                                     \
            return;                                           \
        if (into->n == 0 || is_less(from->min, into->min))    \
            into->min = from->min;                            \
        if (into->n == 0 || is_less(into->max, from->max))    \
            into->max = from->max;                            \
        into->n += from->n;                                   \
    }

#define NUMBER_IS_LESS(a, b) ((a) < (b))
#define TEXT_IS_LESS(a, b) (compare_texts(&(a), &(b)) < 0)

MERGE_EXTREMES(extremes_key_merge_one, extremes_key, NUMBER_IS_LESS)
MERGE_EXTREMES(extremes_decimal_merge_one, extremes_decimal, NUMBER_IS_LESS)
MERGE_EXTREMES(extremes_text_merge_one, extremes_text, TEXT_IS_LESS)

static void extremes_key_update(void *partial, const aggregate_run *older)
{
    int64_t buffer[AGGREGATE_RUN_MAX];
    uint32_t n;
    const int64_t *keys = run_keys(older, buffer, &n);
    if (n == 0)
        return;
    extremes_key added = {keys[0], keys[0], n};
    for (uint32_t i = 1; i < n; i++) {
        added.min = keys[i] < added.min ? keys[i] : added.min;
        added.max = keys[i] > added.max ? keys[i] : added.max;
    }
    extremes_key_merge_one(partial, &added);
}

static void extremes_decimal_update(void *partial, const aggregate_run *older)
{
    const int128 *cells = (const int128 *)older->values + older->from;
    for (uint64_t bits = run_bits(older); bits != 0; bits &= bits - 1) {
        int128 value = cells[__builtin_ctzll(bits)];
        extremes_decimal_merge_one(partial, &(extremes_decimal){value, value, 1});
    }
}

static void extremes_text_update(void *partial, const aggregate_run *older)
{
    const cell_text *cells = (const cell_text *)older->values + older->from;
    for (uint64_t bits = run_bits(older); bits != 0; bits &= bits - 1) {
        cell_text value = cells[__builtin_ctzll(bits)];
        extremes_text_merge_one(partial, &(extremes_text){value, value, 1});
    }
}

MERGE_EACH(extremes_key_merge, extremes_key_merge_one)
MERGE_EACH(extremes_decimal_merge, extremes_decimal_merge_one)
MERGE_EACH(extremes_text_merge, extremes_text_merge_one)

const aggregate_family family_extremes_key = {"extremes", sizeof(extremes_key), true,
                                              extremes_key_update, extremes_key_merge};
const aggregate_family family_extremes_decimal = {"extremes_decimal", sizeof(extremes_decimal),
                                                  true, extremes_decimal_update,
                                                  extremes_decimal_merge};
const aggregate_family family_extremes_text = {"extremes_text", sizeof(extremes_text), true,
                                               extremes_text_update, extremes_text_merge};

static aggregate_outcome finish_extreme(const void *partial, const type *input, bool greatest,
                                        aggregate_value *out)
{
    if (type_has_keys(input)) {
        const extremes_key *from = partial;
        value_of_key(input, greatest ? from->max : from->min, out);
        return from->n == 0 ? AGGREGATE_NULL : AGGREGATE_VALUE;
    }
    if (input->kind == TYPE_DECIMAL) {
        const extremes_decimal *from = partial;
        out->decimal = greatest ? from->max : from->min;
        return from->n == 0 ? AGGREGATE_NULL : AGGREGATE_VALUE;
    }
    const extremes_text *from = partial;
    out->text = greatest ? from->max : from->min;
    return from->n == 0 ? AGGREGATE_NULL : AGGREGATE_VALUE;
}

aggregate_outcome finish_min(const void *partial, const aggregate *aggregate,
                             aggregate_scratch *scratch, aggregate_value *out)
{
    (void)scratch;
    return finish_extreme(partial, aggregate->input, false, out);
}

aggregate_outcome finish_max(const void *partial, const aggregate *aggregate,
                             aggregate_scratch *scratch, aggregate_value *out)
{
    (void)scratch;
    return finish_extreme(partial, aggregate->input, true, out);
}

aggregate_outcome finish_range(const void *partial, const aggregate *aggregate,
                               aggregate_scratch *scratch, aggregate_value *out)
{
    aggregate_value smallest;
    if (finish_min(partial, aggregate, scratch, &smallest) == AGGREGATE_NULL)
        return AGGREGATE_NULL;
    finish_max(partial, aggregate, scratch, out);
    bool fits = true;
    switch (aggregate->output->kind) {
    case TYPE_DOUBLE: out->real -= smallest.real; break;
    case TYPE_DECIMAL:
        fits = !__builtin_sub_overflow(out->decimal, smallest.decimal, &out->decimal) &&
               decimal_fits(out->decimal, aggregate->output->width);
        break;
    default:
        fits = !__builtin_sub_overflow(out->integer, smallest.integer, &out->integer) &&
               (aggregate->output->kind == TYPE_BIGINT || out->integer <= INT32_MAX);
    }
    return fits ? AGGREGATE_VALUE : AGGREGATE_OVERFLOW;
}

/* ---- first and last ------------------------------------------------------------------------ */

typedef struct ends {
    _Alignas(16) unsigned char first[16]; /* one cell */
    _Alignas(16) unsigned char last[16];
    bool any;
    bool first_valid;
    bool last_valid;
} ends;

static void take_ends(ends *into, const aggregate_run *run, uint32_t first, uint32_t last)
{
    size_t size = type_cell_size(run->type);
    const unsigned char *cells = run->values;
    memcpy(into->first, cells + first * size, size);
    into->first_valid = run->valid >> first & 1;
    if (into->any)
        return;
    memcpy(into->last, cells + last * size, size);
    into->last_valid = run->valid >> last & 1;
    into->any = true;
}

static void ends_update(void *partial, const aggregate_run *older)
{
    if (older->from < older->to)
        take_ends(partial, older, older->from, older->to - 1);
}

static void ends_nonnull_update(void *partial, const aggregate_run *older)
{
    uint64_t bits = run_bits(older);
    if (bits != 0)
        take_ends(partial, older, older->from + (uint32_t)__builtin_ctzll(bits),
                  older->from + 63 - (uint32_t)__builtin_clzll(bits));
}

static inline void ends_merge_one(void *partial, const void *older)
{
    ends *into = partial;
    const ends *from = older;
    if (!from->any)
        return;
    if (!into->any) {
        *into = *from;
        return;
    }
    memcpy(into->first, from->first, sizeof into->first);
    into->first_valid = from->first_valid;
}

MERGE_EACH(ends_merge, ends_merge_one)

const aggregate_family family_ends = {"ends", sizeof(ends), true, ends_update, ends_merge};
const aggregate_family family_ends_nonnull = {"ends_nonnull", sizeof(ends), true,
                                              ends_nonnull_update, ends_merge};

aggregate_outcome finish_first(const void *partial, const aggregate *aggregate,
                               aggregate_scratch *scratch, aggregate_value *out)
{
    (void)scratch;
    const ends *from = partial;
    aggregate_load(aggregate->input, from->first, out);
    return from->any && from->first_valid ? AGGREGATE_VALUE : AGGREGATE_NULL;
}

aggregate_outcome finish_last(const void *partial, const aggregate *aggregate,
                              aggregate_scratch *scratch, aggregate_value *out)
{
    (void)scratch;
    const ends *from = partial;
    aggregate_load(aggregate->input, from->last, out);
    return from->any && from->last_valid ? AGGREGATE_VALUE : AGGREGATE_NULL;
}
