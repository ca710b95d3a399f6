/* joined.c - see joined.h: taking rows, and giving what they make due.
 *
 * A take has three parts.
 *
 *   rows      one by one: the lane's and the sides' watermarks, late or not; the partners that it
 *             finds among the rows held, as pairs; then it is held itself. Each time that a
 *             watermark has moved is noted, as a step
 *   matches   of an outer join with further conditions: which of the pairs are partners. They mark
 *             the outer rows
 *   release   step by step: rows that no partner can come for any more. Outer rows that had none,
 *             and those of an as-of join, go out between the pairs, where their step is
 *
 * Rows that are released late cost memory only: whether two rows are a pair is told by their times.
 */
#include "features/joined.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "features/joined_internal.h"
#include "features/watermark.h"
#include "keyed/cells.h"

#define MAGIC "FJN1"
#define FACT_HEAD_BYTES 28u
#define PAIRS_MAX (1u << 24) /* of one take */
#define MATCH_PAIRS 16384u
#define MAX_FUTURE_US INT64_C(86400000000)
#define NEVER INT64_MIN

/* A row on its way in. */
typedef struct taken {
    uint32_t side;
    const batch *from;
    uint32_t row;
    int64_t us;
    uint32_t key; /* KEY_NONE: it has none */
} taken;

/* ---- opening and closing --------------------------------------------------------------------- */

static freshet_code open_all(joined *joined, uint32_t *bad_side, freshet_error *err)
{
    const joined_options *options = &joined->options;
    const plan_join *join = options->join;
    text_init(&joined->key, JOINED_ROW_BYTES_MAX);
    text_init(&joined->row, JOINED_ROW_BYTES_MAX);
    joined->arena = arena_open();
    if (joined->arena == NULL)
        return error_memory(err, JOINING);
    for (uint32_t side = 0; side < 2; side++) {
        const joined_side *of = &options->sides[side];
        const type *type = of->schema->fields[of->time_column].type;
        freshet_code code =
            event_time_compile(joined->arena, of->timestamp, type, &joined->times[side], err);
        *bad_side = side;
        if (code != FRESHET_OK)
            return code;
        joined->keeps_place[side] =
            join->is_asof ? side == 0 : join->is_outer && join->outer == side;
        joined->low_us[side] = NEVER;
    }
    joined->told_s = joined->was_told_s = NEVER;
    joined->opened_us = os.monotonic_us();
    return held_open(joined, err);
}

freshet_code joined_open(const joined_options *options, joined **out, uint32_t *bad_side,
                         freshet_error *err)
{
    joined *joined = calloc(1, sizeof *joined);
    *out = NULL;
    if (joined == NULL)
        return error_memory(err, JOINING);
    joined->options = *options;
    freshet_code code = open_all(joined, bad_side, err);
    if (code == FRESHET_OK)
        *out = joined;
    else
        joined_close(joined);
    return code;
}

static void free_gone(joined *joined)
{
    for (uint32_t i = 0; i < joined->n_gone; i++)
        memory_give(&joined->memory, joined->gone[i].bytes, joined->gone[i].length);
    joined->n_gone = 0;
}

void joined_close(joined *joined)
{
    if (joined == NULL)
        return;
    free_gone(joined);
    held_close(joined);
    for (int side = 0; side < 2; side++)
        lanes_release(&joined->lanes[side]);
    text_release(&joined->key);
    text_release(&joined->row);
    free(joined->steps);
    free(joined->pairs);
    free(joined->outputs);
    free(joined->causes);
    free(joined->gone);
    arena_close(joined->arena);
    free(joined);
}

const state_part *joined_part(const joined *joined)
{
    return &joined->part;
}

/* ---- watermarks ------------------------------------------------------------------------------ */

static int64_t lateness_s(const joined *joined)
{
    const int64_t lateness_us = joined->options.timestamp->lateness_us;
    return lateness_us / 1000000 + (lateness_us % 1000000 > 0);
}

/* What a side has come to by its own lanes; *is_idle: nobody waits for it. */
static int64_t side_low(const joined *joined, uint32_t side, int64_t now_us, bool *is_idle)
{
    const int64_t idle_us = joined->options.timestamp->idle_us;
    const int64_t lowest = lanes_lowest(&joined->lanes[side], now_us, idle_us, is_idle);
    if (joined->lanes[side].n == 0)
        *is_idle = now_us - joined->opened_us >= idle_us;
    return lowest == LANES_NONE ? NEVER : (lowest - lateness_s(joined)) * 1000000;
}

