/* bootstrap.c - the reader that the loop sees where there is a `bootstrap`; see bootstrap.h.
 *
 * Each operation goes to the sorted file while there is a past, and then to the live reader, whose
 * partitions are one further on. The operations are made for each such reader, since which of them
 * there are says what the live reader is (readers/reader.h).
 */
#include "pipeline/bootstrap.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/timestamp.h"
#include "features/common_type.h"
#include "formats/widen.h"
#include "readers/file/file.h"
#include "readers/file/file_list.h"
#include "readers/kafka/kafka.h"

#define SORTED_NAME "f1" /* of the position of the one file */

static bootstrap *of_reader(const freshet_reader *reader)
{
    return (bootstrap *)reader;
}

bootstrap *bootstrap_of(const freshet_pipeline *pipeline, uint32_t reader)
{
    return pipeline->bootstraps[reader];
}

/* ---- columns --------------------------------------------------------------------------------- */

/* A file without a schema has the columns of the reader. */
static bool takes_columns(const bootstrap *of)
{
    const declared_kind *kind = &of->block->kind;
    return kind->kind == &file_reader_ops.block &&
           ((const file_options *)kind->options)->format.schema.value.n_fields == 0;
}

static freshet_reader *make_inner(const bootstrap *of, const reader_ops *ops,
                                  const reader_block *block)
{
    arena *arena = of->pipeline->arena;
    freshet_reader *reader = arena_zero(arena, 1, ops->size);
    if (reader != NULL)
        *reader = (freshet_reader){.ops = ops,
                                   .declaration = of->base.declaration,
                                   .block = block,
                                   .options = block->kind.options,
                                   .mode = READ_ALL,
                                   .arena = arena,
                                   .index = of->base.index,
                                   .idle_us = of->base.idle_us};
    return reader;
}

static bool are_alike(arena *arena, const type *dump, const type *live)
{
    bool no_memory = false;
    const bool is_nested = dump->kind == TYPE_ARRAY || dump->kind == TYPE_STRUCT;
    const bool is_live_nested = live->kind == TYPE_ARRAY || live->kind == TYPE_STRUCT;
    if (dump->kind == TYPE_STRING && !is_live_nested)
        return true; /* text is read as CSV has it */
    if (is_nested || is_live_nested)
        return dump->kind == live->kind;
    return dump->kind == live->kind || live->kind == TYPE_STRING ||
           common_type(arena, dump, live, &no_memory) != NULL;
}

static void tell_other(const bootstrap *of, const field *live, const type *dump, problems *problems)
{
    arena *arena = of->pipeline->arena;
    const char *is = type_name(arena, dump), *wanted = type_name(arena, live->type);
    problem_add(problems, &of->block->kind.at,
                "reader \"%s\": the column \"%s\" is %s in its bootstrap, and %s in what comes "
                "live: write the past with that type%s",
                of->base.block->id.value, live->name, is == NULL ? "another" : is,
                wanted == NULL ? "another" : wanted,
                takes_columns(of) ? "" : ", or declare it so in `schema`");
}

/* Of the columns of the dump, as they are there. */
static void bootstrap_compare(const bootstrap *of, const schema *dump, bool exactly,
                              problems *problems)
{
    const schema *live = &of->base.schema;
    uint32_t n_found = 0;
    for (uint32_t i = 0; i < live->n_fields; i++) {
        const int64_t at = schema_find(dump, live->fields[i].name);
        if (at < 0)
            continue;
        n_found++;
        const type *type = dump->fields[at].type;
        if (type == &type_unknown)
            continue;
        if (exactly ? !type_equal(type, live->fields[i].type)
                    : !are_alike(of->pipeline->arena, type, live->fields[i].type))
            tell_other(of, &live->fields[i], type, problems);
    }
    if (n_found == 0)
        problem_add(problems, &of->block->kind.at,
                    "reader \"%s\": its bootstrap has none of its columns",
                    of->base.block->id.value);
}

