/* fill_make.c - makes the file of the past for a stream's windows; see fill.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/os.h"
#include "declaration/read.h"
#include "pipeline/checkpoint_internal.h"
#include "pipeline/fill.h"
#include "pipeline/fill_history.h"
#include "readers/file/file.h"

#define MAKING "making the past of the windows"
#define WRITE_BYTES ((size_t)1 << 20)

typedef struct making {
    const freshet_declaration *handle;
    const declaration *declaration;
    freshet_problem_fn *problem;
    void *context;
    arena *arena;
    fill_made *made;
    const char *folder; /* of the state that is made */
    const char *from;   /* as it was given; or NULL */
    fill_past history;
    const freshet_declaration *run; /* over the past */
    uint32_t reader;
    declared_kind kind;
    int64_t until_us; /* declaration.past_until_us */
    /* the file: */
    const char *part_path;
    int fd;
    text_buffer out;
    uint64_t entries;
    const char *shown; /* the declaration */
} making;

static freshet_code refuse(const making *it, freshet_error *err, const char *sentence)
{
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, it->declaration->file, "%s",
                     sentence);
}

/* ---- what is to be filled -------------------------------------------------------------------- */

static bool is_fillable(const checkpoint *checkpoint, const char *name, const char **says)
{
    for (uint32_t i = 0; i < checkpoint->n_parts; i++) {
        const state_part *part = checkpoint->parts[i].part;
        if (strcmp(part->name, name) != 0 || !state_part_is_fillable(part))
            continue;
        if (*says == NULL)
            *says = part->fill_says;
        return true;
    }
    return false;
}

/* The earliest time to which a part has given its rows. */
static int64_t fill_until(const checkpoint *checkpoint)
{
    int64_t until_us = INT64_MAX;
    for (uint32_t i = 0; i < checkpoint->n_parts; i++) {
        const int64_t us = state_part_fill_until(checkpoint->parts[i].part);
        until_us = us < until_us ? us : until_us;
    }
    return until_us;
}

static freshet_code take_verdicts(making *it, freshet_pipeline *pipeline, const char *state,
                                  bool *any, freshet_error *err)
{
    checkpoint_plan plan;
    freshet_code code = checkpoint_plan_make(pipeline, state, &plan, err);
    if (code == FRESHET_END && plan.folder == NULL)
        return refuse(it, err, "this stream keeps no state, so there is nothing to fill");
    if (code == FRESHET_END)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, it->declaration->file,
                         "there is no state in \"%s\" yet, so there is nothing to fill: a stream "
                         "begins with its past by `bootstrap` under its reader",
                         plan.folder);
    if (code != FRESHET_OK)
        return code;
    it->made->folder = arena_text(it->arena, plan.folder);
    it->shown = arena_text(it->arena, plan.is);
    evolution *kept = arena_zero(it->arena, 1, sizeof *kept);
    if (it->made->folder == NULL || it->shown == NULL || kept == NULL)
        return error_memory(err, MAKING);
    kept->arena = it->arena;
    it->made->verdicts = kept;
    if (plan.verdicts.counts[VERDICT_REFUSED] > 0)
        return refuse(it, err,
                      "the state cannot serve this declaration, and so cannot be filled for it: "
                      "`freshet plan` says why");
    for (uint32_t i = 0; i < plan.verdicts.n; i++) {
        const verdict *verdict = &plan.verdicts.items[i];
        if (verdict->kind != VERDICT_FROM_NOW)
            continue;
        if (is_fillable(pipeline->checkpoint, verdict->part, &it->made->says))
            *any = true;
        evolution_say(kept, arena_text(it->arena, verdict->part), verdict->kind, NULL,
                      verdict->subject, "%s", verdict->said);
    }
    if (!*any && kept->n > 0)
        return refuse(it, err,
                      "what of the state fills from now on are neither windows nor groups, and "
                      "cannot be filled with the past: `freshet plan` says what it is");
    it->until_us = fill_until(pipeline->checkpoint);
    if (kept->no_memory)
        return error_memory(err, MAKING);
    return it->from == NULL && *any ? fill_history(pipeline, it->arena, &it->history, err)
                                    : FRESHET_OK;
}

