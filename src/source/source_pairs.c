/* source_pairs.c - the query over the pairs of a join of two streams; see source.h. query_join.c
 * says what the query is then.
 *
 * The sides' batches are what the two readers' inputs read. A part of the pairs is a part of each:
 * their rows ascend by the pair's number.
 */
#include <string.h>

#include "base/error.h"
#include "source/source_internal.h"

/* ---- opening --------------------------------------------------------------------------------- */

int64_t source_time_column(source *source, uint32_t i, const schema *columns)
{
    const freshet_reader *reader = source->slots[i].reader;
    const declared_text *from = &reader->block->timestamp.from;
    if (!reader->block->has_timestamp || from->value == NULL)
        return -1;
    const int64_t column = schema_find(columns, from->value);
    if (column < 0)
        problem_add(source->problems, &from->at, "the reader \"%s\" has no column \"%s\"",
                    reader->block->id.value, from->value);
    return column;
}

void source_check_join(source *source)
{
    const plan *plan = &source->plan;
    const bool is_stream = declaration_of(source->handle)->is_stream;
    for (uint32_t i = 0; i < source->n_readers; i++) {
        const reader_block *block = source->slots[i].reader->block;
        const bool is_joined =
            plan->has_join && (plan->join.readers[0] == i || plan->join.readers[1] == i);
        if (is_joined && block->stream != is_stream)
            problem_add(source->problems, &block->id.at,
                        "the reader \"%s\" is joined with a stream within a bound, and does not "
                        "stream itself: say `stream: true`, or take `within` away, and it is "
                        "looked up in as a whole",
                        block->id.value);
        else if (is_joined && source->slots[i].steps != NULL)
            problem_add(source->problems, &block->preprocess.places[0],
                        "the reader \"%s\" is joined with another stream, and such a reader cannot "
                        "have `preprocess`. Write filters and expressions into the query: a "
                        "`filter` into `where`, or into `on` for the side that an outer join may "
                        "lack. For `pivot`, `forward_fill`, and what makes a column of the join's "
                        "keys, let a pipeline of its own take the steps and write the rows with "
                        "`kafka` or `history`, and read these here",
                        block->id.value);
        else if (!is_joined && block->has_timestamp)
            problem_add(source->problems, &block->timestamp.from.at,
                        "`timestamp` and `within` are for a reader that the query joins with "
                        "another one within a bound, and the query does not: take them away");
    }
}

freshet_code source_open_match(source *source, freshet_error *err)
{
    if (!source->plan.has_join || source->plan.join.match_sql == NULL)
        return FRESHET_OK;
    return sql_prepare(source->session, source->plan.join.match_sql, &source->match, NULL, err);
}

/* ---- running --------------------------------------------------------------------------------- */

/* The first row of a side's batch whose pair is not before that one. */
static uint32_t first_of_pair(const batch *side, uint64_t pair)
{
    uint32_t low = 0, high = side->n_rows;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (side->rows[middle] < pair)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void source_set_pairs(const source *source, const source_pairs *pairs, uint64_t from, uint64_t to)
{
    for (int i = 0; i < 2; i++) {
        const batch *side = &pairs->sides[i];
        const uint32_t first = first_of_pair(side, from), end = first_of_pair(side, to);
        sql_input_set(source->slots[source->plan.join.readers[i]].input, first < end ? side : NULL,
                      first < end ? first : 0, end - first);
    }
}

/* Marks the pairs of [from, to) that the further conditions hold for. */
static freshet_code match_range(source *source, const source_pairs *pairs, uint64_t from,
                                uint64_t to, uint8_t *matches, freshet_error *err)
{
    batch out;
    source_set_pairs(source, pairs, from, to);
    arena_reset(source->scratch);
    freshet_code code = sql_run(source->match, source->scratch, &out, err);
    const int64_t *pair = code == FRESHET_OK ? out.columns[0].data : NULL;
    for (uint32_t i = 0; code == FRESHET_OK && i < out.n_rows; i++)
        matches[pair[i]] = 1;
    return code;
}

freshet_code source_match_pairs(source *source, const source_pairs *pairs, uint8_t *matches,
                                freshet_error *err)
{
    freshet_error reason = {0};
    memset(matches, source->match == NULL, pairs->n);
    if (source->match == NULL || pairs->n == 0)
        return FRESHET_OK;
    freshet_code code = match_range(source, pairs, 0, pairs->n, matches, &reason);
    if (source_fails_for_row(code, &reason)) { /* rare: one by one */
        memset(matches, 0, pairs->n);
        code = FRESHET_OK;
        for (uint32_t i = 0; code == FRESHET_OK && i < pairs->n; i++) {
            code = match_range(source, pairs, i, i + UINT64_C(1), matches, &reason);
            matches[i] |= source_fails_for_row(code, &reason); /* the query says so of it */
            code = source_fails_for_row(code, &reason) ? FRESHET_OK : code;
        }
    }
    source_set_pairs(source, pairs, 0, 0);
    if (code != FRESHET_OK && err != NULL)
        *err = reason;
    return code;
}
