/* parts_test.c - several instances of an operator side by side, each with a part of the keys, give
 * the rows that one gives: windows, rolling windows and groups, seen events, newest rows; in batch,
 * on a stream, and through a save and a restore.
 *
 * `split` is an operator that stands in the place of another, of which it has some instances. It
 * deals each run's rows out by a hash of the key's bytes, and puts what they give together again in
 * the order of the rows they come from. Saved keys go to the instance that the same hash names.
 */
#include "features/features_testing.h"

#include <stdlib.h>

#include "base/hash.h"
#include "features/operator.h"
#include "keyed/cells.h"

#define INSTANCES_MAX 3u
#define ROWS_OF_ALL 600u

/* ---- the operator ---------------------------------------------------------------------------- */

typedef struct split {
    freshet_operator base;
    const operator_ops *inner;
    freshet_operator *instances[INSTANCES_MAX];
    uint32_t n;
    state_part parts[INSTANCES_MAX]; /* of each instance, under one name */
} split;

static uint32_t n_instances; /* of the next split that is opened */

#define ENTRY(name) &name##_operator,
static const operator_ops *const all[] = {OPERATORS(ENTRY)};
#define N_ALL (sizeof all / sizeof(const operator_ops *))

static freshet_code split_open(freshet_operator *self, const operator_options *options,
                               freshet_error *err)
{
    split *split = (struct split *)self;
    freshet_code code = FRESHET_OK;
    split->n = n_instances;
    for (size_t i = 0; i < N_ALL; i++)
        if (strcmp(all[i]->name, self->ops->name) == 0)
            split->inner = all[i];
    for (uint32_t i = 0; code == FRESHET_OK && i < split->n; i++) {
        split->instances[i] = calloc(1, split->inner->size);
        assert_non_null(split->instances[i]);
        *split->instances[i] = *self;
        split->instances[i]->ops = split->inner;
        split->instances[i]->arena = arena_open();
        code = split->inner->open(split->instances[i], options, err);
    }
    return code;
}

static void split_close(freshet_operator *self)
{
    split *split = (struct split *)self;
    for (uint32_t i = 0; i < split->n; i++) {
        split->inner->close(split->instances[i]);
        arena_close(split->instances[i]->arena);
        free(split->instances[i]);
    }
}

static uint32_t owner_of(const void *key, size_t length, uint32_t n)
{
    return (uint32_t)(hash_bytes(key, length, 0) % n);
}

/* Which instance a row belongs to, by the columns that the operator tells its keys by. */
static uint32_t owner_of_row(const split *split, const run *run, uint32_t row)
{
    const plan *plan = run->plan;
    text_buffer key;
    text_init(&key, TEXT_LIMIT_DEFAULT);
    if (split->inner == &seen_events_operator)
        for (uint32_t i = 0; i < split->base.block->deduplicate.on.n; i++)
            cells_put(&key,
                      &run->in->columns[schema_find(
                          &run->in->schema, split->base.block->deduplicate.on.items[i].value)],
                      run->index == NULL ? row : run->index[row], true);
    else
        for (uint32_t i = 0; i < plan->n_keys; i++)
            cells_put(&key, run->is_output ? &run->out.columns[i] : &run->columns[plan->keys[i].to],
                      row, true);
    uint32_t owner = owner_of(key.bytes, key.length, split->n);
    text_release(&key);
    return owner;
}

static void *copy_of(arena *arena, const void *bytes, size_t size)
{
    return memcpy(arena_alloc(arena, size + 1), bytes, size);
}

/* The rows of one instance as a run of their own. */
static run deal(const split *split, const run *all_rows, uint32_t instance)
{
    run part = *all_rows;
    part.columns = copy_of(part.arena, part.columns, part.plan->n_slots * sizeof *part.columns);
    part.filled = copy_of(part.arena, part.filled, part.plan->n_slots * sizeof *part.filled);
    part.keep = copy_of(part.arena, part.keep, part.n_rows);
    for (uint32_t row = 0; row < part.n_rows; row++)
        if (owner_of_row(split, all_rows, row) != instance)
            run_drop(&part, row);
    must(run_compact(&part), part.err);
    return part;
}