/* Moves the watermarks, never back; true where one has moved. */
static bool move_watermarks(joined *joined, int64_t now_us)
{
    bool is_idle[2], moved = false;
    int64_t low_us[2];
    for (uint32_t side = 0; side < 2; side++)
        low_us[side] = side_low(joined, side, now_us, &is_idle[side]);
    for (uint32_t side = 0; side < 2; side++) {
        const uint32_t other = 1 - side;
        if (is_idle[side] && !is_idle[other] && low_us[other] > low_us[side])
            low_us[side] = low_us[other];
        moved |= low_us[side] > joined->low_us[side];
        if (low_us[side] > joined->low_us[side])
            joined->low_us[side] = low_us[side];
    }
    return moved;
}

static int64_t us_before(int64_t us, int64_t span_us)
{
    int64_t before;
    return us == NEVER || __builtin_sub_overflow(us, span_us, &before) ? NEVER : before;
}

static int64_t floor_second(int64_t us)
{
    return us == NEVER ? NEVER : us / 1000000 - (us % 1000000 < 0);
}

/* No row that goes out behind this has a time before it, the left one's or the right one's. */
static int64_t told_watermark(const joined *joined)
{
    const joined_options *options = &joined->options;
    int64_t left = joined->low_us[0], right = joined->low_us[1];
    if (left == NEVER || right == NEVER)
        return NEVER;
    right = us_before(right, options->join->is_asof ? options->sides[1].within_us
                                                    : options->sides[0].within_us);
    left = us_before(left, options->sides[1].within_us);
    return floor_second(left < right ? left : right);
}

int64_t joined_watermark(const joined *joined)
{
    return joined_owes(joined) ? joined->was_told_s : joined->told_s;
}

freshet_code joined_expect(joined *joined, uint32_t side, uint32_t lane, freshet_error *err)
{
    lane_mark *mark;
    return joined->options.is_stream
               ? lanes_see(&joined->lanes[side], lane, os.monotonic_us(), &mark, err)
               : FRESHET_OK;
}

static freshet_code note_step(joined *joined, uint64_t ordinal, freshet_error *err)
{
    if (!array_reserve(&joined->steps, &joined->steps_capacity, joined->n_steps + UINT64_C(1),
                       sizeof *joined->steps))
        return error_memory(err, JOINING);
    joined->steps[joined->n_steps++] =
        (joined_step){ordinal, {joined->low_us[0], joined->low_us[1]}};
    return FRESHET_OK;
}

/* ---- rows that are refused ------------------------------------------------------------------- */

static freshet_code joined_refuse(joined *joined, const taken *taken, reason_code code,
                                  const char *reason, freshet_error *err)
{
    const joined_host *host = &joined->options.host;
    return reason == NULL ? error_memory(err, JOINING)
                          : host->refuse(host->context, taken->side, taken->row, code, reason, err);
}

static freshet_code refuse_late(joined *joined, arena *arena, const taken *taken, int64_t behind_s,
                                freshet_error *err)
{
    char behind[WATERMARK_SPAN_TEXT_MAX], allowed[WATERMARK_SPAN_TEXT_MAX];
    if (joined->options.timestamp->late == ON_LATE_DROP) {
        joined->n_dropped++;
        return FRESHET_OK;
    }
    if (behind_s <= lateness_s(joined))
        return joined_refuse(joined, taken, REASON_LATE,
                             "join: the partners of a row of this time are no more kept: it is "
                             "late, or its partition gave nothing for too long",
                             err);
    watermark_span(behind_s, behind);
    watermark_span(lateness_s(joined), allowed);
    return joined_refuse(joined, taken, REASON_LATE,
                         arena_format(arena,
                                      "join: it is %s behind the newest row of its partition, and "
                                      "\"lateness\" allows %s",
                                      behind, allowed),
                         err);
}

static freshet_code refuse_early(joined *joined, arena *arena, const taken *taken, int64_t ahead_us,
                                 int64_t most_us, freshet_error *err)
{
    char ahead[WATERMARK_SPAN_TEXT_MAX], allowed[WATERMARK_SPAN_TEXT_MAX];
    watermark_span(ahead_us / 1000000, ahead);
    watermark_span(most_us / 1000000, allowed);
    return joined_refuse(joined, taken, REASON_EARLY,
                         arena_format(arena,
                                      "join: it is %s ahead of the clock, and \"max_future\" "
                                      "allows %s",
                                      ahead, allowed),
                         err);
}

