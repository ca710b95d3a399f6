/* checkpoint_columns.c - plain and SQL features that came, went or changed; see checkpoint.h and
 * keyed/evolution.h.
 *
 * All such changes are served: they count from here on. The first checkpoint of a run puts down
 * what each column of the output is made of, but for those of windows, whose part speaks for them.
 * The next run tells the differences. A rename is a column that came and one that went, made of the
 * same.
 */
#include <string.h>

#include "base/error.h"
#include "pipeline/checkpoint_internal.h"

#define COMPARING "comparing the columns of the output"
#define SHOWN_BYTES 70

typedef struct kept_column {
    const char *name, *type, *text;
    struct kept_column *next;
} kept_column;

typedef struct columns {
    evolution *out;
    meanings now;
    bool carries;
    kept_column *kept;
} columns;

/* "boolean", of "boolean\nsql amount > 5": and the rest behind it. */
static bool columns_take_apart(arena *arena, const char *said, size_t length, const char **type,
                               const char **text)
{
    const char *end = memchr(said, '\n', length);
    const size_t n = end == NULL ? length : (size_t)(end - said);
    *type = arena_copy(arena, said, n);
    *text = arena_copy(arena, said + n + (end != NULL), length - n - (end != NULL));
    return *type != NULL && *text != NULL;
}

static freshet_code take_column(void *context, const store_entry *entry, freshet_error *err)
{
    columns *columns = context;
    arena *arena = columns->out->arena;
    kept_column *kept = arena_zero(arena, 1, sizeof *kept);
    if (kept == NULL ||
        !columns_take_apart(arena, entry->value, entry->length, &kept->type, &kept->text))
        return error_memory(err, COMPARING);
    kept->name = arena_copy(arena, entry->key, entry->key_length);
    kept->next = columns->kept;
    columns->kept = kept;
    return kept->name == NULL ? error_memory(err, COMPARING) : FRESHET_OK;
}

static const kept_column *find_kept_column(const columns *columns, const char *name)
{
    for (const kept_column *kept = columns->kept; kept != NULL; kept = kept->next)
        if (strcmp(kept->name, name) == 0)
            return kept;
    return NULL;
}

static const meaning *find_now(const columns *columns, const char *name)
{
    for (uint32_t i = 0; i < columns->now.n; i++)
        if (strcmp(columns->now.items[i].name, name) == 0)
            return &columns->now.items[i];
    return NULL;
}

/* The only column that is gone and was made of the same. */
static const kept_column *find_renamed(const columns *columns, const char *type, const char *text)
{
    const kept_column *found = NULL;
    for (const kept_column *kept = columns->kept; kept != NULL; kept = kept->next) {
        if (find_now(columns, kept->name) != NULL || strcmp(kept->type, type) != 0 ||
            strcmp(kept->text, text) != 0)
            continue;
        if (found != NULL)
            return NULL;
        found = kept;
    }
    return found;
}

/* What is refused, or is told already, since something kept is made of it. */
static bool is_told(const columns *columns, const char *name)
{
    for (uint32_t i = 0; i < columns->out->n; i++)
        if (strcmp(columns->out->items[i].subject, name) == 0)
            return true;
    return false;
}

/* Keys of a state that is refused: why is told where they are kept. */
static bool is_moot(const columns *columns, const char *name)
{
    return columns->out->counts[VERDICT_REFUSED] > 0 && strncmp(name, "key \"", 5) == 0;
}

static void tell_new(const columns *columns, const meaning *now, const place *at, const char *type,
                     const char *text)
{
    const kept_column *renamed = find_renamed(columns, type, text);
    const char *said = columns->carries
                           ? "null in a key's row that goes out again before the key's next event"
                           : "in each row from now on";
    evolution_say(columns->out, "", columns->carries ? VERDICT_NULL : VERDICT_SERVED, at, now->name,
                  "is new: %s%s%s%s", said, renamed == NULL ? "" : "; made as ",
                  renamed == NULL ? "" : renamed->name,
                  renamed == NULL ? ""
                                  : ", which is gone: a rename is a new column and one that goes");
}

static void tell_change(const columns *columns, const meaning *now, const place *at,
                        const kept_column *then, const char *type, const char *text)
{
    const bool retyped = strcmp(then->type, type) != 0;
    const char *was = checkpoint_clip(columns->out->arena, then->text, text, SHOWN_BYTES);
    const char *is = checkpoint_clip(columns->out->arena, text, then->text, SHOWN_BYTES);
    columns->out->no_memory |= was == NULL || is == NULL;
    if (was == NULL || is == NULL)
        return;
    if (retyped && columns->carries)
        evolution_say(
            columns->out, "", VERDICT_NULL, at, now->name,
            "was %s and is %s, which is another column: null in a key's row that goes out "
            "again before the key's next event",
            then->type, type);
    else if (retyped)
        evolution_say(columns->out, "", VERDICT_SERVED, at, now->name,
                      "was %s and is %s, in each row from now on", then->type, type);
    else if (strcmp(then->text, text) != 0)
        evolution_say(columns->out, "", VERDICT_SERVED, at, now->name,
                      "changed from `%s` to `%s`, and counts from here on", was, is);
}

static freshet_code compare_columns(columns *columns, freshet_error *err)
{
    arena *arena = columns->out->arena;
    const char *type, *text;
    for (uint32_t i = 0; i < columns->now.n; i++) {
        const meaning *now = &columns->now.items[i];
        const kept_column *then = find_kept_column(columns, now->name);
        if (!columns_take_apart(arena, now->text, strlen(now->text), &type, &text))
            return error_memory(err, COMPARING);
        if (is_told(columns, now->name) || is_moot(columns, now->name))
            continue;
        if (then == NULL)
            tell_new(columns, now, &now->at, type, text);
        else
            tell_change(columns, now, &now->at, then, type, text);
    }
    for (const kept_column *kept = columns->kept; kept != NULL; kept = kept->next)
        if (find_now(columns, kept->name) == NULL && !is_told(columns, kept->name) &&
            !is_moot(columns, kept->name))
            evolution_say(columns->out, "", VERDICT_REMOVED, NULL, kept->name,
                          "is gone: rows from now on have no such column");
    return FRESHET_OK;
}

freshet_code checkpoint_compare_columns(const freshet_pipeline *pipeline, evolution *out,
                                        freshet_error *err)
{
    columns columns = {.out = out};
    freshet_code code = feature_set_columns(pipeline->features, pipeline->declaration, out->arena,
                                            &columns.now, &columns.carries, err);
    if (code == FRESHET_OK)
        code = store_visit(pipeline->checkpoint->store, STORE_FACT, FACT_COLUMN, take_column,
                           &columns, err);
    /* A state of version 0 says nothing of them. */
    return code == FRESHET_OK && columns.kept != NULL ? compare_columns(&columns, err) : code;
}

freshet_code checkpoint_put_columns(freshet_pipeline *pipeline, freshet_error *err)
{
    checkpoint *checkpoint = pipeline->checkpoint;
    meanings now;
    bool carries;
    freshet_code code = feature_set_columns(pipeline->features, pipeline->declaration,
                                            checkpoint->arena, &now, &carries, err);
    if (code == FRESHET_OK)
        code = checkpoint_put_texts(checkpoint->store, FACT_COLUMN, &now, err);
    return code;
}