/* Row by row, that of the lowest origin: `parts` are each in the order of origins. */
static void gather_rows(run *into, const run *parts, uint32_t n)
{
    uint32_t next[INSTANCES_MAX] = {0}, total = 0;
    arena *arena = into->arena;
    for (uint32_t i = 0; i < n; i++)
        total += parts[i].n_rows;
    uint32_t *from = arena_zero(arena, total + 1, sizeof *from);
    uint32_t *rows = arena_zero(arena, total + 1, sizeof *rows);
    into->index = arena_zero(arena, total + 1, sizeof *into->index);
    into->keep = memset(arena_alloc(arena, total + 1), 1, total);
    if (parts[0].write_us != NULL) {
        into->write_us = arena_zero(arena, total + 1, sizeof *into->write_us);
        into->row_kinds = arena_zero(arena, total + 1, 1);
    }
    for (uint32_t at = 0; at < total; at++) {
        uint32_t lowest = UINT32_MAX;
        for (uint32_t i = 0; i < n; i++) {
            if (next[i] == parts[i].n_rows)
                continue;
            uint32_t origin = parts[i].index == NULL ? next[i] : parts[i].index[next[i]];
            if (lowest == UINT32_MAX || origin < into->index[at]) {
                lowest = i;
                into->index[at] = origin;
            }
        }
        from[at] = lowest;
        rows[at] = next[lowest]++;
        if (into->write_us != NULL) {
            into->write_us[at] = parts[lowest].write_us[rows[at]];
            into->row_kinds[at] = parts[lowest].row_kinds[rows[at]];
        }
    }
    for (uint32_t slot = 0; slot < into->plan->n_slots; slot++) {
        into->filled[slot] = parts[0].filled[slot];
        if (!into->filled[slot])
            continue;
        column *made = &into->columns[slot];
        must(column_init(arena, made, into->plan->slots[slot].type, total, into->err), into->err);
        for (uint32_t at = 0; at < total; at++)
            must(column_append(arena, made, at, &parts[from[at]].columns[slot], &rows[at], 1,
                               into->err),
                 into->err);
    }
    into->n_rows = total;
    into->n_refused = 0;
}

/* The output of all instances, one behind the other. */
static void gather_output(run *into, const run *parts, uint32_t n)
{
    batch out = parts[0].out;
    uint32_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += parts[i].out.n_rows;
    must(batch_init(&out, into->arena, &parts[0].out.schema, total, into->err), into->err);
    out.write_us = arena_zero(into->arena, total + 1, sizeof *out.write_us);
    out.row_kinds = parts[0].out.row_kinds == NULL ? NULL : arena_zero(into->arena, total + 1, 1);
    for (uint32_t i = 0; i < n; i++) {
        const batch *part = &parts[i].out;
        for (uint32_t c = 0; c < out.schema.n_fields; c++)
            must(column_append(into->arena, &out.columns[c], out.n_rows, &part->columns[c], NULL,
                               part->n_rows, into->err),
                 into->err);
        for (uint32_t row = 0; row < part->n_rows; row++, out.n_rows++) {
            out.write_us[out.n_rows] = part->write_us[row];
            if (out.row_kinds != NULL)
                out.row_kinds[out.n_rows] = part->row_kinds[row];
        }
    }
    into->out = out;
    into->is_output = true;
}

