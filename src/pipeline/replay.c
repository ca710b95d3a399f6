/* replay.c - see replay.h.
 *
 * All lines that are to be replayed lie in memory as they were written, in the file's order, and
 * are taken apart when their turn comes. A line's name is "RUN NUMBER", by which the store has it
 * as a fact. At the end of a replay the names become ranges of numbers of their runs, which stay in
 * the store: a copy of the file, too, gives no row twice. Both are looked up by halves.
 */
#include "pipeline/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "formats/format.h"
#include "operate/dead_letters.h"
#include "pipeline/checkpoint_internal.h"
#include "pipeline/pipeline.h"
#include "readers/polling.h"

#define REPLAYING "replaying dead letters"
#define NAME_MAX_BYTES 160

typedef struct replay_line {
    const char *text;
    uint32_t length;
    uint32_t reader;
    const char *name; /* as a fact */
} replay_line;

/* Numbers of a run, all of them replayed. */
typedef struct replay_range {
    const char *run;
    int64_t first, last;
} replay_range;

typedef struct replay_names {
    const char **items;
    uint32_t n, capacity;
} replay_names;

/* A reader while it replays: its own operations, and where in the lines it is. */
typedef struct replay_reader {
    replay *replay;
    const reader_ops *own;
    reader_ops ops;
    reader_positions lanes; /* of the checkpoint */
    uint32_t next;          /* line */
    letter *letters;        /* of this step's rows, by origin.partition; in the step's arena */
    uint32_t n_letters;
    decoder *decoder; /* of records that are JSON objects */
    format_options json;
} replay_reader;

struct replay {
    freshet_pipeline *pipeline;
    arena *arena;
    dead_letters *letters; /* of the file that is replayed */
    replay_line *lines;
    uint32_t n_lines, capacity;
    size_t bytes;
    replay_names before;  /* those that earlier replays have noted, in order */
    replay_range *ranges; /* the same of those that came to their end, in order */
    uint32_t n_ranges, ranges_capacity;
    replay_names taken; /* those of this one */
    uint32_t n_noted;   /* of `taken`: handed over */
    uint32_t n_asked;   /* of `taken`: given to the checkpoint on its way */
    replay_reader readers[PIPELINE_READERS_MAX];
    uint32_t n_batch, n_store, n_cut, n_static, n_other, n_foreign; /* lines that stay */
    uint32_t n_done;                                                /* replayed earlier */
    bool is_over;
};

/* ---- which letters ------------------------------------------------------------------------- */

static bool names_add(replay *replay, replay_names *names, const char *name)
{
    if (!arena_reserve(replay->arena, &names->items, &names->capacity, names->n + UINT64_C(1),
                       sizeof *names->items))
        return false;
    names->items[names->n++] = name;
    return true;
}

static int replay_compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool was_replayed(const replay_names *sorted, const char *name)
{
    return sorted->n > 0 && bsearch(&name, sorted->items, sorted->n, sizeof *sorted->items,
                                    replay_compare_names) != NULL;
}

