/* file_hive.c - columns that stand in the names of a file's folders (formats/hive.h), for formats
 * of records; those of whole files find them by themselves. See file_internal.h.
 *
 * Which columns the folders say may differ from file to file, and a file may move to another
 * folder. So at each turn of a file its folders are compared with those that the reader has (`hive`
 * in file_reader; NULL until a folder has a "=" in its name). Where they name other columns the
 * decoder is opened anew, without these (`elsewhere` in format.h). Their cells are made once for a
 * poll, in its batch's arena, and copied into each row behind what the decoder puts there.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "formats/cell.h"
#include "formats/widen.h"
#include "readers/file/file_internal.h"

#define DOING "reading the names of folders"

typedef struct hive_cell {
    uint32_t at;    /* of the schema's columns */
    column cell;    /* of one row */
    hive_part part; /* in file_hive.folders */
    bool is_bad;    /* the value is none of the column's type */
} hive_cell;

struct file_hive {
    char *folders; /* with the last slash */
    bool *used;
    bool *elsewhere;
    uint32_t n_elsewhere;
    hive_cell *cells; /* in the batch's arena; NULL: to be made */
    uint32_t n;
};

/* ---- inferring ------------------------------------------------------------------------------- */

static int hive_by_name(const void *a, const void *b)
{
    return strcmp(((const field *)a)->name, ((const field *)b)->name);
}

/* Adds what the folders of one file say to the columns in `found`. */
static freshet_code find_columns(arena *arena, const char *path, schema *found, uint32_t *capacity,
                                 freshet_error *err)
{
    const char *end = path + hive_folders(path);
    const schema before = *found; /* a name counts once a file */
    field *fields = (field *)found->fields;
    hive_part part;

    for (const char *at = path; hive_next(&at, end, &part);) {
        const char *name = arena_copy(arena, part.name, part.name_length);
        const type *type = hive_type(arena, &part);
        if (name == NULL || type == NULL)
            return error_memory(err, DOING);
        const int64_t known = schema_find(found, name);
        if (known >= (int64_t)before.n_fields || !text_is_utf8(name, part.name_length))
            continue;
        if (known >= 0) {
            fields[known].type = type_widen(arena, fields[known].type, type);
            continue;
        }
        if (!arena_reserve(arena, &fields, capacity, found->n_fields + UINT64_C(1), sizeof(field)))
            return error_memory(err, DOING);
        fields[found->n_fields++] = (field){.name = name, .type = type};
        found->fields = fields;
    }
    return FRESHET_OK;
}

/* The columns of the reader with those that were found behind them. */
static freshet_code add_columns(file_reader *reader, const schema *found, freshet_error *err)
{
    schema *all = &reader->base.schema;
    field *fields =
        arena_zero(reader->base.arena, (uint64_t)all->n_fields + found->n_fields, sizeof(*fields));
    uint32_t n = all->n_fields;

    if (fields == NULL)
        return error_memory(err, DOING);
    for (uint32_t i = 0; i < n; i++)
        fields[i] = all->fields[i];
    for (uint32_t i = 0; i < found->n_fields; i++) {
        int64_t known = schema_find(all, found->fields[i].name);
        const uint32_t at = known < 0 ? n++ : (uint32_t)known;
        if (known < 0)
            fields[at].name = arena_text(reader->base.arena, found->fields[i].name);
        fields[at].type = found->fields[i].type; /* a simple one, which no arena has */
        if (fields[at].name == NULL)
            return error_memory(err, DOING);
    }
    if (n > TYPE_FIELDS_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                         "the records have, with their folders, more than %d fields; declare "
                         "schema with those to read",
                         TYPE_FIELDS_MAX);
    *all = (schema){.n_fields = n, .fields = fields};
    return FRESHET_OK;
}

freshet_code file_hive_infer(file_reader *reader, const file_listing *listing, freshet_error *err)
{
    arena *scratch = arena_open();
    const char *before = "";
    schema found = {0};
    uint32_t capacity = 0;
    freshet_code code = scratch == NULL ? error_memory(err, DOING) : FRESHET_OK;

    for (uint32_t i = 0; code == FRESHET_OK && i < listing->n; i++) {
        const char *path = listing->items[i].path;
        const size_t length = hive_folders(path);
        if (length == hive_folders(before) && memcmp(path, before, length) == 0)
            continue;
        code = find_columns(scratch, path, &found, &capacity, err);
        before = path;
    }
    if (code == FRESHET_OK && found.n_fields > 0) {
        qsort((field *)found.fields, found.n_fields, sizeof(field), hive_by_name);
        code = add_columns(reader, &found, err);
    }
    arena_close(scratch);
    return code;
}

/* ---- the folders of a file ------------------------------------------------------------------- */

void file_hive_close(file_hive *hive)
{
    if (hive == NULL)
        return;
    free(hive->folders);
    free(hive->used);
    free(hive->elsewhere);
    free(hive);
}

static file_hive *hive_make(uint32_t n_columns)
{
    file_hive *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return NULL;
    made->used = calloc(n_columns + (size_t)1, sizeof(*made->used));
    made->elsewhere = calloc(n_columns + (size_t)1, sizeof(*made->elsewhere));
    made->folders = strdup("");
    if (made->used != NULL && made->elsewhere != NULL && made->folders != NULL)
        return made;
    file_hive_close(made);
    return NULL;
}

/* Marks the columns that the folders say; *other: they are not those of before. */
static void mark_columns(const freshet_reader *base, file_hive *hive, bool *other)
{
    hive->n_elsewhere = 0;
    for (uint32_t i = 0; i < base->schema.n_fields; i++) {
        const bool is_here = hive_has(hive->folders, base->schema.fields[i].name);
        *other = *other || is_here != hive->elsewhere[i];
        hive->elsewhere[i] = is_here;
        hive->used[i] = !is_here && (base->used == NULL || base->used[i]);
        hive->n_elsewhere += is_here;
    }
}