/* What is there of itself, by the first records: to compare it. */
static freshet_code look_at_dump(bootstrap *of, problems *problems, freshet_error *err)
{
    reader_block block = of->dump_block;
    block.stream = true; /* as many records as a stream looks at */
    freshet_reader *look = make_inner(of, &file_reader_ops, &block);
    freshet_error problem = {0};
    if (look == NULL)
        return error_memory(err, BOOTSTRAPPING);
    look->problems = problems;
    look->options = of->block->kind.options;
    freshet_code code = look->ops->describe(look, &problem);
    if (code == FRESHET_OK)
        bootstrap_compare(of, &look->schema, false, problems);
    look->ops->close(look);
    if (code == FRESHET_BAD_DECLARATION || code == FRESHET_FAILED)
        return FRESHET_OK; /* there is nothing to see, or the dump will say so */
    if (code != FRESHET_OK && err != NULL)
        *err = problem;
    return code;
}

/* A dump of files without any is a path that is wrong: an empty dump has a file. Taken for an empty
 * one it would be over, and no run could read it any more. */
static freshet_code is_without_files(const bootstrap *of, bool *out, freshet_error *err)
{
    const file_options *options = of->block->kind.options;
    file_listing found = {0};
    *out = false;
    if (registry_reader(of->block->kind.kind) != &file_reader_ops)
        return FRESHET_OK;
    arena *scratch = arena_open();
    const char *path = scratch == NULL
                           ? NULL
                           : declaration_path(of->base.declaration, scratch, options->path.value);
    freshet_code code = path == NULL ? error_memory(err, BOOTSTRAPPING)
                                     : file_list(scratch, path, LIST_BY_NAME, NULL, &found, err);
    *out = code == FRESHET_OK && found.n == 0 && found.unreadable == NULL;
    arena_close(scratch);
    return code;
}

/* Why it cannot be read; where the past is over already it need not be. */
static freshet_code note_problem(bootstrap *of, const char *why, freshet_error *err)
{
    of->dump_problem = arena_format(of->pipeline->arena, "reader \"%s\": its bootstrap: %s",
                                    of->base.block->id.value, why);
    if (of->dump_problem == NULL)
        return error_memory(err, BOOTSTRAPPING);
    problem_warn(of->base.problems, &of->block->kind.at,
                 "%s; only the first run needs it, until the past is read", of->dump_problem);
    return FRESHET_OK;
}

/* The dump with the columns of the reader, or its own. It may be gone when the past is over: only
 * bootstrap_prepare knows. */
static freshet_code describe_dump(bootstrap *of, bool *good, freshet_error *err)
{
    of->dump_block = *of->base.block;
    of->dump_block.kind = of->block->kind;
    of->dump_block.stream = false;
    of->dump_block.has_incremental = false;
    if (takes_columns(of)) {
        file_options *options = arena_zero(of->pipeline->arena, 1, sizeof *options);
        if (options == NULL)
            return error_memory(err, BOOTSTRAPPING);
        *options = *(const file_options *)of->block->kind.options;
        options->format.schema =
            (declared_schema){.value = of->base.schema, .at = of->block->kind.at};
        of->dump_block.kind.options = options;
    }
    of->dump = make_inner(of, registry_reader(of->block->kind.kind), &of->dump_block);
    if (of->dump == NULL)
        return error_memory(err, BOOTSTRAPPING);
    of->is_dump_described = true;
    if (!takes_columns(of)) {
        of->dump->problems = of->base.problems;
    } else if ((of->dump->problems = problems_open(of->pipeline->arena)) == NULL) {
        return error_memory(err, BOOTSTRAPPING);
    }
    freshet_error problem = {0};
    freshet_code code = of->dump->ops->describe(of->dump, &problem);
    of->dump->problems = NULL;
    *good = code == FRESHET_OK;
    if (code == FRESHET_BAD_DECLARATION || code == FRESHET_FAILED) {
        return note_problem(of, problem.text, err);
    }
    bool is_without = false;
    if (code == FRESHET_OK)
        code = is_without_files(of, &is_without, &problem);
    if (code == FRESHET_OK && is_without) {
        *good = false;
        return note_problem(of, "there is no file at its path: mend that, or take `bootstrap` away",
                            err);
    }
    if (code != FRESHET_OK && err != NULL)
        *err = problem;
    return code;
}