static bool is_in_range(const replay *replay, const letter *letter)
{
    uint32_t low = 0, high = replay->n_ranges;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const replay_range *range = &replay->ranges[middle];
        const int order = strcmp(letter->run, range->run);
        if (order == 0 && letter->number >= range->first && letter->number <= range->last)
            return true;
        if (order < 0 || (order == 0 && letter->number < range->first))
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* The reader whose rows are followed; UINT32_MAX: it is none. */
static uint32_t find_reader(const freshet_pipeline *pipeline, const char *id)
{
    for (uint32_t i = 0; id != NULL && i < pipeline->n_readers; i++)
        if (strcmp(pipeline->readers[i].reader->block->id.value, id) == 0)
            return source_drives(pipeline->source, i) ? i : UINT32_MAX - 1;
    return UINT32_MAX;
}

static bool is_of_batch(const letter *letter)
{
    return strncmp(letter->run, "batch-", 6) == 0;
}

/* Can the letter be replayed? `reader` is then its reader's number. */
static bool is_fit(const freshet_pipeline *pipeline, const letter *letter, uint32_t *reader)
{
    *reader = find_reader(pipeline, letter->reader);
    return !is_of_batch(letter) && letter->code != REASON_STORE_REFUSED && letter->is_whole &&
           *reader < pipeline->n_readers;
}

static void count_staying(replay *replay, const letter *letter, uint32_t reader)
{
    if (is_of_batch(letter))
        replay->n_batch++;
    else if (letter->code == REASON_STORE_REFUSED)
        replay->n_store++;
    else if (!letter->is_whole)
        replay->n_cut++;
    else if (reader == UINT32_MAX - 1)
        replay->n_static++;
    else
        replay->n_other++;
}

static void replay_name_of(const letter *letter, char into[NAME_MAX_BYTES])
{
    snprintf(into, NAME_MAX_BYTES, "%s %020lld", letter->run, (long long)letter->number);
}

/* The line as a letter of the pipeline; false where it is none. */
static freshet_code read_line(replay *replay, const char *line, size_t length, letter *letter,
                              bool *is_letter, freshet_error *err)
{
    size_t run_length;
    *is_letter = letter_run(line, length, replay->pipeline->declaration->pipeline.value,
                            &run_length) != NULL;
    if (!*is_letter)
        return FRESHET_OK;
    arena_reset(replay->pipeline->step_arena);
    const freshet_code code = letter_read(replay->pipeline->step_arena, line, length, letter, err);
    *is_letter = code == FRESHET_OK;
    return code == FRESHET_FAILED ? FRESHET_OK : code;
}

static freshet_code gather_line(void *context, const char *line, size_t length, bool *keep,
                                freshet_error *err)
{
    replay *replay = context;
    letter letter;
    bool is_letter = false;
    uint32_t reader;
    char name[NAME_MAX_BYTES];
    freshet_code code = read_line(replay, line, length, &letter, &is_letter, err);
    (void)keep;
    if (code != FRESHET_OK)
        return code;
    if (!is_letter) {
        replay->n_foreign++;
        return FRESHET_OK;
    }
    if (!is_fit(replay->pipeline, &letter, &reader)) {
        count_staying(replay, &letter, reader);
        return FRESHET_OK;
    }
    replay_name_of(&letter, name);
    if (was_replayed(&replay->before, name) || is_in_range(replay, &letter)) {
        replay->n_done++;
        return FRESHET_OK;
    }
    replay->bytes += length;
    if (replay->bytes > REPLAY_BYTES_MAX || length > UINT32_MAX)
        return error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                         "the dead letters are more than %zu GiB, which is the most that can be "
                         "replayed at once: move a part of the file away, and replay that later",
                         REPLAY_BYTES_MAX >> 30);
    if (!arena_reserve(replay->arena, &replay->lines, &replay->capacity,
                       replay->n_lines + UINT64_C(1), sizeof *replay->lines))
        return error_memory(err, REPLAYING);
    replay_line *added = &replay->lines[replay->n_lines];
    *added = (replay_line){.text = arena_copy(replay->arena, line, length),
                           .length = (uint32_t)length,
                           .reader = reader,
                           .name = arena_text(replay->arena, name)};
    if (added->text == NULL || added->name == NULL)
        return error_memory(err, REPLAYING);
    replay->n_lines++;
    return FRESHET_OK;
}

static freshet_code take_note(void *context, const store_entry *entry, freshet_error *err)
{
    replay *replay = context;
    const char *name = arena_copy(replay->arena, entry->key, entry->key_length);
    return name != NULL && names_add(replay, &replay->before, name) ? FRESHET_OK
                                                                    : error_memory(err, REPLAYING);
}

static bool ranges_add(replay *replay, const char *run, int64_t first, int64_t last)
{
    if (run == NULL || !arena_reserve(replay->arena, &replay->ranges, &replay->ranges_capacity,
                                      replay->n_ranges + UINT64_C(1), sizeof *replay->ranges))
        return false;
    replay->ranges[replay->n_ranges++] = (replay_range){run, first, last};
    return true;
}