/* Is the row's time one that it can be joined by? Late rows and early ones move no watermark. */
static freshet_code check_time(joined *joined, arena *arena, const taken *taken, uint64_t ordinal,
                               int64_t now_us, bool *is_taken, freshet_error *err)
{
    const timestamp_block *timestamp = joined->options.timestamp;
    const int64_t most_us =
        place_is_set(&timestamp->max_future_at) ? timestamp->max_future_us : MAX_FUTURE_US;
    const int64_t clock_us = os.now_us();
    int64_t behind_s;
    *is_taken = false;
    if (most_us > 0 && taken->us > clock_us && taken->us - clock_us > most_us)
        return refuse_early(joined, arena, taken, taken->us - clock_us, most_us, err);
    freshet_code code =
        lanes_take(&joined->lanes[taken->side], taken->from->origins[taken->row].lane, taken->us,
                   now_us, &behind_s, err);
    if (code != FRESHET_OK)
        return code;
    if (behind_s > lateness_s(joined) || taken->us < joined->low_us[taken->side])
        return refuse_late(joined, arena, taken, behind_s, err);
    *is_taken = true;
    return behind_s == 0 && move_watermarks(joined, now_us) ? note_step(joined, ordinal, err)
                                                            : FRESHET_OK;
}

/* ---- outputs --------------------------------------------------------------------------------- */

static freshet_code add_output(joined *joined, const joined_output *output, freshet_error *err)
{
    if (!array_reserve(&joined->outputs, &joined->outputs_capacity, joined->n_outputs + UINT64_C(1),
                       sizeof *joined->outputs))
        return error_memory(err, JOINING);
    joined->outputs[joined->n_outputs++] = *output;
    return FRESHET_OK;
}

static freshet_code add_gone(joined *joined, const held_row *row, freshet_error *err)
{
    if (!array_reserve(&joined->gone, &joined->gone_capacity, joined->n_gone + UINT64_C(1),
                       sizeof *joined->gone))
        return error_memory(err, JOINING);
    joined->gone[joined->n_gone++] = (held_bytes){row->bytes, row->length};
    return FRESHET_OK;
}

/* The place of the row that is taken, once for all its pairs. */
static freshet_code add_cause(joined *joined, const taken *taken, freshet_error *err)
{
    if (!array_reserve(&joined->causes, &joined->causes_capacity, joined->n_causes + UINT64_C(1),
                       sizeof *joined->causes))
        return error_memory(err, JOINING);
    joined->causes[joined->n_causes++] =
        (joined_place){.side = taken->side, .origin = taken->from->origins[taken->row]};
    return FRESHET_OK;
}

/* A row that goes out without partner. */
static freshet_code put_alone(joined *joined, uint32_t side, const held_row *row, uint64_t ordinal,
                              freshet_error *err)
{
    joined_output output = {.ordinal = ordinal, .cause = CAUSE_HELD};
    output.rows[side] = (held_bytes){row->bytes, row->length};
    return add_output(joined, &output, err);
}

/* ---- a row comes ----------------------------------------------------------------------------- */

/* The row as bytes: its place, where that is kept, and its columns. */
static freshet_code encode_row(joined *joined, const taken *taken, freshet_error *err)
{
    const joined_options *options = &joined->options;
    const joined_side *of = &options->sides[taken->side];
    const origin *origin = &taken->from->origins[taken->row];
    text_buffer *into = &joined->row;
    text_reset(into);
    if (joined->keeps_place[taken->side]) {
        const char *label = options->host.label == NULL
                                ? NULL
                                : options->host.label(options->host.context, taken->side, origin);
        const uint32_t length = label == NULL ? 0 : (uint32_t)strlen(label);
        text_append(into, (const char *)&origin->offset, sizeof origin->offset);
        text_append(into, (const char *)&length, sizeof length);
        text_append(into, label == NULL ? "" : label, length);
    }
    for (uint32_t i = 0; i < of->schema->n_fields; i++)
        if (of->used[i])
            cells_put(into, &taken->from->columns[i], taken->row, false);
    return into->failed ? error_memory(err, JOINING) : FRESHET_OK;
}

/* The entry of the row's key: *key is KEY_NONE where one of its cells is null. */
static freshet_code find_key(joined *joined, taken *taken, freshet_error *err)
{
    const plan_join *join = joined->options.join;
    bool is_new;
    taken->key = KEY_NONE;
    text_reset(&joined->key);
    for (uint32_t i = 0; i < join->n_keys; i++) {
        const column *column = &taken->from->columns[join->keys[taken->side][i]];
        if (!column_is_valid(column, taken->row))
            return FRESHET_OK;
        cells_put(&joined->key, column, taken->row, true);
    }
    if (joined->key.failed)
        return error_memory(err, JOINING);
    if (joined->key.length > JOINED_KEY_BYTES_MAX)
        return FRESHET_END;
    return state_part_find(&joined->part,
                           (uint32_t)keyed_hash(joined->key.bytes, joined->key.length),
                           joined->key.bytes, joined->key.length, &taken->key, &is_new, err);
}