static freshet_code find_lacking(making *it, const char *state, bool *any, freshet_error *err)
{
    const freshet_run_options options = {.size = sizeof options, .check = true, .state = state};
    freshet_pipeline *pipeline = NULL;
    freshet_code code =
        freshet_pipeline_open(it->handle, &options, it->problem, it->context, &pipeline, err);
    if (code != FRESHET_OK)
        return code;
    code = take_verdicts(it, pipeline, state, any, err);
    freshet_pipeline_close(pipeline);
    return code;
}

/* ---- where the past is ----------------------------------------------------------------------- */

static freshet_code fill_find_reader(making *it, freshet_error *err)
{
    const declared_blocks *readers = &it->declaration->source.readers;
    uint32_t n = 0;
    for (uint32_t i = 0; i < readers->n; i++) {
        if (!((const reader_block *)readers->items)[i].stream)
            continue;
        it->reader = i;
        n++;
    }
    if (n == 0)
        return refuse(it, err,
                      "a batch keeps no windows between its runs: `state fill` is for a "
                      "declaration one of whose readers has `stream: true`");
    return n == 1 ? FRESHET_OK
                  : refuse(it, err,
                           "several readers stream, and the past of one would lack the rows of the "
                           "others: `state fill` is for one reader that streams");
}

/* A path that holds wherever the declaration lies. */
static const char *absolute(const making *it, const char *path)
{
    char folder[PATH_MAX];
    if (path[0] == '/')
        return arena_text(it->arena, path);
    return getcwd(folder, sizeof folder) == NULL ? NULL
                                                 : arena_format(it->arena, "%s/%s", folder, path);
}

freshet_code fill_read_path(arena *arena, const declaration *declaration, const char *path,
                            file_options **out, freshet_error *err)
{
    const place at = {.file = declaration->file};
    problems *problems = problems_open(arena);
    tree *tree = arena_zero(arena, 1, sizeof *tree);
    file_options *options = arena_zero(arena, 1, sizeof *options);
    if (problems == NULL || tree == NULL || options == NULL)
        return error_memory(err, MAKING);
    tree_init(tree, arena, problems);
    node *map = tree_node(tree, NODE_MAP, &at), *value = tree_node(tree, NODE_SCALAR, &at);
    if (map == NULL || value == NULL || !tree_set_text(value, path, strlen(path), false) ||
        !tree_append(map, value, "path", &at))
        return error_memory(err, MAKING);
    read_block_tree(map, &file_reader_ops.block, registry_of_engine(), problems, options);
    *out = options;
    return problems_count(problems) == 0 ? FRESHET_OK
                                         : error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP,
                                                     NULL, "\"%s\" is no path of files", path);
}

static bool is_parquet(const char *path)
{
    const size_t length = strlen(path);
    return length > 8 && strcmp(path + length - 8, ".parquet") == 0;
}

/* Files in the form that the reader declares, where it reads files; else by their endings. */
static freshet_code make_kind(making *it, const char *from, freshet_error *err)
{
    const reader_block *reader =
        &((const reader_block *)it->declaration->source.readers.items)[it->reader];
    const char *path = absolute(it, from);
    file_options *options = NULL;
    struct stat info;
    if (path == NULL)
        return error_memory(err, MAKING);
    if (strpbrk(path, "*?[") == NULL && os.stat(path, &info) != 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "there is no file or folder %s, from which the past is to be read", path);
    freshet_code code = fill_read_path(it->arena, it->declaration, path, &options, err);
    if (options != NULL && code == FRESHET_OK && reader->kind.kind == &file_reader_ops.block &&
        !is_parquet(path)) {
        const file_options *declared = reader->kind.options;
        options->format = declared->format;
        options->max_record_bytes = declared->max_record_bytes;
    }
    it->kind =
        (declared_kind){.at = reader->kind.at, .kind = &file_reader_ops.block, .options = options};
    it->made->from = path;
    return code;
}

static freshet_code find_past(making *it, const char *from, freshet_error *err)
{
    const reader_block *reader =
        &((const reader_block *)it->declaration->source.readers.items)[it->reader];
    if (from != NULL)
        return make_kind(it, from, err);
    if (it->history.declaration != NULL) {
        it->run = it->history.declaration;
        it->kind = it->history.kind;
        it->made->from = it->history.path;
        it->reader = 0;
        return FRESHET_OK;
    }
    if (!reader->has_bootstrap)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, it->declaration->file,
                         "say where the rows are that the reader \"%s\" has had: a file or a "
                         "folder of them by --from, or `bootstrap: {file: {path: ...}}` under the "
                         "reader. From the history they cannot be had: %s",
                         reader->id.value, it->history.why);
    it->kind = reader->bootstrap.kind;
    it->made->from = "the bootstrap of the declaration";
    return FRESHET_OK;
}