static freshet_code take_ranges(void *context, const store_entry *entry, freshet_error *err)
{
    replay *replay = context;
    const char *run = arena_copy(replay->arena, entry->key, entry->key_length);
    int64_t range[2];
    for (size_t at = 0; at + sizeof range <= entry->length; at += sizeof range) {
        memcpy(range, (const char *)entry->value + at, sizeof range);
        if (!ranges_add(replay, run, range[0], range[1]))
            return error_memory(err, REPLAYING);
    }
    return FRESHET_OK;
}

static int compare_ranges(const void *a, const void *b)
{
    const replay_range *x = a, *y = b;
    const int runs = strcmp(x->run, y->run);
    return runs != 0 ? runs : x->first < y->first ? -1 : x->first > y->first;
}

/* The names as ranges, each a number, beside those that are there; then as few ranges as can be. */
static bool names_to_ranges(replay *replay, const replay_names *names)
{
    for (uint32_t i = 0; i < names->n; i++) {
        const char *blank = strrchr(names->items[i], ' ');
        const int64_t number = strtoll(blank + 1, NULL, 10);
        const char *run =
            arena_copy(replay->arena, names->items[i], (size_t)(blank - names->items[i]));
        if (!ranges_add(replay, run, number, number))
            return false;
    }
    return true;
}

static void join_ranges(replay *replay)
{
    uint32_t n = 0;
    replay_range *ranges = replay->ranges;
    if (replay->n_ranges == 0)
        return;
    qsort(ranges, replay->n_ranges, sizeof *ranges, compare_ranges);
    for (uint32_t i = 1; i < replay->n_ranges; i++) {
        if (strcmp(ranges[i].run, ranges[n].run) == 0 && ranges[i].first <= ranges[n].last + 1)
            ranges[n].last = ranges[i].last > ranges[n].last ? ranges[i].last : ranges[n].last;
        else
            ranges[++n] = ranges[i];
    }
    replay->n_ranges = n + 1;
}

/* ---- readers that give letters ------------------------------------------------------------- */

static replay_reader *replay_reader_of(freshet_reader *reader)
{
    return reader->replay;
}

static freshet_code replay_reader_open(freshet_reader *reader, const reader_positions *from,
                                       freshet_error *err)
{
    replay_reader *it = replay_reader_of(reader);
    reader_positions found;
    (void)from;
    freshet_code code = checkpoint_positions(it->replay->pipeline, reader->index, &found, err);
    if (code != FRESHET_OK)
        return code;
    it->lanes.items = arena_zero(it->replay->arena, found.n + UINT64_C(1), sizeof *found.items);
    for (uint32_t i = 0; it->lanes.items != NULL && i < found.n; i++) {
        reader_position *kept = &it->lanes.items[it->lanes.n];
        if (found.items[i].lane == 0)
            continue;
        *kept = (reader_position){.label = arena_text(it->replay->arena, found.items[i].label),
                                  .lane = found.items[i].lane};
        if (kept->label == NULL)
            return error_memory(err, REPLAYING);
        it->lanes.n++;
    }
    return it->lanes.items == NULL ? error_memory(err, REPLAYING) : FRESHET_OK;
}

/* The watermark's partition of the record, as it was when the stream read it. */
static uint32_t lane_of(const replay_reader *it, const char *partition)
{
    for (uint32_t i = 0; partition != NULL && i < it->lanes.n; i++)
        if (strcmp(it->lanes.items[i].label, partition) == 0)
            return it->lanes.items[i].lane;
    return 0;
}