/* Rows that are output already get their marks where they stand. */
static freshet_code run_on_output(split *split, run *all_rows)
{
    batch *out = &all_rows->out;
    int64_t *write_us = arena_zero(all_rows->arena, out->n_rows + 1, sizeof *write_us);
    uint8_t *kinds = arena_zero(all_rows->arena, out->n_rows + 1, 1);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < split->n; i++) {
        run part = *all_rows;
        uint8_t *keep = arena_zero(all_rows->arena, out->n_rows + 1, 1);
        for (uint32_t row = 0; row < out->n_rows; row++)
            keep[row] = owner_of_row(split, all_rows, row) == i;
        must(batch_select(out, keep, &part.out, part.err), part.err);
        code = split->inner->run(split->instances[i], &part);
        for (uint32_t row = 0, k = 0; row < out->n_rows; row++)
            if (keep[row]) {
                write_us[row] = part.out.write_us[k];
                kinds[row] = part.out.row_kinds[k++];
            }
    }
    out->write_us = write_us;
    out->row_kinds = kinds;
    return code;
}

static freshet_code split_run(freshet_operator *self, run *all_rows)
{
    split *split = (struct split *)self;
    run parts[INSTANCES_MAX];
    if (all_rows->is_output)
        return run_on_output(split, all_rows);
    freshet_code code = run_compact(all_rows);
    for (uint32_t i = 0; code == FRESHET_OK && i < split->n; i++) {
        parts[i] = deal(split, all_rows, i);
        code = split->inner->run(split->instances[i], &parts[i]);
        if (code == FRESHET_OK && !parts[i].is_output)
            code = run_compact(&parts[i]);
    }
    if (code == FRESHET_OK && parts[0].is_output)
        gather_output(all_rows, parts, split->n);
    else if (code == FRESHET_OK)
        gather_rows(all_rows, parts, split->n);
    return code;
}

static freshet_operator *debtor(const split *split)
{
    for (uint32_t i = 0; i < split->n; i++)
        if (split->inner->owes != NULL && split->inner->owes(split->instances[i]))
            return split->instances[i];
    return NULL;
}

static bool split_owes(const freshet_operator *self)
{
    return debtor((const split *)self) != NULL;
}

static freshet_code split_go_on(freshet_operator *self, run *run)
{
    freshet_operator *instance = debtor((const split *)self);
    return instance->ops->go_on(instance, run);
}

static freshet_code split_finish(freshet_operator *self, run *run)
{
    const split *split = (const struct split *)self;
    freshet_code code = FRESHET_END;
    for (uint32_t i = 0; split->inner->finish != NULL && code == FRESHET_END && i < split->n; i++)
        code = split->inner->finish(split->instances[i], run);
    return code;
}

static freshet_code split_save(const freshet_operator *self, text_buffer *into, freshet_error *err)
{
    const split *split = (const struct split *)self;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; split->inner->save != NULL && code == FRESHET_OK && i < split->n; i++)
        code = split->inner->save(split->instances[i], into, err);
    return code;
}

/* All have facts of the same length. */
static freshet_code split_restore(freshet_operator *self, const void *bytes, size_t length,
                                  freshet_error *err)
{
    const split *split = (const struct split *)self;
    const size_t each = length / split->n;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; split->inner->restore != NULL && code == FRESHET_OK && i < split->n; i++)
        code =
            split->inner->restore(split->instances[i], (const char *)bytes + i * each, each, err);
    return code;
}

static const state_part *split_parts(freshet_operator *self, uint32_t *n)
{
    split *split = (struct split *)self;
    for (uint32_t i = 0; i < split->n; i++) {
        split->parts[i] = *split->inner->parts(split->instances[i], n);
        assert_int_equal(*n, 1);
    }
    *n = split->n;
    return split->parts;
}

/* All operators, those with keys split. */
static const operator_ops *const *split_table(void)
{
    static operator_ops splits[N_ALL];
    static const operator_ops *table[N_ALL];
    for (size_t i = 0; i < N_ALL; i++) {
        const bool has_keys = all[i] == &windowed_operator || all[i] == &aggregated_operator ||
                              all[i] == &seen_events_operator || all[i] == &newest_rows_operator;
        splits[i] = (operator_ops){.name = all[i]->name,
                                   .size = sizeof(split),
                                   .wanted = all[i]->wanted,
                                   .open = split_open,
                                   .run = split_run,
                                   .owes = split_owes,
                                   .go_on = split_go_on,
                                   .finish = split_finish,
                                   .save = all[i]->save == NULL ? NULL : split_save,
                                   .restore = all[i]->restore == NULL ? NULL : split_restore,
                                   .parts = split_parts,
                                   .close = split_close};
        table[i] = has_keys ? &splits[i] : all[i];
    }
    return table;
}