/* ---- the file -------------------------------------------------------------------------------- */

static freshet_code fill_write_out(making *it, freshet_error *err)
{
    if (it->out.failed)
        return error_memory(err, MAKING);
    if (it->out.length > 0 && !durable_write(it->fd, it->out.bytes, it->out.length))
        return error_system(err, "cannot write", it->part_path);
    text_reset(&it->out);
    return FRESHET_OK;
}

static freshet_code put_entry(making *it, fill_what what, const void *key, size_t key_length,
                              const void *value, size_t length, freshet_error *err)
{
    const fill_entry entry = {.magic = FILL_MAGIC,
                              .what = what,
                              .key_length = (uint32_t)key_length,
                              .length = (uint32_t)length,
                              .sum = fill_sum(key, key_length, value, length)};
    text_append(&it->out, (const char *)&entry, sizeof entry);
    text_append(&it->out, key, key_length);
    text_append(&it->out, value, length);
    it->entries++;
    return it->out.length < WRITE_BYTES ? FRESHET_OK : fill_write_out(it, err);
}

static freshet_code put_key(void *context, const store_entry *entry, freshet_error *err)
{
    making *it = context;
    it->made->keys++;
    return put_entry(it, FILL_KEY, entry->key, entry->key_length, entry->value, entry->length, err);
}

static freshet_code put_part(making *it, const freshet_pipeline *pipeline, const state_part *part,
                             freshet_error *err)
{
    state_store *store = pipeline->checkpoint->store;
    text_buffer layout;
    text_init(&layout, TEXT_LIMIT_DEFAULT);
    const int64_t newest_us =
        state_part_fill_newest(part, freshet_counter(pipeline, FRESHET_NEWEST_EVENT_US));
    freshet_code code = put_entry(it, FILL_NEWEST, "", 0, &newest_us, sizeof newest_us, err);
    if (code == FRESHET_OK)
        code = store_get(store, STORE_FACT, FACT_LAST_LAYOUT, part->name, strlen(part->name),
                         &layout, err);
    if (code == FRESHET_OK)
        code = put_entry(it, FILL_LAYOUT, part->name, strlen(part->name), layout.bytes,
                         layout.length, err);
    text_release(&layout);
    return code == FRESHET_OK ? store_visit(store, STORE_STATE, part->name, put_key, it, err)
                              : code;
}

static freshet_code put_all(making *it, const freshet_pipeline *pipeline, freshet_error *err)
{
    const checkpoint *checkpoint = pipeline->checkpoint;
    freshet_code code = put_entry(it, FILL_DECLARATION, "", 0, it->shown, strlen(it->shown), err);
    for (uint32_t i = 0; code == FRESHET_OK && i < checkpoint->n_parts; i++)
        if (state_part_is_fillable(checkpoint->parts[i].part))
            code = put_part(it, pipeline, checkpoint->parts[i].part, err);
    const uint64_t n = it->entries;
    if (code == FRESHET_OK)
        code = put_entry(it, FILL_END, "", 0, &n, sizeof n, err);
    if (code == FRESHET_OK)
        code = fill_write_out(it, err);
    return code == FRESHET_OK && os.fsync(it->fd) != 0
               ? error_system(err, "cannot write", it->part_path)
               : code;
}