static freshet_code decode_json(freshet_reader *reader, const letter *letter, batch *into,
                                reason_code *refused, freshet_error *err)
{
    replay_reader *it = replay_reader_of(reader);
    const decoder like = {.format = &format_json,
                          .options = &it->json,
                          .schema = &reader->schema,
                          .used = reader->used,
                          .cast_error_null = reader->block->on_cast_error == ON_CAST_ERROR_NULL};
    freshet_code code = it->decoder == NULL ? decoder_open(&like, &it->decoder, err) : FRESHET_OK;
    if (code != FRESHET_OK)
        return code;
    decoder_begin(it->decoder, into);
    code = decoder_decode(it->decoder, letter->raw, letter->raw_length, err);
    *refused = it->decoder->refused;
    return code;
}

static freshet_code decode_letter(freshet_reader *reader, const letter *letter, batch *into,
                                  reason_code *refused, freshet_error *err)
{
    const replay_reader *it = replay_reader_of(reader);
    const reader_record record = {.partition = letter->partition,
                                  .raw = letter->raw,
                                  .raw_length = letter->raw_length,
                                  .offset = letter->offset,
                                  .has_message = letter->has_message,
                                  .key = letter->key,
                                  .key_length = letter->key_length,
                                  .message_us = letter->message_us,
                                  .message_kind = letter->message_kind};
    freshet_code code = it->own->replay == NULL
                            ? FRESHET_END
                            : it->own->replay(reader, &record, into, refused, err);
    return code == FRESHET_END ? decode_json(reader, letter, into, refused, err) : code;
}

static const char *replay_label(const freshet_reader *reader, uint32_t partition)
{
    const replay_reader *it = reader->replay;
    return it->letters[partition].partition;
}

/* What the new letter has of the old one. */
static void replay_beside(freshet_reader *reader, const origin *origin, reject *into)
{
    const letter *letter = &replay_reader_of(reader)->letters[origin->partition];
    if (letter->parts > 0) {
        into->part = (uint32_t)letter->part;
        into->parts = (uint32_t)letter->parts;
    }
    into->stacked = letter->stacked;
    into->has_message = letter->has_message;
    into->key = letter->key;
    into->key_length = letter->key_length;
    into->message_us = letter->message_us;
    into->message_kind = letter->message_kind;
}

/* One letter as a row of the batch, or a reject again. */
static freshet_code replay_one(freshet_reader *reader, uint32_t number, batch *into,
                               rejects *rejects, freshet_error *err)
{
    replay_reader *it = replay_reader_of(reader);
    const letter *letter = &it->letters[number];
    const origin origin = {.raw = letter->raw,
                           .raw_length = (uint32_t)letter->raw_length,
                           .partition = number,
                           .offset = letter->offset,
                           .lane = lane_of(it, letter->partition),
                           .length = 1};
    freshet_error problem = {0};
    reason_code refused = REASON_BAD_RECORD;
    freshet_code code = batch_reserve(into, into->n_rows + UINT64_C(1), REPLAYING, err);
    if (code != FRESHET_OK)
        return code;
    code = decode_letter(reader, letter, into, &refused, &problem);
    if (code == FRESHET_OK) {
        into->origins[into->n_rows++] = origin;
        return FRESHET_OK;
    }
    if (problem.then != FRESHET_SKIP_ROW) {
        if (err != NULL)
            *err = problem;
        return code;
    }
    reject again = {0};
    polling_locate(reader, &origin, &again);
    return rejects_add(rejects, &again, refused, "%s", problem.text) ? FRESHET_OK
                                                                     : error_memory(err, REPLAYING);
}

/* The reader's next line; NULL: there is none. */
static const replay_line *next_line(replay_reader *it, uint32_t reader)
{
    const replay *replay = it->replay;
    while (it->next < replay->n_lines && replay->lines[it->next].reader != reader)
        it->next++;
    return it->next == replay->n_lines ? NULL : &replay->lines[it->next];
}