static int64_t us_behind(int64_t us, int64_t span_us)
{
    int64_t behind;
    return __builtin_add_overflow(us, span_us, &behind) ? INT64_MAX : behind;
}

/* The row that has been added finds its partners. */
static freshet_code find_pairs(joined *joined, const taken *taken, const held_row *row,
                               uint64_t ordinal, freshet_error *err)
{
    const joined_options *options = &joined->options;
    const uint32_t side = taken->side, other = 1 - side;
    const held_list *list = &held_at(joined, taken->key)->lists[other];
    const int64_t first_us = us_before(taken->us, options->sides[other].within_us);
    const int64_t last_us = us_behind(taken->us, options->sides[side].within_us);
    bool has_cause = false;
    for (uint32_t i = held_find(list, first_us, 0); i < list->n; i++) {
        const held_row *partner = &list->rows[list->first + i];
        if (partner->us > last_us)
            break;
        if (joined->n_pairs == PAIRS_MAX)
            return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                             "the join of \"%s\" and \"%s\" makes more than %u pairs of what was "
                             "read at once: its keys have too many rows within the bound; say a "
                             "shorter `within`, or join on more columns",
                             options->sides[0].id, options->sides[1].id, PAIRS_MAX);
        if (!array_reserve(&joined->pairs, &joined->pairs_capacity, joined->n_pairs + UINT64_C(1),
                           sizeof *joined->pairs))
            return error_memory(err, JOINING);
        freshet_code code = has_cause ? FRESHET_OK : add_cause(joined, taken, err);
        if (code != FRESHET_OK)
            return code;
        has_cause = true;
        const held_row *outer = options->join->outer == side ? row : partner;
        joined_output *pair = &joined->pairs[joined->n_pairs++];
        *pair = (joined_output){.ordinal = ordinal,
                                .cause = joined->n_causes - 1,
                                .key = taken->key,
                                .us = outer->us,
                                .number = outer->number};
        pair->rows[side] = (held_bytes){row->bytes, row->length};
        pair->rows[other] = (held_bytes){partner->bytes, partner->length};
    }
    return FRESHET_OK;
}

/* A row without key: alone, where such rows go out. */
static freshet_code put_keyless(joined *joined, const taken *taken, uint64_t ordinal,
                                freshet_error *err)
{
    const plan_join *join = joined->options.join;
    held_row row = {.us = taken->us};
    if (!join->is_outer || join->outer != taken->side)
        return FRESHET_OK;
    freshet_code code = encode_row(joined, taken, err);
    if (code != FRESHET_OK)
        return code;
    row.length = (uint32_t)joined->row.length;
    row.bytes = memory_take(&joined->memory, joined->row.length);
    if (row.bytes == NULL)
        return error_memory(err, JOINING);
    memcpy(row.bytes, joined->row.bytes, joined->row.length);
    code = add_gone(joined, &row, err);
    if (code != FRESHET_OK) {
        memory_give(&joined->memory, row.bytes, row.length);
        return code;
    }
    joined_output output = {.ordinal = ordinal, .cause = CAUSE_HELD};
    if (!array_reserve(&joined->pairs, &joined->pairs_capacity, joined->n_pairs + UINT64_C(1),
                       sizeof *joined->pairs))
        return error_memory(err, JOINING);
    output.rows[taken->side] = (held_bytes){row.bytes, row.length};
    joined->pairs[joined->n_pairs++] = output;
    return FRESHET_OK;
}

/* Is the row's time over for its partners already? Then it goes with the next step. */
static bool is_over(const joined *joined, const taken *taken)
{
    const joined_options *options = &joined->options;
    const int64_t low_us = joined->low_us[1 - taken->side];
    const int64_t within_us =
        options->join->is_asof && taken->side == 0 ? 0 : options->sides[taken->side].within_us;
    return us_behind(taken->us, within_us) < low_us;
}