/* ---- a run, with a checkpoint and a restart in its middle ------------------------------------ */

typedef struct saved_key {
    const char *part;
    const void *key;
    size_t key_length;
    text_buffer bytes;
} saved_key;

static saved_key saved[ROWS_OF_ALL * 2];
static uint32_t n_saved;

static freshet_code load_saved(void *context, const void *key, size_t length, text_buffer *into,
                               freshet_error *err)
{
    (void)err;
    for (uint32_t i = 0; i < n_saved; i++)
        if (strcmp(saved[i].part, context) == 0 && saved[i].key_length == length &&
            memcmp(saved[i].key, key, length) == 0) {
            text_append(into, saved[i].bytes.bytes, saved[i].bytes.length);
            return FRESHET_OK;
        }
    return FRESHET_END;
}

static void save_keys(world *world, const state_part *part)
{
    freshet_error err = {0};
    uint32_t cursor = 0;
    state_key key;
    while (state_part_next_dirty(part, &cursor, &key)) {
        if (state_part_is_empty(part, &key))
            continue;
        assert_true(n_saved < ROWS_OF_ALL * 2);
        saved_key *into = &saved[n_saved++];
        *into = (saved_key){.part = arena_text(world->arena, part->name),
                            .key = copy_of(world->arena, key.bytes, key.length),
                            .key_length = key.length};
        text_init(&into->bytes, TEXT_LIMIT_DEFAULT);
        must(state_part_save(part, &key, &into->bytes, &err), &err);
    }
    state_part_clean(part);
}

/* load is of the part's name: the context. */
static void set_loads(const state_part *parts, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        state_part_set_load(&parts[i], load_saved, (void *)(uintptr_t)parts[i].name);
}

/* Gives a saved key to that of the parts of its name that owns it. */
static void restore_key(const state_part *parts, uint32_t n, const saved_key *key)
{
    freshet_error err = {0};
    const state_part *named[INSTANCES_MAX];
    uint32_t n_named = 0;
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(parts[i].name, key->part) == 0)
            named[n_named++] = &parts[i];
    assert_int_equal(n_named, n_instances == 0 ? 1 : n_instances);
    const state_part *owner = named[owner_of(key->key, key->key_length, n_named)];
    if (owner->keys != STATE_ON_DEMAND)
        must(state_part_restore(owner, key->key, key->key_length, key->bytes.bytes,
                                key->bytes.length, &err),
             &err);
}

