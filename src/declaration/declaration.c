/* declaration.c - the handle: YAML or builder calls in, a checked struct declaration out.
 *
 * Both ways give a tree; handle_finish() reads it by the tables, settles what follows from all
 * options together, and reports every problem in one go.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/os.h"
#include "base/text.h"
#include "declaration/blocks.h"
#include "declaration/handle.h"
#include "declaration/macros.h"
#include "declaration/plugins.h"
#include "declaration/read.h"

freshet_declaration *handle_open(void)
{
    freshet_declaration *handle = calloc(1, sizeof *handle);
    arena *arena = handle == NULL ? NULL : arena_open();
    problems *problems = arena == NULL ? NULL : problems_open(arena);
    if (problems == NULL) {
        arena_close(arena);
        free(handle);
        return NULL;
    }
    handle->arena = arena;
    tree_init(&handle->tree, arena, problems);
    return handle;
}

void freshet_declaration_close(freshet_declaration *declaration)
{
    if (declaration == NULL)
        return;
    arena_close(declaration->arena);
    free(declaration);
}

freshet_code text_hand_over(text_buffer *text, const char *doing, freshet_write_fn *write,
                            void *context, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (text->failed)
        code = error_memory(err, doing);
    else if (!write(context, text->bytes, text->length))
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "%s ended early", doing);
    text_release(text);
    return code;
}

/* Reads the tree into handle->parsed, which is zero. */
static freshet_code handle_finish(freshet_declaration *handle, const registry *registry,
                                  freshet_problem_fn *problem, void *context, freshet_error *err)
{
    problems *found = problems_open(handle->arena);
    if (found == NULL)
        return error_memory(err, "reading the declaration");
    user_function **const functions_end = handle->functions_end;
    problems_join(found, handle->tree.problems);
    if (handle->tree.root != NULL) {
        read_block_tree(handle->tree.root, &declaration_block, registry, found, &handle->parsed);
        macros_expand(handle, found);
        plugins_load(handle, found);
        declaration_settle(&handle->parsed, handle->arena, found);
    }
    if (arena_failed(handle->arena) || handle->tree.no_memory)
        return error_memory(err, "reading the declaration");
    if (problems_count(found) > 0 && handle->tree.root != NULL && registry->check_broken != NULL)
        registry->check_broken(handle, &handle->parsed, found);
    freshet_code code = problems_report(found, problem, context, err);
    handle->finished = code == FRESHET_OK;
    if (!handle->finished) { /* finished again, it loads its plugins again */
        handle->functions_end = functions_end == NULL ? &handle->functions : functions_end;
        *handle->functions_end = NULL;
    }
    return code;
}

/* What is done to a tree before it is read; `apply` NULL: nothing. */
typedef struct tree_change {
    declaration_change_fn *apply;
    void *context;
} tree_change;

/* NOLINTNEXTLINE(readability-function-size): as many parameters as a declaration has origins */
static freshet_code read_text_changed(const char *text, size_t length, const char *name,
                                      const char *folder, const registry *registry,
                                      const tree_change *change, freshet_problem_fn *problem,
                                      void *context, freshet_declaration **out, freshet_error *err)
{
    freshet_declaration *handle = handle_open();
    if (handle == NULL)
        return error_memory(err, "making a declaration");
    handle->parsed.file = arena_text(handle->arena, name);
    handle->parsed.folder = arena_text(handle->arena, folder);
    handle->tree.folder = handle->parsed.folder;
    if (!yaml_read(&handle->tree, text, length, handle->parsed.file))
        handle->tree.root = NULL; /* half a tree would only give problems that are none */
    if (handle->tree.root != NULL && change->apply != NULL &&
        !change->apply(change->context, handle->tree.root)) {
        freshet_declaration_close(handle);
        return error_memory(err, "changing a declaration");
    }
    freshet_code code = handle_finish(handle, registry, problem, context, err);
    if (code == FRESHET_OK)
        *out = handle;
    else
        freshet_declaration_close(handle);
    return code;
}

