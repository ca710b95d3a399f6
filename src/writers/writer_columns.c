/* writer_columns.c - see writer_columns.h. */
#include "writers/writer_columns.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define CHOOSING "choosing a writer's columns"

static void tell_unknown(const declared_text *name, const schema *all, arena *arena,
                         problems *problems)
{
    const char **names = arena_alloc(arena, (all->n_fields + (size_t)1) * sizeof *names);
    for (uint32_t i = 0; names != NULL && i < all->n_fields; i++)
        names[i] = all->fields[i].name;
    const char *near = names == NULL ? NULL : text_nearest(name->value, names, all->n_fields);
    problem_add(problems, &name->at, "the feature set gives no column \"%s\"%s%s%s", name->value,
                near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near,
                near == NULL ? "" : "\"?");
}

/* The numbers of the columns in the list's order; false where something is wrong with it. */
static bool find_selected(const declared_list *select, const schema *all, arena *arena,
                          uint32_t *found, problems *problems)
{
    bool is_good = true;
    for (uint32_t i = 0; i < select->n; i++) {
        const declared_text *name = &select->items[i];
        const int64_t at = name->value == NULL ? -1 : schema_find(all, name->value);
        found[i] = (uint32_t)at;
        if (at < 0 && name->value != NULL)
            tell_unknown(name, all, arena, problems);
        is_good &= at >= 0;
        for (uint32_t k = 0; at >= 0 && k < i; k++)
            if (found[k] == (uint32_t)at) {
                problem_add(problems, &name->at, "the column \"%s\" is selected twice",
                            name->value);
                is_good = false;
            }
    }
    return is_good;
}

/* The keys and the timestamp come first; false where one of them is not selected. */
static bool put_keys_first(const declared_list *select, const writer_ops *ops, const schema *all,
                           uint32_t n_first, uint32_t *found, problems *problems)
{
    uint32_t n = 0;
    for (uint32_t column = 0; column < n_first; column++) {
        uint32_t at = n;
        while (at < select->n && found[at] != column)
            at++;
        if (at == select->n) {
            problem_add(problems, &select->items[0].at,
                        "\"select\" lacks the column \"%s\", and the writer \"%s\" needs the keys "
                        "and the timestamp: add it",
                        all->fields[column].name, ops->block->name);
            return false;
        }
        memmove(found + n + 1, found + n, (at - n) * sizeof *found);
        found[n++] = column;
    }
    return true;
}

freshet_code writer_columns_choose(const declared_list *select, const writer_ops *ops,
                                   const schema *all, uint32_t n_keys, arena *arena,
                                   problems *problems, writer_columns *out, freshet_error *err)
{
    *out = (writer_columns){.schema = *all};
    if (select == NULL || select->n == 0)
        return FRESHET_OK;
    uint32_t *found = arena_alloc(arena, (select->n + (size_t)1) * sizeof *found);
    field *fields = arena_zero(arena, select->n + (size_t)1, sizeof *fields);
    if (found == NULL || fields == NULL)
        return error_memory(err, CHOOSING);
    if (!find_selected(select, all, arena, found, problems) ||
        (!ops->any_columns && !put_keys_first(select, ops, all, n_keys + 1, found, problems)))
        return FRESHET_OK;
    for (uint32_t i = 0; i < select->n; i++)
        fields[i] = all->fields[found[i]];
    *out = (writer_columns){.schema = {select->n, fields}, .from = found};
    return FRESHET_OK;
}

freshet_code writer_columns_take(const writer_columns *columns, const batch *all, batch *out,
                                 freshet_error *err)
{
    *out = *all;
    if (columns->from == NULL)
        return FRESHET_OK;
    const uint32_t n = columns->schema.n_fields;
    out->schema = columns->schema;
    out->columns = arena_alloc(all->arena, n * sizeof *out->columns);
    if (out->columns == NULL)
        return error_memory(err, CHOOSING);
    for (uint32_t i = 0; i < n; i++)
        out->columns[i] = all->columns[columns->from[i]];
    return FRESHET_OK;
}