static freshet_code find_same(bootstrap *of, problems *problems, freshet_error *err)
{
    const declared_list *same = &of->block->same;
    uint32_t *numbers = arena_zero(of->pipeline->arena, same->n + (size_t)1, sizeof *numbers);
    if (numbers == NULL)
        return error_memory(err, BOOTSTRAPPING);
    for (uint32_t i = 0; i < same->n; i++) {
        const int64_t at = schema_find(&of->base.schema, same->items[i].value);
        if (at < 0)
            problem_add(problems, &same->items[i].at, "the reader \"%s\" has no column \"%s\"",
                        of->base.block->id.value, same->items[i].value);
        else
            numbers[i] = (uint32_t)at;
    }
    of->same = numbers;
    return FRESHET_OK;
}

/* ---- what is said of the live reader --------------------------------------------------------- */

/* A topic is read from the end of the past on. */
static freshet_code set_start(bootstrap *of, freshet_error *err)
{
    const kafka_options *given = of->live->options;
    if (of->live->ops != &kafka_reader_ops || of->block->until.value == NULL ||
        place_is_set(&given->start.at))
        return FRESHET_OK;
    kafka_options *options = arena_zero(of->pipeline->arena, 1, sizeof *options);
    if (options == NULL)
        return error_memory(err, BOOTSTRAPPING);
    *options = *given;
    options->start = of->block->until;
    of->live->options = options;
    return FRESHET_OK;
}

static void check_offsets(const bootstrap *of, problems *problems)
{
    const declared_properties *offsets = &of->block->offsets;
    const kafka_options *options = of->live->options;
    if (offsets->n == 0)
        return;
    if (of->live->ops != &kafka_reader_ops) {
        problem_add(problems, &offsets->items[0].name_at,
                    "\"offsets\" are a topic's, and this reader is of the kind \"%s\": say "
                    "`until` and a time, or neither",
                    of->live->ops->block.name);
        return;
    }
    for (uint32_t i = 0; i < offsets->n; i++) {
        const char *name = offsets->items[i].name;
        const char *slash = strrchr(name, '/');
        const char *number = slash == NULL ? name : slash + 1;
        if (number[0] == '\0' || number[strspn(number, "0123456789")] != '\0' ||
            (slash == NULL && options->topic.value == NULL))
            problem_add(problems, &offsets->items[i].name_at,
                        "\"%s\" names no partition: write its number%s", name,
                        options->topic.value == NULL ? " behind its topic, as in \"orders/0\""
                                                     : "");
    }
}

static freshet_code bootstrap_describe(freshet_reader *base, freshet_error *err)
{
    bootstrap *of = of_reader(base);
    freshet_code code = set_start(of, err);
    if (code != FRESHET_OK)
        return code;
    of->live->problems = base->problems;
    code = of->live->ops->describe(of->live, err);
    of->live->problems = NULL;
    base->schema = of->live->schema;
    base->inferred_from = of->live->inferred_from;
    base->idle_us = of->live->idle_us;
    if (code != FRESHET_OK)
        return code;
    bool good = false;
    code = describe_dump(of, &good, err);
    if (code == FRESHET_OK && good && takes_columns(of))
        code = look_at_dump(of, base->problems, err);
    else if (code == FRESHET_OK && good)
        bootstrap_compare(of, &of->dump->schema, true, base->problems);
    check_offsets(of, base->problems);
    return code == FRESHET_OK ? find_same(of, base->problems, err) : code;
}

static freshet_code bootstrap_sample(freshet_reader *base, batch *into, uint32_t max_rows,
                                     freshet_error *err)
{
    const bootstrap *of = of_reader(base);
    of->live->used = base->used;
    return of->live->ops->sample == NULL ? FRESHET_OK
                                         : of->live->ops->sample(of->live, into, max_rows, err);
}

void bootstrap_check(const freshet_pipeline *pipeline, problems *problems)
{
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        const bootstrap *of = pipeline->bootstraps[i];
        if (of == NULL)
            continue;
        const place *at = &of->block->kind.at;
        if (pipeline->joining != NULL)
            problem_add(problems, at,
                        "a reader that is joined with another stream cannot have a `bootstrap`: "
                        "let the past of both lie where they read, and run the declaration as a "
                        "batch with --checkpoint first");
        if (source_remembers(pipeline->source) &&
            (of->block->until.value != NULL || of->block->same.n > 0))
            problem_add(problems, at,
                        "steps of `preprocess` that remember rows (`forward_fill`, `pivot`) would "
                        "see rows that `until` and `same` leave out: take these away, or the steps "
                        "into a pipeline of their own");
    }
}