/* NOLINTNEXTLINE(readability-function-size): as above */
freshet_code declaration_read(const char *text, size_t length, const char *name, const char *folder,
                              const registry *registry, freshet_problem_fn *problem, void *context,
                              freshet_declaration **out, freshet_error *err)
{
    static const tree_change none = {0};
    return read_text_changed(text, length, name, folder, registry, &none, problem, context, out,
                             err);
}

freshet_code declaration_finish(freshet_declaration *handle, const registry *registry,
                                freshet_problem_fn *problem, void *context, freshet_error *err)
{
    if (handle == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "freshet_declaration_finish needs a declaration, and got NULL");
    if (handle->finished)
        return FRESHET_OK;
    memset(&handle->parsed, 0, sizeof handle->parsed);
    handle->parsed.folder = ".";
    freshet_code code = handle_finish(handle, registry, problem, context, err);
    handle->tree.frozen = handle->finished;
    return code;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* The folder part of a path: "." where there is none. */
static const char *folder_of(const char *path, char *into, size_t size)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (slash == NULL || length >= size)
        return ".";
    memcpy(into, path, length);
    into[length] = '\0';
    return into;
}

static freshet_code read_file_changed(const char *path, const registry *registry,
                                      const tree_change *change, freshet_problem_fn *problem,
                                      void *context, freshet_declaration **out, freshet_error *err)
{
    char folder[4096];
    if (strlen(path) >= sizeof folder) {
        errno = ENAMETOOLONG;
        return error_system(err, "cannot open the declaration", path);
    }
    int fd = os.open(path, O_RDONLY, 0);
    if (fd < 0)
        return error_system(err, "cannot open the declaration", path);
    char *text = malloc(DECLARATION_BYTES_MAX + 1); /* declaration_read says that it is too long */
    ssize_t n = text == NULL ? 0 : os_read_all(fd, text, DECLARATION_BYTES_MAX + 1);
    freshet_code code;
    if (text == NULL)
        code = error_memory(err, "reading the declaration");
    else if (n < 0 && errno == EISDIR)
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, path,
                         "%s is a folder: name the file of the declaration in it", path);
    else if (n < 0)
        code = error_system(err, "cannot read the declaration", path);
    else
        code = read_text_changed(text, (size_t)n, path, folder_of(path, folder, sizeof folder),
                                 registry, change, problem, context, out, err);
    os.close(fd);
    free(text);
    return code;
}

freshet_code declaration_read_file(const char *path, const registry *registry,
                                   freshet_problem_fn *problem, void *context,
                                   freshet_declaration **out, freshet_error *err)
{
    static const tree_change none = {0};
    return read_file_changed(path, registry, &none, problem, context, out, err);
}

/* NOLINTNEXTLINE(readability-function-size): two callbacks and their contexts */
freshet_code declaration_read_changed(const char *path, const registry *registry,
                                      declaration_change_fn *change, void *change_context,
                                      freshet_problem_fn *problem, void *context,
                                      freshet_declaration **out, freshet_error *err)
{
    const tree_change changed = {change, change_context};
    return read_file_changed(path, registry, &changed, problem, context, out, err);
}

/* Bytes, or a share of what there is. */
static size_t memory_in_bytes(int64_t memory)
{
    if (memory >= 0)
        return (size_t)memory;
    const uint64_t bytes = machine_memory_of("").bytes / 100 * (uint64_t)-memory;
    return bytes < STATE_MEMORY_MIN ? STATE_MEMORY_MIN : (size_t)bytes;
}

size_t declaration_memory(const declaration *declaration)
{
    return memory_in_bytes(declaration->state.memory);
}

size_t declaration_batch_memory(const declaration *declaration)
{
    return memory_in_bytes(declaration->batch.memory);
}

const char *declaration_batch_path(const declaration *declaration, arena *arena)
{
    const char *given = declaration->batch.path.value;
    if (given != NULL)
        return declaration_path(declaration, arena, given);
    const char *usual = getenv("TMPDIR");
    return arena_text(arena, usual == NULL || usual[0] == '\0' ? "/var/tmp" : usual);
}