static freshet_code take_keyed(joined *joined, arena *arena, const taken *taken, uint64_t ordinal,
                               freshet_error *err)
{
    held_row row;
    if (held_at(joined, taken->key)->lists[taken->side].n >= JOINED_ROWS_OF_KEY_MAX)
        return joined_refuse(joined, taken, REASON_TOO_LARGE,
                             arena_format(arena,
                                          "join: its key has more than %u rows within the bound",
                                          JOINED_ROWS_OF_KEY_MAX),
                             err);
    freshet_code code = encode_row(joined, taken, err);
    if (code == FRESHET_OK)
        code = held_add(joined, taken->key, taken->side, taken->us, &joined->row, &row, err);
    if (code == FRESHET_OK && !joined->options.join->is_asof)
        code = find_pairs(joined, taken, &row, ordinal, err);
    return code == FRESHET_OK && is_over(joined, taken) ? note_step(joined, ordinal + 1, err)
                                                        : code;
}

static freshet_code put_found(joined *joined, freshet_error *err);

static freshet_code take_row(joined *joined, arena *arena, taken *taken, uint64_t ordinal,
                             int64_t now_us, freshet_error *err)
{
    bool is_taken = true;
    freshet_code code = FRESHET_OK;
    if (joined->options.is_stream)
        code = check_time(joined, arena, taken, ordinal, now_us, &is_taken, err);
    if (code != FRESHET_OK || !is_taken)
        return code;
    if (joined->n_steps > 0 && is_over(joined, taken)) /* those before must not release it */
        code = put_found(joined, err);
    if (code == FRESHET_OK)
        code = find_key(joined, taken, err);
    if (code == FRESHET_END)
        return joined_refuse(
            joined, taken, REASON_TOO_LARGE,
            arena_format(arena, "join: its key has more than %u bytes", JOINED_KEY_BYTES_MAX), err);
    if (code != FRESHET_OK)
        return code;
    return taken->key == KEY_NONE ? put_keyless(joined, taken, ordinal, err)
                                  : take_keyed(joined, arena, taken, ordinal, err);
}

/* ---- times ----------------------------------------------------------------------------------- */

freshet_code joined_times(const joined *joined, uint32_t side, arena *arena, const batch *rows,
                          int64_t **out, freshet_error *err)
{
    column made;
    uint64_t *failed = NULL;
    freshet_code code = event_time_column(&joined->times[side], arena,
                                          &rows->columns[joined->options.sides[side].time_column],
                                          rows->n_rows, &made, &failed, err);
    if (code != FRESHET_OK)
        return code;
    *out = made.data;
    for (uint32_t i = 0; made.valid != NULL && i < rows->n_rows; i++)
        if (!column_is_valid(&made, i))
            (*out)[i] = NEVER;
    return FRESHET_OK;
}

static freshet_code refuse_time(joined *joined, arena *arena, const taken *taken,
                                freshet_error *err)
{
    const joined_side *of = &joined->options.sides[taken->side];
    const column *column = &taken->from->columns[of->time_column];
    const char *name = of->timestamp->from.value;
    const char *why =
        column_is_valid(column, taken->row)
            ? event_time_reason(&joined->times[taken->side], arena, column, taken->row)
            : NULL;
    if (!column_is_valid(column, taken->row))
        return joined_refuse(joined, taken, REASON_BAD_TIME,
                             arena_format(arena,
                                          "timestamp of the reader \"%s\": column \"%s\" is "
                                          "null",
                                          of->id, name),
                             err);
    return joined_refuse(
        joined, taken, REASON_BAD_TIME,
        why == NULL ? NULL : arena_format(arena, "timestamp of the reader \"%s\": %s", of->id, why),
        err);
}

/* ---- release --------------------------------------------------------------------------------- */

/* The newest right row at the left row's time; NULL: there is none. */
static const held_row *find_as_of(const joined *joined, const held_list *rights,
                                  const held_row *left)
{
    const joined_options *options = &joined->options;
    const uint32_t n = options->join->is_strict ? held_find(rights, left->us, 0)
                                                : held_find(rights, left->us, UINT64_MAX);
    const held_row *found = n == 0 ? NULL : &rights->rows[rights->first + n - 1];
    return found == NULL || found->us < us_before(left->us, options->sides[1].within_us) ? NULL
                                                                                         : found;
}

/* The first row of the key's list leaves, and goes out where it is to. */
static freshet_code release_row(joined *joined, uint32_t key, uint32_t side, uint64_t ordinal,
                                freshet_error *err)
{
    const plan_join *join = joined->options.join;
    const held_row *as_of = NULL;
    held_row row;
    freshet_code code = FRESHET_OK;
    if (join->is_asof && side == 0) {
        const held_list *lefts = &held_at(joined, key)->lists[0];
        as_of = find_as_of(joined, &held_at(joined, key)->lists[1], held_first(lefts));
    }
    const held_bytes right =
        as_of == NULL ? (held_bytes){NULL, 0} : (held_bytes){as_of->bytes, as_of->length};
    code = held_take_first(joined, key, side, &row, err);
    if (code == FRESHET_OK)
        code = add_gone(joined, &row, err);
    if (code != FRESHET_OK)
        return code;
    if (right.bytes != NULL) {
        const joined_output output = {
            .rows = {{row.bytes, row.length}, right}, .ordinal = ordinal, .cause = CAUSE_HELD};
        return add_output(joined, &output, err);
    }
    return join->is_outer && join->outer == side && !row.matched
               ? put_alone(joined, side, &row, ordinal, err)
               : FRESHET_OK;
}