void bootstrap_tell(const reader_block *block, text_buffer *into)
{
    const bootstrap_block *of = &block->bootstrap;
    if (!block->has_bootstrap || of->kind.kind == NULL)
        return;
    text_format(into, ", behind its past from a %s", of->kind.kind->name);
    if (of->until.value != NULL)
        text_format(into, " until %s", of->until.value);
    for (uint32_t i = 0; i < of->offsets.n; i++)
        text_format(into, "%s%s: %s%s", i == 0 ? " (topic from " : ", ", of->offsets.items[i].name,
                    of->offsets.items[i].value.value, i + 1 == of->offsets.n ? ")" : "");
    for (uint32_t i = 0; i < of->same.n; i++)
        text_format(into, "%s%s", i == 0 ? ", told apart by " : " and ", of->same.items[i].value);
}

/* ---- opening --------------------------------------------------------------------------------- */

static freshet_code use_columns(bootstrap *of, freshet_error *err)
{
    const schema *schema = &of->base.schema;
    if (of->used == NULL)
        of->used = arena_zero(of->pipeline->arena, schema->n_fields + (size_t)1, sizeof(bool));
    if (of->used == NULL)
        return error_memory(err, BOOTSTRAPPING);
    for (uint32_t i = 0; i < schema->n_fields; i++)
        of->used[i] = of->base.used == NULL || of->base.used[i];
    for (uint32_t i = 0; i < of->block->same.n; i++)
        of->used[of->same[i]] = true;
    return FRESHET_OK;
}

/* Keeps the positions of the live reader, and takes the past's. */
freshet_code bootstrap_take_positions(bootstrap *of, const reader_positions *from,
                                      freshet_error *err)
{
    arena *arena = of->pipeline->arena;
    const uint32_t n = from == NULL ? 0 : from->n;
    bool has_past = false;
    of->from = (reader_positions){.items = arena_zero(arena, n + (size_t)1, sizeof *from->items)};
    if (of->from.items == NULL)
        return error_memory(err, BOOTSTRAPPING);
    for (uint32_t i = 0; i < n; i++) {
        const reader_position *position = &from->items[i];
        if (strcmp(position->name, BOOTSTRAP_POSITION) == 0) {
            if (position->mark_length < sizeof of->mark)
                return error_set(err, FRESHET_FAILED, FRESHET_STOP, of->base.block->id.value,
                                 "the position of the bootstrap is damaged");
            memcpy(&of->mark, position->mark, sizeof of->mark);
            of->passed = position->offset;
            of->sorted_mark_length = position->mark_length - (uint32_t)sizeof of->mark;
            of->sorted_mark = arena_copy(arena, (const char *)position->mark + sizeof of->mark,
                                         of->sorted_mark_length);
            if (of->sorted_mark == NULL)
                return error_memory(err, BOOTSTRAPPING);
            has_past = true;
            continue;
        }
        reader_position *kept = &of->from.items[of->from.n++];
        *kept = *position;
        kept->name = arena_text(arena, position->name);
        kept->label = arena_text(arena, position->label);
        kept->mark = position->mark_length == 0
                         ? NULL
                         : arena_copy(arena, position->mark, position->mark_length);
        if (kept->name == NULL || kept->label == NULL)
            return error_memory(err, BOOTSTRAPPING);
    }
    if (!has_past && of->from.n > 0)
        return error_set(
            err, FRESHET_BAD_DECLARATION, FRESHET_STOP, of->base.declaration->file,
            "the reader \"%s\" has begun without its `bootstrap`, and rows of the past behind "
            "those that were read would be late: take `bootstrap` away; or begin anew: move away "
            "what the writers hold and `freshet state reset`",
            of->base.block->id.value);
    of->is_prepared = of->is_same_kept = has_past;
    of->is_past = has_past && of->passed < of->mark.total;
    return FRESHET_OK;
}