static freshet_code replay_poll(freshet_reader *reader, batch *into, uint32_t max_rows,
                                size_t max_bytes, rejects *rejects, bool *more, freshet_error *err)
{
    replay_reader *it = replay_reader_of(reader);
    const replay_line *line;
    size_t bytes = 0;
    freshet_code code = FRESHET_OK;
    it->letters = arena_alloc(into->arena, max_rows * sizeof *it->letters);
    it->n_letters = 0;
    if (it->letters == NULL)
        return error_memory(err, REPLAYING);
    while (code == FRESHET_OK && it->n_letters < max_rows && bytes < max_bytes &&
           (line = next_line(it, reader->index)) != NULL) {
        code = letter_read(into->arena, line->text, line->length, &it->letters[it->n_letters], err);
        if (code == FRESHET_OK)
            code = replay_one(reader, it->n_letters++, into, rejects, err);
        if (code == FRESHET_OK && !names_add(it->replay, &it->replay->taken, line->name))
            code = error_memory(err, REPLAYING);
        bytes += line->length;
        it->next++;
    }
    if (code != FRESHET_OK)
        return code;
    *more = next_line(it, reader->index) != NULL;
    return *more ? FRESHET_OK : FRESHET_END;
}

static void replay_reader_close(freshet_reader *reader)
{
    replay_reader *it = replay_reader_of(reader);
    decoder_close(it->decoder);
    it->decoder = NULL;
    it->own->close(reader);
}

/* The reader gives letters from now on. */
static void put_in_place(replay *replay, uint32_t i)
{
    freshet_reader *reader = replay->pipeline->readers[i].reader;
    replay_reader *it = &replay->readers[i];
    it->replay = replay;
    it->own = reader->ops;
    it->ops = (reader_ops){.block = reader->ops->block,
                           .size = reader->ops->size,
                           .describe = reader->ops->describe,
                           .open = replay_reader_open,
                           .poll = replay_poll,
                           .partition_label = replay_label,
                           .beside = replay_beside,
                           .close = replay_reader_close};
    reader->ops = &it->ops;
    reader->replay = it;
}

/* ---- the run ------------------------------------------------------------------------------- */

static void append_staying(text_buffer *into, uint32_t n, const char *what)
{
    if (n > 0)
        text_format(into, "%s%u %s", into->length > 0 ? "; " : "", n, what);
}

static void say_letters(const replay *replay)
{
    text_buffer stay;
    text_init(&stay, TEXT_LIMIT_DEFAULT);
    append_staying(&stay, replay->n_batch,
                   "of batch runs (run the batch again: it reads all of its "
                   "input)");
    append_staying(&stay, replay->n_store, "that the store refused (the history has their rows)");
    append_staying(&stay, replay->n_cut, "whose record was not kept whole");
    append_staying(&stay, replay->n_static,
                   "of readers that are looked up in, which each run reads "
                   "anew");
    append_staying(&stay, replay->n_other, "of readers that the declaration does not have");
    append_staying(&stay, replay->n_foreign, "of other pipelines, or no letters");
    char done[64] = "";
    if (replay->n_done > 0)
        snprintf(done, sizeof done, " (and %u more that were replayed before)", replay->n_done);
    log_event(REPLAY_BEGINS, replay->pipeline->declaration->pipeline.value, replay->n_lines,
              replay->n_lines == 1 ? "" : "s", dead_letters_path(replay->letters), done,
              stay.length > 0 ? "; these stay there: " : "",
              stay.length > 0 && !stay.failed ? stay.bytes : "");
    text_release(&stay);
}

