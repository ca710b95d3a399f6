/* judge.c - see judge.h. */
#include "compare/judge.h"

#include <assert.h>
#include <string.h>

#define MILLISECOND_US 1000
/* A row whose TTL passes within this is as good as gone: stores count whole seconds. */
#define EXPIRY_MARGIN_US INT64_C(2000000)

static const struct {
    const char *name;
    bool counts, fails;
} classes[COMPARED_CLASSES] = {
    [COMPARED_EQUAL] = {"equal", true, false},
    [COMPARED_AHEAD] = {"ahead", false, false},
    [COMPARED_IN_FLIGHT] = {"in_flight", false, false},
    [COMPARED_EXPIRED] = {"expired", false, false},
    [COMPARED_UNKEPT] = {"unkept", false, false},
    [COMPARED_STALE] = {"stale", true, true},
    [COMPARED_MISSING] = {"missing", true, true},
    [COMPARED_UNKNOWN] = {"unknown", true, true},
    [COMPARED_DIFFERENT] = {"different", true, true},
    [COMPARED_NOWHERE] = {"nowhere", false, false},
};

const char *compare_class_name(compare_class class)
{
    return classes[class].name;
}

bool compare_class_fails(compare_class class)
{
    return classes[class].fails;
}

bool compare_class_counts(compare_class class)
{
    return classes[class].counts;
}

/* Times may be far: what does not fit is the furthest. */
static int64_t judge_less(int64_t a, int64_t b)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return a < b ? INT64_MIN : INT64_MAX;
    return difference;
}

static bool is_behind_end(const judge_rules *rules, int64_t time_us)
{
    return time_us > judge_less(rules->end_us, rules->grace_us);
}

static compare_class judge_absent(const judge_rules *rules, const judge_pair *pair)
{
    if (!pair->has_before)
        return COMPARED_NOWHERE;
    if (rules->ttl_us > 0 &&
        judge_less(rules->now_us, pair->before_us) >= rules->ttl_us - EXPIRY_MARGIN_US)
        return COMPARED_EXPIRED;
    if (!pair->is_kept)
        return COMPARED_UNKEPT;
    return rules->grace_us > 0 && is_behind_end(rules, pair->before_us) ? COMPARED_IN_FLIGHT
                                                                        : COMPARED_MISSING;
}

compare_class judge_times(const judge_rules *rules, const judge_pair *pair)
{
    if (!pair->is_online)
        return judge_absent(rules, pair);
    if (pair->has_before && pair->before_us > pair->online_us)
        return judge_less(pair->before_us, pair->online_us) <= rules->grace_us ? COMPARED_IN_FLIGHT
                                                                               : COMPARED_STALE;
    if (pair->has_at && pair->at_us == pair->online_us)
        return COMPARED_EQUAL;
    return is_behind_end(rules, pair->online_us) ? COMPARED_AHEAD : COMPARED_UNKNOWN;
}

/* ---- values ---------------------------------------------------------------------------------- */

static bool reals_equal(double a, double b, double tolerance)
{
    if (a == b || (a != a && b != b))
        return true;
    const double larger = fabs(a) > fabs(b) ? fabs(a) : fabs(b);
    return isfinite(a) && isfinite(b) && fabs(a - b) <= tolerance * larger;
}

static bool texts_equal(const cell_text *a, const cell_text *b)
{
    return a->length == b->length && memcmp(text_bytes(a), text_bytes(b), a->length) == 0;
}

static int64_t milliseconds(int64_t time_us)
{
    return time_us / MILLISECOND_US - (time_us % MILLISECOND_US < 0);
}

static bool instants_equal(const judge_rules *rules, int64_t a, int64_t b)
{
    return rules->unit_us == 1 ? a == b : milliseconds(a) == milliseconds(b);
}

static bool arrays_equal(const judge_rules *rules, const column *a, uint64_t row_a, const column *b,
                         uint64_t row_b)
{
    const cell_span one = ((const cell_span *)a->data)[row_a];
    const cell_span other = ((const cell_span *)b->data)[row_b];
    bool equal = one.length == other.length;
    for (uint64_t i = 0; equal && i < one.length; i++)
        equal =
            judge_cells(rules, &a->children[0], one.offset + i, &b->children[0], other.offset + i);
    return equal;
}

static bool structs_equal(const judge_rules *rules, const column *a, uint64_t row_a,
                          const column *b, uint64_t row_b)
{
    bool equal = true;
    for (uint32_t i = 0; equal && i < a->type->n_fields; i++)
        equal = judge_cells(rules, &a->children[i], row_a, &b->children[i], row_b);
    return equal;
}

/* The depth is that of the type, TYPE_DEPTH_MAX at most. */
bool judge_cells(const judge_rules *rules, const column *a, uint64_t row_a, const column *b,
                 uint64_t row_b)
{
#define CELL(type, of, row) (((const type *)(of)->data)[row])
    const bool is_there = column_is_valid(a, row_a);
    assert(a->type->kind == b->type->kind);
    if (is_there != column_is_valid(b, row_b))
        return false;
    if (!is_there)
        return true;
    switch (a->type->kind) {
    case TYPE_BOOLEAN: return CELL(uint8_t, a, row_a) == CELL(uint8_t, b, row_b);
    case TYPE_INTEGER:
    case TYPE_DATE: return CELL(int32_t, a, row_a) == CELL(int32_t, b, row_b);
    case TYPE_BIGINT: return CELL(int64_t, a, row_a) == CELL(int64_t, b, row_b);
    case TYPE_FLOAT:
        return reals_equal((double)CELL(float, a, row_a), (double)CELL(float, b, row_b),
                           rules->tolerance);
    case TYPE_DOUBLE:
        return reals_equal(CELL(double, a, row_a), CELL(double, b, row_b), rules->tolerance);
    case TYPE_DECIMAL: return CELL(int128, a, row_a) == CELL(int128, b, row_b);
    case TYPE_STRING:
    case TYPE_BINARY: return texts_equal(&CELL(cell_text, a, row_a), &CELL(cell_text, b, row_b));
    case TYPE_TIMESTAMP:
        return instants_equal(rules, CELL(int64_t, a, row_a), CELL(int64_t, b, row_b));
    case TYPE_ARRAY: return arrays_equal(rules, a, row_a, b, row_b);
    case TYPE_STRUCT: return structs_equal(rules, a, row_a, b, row_b);
    }
    return false;
#undef CELL
}