/* As if a checkpoint had them. */
static freshet_code make_offsets(bootstrap *of, freshet_error *err)
{
    const declared_properties *offsets = &of->block->offsets;
    const kafka_options *options = of->live->options;
    arena *arena = of->pipeline->arena;
    of->from = (reader_positions){
        .items = arena_zero(arena, offsets->n + (size_t)1, sizeof *of->from.items),
        .n = offsets->n};
    for (uint32_t i = 0; of->from.items != NULL && i < offsets->n; i++) {
        const char *name = offsets->items[i].name;
        reader_position *position = &of->from.items[i];
        position->name = strchr(name, '/') != NULL
                             ? name
                             : arena_format(arena, "%s/%s", options->topic.value, name);
        position->label = position->name;
        position->offset = strtoll(offsets->items[i].value.value, NULL, 10);
        position->lane = i;
        if (position->name == NULL)
            return error_memory(err, BOOTSTRAPPING);
    }
    return of->from.items == NULL ? error_memory(err, BOOTSTRAPPING) : FRESHET_OK;
}

static freshet_code open_live(bootstrap *of, freshet_error *err)
{
    freshet_code code = same_load(of, err);
    if (code == FRESHET_OK && of->from.n == 0 && of->block->offsets.n > 0)
        code = make_offsets(of, err);
    if (code != FRESHET_OK)
        return code;
    of->live->used = of->used;
    of->live->in_lanes = of->base.in_lanes;
    code = of->live->ops->open(of->live, &of->from, err);
    of->is_live_open = code == FRESHET_OK;
    of->base.idle_us = of->live->idle_us;
    of->base.moved = true;
    return code;
}

/* The sorted file, as a reader of files has it. */
static freshet_code open_sorted(bootstrap *of, freshet_error *err)
{
    arena *arena = of->pipeline->arena;
    file_options *options = arena_zero(arena, 1, sizeof *options);
    if (options == NULL)
        return error_memory(err, BOOTSTRAPPING);
    options->path.value = of->path;
    while (format_file_names[options->format.choice] != NULL &&
           strcmp(format_file_names[options->format.choice], format_parquet.name) != 0)
        options->format.choice++;
    options->format.schema.value = of->base.schema;
    of->sorted_block = *of->base.block;
    of->sorted_block.stream = false;
    of->sorted_block.has_incremental = false;
    of->sorted_block.kind = (declared_kind){.kind = &file_reader_ops.block, .options = options};
    of->sorted = make_inner(of, &file_reader_ops, &of->sorted_block);
    if (of->sorted == NULL || (of->sorted->problems = problems_open(arena)) == NULL)
        return error_memory(err, BOOTSTRAPPING);
    freshet_code code = of->sorted->ops->describe(of->sorted, err);
    of->sorted->problems = NULL;
    of->sorted->used = of->used;
    of->sorted->in_lanes = of->base.in_lanes;
    of->is_sorted_open = true; /* to be closed */
    reader_position at = {.name = SORTED_NAME,
                          .label = of->path,
                          .offset = of->passed,
                          .mark = of->sorted_mark,
                          .mark_length = of->sorted_mark_length};
    const reader_positions from = {.items = &at, .n = of->passed > 0};
    return code == FRESHET_OK ? of->sorted->ops->open(of->sorted, &from, err) : code;
}

static freshet_code bootstrap_open(freshet_reader *base, const reader_positions *from,
                                   freshet_error *err)
{
    bootstrap *of = of_reader(base);
    (void)from; /* bootstrap_prepare has taken them */
    freshet_code code = use_columns(of, err);
    if (code == FRESHET_OK && !of->is_past && of->base.declaration->is_past)
        return FRESHET_OK;
    if (code != FRESHET_OK || !of->is_past)
        return code == FRESHET_OK ? open_live(of, err) : code;
    base->moved = true;
    return open_sorted(of, err);
}

static void bootstrap_close(freshet_reader *base)
{
    bootstrap *of = of_reader(base);
    if (of->is_dump_described)
        of->dump->ops->close(of->dump);
    if (of->is_sorted_open)
        of->sorted->ops->close(of->sorted);
    of->is_sorted_open = of->is_dump_described = false;
    of->live->ops->close(of->live);
    if (of->is_temporary) {
        bootstrap_remove(of);
        rmdir(of->folder);
    }
    same_release(&of->rows);
}