static freshet_code fill_write_file(making *it, const freshet_pipeline *pipeline,
                                    freshet_error *err)
{
    it->fd = os.open(it->part_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (it->fd < 0)
        return error_system(err, "cannot make", it->part_path);
    text_init(&it->out, SIZE_MAX);
    freshet_code code = put_all(it, pipeline, err);
    text_release(&it->out);
    os.close(it->fd);
    if (code == FRESHET_OK && os.rename(it->part_path, it->made->path) != 0)
        code = error_system(err, "cannot rename", it->part_path);
    if (code != FRESHET_OK)
        os.unlink(it->part_path);
    else if (!durable_entry(it->made->path))
        code = error_system(err, "cannot make durable", it->made->path);
    return code;
}

/* ---- the run over the past ------------------------------------------------------------------- */

static freshet_code run_past(making *it, freshet_error *err)
{
    const freshet_run_options options = {.size = sizeof options, .once = true, .state = it->folder};
    freshet_pipeline *pipeline = NULL;
    const freshet_declaration *past = declaration_as_past(
        it->run, it->reader, &it->kind, it->until_us, it->made->letters, it->arena);
    if (past == NULL)
        return error_memory(err, MAKING);
    freshet_code code =
        freshet_pipeline_open(past, &options, it->problem, it->context, &pipeline, err);
    if (code == FRESHET_OK)
        code = freshet_run(pipeline, err);
    if (code == FRESHET_OK) {
        it->made->rows = freshet_counter(pipeline, FRESHET_ROWS_READ);
        it->made->refused = freshet_counter(pipeline, FRESHET_DEAD_LETTERS);
        code = it->made->rows == 0
                   ? error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                               "%s has no row, so nothing can be filled", it->made->from)
                   : fill_write_file(it, pipeline, err);
    }
    freshet_pipeline_close(pipeline);
    return code;
}

static freshet_code remove_made(const making *it, freshet_error *err)
{
    const freshet_code code = store_remove_folder(it->folder, err);
    return code == FRESHET_END ? FRESHET_OK : code;
}

freshet_code fill_make(const freshet_declaration *handle, const char *state, const char *from,
                       freshet_problem_fn *problem, void *context, arena *arena, fill_made *out,
                       freshet_error *err)
{
    making it = {.handle = handle,
                 .run = handle,
                 .from = from,
                 .declaration = declaration_of(handle),
                 .problem = problem,
                 .context = context,
                 .arena = arena,
                 .made = out};
    bool any = false;
    *out = (fill_made){0};
    freshet_code code = fill_find_reader(&it, err);
    if (code == FRESHET_OK)
        code = find_lacking(&it, state, &any, err);
    if (code != FRESHET_OK || !any)
        return code;
    code = find_past(&it, from, err);
    if (code != FRESHET_OK)
        return code;
    it.folder = arena_format(arena, "%s" FILL_ENDING ".made", out->folder);
    it.part_path = arena_format(arena, "%s" FILL_ENDING ".part", out->folder);
    out->letters = arena_format(arena, "%s" FILL_ENDING ".dead.jsonl", absolute(&it, out->folder));
    out->path = arena_format(arena, "%s" FILL_ENDING, out->folder);
    if (it.folder == NULL || it.part_path == NULL || out->path == NULL || out->letters == NULL)
        return error_memory(err, MAKING);
    os.unlink(out->letters);
    code = remove_made(&it, err);
    if (code == FRESHET_OK)
        code = run_past(&it, err);
    freshet_error problem_of_end = {0};
    const freshet_code removed = remove_made(&it, &problem_of_end);
    if (code == FRESHET_OK && removed != FRESHET_OK) {
        code = removed;
        *err = problem_of_end;
    }
    if (code == FRESHET_OK && out->refused == 0)
        os.unlink(out->letters);
    return code;
}

static freshet_code remove_one(const char *folder, const char *ending, freshet_error *err)
{
    char path[PATH_MAX];
    const int length = snprintf(path, sizeof path, "%s" FILL_ENDING "%s", folder, ending);
    return length >= (int)sizeof path || os.unlink(path) == 0 || errno == ENOENT
               ? FRESHET_OK
               : error_system(err, "cannot remove", path);
}

freshet_code fill_remove_made(const char *folder, freshet_error *err)
{
    char made[PATH_MAX];
    const int length = snprintf(made, sizeof made, "%s" FILL_ENDING ".made", folder);
    freshet_code code = length >= (int)sizeof made ? FRESHET_END : store_remove_folder(made, err);
    if (code == FRESHET_TRY_AGAIN)
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_STOP, folder,
                         "`freshet state fill` reads the past for this state at the moment: wait "
                         "for its end, or stop it first");
    return code == FRESHET_OK || code == FRESHET_END ? remove_one(folder, ".part", err) : code;
}

freshet_code fill_remove_file(const char *folder, freshet_error *err)
{
    return remove_one(folder, "", err);
}