uint32_t declaration_workers(const declaration *declaration)
{
    if (declaration->workers > 0)
        return (uint32_t)declaration->workers;
    const uint32_t cores = machine_cores("");
    return cores < CREW_WORKERS_MAX ? cores : CREW_WORKERS_MAX;
}

const char *declaration_path(const declaration *declaration, arena *arena, const char *path)
{
    if (path[0] == '/' || strcmp(declaration->folder, ".") == 0)
        return arena_text(arena, path);
    bool closed = declaration->folder[strlen(declaration->folder) - 1] == '/';
    return arena_format(arena, "%s%s%s", declaration->folder, closed ? "" : "/", path);
}

/* ---- looking at a declaration ---------------------------------------------------------------- */

const declaration *declaration_of(const freshet_declaration *handle)
{
    return handle != NULL && handle->finished ? &handle->parsed : NULL;
}

/* A copy whose readers are its own. */
static freshet_declaration *copy_with_readers(const freshet_declaration *handle, arena *arena,
                                              reader_block **readers)
{
    const declared_blocks *of = &handle->parsed.source.readers;
    freshet_declaration *copy = arena_alloc(arena, sizeof *copy);
    *readers = arena_alloc(arena, of->n * sizeof **readers);
    if (copy == NULL || *readers == NULL)
        return NULL;
    *copy = *handle;
    memcpy(*readers, of->items, of->n * sizeof **readers);
    copy->parsed.source.readers.items = *readers;
    return copy;
}

freshet_declaration *declaration_as_stream(const freshet_declaration *handle, const bool *streams,
                                           arena *arena)
{
    reader_block *readers;
    freshet_declaration *copy = copy_with_readers(handle, arena, &readers);
    if (copy == NULL)
        return NULL;
    for (uint32_t i = 0; i < handle->parsed.source.readers.n; i++)
        readers[i].stream = streams[i];
    copy->parsed.is_stream = true;
    return copy;
}

freshet_declaration *declaration_copy(const freshet_declaration *handle, arena *arena,
                                      declaration **parsed)
{
    freshet_declaration *copy = arena_alloc(arena, sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *handle;
    *parsed = &copy->parsed;
    return copy;
}

freshet_declaration *declaration_as_past(const freshet_declaration *handle, uint32_t reader,
                                         const declared_kind *past, int64_t until_us,
                                         const char *letters, arena *arena)
{
    reader_block *readers;
    freshet_declaration *copy = copy_with_readers(handle, arena, &readers);
    if (copy == NULL)
        return NULL;
    readers[reader].has_bootstrap = true;
    readers[reader].bootstrap = (bootstrap_block){.kind = *past};
    copy->parsed.dead_letters.path.value = letters;
    copy->parsed.is_past = true;
    copy->parsed.past_until_us = until_us;
    return copy;
}

const char *freshet_declaration_pipeline(const freshet_declaration *declaration)
{
    return declaration == NULL ? NULL : declaration->parsed.pipeline.value;
}

const char *freshet_declaration_feature_set(const freshet_declaration *declaration)
{
    return declaration == NULL ? NULL : declaration->parsed.feature_set.name.value;
}

bool freshet_declaration_is_stream(const freshet_declaration *declaration)
{
    return declaration != NULL && declaration->parsed.is_stream;
}

/* The node whose value this is. Values are not copied from the tree, so that the pointer tells. */
static const node *find_value(const node *from, const char *value)
{
    if (from->kind == NODE_SCALAR)
        return from->value == value ? from : NULL;
    const node *found = NULL;
    for (const node *child = from->first; child != NULL && found == NULL; child = child->next)
        found = find_value(child, value); /* as deep as DECLARATION_DEPTH_MAX */
    return found;
}

place declaration_place_in(const freshet_declaration *handle, const declared_text *text,
                           size_t offset)
{
    const node *found = NULL;
    const char *value = text->value;
    if (handle != NULL && handle->tree.root != NULL && value != NULL) {
        value = macros_written(&handle->parsed, value, &offset);
        found = find_value(handle->tree.root, value);
    }
    return found == NULL ? text->at : node_place(found, offset);
}