/* Rows of a side whose times lie before that one leave. */
static freshet_code release_before(joined *joined, uint32_t side, int64_t before_us,
                                   uint64_t ordinal, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    uint32_t key;
    while (code == FRESHET_OK && (key = held_next(joined, side, before_us)) != KEY_NONE)
        code = release_row(joined, key, side, ordinal, err);
    return code;
}

/* What nothing can come for any more, with these watermarks. */
static freshet_code release_step(joined *joined, const joined_step *step, freshet_error *err)
{
    const joined_options *options = &joined->options;
    int64_t before_us[2];
    before_us[0] = us_before(step->low_us[1], options->sides[0].within_us);
    before_us[1] = us_before(step->low_us[0], options->sides[1].within_us);
    if (options->join->is_asof) { /* right rows are for lefts that wait, and for those to come */
        before_us[0] = step->low_us[1];
        if (us_before(step->low_us[1], options->sides[1].within_us) < before_us[1])
            before_us[1] = us_before(step->low_us[1], options->sides[1].within_us);
    }
    freshet_code code = release_before(joined, 0, before_us[0], step->ordinal, err);
    return code == FRESHET_OK ? release_before(joined, 1, before_us[1], step->ordinal, err) : code;
}

/* ---- matches --------------------------------------------------------------------------------- */

static void mark_outer(joined *joined, const joined_output *pair)
{
    held_list *list = &held_at(joined, pair->key)->lists[joined->options.join->outer];
    const uint32_t at = held_find(list, pair->us, pair->number);
    held_row *row = &list->rows[list->first + at];
    if (at < list->n && row->number == pair->number && !row->matched) {
        row->matched = true;
        keyed_mark_dirty(&joined->keys, pair->key);
    }
}

static freshet_code make_pairs(const joined *joined, arena *arena, const joined_output *outputs,
                               uint32_t n, source_pairs *pairs, joined_place *places,
                               freshet_error *err);

/* Leaves the pairs that are partners, and marks their outer rows. */
static freshet_code match_pairs(joined *joined, freshet_error *err)
{
    const joined_options *options = &joined->options;
    uint8_t matches[MATCH_PAIRS];
    uint32_t kept = 0;
    freshet_code code = FRESHET_OK;
    if (!options->join->is_outer || options->join->is_asof)
        return FRESHET_OK;
    arena *arena = arena_open();
    if (arena == NULL)
        return error_memory(err, JOINING);
    for (uint32_t from = 0, n; code == FRESHET_OK && from < joined->n_pairs; from += n) {
        source_pairs pairs;
        n = joined->n_pairs - from < MATCH_PAIRS ? joined->n_pairs - from : MATCH_PAIRS;
        memset(matches, 1, n);
        if (options->join->match_sql != NULL) {
            code = make_pairs(joined, arena, joined->pairs + from, n, &pairs, NULL, err);
            if (code == FRESHET_OK)
                code = options->host.match(options->host.context, &pairs, matches, err);
            arena_reset(arena);
        }
        for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
            const joined_output *pair = &joined->pairs[from + i];
            const bool is_alone = pair->cause == CAUSE_HELD;
            if (!is_alone && !matches[i])
                continue;
            if (!is_alone)
                mark_outer(joined, pair);
            joined->pairs[kept++] = *pair;
        }
    }
    arena_close(arena);
    joined->n_pairs = kept;
    return code;
}

/* ---- a take ---------------------------------------------------------------------------------- */

static void begin_take(joined *joined)
{
    free_gone(joined);
    joined->n_steps = joined->n_pairs = joined->n_outputs = joined->n_given = joined->n_causes = 0;
    joined->was_told_s = joined->told_s;
}