freshet_code replay_open(freshet_pipeline *pipeline, const char *path, freshet_error *err)
{
    replay *replay = arena_zero(pipeline->arena, 1, sizeof *replay);
    if (replay == NULL || (replay->arena = arena_open()) == NULL)
        return error_memory(err, REPLAYING);
    replay->pipeline = pipeline;
    pipeline->replay = replay;
    const dead_letters_options options = {.path = path,
                                          .pipeline = pipeline->declaration->pipeline.value,
                                          .kind = LETTERS_REPLAY,
                                          .keep = 1};
    freshet_code code = dead_letters_open(&options, &replay->letters, err);
    if (code == FRESHET_OK)
        code = store_visit(pipeline->checkpoint->store, STORE_FACT, FACT_REPLAYED, take_note,
                           replay, err);
    if (code == FRESHET_OK)
        code = store_visit(pipeline->checkpoint->store, STORE_FACT, FACT_REPLAYED_RUN, take_ranges,
                           replay, err);
    join_ranges(replay);
    if (code == FRESHET_OK && replay->before.n > 0)
        qsort(replay->before.items, replay->before.n, sizeof *replay->before.items,
              replay_compare_names);
    if (code == FRESHET_OK)
        code = dead_letters_visit(replay->letters, gather_line, replay, err);
    if (code != FRESHET_OK)
        return code;
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        if (source_drives(pipeline->source, i))
            put_in_place(replay, i);
    say_letters(replay);
    return FRESHET_OK;
}

void replay_close(replay *replay)
{
    if (replay == NULL)
        return;
    dead_letters_close(replay->letters);
    arena_close(replay->arena);
}

/* The letter that the row is about, and how many rows the query has made of its record. */
static const letter *letter_of(const replay *replay, const batch *rows, uint32_t row,
                               uint32_t *part, uint32_t *parts)
{
    const uint64_t origin = rows->rows[row];
    const replay_reader *it = &replay->readers[ROW_READER(origin)];
    const batch *read = replay->pipeline->readers[ROW_READER(origin)].batch;
    uint32_t first = row, end = row + 1;
    while (first > 0 && rows->rows[first - 1] == origin)
        first--;
    while (end < rows->n_rows && rows->rows[end] == origin)
        end++;
    *part = row - first + 1;
    *parts = end - first;
    return &it->letters[read->origins[ROW_INDEX(origin)].partition];
}

static void locate_again(freshet_pipeline *pipeline, uint64_t origin_of, reject *into)
{
    const reader_state *state = &pipeline->readers[ROW_READER(origin_of)];
    polling_locate(state->reader, &state->batch->origins[ROW_INDEX(origin_of)], into);
}

/* The query does not make as many rows of the record as it did: which one is meant? */
static freshet_code refuse_parts(freshet_pipeline *pipeline, uint64_t origin_of,
                                 const letter *letter, uint32_t parts, freshet_error *err)
{
    reject again = {0};
    locate_again(pipeline, origin_of, &again);
    return rejects_add(&pipeline->rejects, &again, REASON_SQL_ERROR,
                       "the query makes %u row%s of the record, where it made %lld: which of them "
                       "the letter is about cannot be told; put the query back to replay it",
                       parts, parts == 1 ? "" : "s", (long long)letter->parts)
               ? FRESHET_OK
               : error_memory(err, REPLAYING);
}

/* The same of stacks. */
static freshet_code refuse_copies(freshet_pipeline *pipeline, uint64_t origin_of,
                                  const letter *letter, freshet_error *err)
{
    const uint32_t copies = feature_set_copies(pipeline->features);
    reject again = {0};
    locate_again(pipeline, origin_of, &again);
    return rejects_add(&pipeline->rejects, &again, REASON_SQL_ERROR,
                       "the stacks of the feature set make %u row%s of one, where they made %u: "
                       "which of them the letter is about cannot be told; put them back to replay "
                       "it",
                       copies, copies == 1 ? "" : "s", letter->stacked.copies)
               ? FRESHET_OK
               : error_memory(err, REPLAYING);
}

/* Of each row, which of those is meant that stacks make of it. */
static freshet_code choose_copies(freshet_pipeline *pipeline, batch *rows, freshet_error *err)
{
    rows->wanted = arena_zero(rows->arena, rows->n_rows + (size_t)1, sizeof *rows->wanted);
    if (rows->wanted == NULL)
        return error_memory(err, REPLAYING);
    for (uint32_t row = 0; row < rows->n_rows; row++) {
        uint32_t part, parts;
        rows->wanted[row] = letter_of(pipeline->replay, rows, row, &part, &parts)->stacked;
    }
    return FRESHET_OK;
}