static void restart(world *world, const char *set)
{
    freshet_error err = {0};
    uint32_t n;
    text_buffer facts;
    text_init(&facts, TEXT_LIMIT_DEFAULT);
    const state_part *parts = feature_set_state(world->set, &n);
    for (uint32_t i = 0; i < n; i++)
        save_keys(world, &parts[i]);
    must(feature_set_save_facts(world->set, &facts, &err), &err);
    text_buffer said = world->said;
    text_init(&world->said, TEXT_LIMIT_DEFAULT);
    open_stream(world, set);
    text_release(&world->said);
    world->said = said;
    parts = feature_set_state(world->set, &n);
    must(feature_set_restore_facts(world->set, facts.bytes, facts.length, &err), &err);
    set_loads(parts, n);
    for (uint32_t k = 0; k < n_saved; k++)
        restore_key(parts, n, &saved[k]);
    text_release(&facts);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines that were said, in order. */
static const char *sorted(world *world)
{
    char *text = arena_text(world->arena, world->said.bytes), *rest = NULL;
    char **lines = arena_zero(world->arena, ROWS_OF_ALL * 10, sizeof *lines);
    uint32_t n = 0;
    text_buffer sorted;
    text_init(&sorted, TEXT_LIMIT_DEFAULT);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        lines[n++] = line;
    qsort(lines, n, sizeof *lines, compare_lines);
    for (uint32_t i = 0; i < n; i++)
        text_format(&sorted, "%s\n", lines[i]);
    const char *kept = arena_text(world->arena, sorted.bytes);
    text_release(&sorted);
    return kept;
}

/* 13 keys, times that come out of order by up to 7 seconds, ids that come again. */
static const char *rows_from(world *world, uint32_t first, uint32_t end)
{
    return arena_format(world->arena,
                        "SELECT (i * 7919 %% 13)::BIGINT AS id, make_timestamp(((i - i * i * 31 %% "
                        "8) * 500000)::BIGINT) AS ts, (i * 31 %% 101)::DOUBLE AS x, "
                        "'event ' || (i * 37 %% 150) AS s FROM range(%u, %u) t(i)",
                        first, end);
}

/* All that comes of the rows. n 0: by the operators as they are. */
static const char *play(world *world, const char *set, bool stream, uint32_t n)
{
    freshet_error err = {0};
    batch out;
    n_instances = n;
    n_saved = 0;
    world->options.operators = n == 0 ? NULL : split_table();
    assert_int_equal(open_set(world, stream, ROWS("(1, 0, 0, 'a')"), set), FRESHET_OK);
    uint32_t n_parts;
    const state_part *parts = feature_set_state(world->set, &n_parts);
    assert_int_equal(n_parts > 0, stream);
    set_loads(parts, n_parts);
    for (uint32_t first = 0; first < ROWS_OF_ALL; first += 50) {
        run_rows(world, rows_from(world, first, first + 50));
        while (feature_set_owes(world->set)) {
            must(feature_set_go_on(world->set, world->arena, &out, refuse, world, &err), &err);
            say(world, &out);
        }
        if (stream && first == 300)
            restart(world, set);
    }
    finish(world);
    const char *said = sorted(world);
    forget(world);
    for (uint32_t i = 0; i < n_saved; i++)
        text_release(&saved[i].bytes);
    return said;
}

#define TIME "  timestamp: {from: ts, lateness: 1 second}\n"
#define WINDOWS                                                                             \
    "  features:\n"                                                                         \
    "    - {name: s, type: string}\n"                                                       \
    "    - {name: f, from: x, window: {functions: [sum, count], over: [10 seconds]}}\n"     \
    "    - {name: r, from: x, window: {functions: [collect_list], over: [3 events], mode: " \
    "row_windows}}\n"
#define COUNT "  features: [{name: f, from: x, aggregate: {functions: [count, sum]}}]\n"

static void parts_give_what_the_whole_gives(void **state)
{
    static const struct {
        const char *set;
        bool batch, ranks;
    } cases[] = {
        {TIME WINDOWS, true, false},
        {TIME "  refresh: on_expiry\n" WINDOWS, false, false},
        {TIME "  aggregated: {windows: {over: [10 seconds, 20 seconds], slide: 5 seconds}}\n" COUNT,
         true, false},
        {TIME
         "  aggregated: {windows: {over: [10 seconds], slide: 5 seconds, emit: change}}\n" COUNT,
         false, false},
        {TIME "  aggregated: {}\n" COUNT, true, false},
        {TIME "  deduplicate: {on: [s], within: 20 seconds}\n" WINDOWS, true, false},
        {TIME "  features: [{name: x, type: double}]\n", true, true},
    };
    world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int stream = cases[i].batch ? 0 : 1; stream < 2; stream++) {
            world->options.ranks = cases[i].ranks;
            const char *whole = play(world, cases[i].set, stream, 0);
            assert_true(strlen(whole) > 1000);
            for (uint32_t n = 1; n <= INSTANCES_MAX; n++)
                assert_string_equal(play(world, cases[i].set, stream, n), whole);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parts_give_what_the_whole_gives, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