/* ---- polling --------------------------------------------------------------------------------- */

static freshet_code poll_past(bootstrap *of, batch *into, uint32_t max_rows, size_t max_bytes,
                              rejects *rejects, bool *more, freshet_error *err)
{
    const uint32_t first = into->n_rows;
    const bool has_lane = of->live->ops->next_lane != NULL;
    of->sorted->choice = of->base.choice;
    freshet_code code =
        of->sorted->ops->poll(of->sorted, into, max_rows, max_bytes, rejects, more, err);
    of->sorted->choice = NULL;
    of->base.moved |= of->sorted->moved;
    for (uint32_t i = first; has_lane && i < into->n_rows; i++)
        into->origins[i].lane = BOOTSTRAP_LANE;
    if (code != FRESHET_END)
        return code;
    of->is_past_at_end = true;
    *more = true;
    return FRESHET_OK;
}

static freshet_code poll_live(bootstrap *of, batch *into, uint32_t max_rows, size_t max_bytes,
                              rejects *rejects, bool *more, freshet_error *err)
{
    const uint32_t first = into->n_rows;
    const reader_choice *choice = of->base.choice;
    const reader_choice inner = {.partition = choice == NULL || choice->partition == READER_NONE
                                                  ? READER_NONE
                                                  : choice->partition - 1,
                                 .peek = choice != NULL && choice->peek};
    of->live->choice = choice == NULL ? NULL : &inner;
    freshet_code code =
        of->live->ops->poll(of->live, into, max_rows, max_bytes, rejects, more, err);
    of->live->choice = NULL;
    of->base.moved |= of->live->moved;
    of->base.idle_us = of->live->idle_us;
    for (uint32_t i = first; i < into->n_rows; i++)
        into->origins[i].partition++;
    return code;
}

static freshet_code bootstrap_poll(freshet_reader *base, batch *into, uint32_t max_rows,
                                   size_t max_bytes, rejects *rejects, bool *more,
                                   freshet_error *err)
{
    bootstrap *of = of_reader(base);
    const bool is_asked = base->choice == NULL || base->choice->partition == READER_NONE;
    *more = false;
    if (of->is_past && !of->is_past_at_end)
        return poll_past(of, into, max_rows, max_bytes, rejects, more, err);
    if (base->declaration->is_past) {
        of->is_past = false;
        return FRESHET_END;
    }
    if (!is_asked && base->choice->partition == 0)
        return FRESHET_OK;
    if (of->is_past) {
        of->is_past = false;
        log_event(BOOTSTRAP_OVER, base->block->id.value, (long long)of->mark.total);
    }
    freshet_code code = of->is_live_open ? FRESHET_OK : open_live(of, err);
    return code == FRESHET_OK ? poll_live(of, into, max_rows, max_bytes, rejects, more, err) : code;
}

static uint32_t bootstrap_waiting(freshet_reader *base, uint32_t after)
{
    const bootstrap *of = of_reader(base);
    if (of->is_past && !of->is_past_at_end)
        return after == READER_NONE && of->sorted->ops->waiting(of->sorted, READER_NONE) == 0
                   ? 0
                   : READER_NONE;
    if (!of->is_live_open && base->declaration->is_past)
        return READER_NONE;
    if (!of->is_live_open) /* what comes live is not known yet: others wait at the past's end */
        return after == READER_NONE ? 0 : READER_NONE;
    const uint32_t found = of->live->ops->waiting(
        of->live, after == READER_NONE || after == 0 ? READER_NONE : after - 1);
    return found >= READER_UNSETTLED ? found : found + 1;
}

static void bootstrap_touch(freshet_reader *base, uint32_t partition)
{
    const bootstrap *of = of_reader(base);
    if (partition == 0)
        base->moved = true;
    else if (of->live->ops->touch != NULL)
        of->live->ops->touch(of->live, partition - 1);
}

static uint32_t bootstrap_rank(const freshet_reader *base, uint32_t partition)
{
    const bootstrap *of = of_reader(base);
    return partition == 0 ? 0 : of->live->ops->rank(of->live, partition - 1) + 1;
}

