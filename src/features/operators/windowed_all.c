/* windowed_all.c - see windowed_all.h. */
#include "features/operators/windowed_all.h"

#include <string.h>

#include "base/error.h"
#include "features/key_hashes.h"
#include "features/mixed.h"
#include "features/run.h"

typedef struct task_of_all {
    arena *arena; /* a branch */
    windows_input input;
    windows_result result;
    bool no_memory;
    freshet_code code;
    freshet_error err;
} task_of_all;

typedef struct all_tasks {
    const windows_plan *plan;
    const windows_input *input;
    key_columns keys; /* of the input */
    windowed_all *out;
    uint32_t n;
    uint32_t slice_rows;
    task_of_all *tasks;
} all_tasks;

/* ---- whose rows they are --------------------------------------------------------------------- */

static void tell_owners_of_all(void *context, uint32_t which)
{
    const all_tasks *all = context;
    const windows_input *input = all->input;
    const uint32_t first = which * all->slice_rows;
    const uint32_t end =
        input->n_rows - first < all->slice_rows ? input->n_rows : first + all->slice_rows;
    text_buffer key;
    text_init(&key, WINDOWS_SAVED_BYTES_MAX);
    key_owners(&all->keys, first, end, all->n, &key, all->out->owners);
    all->tasks[which].no_memory = key.failed;
    text_release(&key);
}

/* ---- a task's rows --------------------------------------------------------------------------- */

/* The rows that are the task's; their places. */
static uint32_t *rows_of_task(const all_tasks *all, uint32_t which, uint32_t *n)
{
    uint32_t *rows = NULL;
    *n = 0;
    for (uint32_t row = 0; row < all->input->n_rows; row++)
        *n += all->out->owners[row] == which;
    rows = arena_alloc(all->tasks[which].arena, (*n + (size_t)1) * sizeof *rows);
    if (rows == NULL)
        return NULL;
    for (uint32_t row = 0, at = 0; row < all->input->n_rows; row++)
        if (all->out->owners[row] == which) {
            all->out->places[row] = at;
            rows[at++] = row;
        }
    return rows;
}

static freshet_code pick_columns(task_of_all *task, const column *from, uint32_t n_columns,
                                 const uint32_t *rows, const column **out)
{
    const uint32_t n = task->input.n_rows;
    column *made = arena_zero(task->arena, n_columns + (size_t)1, sizeof *made);
    if (made == NULL)
        return error_memory(&task->err, COMPUTING);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < n_columns; i++) {
        if (from[i].type == NULL) /* values of other views, which only streams carry */
            continue;
        code = column_init_raw(task->arena, &made[i], from[i].type, n, &task->err);
        if (code == FRESHET_OK)
            code = column_append(task->arena, &made[i], 0, &from[i], rows, n, &task->err);
    }
    *out = made;
    return code;
}

static freshet_code compute_task(const all_tasks *all, uint32_t which)
{
    task_of_all *task = &all->tasks[which];
    const windows_input *input = all->input;
    const uint32_t *rows = rows_of_task(all, which, &task->input.n_rows);
    const uint32_t n = task->input.n_rows;
    int64_t *event_us = arena_alloc(task->arena, (n + (size_t)1) * sizeof *event_us);
    if (rows == NULL || event_us == NULL)
        return error_memory(&task->err, COMPUTING);
    for (uint32_t i = 0; i < n; i++)
        event_us[i] = input->event_us[rows[i]];
    task->input.event_us = event_us;
    freshet_code code = pick_columns(task, input->keys, all->plan->n_keys, rows, &task->input.keys);
    if (code == FRESHET_OK)
        code = pick_columns(task, input->columns, all->plan->columns.n_fields, rows,
                            &task->input.columns);
    return code == FRESHET_OK ? windows_apply_history(all->plan, &task->input, task->arena,
                                                      &all->out->results[which], &task->err)
                              : code;
}

static void do_task_of_all(void *context, uint32_t which)
{
    const all_tasks *all = context;
    all->tasks[which].code = compute_task(all, which);
}

/* ---- all ------------------------------------------------------------------------------------- */