static freshet_code check_memory(const joined *joined, freshet_error *err)
{
    const joined_options *options = &joined->options;
    if (joined->memory.bytes <= options->memory)
        return FRESHET_OK;
    return error_set(err, FRESHET_LIMIT, FRESHET_STOP, "state.memory",
                     "the join of \"%s\" and \"%s\" holds %llu rows, which need more than the %zu "
                     "bytes of state.memory: say a shorter `within`%s, or more memory",
                     options->sides[0].id, options->sides[1].id, (unsigned long long)joined->n_rows,
                     options->memory, options->is_stream ? " or `lateness`" : "");
}

/* What has been found so far: the pairs, and between them what the steps release. */
static freshet_code put_found(joined *joined, freshet_error *err)
{
    freshet_code code = match_pairs(joined, err);
    uint32_t at = 0;
    for (uint32_t i = 0; code == FRESHET_OK && i <= joined->n_steps; i++) {
        const bool is_last = i == joined->n_steps;
        while (code == FRESHET_OK && at < joined->n_pairs &&
               (is_last || joined->pairs[at].ordinal < joined->steps[i].ordinal))
            code = add_output(joined, &joined->pairs[at++], err);
        if (code == FRESHET_OK && !is_last)
            code = release_step(joined, &joined->steps[i], err);
    }
    joined->n_pairs = joined->n_steps = 0;
    return code;
}

static freshet_code end_take(joined *joined, freshet_error *err)
{
    freshet_code code = put_found(joined, err);
    const int64_t told_s = told_watermark(joined);
    if (told_s > joined->told_s)
        joined->told_s = told_s;
    if (joined->n_outputs == 0)
        free_gone(joined);
    return code == FRESHET_OK ? check_memory(joined, err) : code;
}

freshet_code joined_take(joined *joined, arena *arena, const batch *const sides[2],
                         const uint64_t *rows, uint32_t n, freshet_error *err)
{
    const int64_t now_us = os.monotonic_us();
    int64_t *times[2] = {NULL, NULL};
    freshet_code code = FRESHET_OK;
    begin_take(joined);
    for (uint32_t side = 0; code == FRESHET_OK && side < 2; side++)
        if (sides[side] != NULL && sides[side]->n_rows > 0)
            code = joined_times(joined, side, arena, sides[side], &times[side], err);
    if (code == FRESHET_OK && joined->options.is_stream && move_watermarks(joined, now_us))
        code = note_step(joined, 0, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        const uint32_t side = ROW_READER(rows[i]), row = ROW_INDEX(rows[i]);
        taken taken = {.side = side, .from = sides[side], .row = row, .us = times[side][row]};
        code = taken.us == NEVER ? refuse_time(joined, arena, &taken, err)
                                 : take_row(joined, arena, &taken, i, now_us, err);
    }
    return code == FRESHET_OK ? end_take(joined, err) : code;
}

freshet_code joined_finish(joined *joined, freshet_error *err)
{
    begin_take(joined);
    joined->low_us[0] = joined->low_us[1] = INT64_MAX;
    freshet_code code = note_step(joined, 0, err);
    return code == FRESHET_OK ? end_take(joined, err) : code;
}

/* ---- giving ---------------------------------------------------------------------------------- */

bool joined_owes(const joined *joined)
{
    return joined->n_given < joined->n_outputs;
}

/* The cells of a row into the next row of its side's batch. */
static freshet_code decode_row(const joined *joined, uint32_t side, const held_bytes *row,
                               uint32_t pair, batch *into, joined_place *place, freshet_error *err)
{
    const joined_side *of = &joined->options.sides[side];
    const unsigned char *at = row->bytes, *end = at + row->length;
    freshet_code code = held_place(joined, side, into->arena, &at, end, place, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < of->schema->n_fields; i++) {
        if (of->used[i])
            code = cells_get(into->arena, &at, end, &into->columns[i], into->n_rows, err);
        else if (!column_set_null(into->arena, &into->columns[i], into->n_rows))
            code = error_memory(err, JOINING);
    }
    into->rows[into->n_rows++] = pair;
    return code;
}

/* places may be NULL. */
static freshet_code make_pairs(const joined *joined, arena *arena, const joined_output *outputs,
                               uint32_t n, source_pairs *pairs, joined_place *places,
                               freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    *pairs = (source_pairs){.n = n};
    for (uint32_t side = 0; code == FRESHET_OK && side < 2; side++) {
        batch *into = &pairs->sides[side];
        code = batch_init(into, arena, joined->options.sides[side].schema, n, err);
        into->rows = arena_zero(arena, n + (size_t)1, sizeof *into->rows);
        if (code == FRESHET_OK && into->rows == NULL)
            code = error_memory(err, JOINING);
    }
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        const joined_output *output = &outputs[i];
        for (uint32_t side = 0; code == FRESHET_OK && side < 2; side++) {
            joined_place place;
            if (output->rows[side].bytes == NULL)
                continue;
            code =
                decode_row(joined, side, &output->rows[side], i, &pairs->sides[side], &place, err);
            if (places != NULL && output->cause == CAUSE_HELD && joined->keeps_place[side])
                places[i] = place;
        }
        if (places != NULL && output->cause != CAUSE_HELD)
            places[i] = joined->causes[output->cause];
    }
    return code;
}