static uint32_t bootstrap_next_lane(freshet_reader *base)
{
    const bootstrap *of = of_reader(base);
    return of->is_live_open ? of->live->ops->next_lane(of->live) : UINT32_MAX;
}

/* ---- positions ------------------------------------------------------------------------------- */

/* How many rows of the sorted file were given, and by what it is known again. */
static freshet_code past_position(bootstrap *of, arena *arena, reader_position *out,
                                  freshet_error *err)
{
    reader_positions found = {0};
    freshet_code code = of->is_sorted_open
                            ? of->sorted->ops->positions(of->sorted, arena, true, &found, err)
                            : FRESHET_OK;
    if (code != FRESHET_OK)
        return code;
    const uint32_t more = found.n == 0 ? of->sorted_mark_length : found.items[0].mark_length;
    char *mark = arena_alloc(arena, sizeof of->mark + more);
    if (mark == NULL)
        return error_memory(err, "giving positions");
    memcpy(mark, &of->mark, sizeof of->mark);
    if (more > 0)
        memcpy(mark + sizeof of->mark, found.n == 0 ? of->sorted_mark : found.items[0].mark, more);
    *out = (reader_position){.name = BOOTSTRAP_POSITION,
                             .label = BOOTSTRAP_POSITION,
                             .offset = of->is_sorted_open && found.n > 0 ? found.items[0].offset
                                                                         : of->passed,
                             .lane = of->live->ops->next_lane != NULL ? BOOTSTRAP_LANE : 0,
                             .mark = mark,
                             .mark_length = (uint32_t)sizeof of->mark + more};
    return FRESHET_OK;
}

static freshet_code bootstrap_positions(freshet_reader *base, arena *arena, bool all,
                                        reader_positions *out, freshet_error *err)
{
    bootstrap *of = of_reader(base);
    reader_positions live = {0};
    freshet_code code =
        of->is_live_open ? of->live->ops->positions(of->live, arena, all, &live, err) : FRESHET_OK;
    reader_position past;
    if (code == FRESHET_OK)
        code = past_position(of, arena, &past, err);
    if (code != FRESHET_OK)
        return code;
    *out = (reader_positions){.items = arena_zero(arena, live.n + (size_t)1, sizeof *out->items)};
    if (out->items == NULL)
        return error_memory(err, "giving positions");
    for (uint32_t i = 0; i < live.n; i++) {
        out->items[i] = live.items[i];
        out->items[i].partition++;
    }
    out->items[live.n] = past;
    out->n = live.n + 1;
    base->moved = false;
    return FRESHET_OK;
}