static freshet_code open_tasks(all_tasks *all, arena *arena, freshet_error *err)
{
    const size_t n_rows = all->input->n_rows;
    windowed_all *out = all->out;
    all->tasks = arena_zero(arena, all->n, sizeof *all->tasks);
    out->owners = arena_alloc(arena, n_rows + 1);
    out->places = arena_alloc(arena, (n_rows + 1) * sizeof *out->places);
    const column **keys = arena_alloc(arena, (all->plan->n_keys + (size_t)1) * sizeof *keys);
    bool done = all->tasks != NULL && out->owners != NULL && out->places != NULL && keys != NULL;
    for (uint32_t i = 0; done && i < all->plan->n_keys; i++)
        keys[i] = &all->input->keys[i];
    all->keys = (key_columns){keys, all->plan->n_keys, NULL};
    for (uint32_t i = 0; done && i < all->n; i++) {
        all->tasks[i].arena = arena_branch(arena, i);
        done = all->tasks[i].arena != NULL;
    }
    return done ? FRESHET_OK : error_memory(err, COMPUTING);
}

static freshet_code compute_by_tasks(all_tasks *all, crew *crew, arena *arena, freshet_error *err)
{
    freshet_code code = open_tasks(all, arena, err);
    if (code != FRESHET_OK)
        return code;
    all->slice_rows = (all->input->n_rows + all->n - 1) / all->n;
    const uint32_t n_slices = (all->input->n_rows + all->slice_rows - 1) / all->slice_rows;
    crew_run(crew, n_slices, tell_owners_of_all, all);
    for (uint32_t i = 0; i < n_slices; i++)
        if (all->tasks[i].no_memory)
            return error_memory(err, COMPUTING);
    crew_run(crew, all->n, do_task_of_all, all);
    for (uint32_t i = 0; i < all->n; i++)
        if (all->tasks[i].code != FRESHET_OK) {
            if (err != NULL)
                *err = all->tasks[i].err;
            return all->tasks[i].code;
        }
    return FRESHET_OK;
}

freshet_code windowed_all_compute(const windows_plan *plan, const windows_input *input, crew *crew,
                                  arena *arena, windowed_all *out, freshet_error *err)
{
    const uint32_t n = input->n_rows < WINDOWED_ALL_ROWS_MIN ? 1 : crew_workers(crew);
    *out = (windowed_all){.outputs = &plan->outputs,
                          .n_results = n,
                          .results = arena_zero(arena, n, sizeof *out->results)};
    if (out->results == NULL)
        return error_memory(err, COMPUTING);
    if (n == 1)
        return windows_apply_history(plan, input, arena, out->results, err);
    all_tasks all = {.plan = plan, .input = input, .out = out, .n = n};
    return compute_by_tasks(&all, crew, arena, err);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static freshet_code all_take_mixed(const windowed_all *all, uint32_t output, uint32_t first,
                                   uint32_t n, arena *arena, column *into, freshet_error *err)
{
    const column *sources[CREW_WORKERS_MAX];
    for (uint32_t i = 0; i < all->n_results; i++)
        sources[i] = &all->results[i].outputs[output];
    const mixed mixed = {sources, all->n_results, all->owners + first, all->places + first, n};
    freshet_code code = mixed_open(&mixed, arena, all->outputs->fields[output].type, into, err);
    if (code == FRESHET_OK)
        mixed_fill(&mixed, 0, n, into);
    return code;
}

static freshet_code all_take_whole(const windowed_all *all, uint32_t output, const uint32_t *rows,
                                   uint32_t n, arena *arena, column *into, freshet_error *err)
{
    freshet_code code = column_init_raw(arena, into, all->outputs->fields[output].type, n, err);
    return code == FRESHET_OK
               ? column_append(arena, into, 0, &all->results[0].outputs[output], rows, n, err)
               : code;
}

freshet_code windowed_all_take(const windowed_all *all, uint32_t first, uint32_t n, arena *arena,
                               column **outputs, uint8_t **flags, freshet_error *err)
{
    const uint32_t n_outputs = all->outputs->n_fields;
    uint32_t *rows = arena_alloc(arena, (n + (size_t)1) * sizeof *rows);
    *outputs = arena_zero(arena, n_outputs + (size_t)1, sizeof **outputs);
    *flags = arena_alloc(arena, n + (size_t)1);
    if (rows == NULL || *outputs == NULL || *flags == NULL)
        return error_memory(err, COMPUTING);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t owner = all->owners == NULL ? 0 : all->owners[first + i];
        rows[i] = all->owners == NULL ? first + i : all->places[first + i];
        (*flags)[i] = all->results[owner].flags[rows[i]];
    }
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < n_outputs; i++)
        code = all->owners == NULL ? all_take_whole(all, i, rows, n, arena, &(*outputs)[i], err)
                                   : all_take_mixed(all, i, first, n, arena, &(*outputs)[i], err);
    return code;
}