freshet_code file_hive_take(file_reader *reader, file_hive **kept, decoder **decoder,
                            const char *path, bool *anew, freshet_error *err)
{
    const size_t length = hive_folders(path);
    file_hive *hive = *kept;
    struct decoder *old = *decoder, like = *old;
    char *folders;
    bool other = hive == NULL;
    freshet_code code;

    *anew = false;
    if (hive == NULL ? memchr(path, '=', length) == NULL
                     : strlen(hive->folders) == length && memcmp(hive->folders, path, length) == 0)
        return FRESHET_OK;
    if (hive == NULL)
        hive = *kept = hive_make(reader->base.schema.n_fields);
    folders = strndup(path, length);
    if (hive == NULL || folders == NULL) {
        free(folders);
        return error_memory(err, DOING);
    }
    free(hive->folders);
    hive->folders = folders;
    hive->cells = NULL;
    mark_columns(&reader->base, hive, &other);
    if (!other)
        return FRESHET_OK;
    like.used = hive->used;
    like.elsewhere = hive->elsewhere;
    code = decoder_open(&like, decoder, err);
    if (code != FRESHET_OK)
        return code;
    if (like.into != NULL)
        decoder_begin(*decoder, like.into);
    decoder_close(old);
    *anew = true;
    return FRESHET_OK;
}

void file_hive_begin(file_hive *hive)
{
    if (hive != NULL)
        hive->cells = NULL;
}

/* ---- cells ----------------------------------------------------------------------------------- */

/* The part's value as a cell, by the rules of CSV. */
static freshet_code make_cell(arena *arena, const hive_part *part, hive_cell *out,
                              const char *folders, freshet_error *err)
{
    column *cell = &out->cell;
    size_t length;
    const char *text = hive_text(arena, part, &length);
    bool is_null = hive_is_null(part);
    outcome result = FITS;

    if (text == NULL)
        return error_memory(err, DOING);
    if (!text_is_utf8(text, length) || memchr(text, '\0', length) != NULL)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, folders,
                         "the folder \"%.*s=%.*s\" is no text: its value is not valid UTF-8",
                         (int)part->name_length, part->name, (int)part->length, part->value);
    if (cell->type->kind == TYPE_STRING) {
        cell_put_text(cell, 0, text, length);
    } else if (!is_null) {
        number_trim(&text, &length);
        is_null = length == 0;
        result = is_null ? FITS : cell_parse(arena, cell, 0, text, length);
    }
    out->is_bad = result == DOES_NOT_FIT && !is_null;
    if (result == NO_MEMORY || ((is_null || out->is_bad) && !column_set_null(arena, cell, 0)))
        return error_memory(err, DOING);
    return FRESHET_OK;
}

static freshet_code make_cells(const file_reader *reader, file_hive *hive, arena *arena,
                               freshet_error *err)
{
    const schema *schema = &reader->base.schema;
    const char *end = hive->folders + strlen(hive->folders);
    hive_cell *cells = arena_zero(arena, hive->n_elsewhere + UINT64_C(1), sizeof(*cells));
    freshet_code code = FRESHET_OK;

    if (cells == NULL)
        return error_memory(err, DOING);
    hive->n = 0;
    for (uint32_t i = 0; code == FRESHET_OK && i < schema->n_fields; i++) {
        hive_cell *each = &cells[hive->n];
        const char *at = hive->folders;
        if (!hive->elsewhere[i] || (reader->base.used != NULL && !reader->base.used[i]))
            continue;
        while (hive_next(&at, end, &each->part) &&
               !hive_is_named(&each->part, schema->fields[i].name))
            ;
        each->at = i;
        hive->n++;
        code = column_init(arena, &each->cell, schema->fields[i].type, 1, err);
        if (code == FRESHET_OK)
            code = make_cell(arena, &each->part, each, hive->folders, err);
    }
    if (code == FRESHET_OK)
        hive->cells = cells;
    return code;
}

static freshet_code refuse_cell(const hive_cell *bad, const schema *schema, decoder *decoder,
                                freshet_error *err)
{
    const field *wanted = &schema->fields[bad->at];
    const char *type = type_name(decoder->into->arena, wanted->type);

    if (type == NULL)
        return error_memory(err, "describing a bad record");
    decoder->refused = REASON_BAD_CAST;
    return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                     "column \"%s\" should be %s, but is \"%.*s\" by the folder's name; declare it "
                     "in schema as what it is, or say on_cast_error: null",
                     wanted->name, type, cell_shown(bad->part.value, bad->part.length),
                     bad->part.value);
}

freshet_code file_hive_make(const file_reader *reader, file_hive *hive, arena *arena,
                            freshet_error *err)
{
    return hive->cells == NULL ? make_cells(reader, hive, arena, err) : FRESHET_OK;
}

freshet_code file_hive_put(const file_reader *reader, file_hive *hive, decoder *decoder,
                           freshet_error *err)
{
    static const cell_choice the_one = {.n = 1};
    batch *into = decoder->into;
    freshet_code code = file_hive_make(reader, hive, into->arena, err);

    for (uint32_t i = 0; code == FRESHET_OK && i < hive->n; i++) {
        const hive_cell *each = &hive->cells[i];
        if (each->is_bad && !decoder->cast_error_null)
            code = refuse_cell(each, &reader->base.schema, decoder, err);
        else if (!column_copy(into->arena, &each->cell, &the_one, &into->columns[each->at],
                              into->n_rows))
            code = error_memory(err, DOING);
    }
    return code;
}