freshet_code joined_give(joined *joined, arena *arena, uint32_t most, source_pairs *pairs,
                         const joined_place **places, freshet_error *err)
{
    const uint32_t left = joined->n_outputs - joined->n_given, n = left < most ? left : most;
    joined_place *made = arena_zero(arena, n + (size_t)1, sizeof *made);
    *places = made;
    if (made == NULL)
        return error_memory(err, JOINING);
    freshet_code code =
        make_pairs(joined, arena, joined->outputs + joined->n_given, n, pairs, made, err);
    joined->n_given += n;
    if (!joined_owes(joined))
        free_gone(joined);
    return code;
}

/* ---- facts and figures ----------------------------------------------------------------------- */

freshet_code joined_save(const joined *joined, text_buffer *into, freshet_error *err)
{
    text_append(into, MAGIC, 4);
    text_append(into, (const char *)&joined->next_number, sizeof joined->next_number);
    text_append(into, (const char *)joined->low_us, sizeof joined->low_us);
    for (int side = 0; side < 2; side++) {
        text_buffer one;
        text_init(&one, TEXT_LIMIT_DEFAULT);
        lanes_save(&joined->lanes[side], &one);
        const uint32_t length = (uint32_t)one.length;
        text_append(into, (const char *)&length, sizeof length);
        text_append(into, one.bytes, one.length);
        into->failed |= one.failed;
        text_release(&one);
    }
    return into->failed ? error_memory(err, "saving the watermarks of the join") : FRESHET_OK;
}

static freshet_code restore_lanes(joined *joined, const char *at, const char *end,
                                  freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (int side = 0; code == FRESHET_OK && side < 2; side++) {
        uint32_t length = 0;
        if ((size_t)(end - at) >= sizeof length)
            memcpy(&length, at, sizeof length);
        if ((size_t)(end - at) < sizeof length || (size_t)(end - at) - sizeof length < length)
            return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                             "the saved watermarks of the join are damaged");
        code =
            lanes_restore(&joined->lanes[side], at + sizeof length, length, os.monotonic_us(), err);
        at += sizeof length + length;
    }
    return code;
}

freshet_code joined_restore(joined *joined, const void *bytes, size_t length, freshet_error *err)
{
    const char *at = bytes;
    uint64_t number;
    if (length < FACT_HEAD_BYTES || memcmp(at, MAGIC, 4) != 0)
        return error_set(
            err, FRESHET_FAILED, FRESHET_STOP, NULL,
            "the saved watermarks of the join are damaged: they are not in the format " MAGIC);
    memcpy(&number, at + 4, sizeof number);
    memcpy(joined->low_us, at + 12, sizeof joined->low_us);
    if (number > joined->next_number)
        joined->next_number = number;
    joined->told_s = joined->was_told_s = told_watermark(joined);
    return restore_lanes(joined, at + FACT_HEAD_BYTES, at + length, err);
}

joined_figures joined_measure(const joined *joined)
{
    return (joined_figures){joined->n_dropped, joined->n_rows, joined->memory.bytes};
}

bool joined_held_by(const joined *joined, uint32_t *side, feature_set_holder *out)
{
    const int64_t now_us = os.monotonic_us(), idle_us = joined->options.timestamp->idle_us;
    bool is_idle[2];
    int64_t low_us[2];
    if (joined->n_rows == 0)
        return false;
    for (uint32_t i = 0; i < 2; i++)
        low_us[i] = side_low(joined, i, now_us, &is_idle[i]);
    *side = low_us[0] <= low_us[1] ? 0 : 1;
    if (low_us[0] == low_us[1] || is_idle[*side])
        return false;
    const lanes *lanes = &joined->lanes[*side];
    *out = (feature_set_holder){0, LANES_NONE, joined->opened_us};
    for (uint32_t i = 0; i < lanes->n; i++)
        if (now_us - lanes->items[i].seen_us < idle_us &&
            (i == 0 || lanes->items[i].newest_s < out->newest_s))
            *out = (feature_set_holder){lanes->items[i].number, lanes->items[i].newest_s,
                                        lanes->items[i].seen_us};
    return true;
}