freshet_code replay_choose(freshet_pipeline *pipeline, batch *rows, freshet_error *err)
{
    uint8_t *keep = arena_zero(rows->arena, rows->n_rows + (size_t)1, 1);
    batch chosen;
    freshet_code code = FRESHET_OK;
    if (keep == NULL)
        return error_memory(err, REPLAYING);
    for (uint32_t row = 0; code == FRESHET_OK && row < rows->n_rows; row++) {
        uint32_t part, parts;
        const letter *letter = letter_of(pipeline->replay, rows, row, &part, &parts);
        const bool is_known = letter->parts == 0 || letter->parts == (int64_t)parts;
        keep[row] = letter->parts == 0 || (is_known && letter->part == (int64_t)part);
        if (!is_known && part == 1)
            code = refuse_parts(pipeline, rows->rows[row], letter, parts, err);
        if (!keep[row] || letter->stacked.copies == 0 ||
            feature_set_makes(pipeline->features, letter->stacked.copies))
            continue;
        keep[row] = 0;
        code = refuse_copies(pipeline, rows->rows[row], letter, err);
    }
    if (code == FRESHET_OK)
        code = batch_select(rows, keep, &chosen, err);
    if (code == FRESHET_OK)
        *rows = chosen;
    return code == FRESHET_OK ? choose_copies(pipeline, rows, err) : code;
}

/* ---- once ---------------------------------------------------------------------------------- */

freshet_code replay_notes(replay *replay, replay_note_fn *put, void *context, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = replay->n_noted; code == FRESHET_OK && i < replay->taken.n; i++)
        code = put(context, replay->taken.items[i], strlen(replay->taken.items[i]), err);
    replay->n_asked = replay->taken.n;
    return code;
}

freshet_code replay_runs(const replay *replay, replay_run_fn *put, void *context,
                         freshet_error *err)
{
    text_buffer text;
    freshet_code code = FRESHET_OK;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < replay->n_ranges && code == FRESHET_OK; i++) {
        const replay_range *range = &replay->ranges[i];
        text_append(&text, (const char *)&range->first, sizeof range->first);
        text_append(&text, (const char *)&range->last, sizeof range->last);
        if (i + 1 < replay->n_ranges && strcmp(range[1].run, range->run) == 0)
            continue;
        code = text.failed ? error_memory(err, REPLAYING)
                           : put(context, range->run, text.bytes, text.length, err);
        text_reset(&text);
    }
    text_release(&text);
    return code;
}

void replay_noted(replay *replay)
{
    replay->n_noted = replay->n_asked;
}

bool replay_is_over(const replay *replay)
{
    return replay->is_over;
}

/* Letters that went through are not kept. */
static freshet_code keep_line(void *context, const char *line, size_t length, bool *keep,
                              freshet_error *err)
{
    replay *replay = context;
    letter letter;
    bool is_letter = false;
    uint32_t reader;
    char name[NAME_MAX_BYTES];
    freshet_code code = read_line(replay, line, length, &letter, &is_letter, err);
    if (code != FRESHET_OK || !is_letter || !is_fit(replay->pipeline, &letter, &reader))
        return code;
    replay_name_of(&letter, name);
    *keep = !was_replayed(&replay->before, name) && !was_replayed(&replay->taken, name) &&
            !is_in_range(replay, &letter);
    return FRESHET_OK;
}

freshet_code replay_finish(freshet_pipeline *pipeline, freshet_error *err)
{
    replay *replay = pipeline->replay;
    if (replay->taken.n > 0)
        qsort(replay->taken.items, replay->taken.n, sizeof *replay->taken.items,
              replay_compare_names);
    freshet_code code = dead_letters_sift(replay->letters, keep_line, replay, err);
    if (code != FRESHET_OK)
        return code;
    if (!names_to_ranges(replay, &replay->before) || !names_to_ranges(replay, &replay->taken))
        return error_memory(err, REPLAYING);
    join_ranges(replay);
    replay->is_over = true;
    return checkpoint_now(pipeline, err);
}