static void bootstrap_ack(freshet_reader *base, const reader_positions *upto)
{
    bootstrap *of = of_reader(base);
    arena *arena = arena_open();
    reader_positions live = {.n = 0};
    if (arena != NULL)
        live.items = arena_zero(arena, upto->n + (size_t)1, sizeof *live.items);
    for (uint32_t i = 0; live.items != NULL && i < upto->n; i++) {
        const reader_position *position = &upto->items[i];
        if (strcmp(position->name, BOOTSTRAP_POSITION) != 0) {
            live.items[live.n] = *position;
            live.items[live.n++].partition--;
            continue;
        }
        of->is_same_kept = true;
        if (position->offset >= of->mark.total && !of->is_past)
            bootstrap_remove(of);
    }
    if (of->live->ops->ack != NULL && live.n > 0 && of->is_live_open)
        of->live->ops->ack(of->live, &live);
    arena_close(arena);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int bootstrap_wake_fd(freshet_reader *base)
{
    const bootstrap *of = of_reader(base);
    return of->is_live_open && of->live->ops->wake_fd != NULL ? of->live->ops->wake_fd(of->live)
                                                              : -1;
}

static const char *bootstrap_lane_label(const freshet_reader *base, uint32_t lane)
{
    const bootstrap *of = of_reader(base);
    return lane == BOOTSTRAP_LANE              ? BOOTSTRAP_POSITION
           : of->live->ops->lane_label == NULL ? base->block->id.value
                                               : of->live->ops->lane_label(of->live, lane);
}

static const char *bootstrap_trouble(const freshet_reader *base)
{
    const bootstrap *of = of_reader(base);
    return of->is_live_open && of->live->ops->trouble != NULL ? of->live->ops->trouble(of->live)
                                                              : NULL;
}

static const char *bootstrap_label(const freshet_reader *base, uint32_t partition)
{
    const bootstrap *of = of_reader(base);
    return partition == 0 ? BOOTSTRAP_POSITION
           : of->live->ops->partition_label == NULL
               ? ""
               : of->live->ops->partition_label(of->live, partition - 1);
}

static int64_t bootstrap_lag(const freshet_reader *base)
{
    const bootstrap *of = of_reader(base);
    return of->is_live_open && of->live->ops->lag != NULL ? of->live->ops->lag(of->live) : -1;
}

static void bootstrap_lags(const freshet_reader *base, reader_lag_fn *lag, void *context)
{
    const bootstrap *of = of_reader(base);
    if (of->is_live_open)
        of->live->ops->lags(of->live, lag, context);
}

static void bootstrap_beside(freshet_reader *base, const origin *origin, reject *into)
{
    const bootstrap *of = of_reader(base);
    struct origin inner = *origin;
    if (origin->partition == 0 || of->live->ops->beside == NULL)
        return;
    inner.partition--;
    of->live->ops->beside(of->live, &inner, into);
}

/* A record of the dump that could not be read has its letter as one of the dump; a row of the past
 * has no text of its own. */
static freshet_code bootstrap_replay(freshet_reader *base, const reader_record *record, batch *into,
                                     reason_code *refused, freshet_error *err)
{
    const bootstrap *of = of_reader(base);
    const char *partition = record->partition == NULL ? "" : record->partition;
    if (strcmp(partition, BOOTSTRAP_POSITION) == 0)
        return FRESHET_END;
    freshet_reader *inner = of->live;
    struct reader_record own = *record;
    if (strncmp(partition, BOOTSTRAP_LETTERS, strlen(BOOTSTRAP_LETTERS)) == 0) {
        inner = of->dump;
        own.partition = partition + strlen(BOOTSTRAP_LETTERS);
        if (!takes_columns(of))
            return FRESHET_END;
    }
    inner->used = base->used;
    return inner->ops->replay == NULL ? FRESHET_END
                                      : inner->ops->replay(inner, &own, into, refused, err);
}

freshet_code bootstrap_make(freshet_pipeline *pipeline, freshet_reader *live, freshet_reader **out,
                            freshet_error *err)
{
    bootstrap *of = arena_zero(pipeline->arena, 1, sizeof *of);
    const reader_ops *inner = live->ops;
    if (of == NULL)
        return error_memory(err, BOOTSTRAPPING);
    of->base = *live;
    of->pipeline = pipeline;
    of->block = &live->block->bootstrap;
    of->live = live;
    of->until_us = INT64_MAX;
    of->mark = (bootstrap_mark){.version = 1, .newest_us = INT64_MIN};
    if (of->block->until.value != NULL)
        timestamp_parse(of->block->until.value, strlen(of->block->until.value), &of->until_us);
    of->ops = (reader_ops){
        .block = inner->block,
        .size = sizeof *of,
        .describe = bootstrap_describe,
        .sample = bootstrap_sample,
        .open = bootstrap_open,
        .poll = bootstrap_poll,
        .waiting = bootstrap_waiting,
        .touch = bootstrap_touch,
        .rank = inner->rank == NULL ? NULL : bootstrap_rank,
        .peeks = inner->peeks,
        .wake_fd = bootstrap_wake_fd,
        .positions = bootstrap_positions,
        .ack = bootstrap_ack,
        .next_lane = inner->next_lane == NULL ? NULL : bootstrap_next_lane,
        .lane_label = inner->lane_label == NULL ? NULL : bootstrap_lane_label,
        .trouble = bootstrap_trouble,
        .partition_label = bootstrap_label,
        .lag = bootstrap_lag,
        .lags = inner->lags == NULL ? NULL : bootstrap_lags,
        .beside = bootstrap_beside,
        .replay = bootstrap_replay,
        .close = bootstrap_close,
    };
    of->base.ops = &of->ops;
    pipeline->bootstraps[live->index] = of;
    *out = &of->base;
    return FRESHET_OK;
}
