/* suite_stage.c - a declaration that reads the rows of a test.
 *
 * Its tree is read again and changed before the tables see it: a reader that the test feeds, or
 * that streams, becomes a `file` reader over a folder of the stage. Of its old block it keeps the
 * options that a file has, too (of a Kafka reader: those of its `value`). Rows that are maps come
 * as JSON lines; where the declaration says no schema, one is made from all maps of the test. Text
 * comes in the reader's own format. Each step adds one file, which is renamed into the folder, so
 * that it is there as a whole.
 */
#define _GNU_SOURCE /* nftw */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/os.h"
#include "base/timestamp.h"
#include "declaration/read.h"
#include "operate/dead_letters.h"
#include "pipeline/pipeline.h"
#include "readers/file/file.h"
#include "readers/kafka/kafka.h"
#include "suite/suite_internal.h"

#define STAGE_FILES_MAX 999999u

/* ---- looking at the test's rows ---------------------------------------------------------------*/

static stage_reader *stage_find_reader(const stage *stage, const char *id)
{
    for (uint32_t i = 0; i < stage->n_readers; i++)
        if (strcmp(stage->readers[i].id, id) == 0)
            return &stage->readers[i];
    return NULL;
}

static const char *nearest_reader(const suite_file *file, const char *id)
{
    const char *ids[PIPELINE_READERS_MAX];
    const reader_block *readers = file->parsed->source.readers.items;
    const uint32_t n = file->parsed->source.readers.n;
    for (uint32_t i = 0; i < n; i++)
        ids[i] = readers[i].id.value;
    return text_nearest(id, ids, n);
}

static void check_rows(suite_file *file, const node *rows, const char *what)
{
    if (rows == NULL || node_is_null(rows))
        return;
    if (rows->kind != NODE_MAP) {
        problem_add(file->problems, &rows->at,
                    "\"%s\" must be a map of readers and their rows: {flights: [{a: 1}]}", what);
        return;
    }
    const reader_block *readers = file->parsed->source.readers.items;
    for (const node *of = rows->first; of != NULL; of = of->next) {
        bool known = false;
        for (uint32_t i = 0; i < file->parsed->source.readers.n; i++)
            known = known || strcmp(readers[i].id.value, of->key) == 0;
        const char *near = known ? NULL : nearest_reader(file, of->key);
        if (!known)
            problem_add(file->problems, &of->key_at, "there is no reader \"%s\"%s%s%s", of->key,
                        near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near,
                        near == NULL ? "" : "\"?");
        suite_rows looked = {0};
        if (of->kind != NODE_SCALAR)
            rows_of_node(of, of->key, file->problems, &looked);
        rows_release(&looked);
    }
}

static void check_instant(suite_file *file, const declared_text *now)
{
    int64_t us;
    if (now->value != NULL && !timestamp_parse(now->value, strlen(now->value), &us))
        problem_add(file->problems, &now->at,
                    "\"now\" cannot be \"%.60s\": it must be a time, as 2026-01-01T00:00:00Z",
                    now->value);
}

/* The fields of dead letters do not depend on the declaration. */
static void check_letter(suite_file *file, const node *letter)
{
    uint32_t n = 0;
    while (letter_fields[n] != NULL)
        n++;
    for (const node *cell = letter->first; cell != NULL; cell = cell->next) {
        bool known = false;
        for (uint32_t i = 0; i < n; i++)
            known = known || strcmp(letter_fields[i], cell->key) == 0;
        const char *near = known ? NULL : text_nearest(cell->key, letter_fields, n);
        if (!known)
            problem_add(file->problems, &cell->key_at, "a dead letter has no field \"%s\"%s%s%s",
                        cell->key, near == NULL ? "" : "; did you mean \"",
                        near == NULL ? "" : near, near == NULL ? "" : "\"?");
    }
}

static void check_letters(suite_file *file, const node *list)
{
    const node *letter = list == NULL || list->kind != NODE_LIST ? NULL : list->first;
    for (; letter != NULL; letter = letter->next)
        if (letter->kind == NODE_MAP)
            check_letter(file, letter);
}

static void check_expected(suite_file *file, const expect_block *expect)
{
    check_letters(file, expect->dead_letters.value);
    const struct {
        const declared_node *given;
        const char *what;
    } lists[] = {{&expect->online, "online"},
                 {&expect->history, "history"},
                 {&expect->dead_letters, "dead_letters"}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        suite_rows rows = {0};
        rows_of_node(lists[i].given->value, lists[i].what, file->problems, &rows);
        rows_release(&rows);
    }
}

/* A reader gets maps or text in a test: *given_maps and *given_text say what it got. */
static void note_forms(suite_file *file, const node *rows, const node **maps, const node **texts)
{
    const reader_block *readers = file->parsed->source.readers.items;
    const node *of = rows == NULL || rows->kind != NODE_MAP ? NULL : rows->first;
    for (; of != NULL; of = of->next)
        for (uint32_t i = 0; i < file->parsed->source.readers.n; i++) {
            if (strcmp(readers[i].id.value, of->key) != 0 || node_is_null(of))
                continue;
            const bool was_told = maps[i] != NULL && texts[i] != NULL;
            *(of->kind == NODE_SCALAR ? &texts[i] : &maps[i]) = of;
            if (maps[i] != NULL && texts[i] != NULL && !was_told)
                problem_add(file->problems, &of->at,
                            "a test gives the reader \"%s\" maps or text, not both: write the "
                            "maps as text of its format, too",
                            of->key);
        }
}

static void check_forms(suite_file *file, const test_block *test)
{
    const node *maps[PIPELINE_READERS_MAX] = {NULL}, *texts[PIPELINE_READERS_MAX] = {NULL};
    const test_step_block *steps = test->steps.items;
    note_forms(file, test->given.value, maps, texts);
    for (uint32_t i = 0; i < test->steps.n; i++)
        note_forms(file, steps[i].rows.value, maps, texts);
}

static bool expects(const expect_block *expect)
{
    return expect->online.value != NULL || expect->history.value != NULL ||
           expect->dead_letters.value != NULL || place_is_set(&expect->late_at);
}

/* A test that looks at nothing would always pass. */
static void check_looks(suite_file *file, const test_block *test, const place *at)
{
    const test_step_block *steps = test->steps.items;
    bool looks = test->batch_equals_stream || expects(&test->expect);
    for (uint32_t i = 0; i < test->steps.n; i++)
        looks = looks || expects(&steps[i].expect);
    if (!looks)
        problem_add(file->problems, at,
                    "this test expects nothing: write under \"expect\" what must come out, as "
                    "`online: []` (freshet test --update fills it in)");
    if (test->batch_equals_stream && !file->parsed->is_stream)
        problem_add(file->problems, at,
                    "\"batch_equals_stream\" compares nothing here, for no reader of the "
                    "declaration streams: leave it out, or say stream: true of a reader");
}

void stage_check(suite_file *file, const test_block *test, const place *at)
{
    check_looks(file, test, at);
    check_forms(file, test);
    check_instant(file, &test->now);
    check_rows(file, test->given.value, "given");
    check_expected(file, &test->expect);
    const test_step_block *steps = test->steps.items;
    for (uint32_t i = 0; i < test->steps.n; i++) {
        check_rows(file, steps[i].rows.value, "rows");
        check_expected(file, &steps[i].expect);
        if (!file->parsed->is_stream && (steps[i].restart || steps[i].advance_us != 0))
            problem_add(file->problems, &test->steps.places[i],
                        "a batch has no time that goes on and no restart: leave \"advance\" and "
                        "\"restart\" out, or say stream: true of a reader");
        if (!file->parsed->is_stream && steps[i].has_expect)
            problem_add(file->problems, &test->steps.places[i],
                        "a batch gets the rows of all steps at once, so a step expects nothing: "
                        "write what must come out under the test's own \"expect\"");
    }
}

/* ---- what the test gives each reader ----------------------------------------------------------*/

static const char *json_type(yyjson_val *value)
{
    if (yyjson_is_bool(value))
        return "boolean";
    if (yyjson_is_int(value))
        return "bigint";
    if (yyjson_is_num(value) || yyjson_is_raw(value))
        return "double";
    return yyjson_is_str(value) ? "string" : NULL;
}

/* The columns of the maps: a bigint that is elsewhere a double is one; else what it is at first. */
typedef struct seen_column {
    const char *name;
    const char *type; /* NULL: only nulls so far */
    bool nested;
} seen_column;

typedef struct seen_columns {
    arena *arena;
    seen_column *items;
    uint32_t n, capacity;
} seen_columns;

static seen_column *seen_find(seen_columns *seen, const char *name)
{
    for (uint32_t i = 0; i < seen->n; i++)
        if (strcmp(seen->items[i].name, name) == 0)
            return &seen->items[i];
    if (!arena_reserve(seen->arena, &seen->items, &seen->capacity, (uint64_t)seen->n + 1,
                       sizeof *seen->items))
        return NULL;
    seen->items[seen->n] = (seen_column){.name = arena_text(seen->arena, name)};
    return &seen->items[seen->n++];
}

static void see_row(seen_columns *seen, yyjson_val *row)
{
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(row, i, n, key, value)
    {
        seen_column *column = seen_find(seen, yyjson_get_str(key));
        const char *type = json_type(value);
        if (column == NULL)
            return;
        if (yyjson_is_obj(value) || yyjson_is_arr(value))
            column->nested = true;
        else if (type != NULL && column->type == NULL)
            column->type = type;
        else if (type != NULL && strcmp(type, column->type) != 0)
            column->type = strcmp(type, "string") == 0 || strcmp(column->type, "string") == 0 ||
                                   strcmp(type, "boolean") == 0 ||
                                   strcmp(column->type, "boolean") == 0
                               ? "string"
                               : "double";
    }
}

static void see_rows(stage *stage, seen_columns *seen, const node *rows)
{
    for (const node *of = rows == NULL ? NULL : rows->first; of != NULL; of = of->next) {
        stage_reader *reader = stage_find_reader(stage, of->key);
        if (of->kind == NODE_SCALAR) {
            reader->has_text = reader->has_text || !node_is_null(of);
            continue;
        }
        suite_rows given = {0};
        reader->has_maps = true;
        rows_of_node(of, of->key, stage->file->problems, &given);
        for (uint32_t i = 0; i < given.n; i++)
            see_row(&seen[reader - stage->readers], rows_at(&given, i));
        rows_release(&given);
    }
}

static void see_test(stage *stage, seen_columns *seen)
{
    const test_step_block *steps = stage->test->steps.items;
    see_rows(stage, seen, stage->test->given.value);
    for (uint32_t i = 0; i < stage->test->steps.n; i++)
        see_rows(stage, seen, steps[i].rows.value);
}

/* A name that no other file of the stage has, whatever the reader is called. */
static const char *stage_reader_path(const stage *stage, const char *id)
{
    return arena_format(stage->file->arena, "%s/rows-%s", stage->folder, id);
}

/* ---- the changed tree -------------------------------------------------------------------------*/

typedef struct change {
    stage *stage;
    seen_columns *seen; /* one for each reader */
    bool failed;
} change;

static node *stage_put(change *change, node *map, node_kind kind, const char *key)
{
    node *made = tree_node(map->tree, kind, &map->at);
    if (made != NULL)
        made->depth = (uint8_t)(map->depth + 1);
    if (made == NULL || !tree_append(map, made, key, &map->at)) {
        change->failed = true;
        return NULL;
    }
    return made;
}

static void put_text(change *change, node *map, const char *key, const char *value)
{
    node *made = stage_put(change, map, NODE_SCALAR, key);
    if (made == NULL)
        return;
    made->style = SCALAR_BUILT;
    change->failed = !tree_set_text(made, value, strlen(value), false) || change->failed;
}

/* `of` NULL: memory is out. */
static void put_type(change *change, node *map, const char *key, const type *of)
{
    const char *name = of == NULL ? NULL : type_name(change->stage->file->arena, of);
    if (name == NULL)
        change->failed = true;
    else
        put_text(change, map, key, name);
}

/* The value under `key`, which may be there already. */
static void set_text(change *change, node *map, const char *key, const char *value)
{
    node *found = node_find(map, key);
    if (found == NULL) {
        put_text(change, map, key, value);
        return;
    }
    found->kind = NODE_SCALAR;
    found->style = SCALAR_BUILT;
    found->n_substitutions = 0;
    change->failed = !tree_set_text(found, value, strlen(value), false) || change->failed;
}

static bool is_file_option(const char *name)
{
    for (const option *option = file_reader_ops.block.options; option->name != NULL; option++)
        if (strcmp(option->name, name) == 0)
            return strcmp(name, "path") != 0;
    return false;
}

static void keep_options(change *change, const node *from, node *into, bool keeps_format)
{
    for (const node *child = from->first; child != NULL; child = child->next) {
        const bool is_of_format =
            strcmp(child->key, "schema") != 0 && strcmp(child->key, "order") != 0;
        if (!is_file_option(child->key) || (is_of_format && !keeps_format) ||
            node_find(into, child->key) != NULL)
            continue;
        node *copy = tree_copy(child, (uint32_t)into->depth + 1);
        change->failed =
            copy == NULL || !tree_append(into, copy, child->key, &child->key_at) || change->failed;
    }
}

static void put_seen_schema(change *change, const seen_columns *seen, node *file)
{
    for (uint32_t i = 0; i < seen->n; i++)
        if (seen->items[i].nested)
            return; /* what is nested is inferred from the files */
    if (seen->n == 0)
        return;
    node *schema = stage_put(change, file, NODE_MAP, "schema");
    for (uint32_t i = 0; schema != NULL && i < seen->n; i++)
        put_text(change, schema, seen->items[i].name,
                 seen->items[i].type == NULL ? "string" : seen->items[i].type);
}

/* What a Kafka reader gives beside the value: null where a test does not say it. */
static void put_kafka_columns(change *change, node *kafka, node *file)
{
    node *schema = node_find(file, "schema");
    if (schema == NULL || schema->kind != NODE_MAP)
        return;
    const node *headers = node_find(kafka, "headers");
    if (node_find(schema, "kafka_metadata") == NULL)
        put_type(change, schema, "kafka_metadata", kafka_metadata_type(change->stage->file->arena));
    if (node_find(kafka, "key") != NULL && node_find(schema, "key") == NULL) {
        const node *of_key = node_find(node_find(kafka, "key"), "schema");
        node *copy = of_key == NULL ? NULL : tree_copy(of_key, (uint32_t)schema->depth + 1);
        if (copy == NULL)
            put_text(change, schema, "key", "string");
        else if (!tree_append(schema, copy, "key", &of_key->at))
            change->failed = true;
    }
    if (headers != NULL && node_find(schema, "headers") == NULL)
        put_text(change, schema, "headers", "string");
}

/* The reader's own block becomes that of a file. */
static void change_kind(change *change, stage_reader *reader, uint32_t number, node *kind)
{
    node *file = tree_node(kind->tree, NODE_MAP, &kind->at);
    if (file == NULL) {
        change->failed = true;
        return;
    }
    file->depth = kind->depth;
    const bool is_file = strcmp(kind->key, "file") == 0;
    const node *value = is_file ? kind : node_find(kind, "value");
    const char *path = stage_reader_path(change->stage, reader->id);
    put_text(change, file, "path",
             path == NULL ? "" : arena_format(change->stage->file->arena, "%s/*", path));
    if (!reader->has_text)
        put_text(change, file, "format", "json");
    if (value != NULL && value->kind == NODE_MAP)
        keep_options(change, value, file, reader->has_text);
    else if (value != NULL && value->kind == NODE_SCALAR && reader->has_text && !is_file)
        put_text(change, file, "format", value->value);
    if (node_find(file, "schema") == NULL && !reader->has_text)
        put_seen_schema(change, &change->seen[number], file);
    if (strcmp(kind->key, "kafka") == 0)
        put_kafka_columns(change, kind, file);
    kind->kind = NODE_MAP;
    kind->first = file->first;
    kind->last = file->last;
    kind->n = file->n;
    kind->key = "file";
}

static node *find_kind(node *reader)
{
    const block_kind *const *kinds = registry_kinds(registry_of_engine(), "readers");
    for (; *kinds != NULL; kinds++)
        if (node_find(reader, (*kinds)->name) != NULL)
            return node_find(reader, (*kinds)->name);
    return NULL;
}

/* A test has all rows of a reader; its past would be there beside them. */
static void drop_bootstrap(node *reader)
{
    for (node *child = reader->first, *before = NULL; child != NULL; child = child->next) {
        if (strcmp(child->key, "bootstrap") != 0) {
            before = child;
            continue;
        }
        if (before == NULL)
            reader->first = child->next;
        else
            before->next = child->next;
        if (reader->last == child)
            reader->last = before;
        reader->n--;
    }
}

static bool change_tree(void *context, node *root)
{
    change *change = context;
    stage *stage = change->stage;
    node *readers = node_find(node_find(root, "source"), "readers");
    node *reader = readers->first;
    const reader_block *parsed = stage->file->parsed->source.readers.items;
    for (uint32_t i = 0; i < stage->n_readers; i++, reader = reader->next) {
        stage_reader *of = &stage->readers[i];
        if (of->has_maps || of->has_text || parsed[i].stream)
            change_kind(change, of, i, find_kind(reader));
        drop_bootstrap(reader);
        if (stage->mode == PLAY_BATCH && parsed[i].stream)
            set_text(change, reader, "stream", "false");
    }
    node *letters = node_find(root, "dead_letters");
    if (letters == NULL)
        letters = stage_put(change, root, NODE_MAP, "dead_letters");
    if (letters != NULL && letters->kind == NODE_MAP)
        set_text(change, letters, "path", stage_path(stage, "letters.jsonl"));
    return !change->failed;
}

/* ---- the folder -------------------------------------------------------------------------------*/

const char *stage_path(const stage *stage, const char *name)
{
    return arena_format(stage->file->arena, "%s/%s", stage->folder, name);
}

static freshet_code stage_make_folders(stage *stage, freshet_error *err)
{
    const char *below = getenv("TMPDIR");
    const int n = snprintf(stage->folder, sizeof stage->folder, "%s/freshet-suite-XXXXXX",
                           below == NULL || below[0] == '\0' ? "/tmp" : below);
    if (n < 0 || (size_t)n >= sizeof stage->folder || mkdtemp(stage->folder) == NULL) {
        stage->folder[0] = '\0';
        return error_system(err, "cannot make a folder for a test", below == NULL ? "/tmp" : below);
    }
    for (uint32_t i = 0; i < stage->n_readers; i++) {
        const char *path = stage_reader_path(stage, stage->readers[i].id);
        if (path == NULL)
            return error_memory(err, "preparing a test");
        if (os.mkdir(path, 0700) != 0)
            return error_system(err, "cannot make the folder", path);
    }
    return FRESHET_OK;
}

/* The ending of the files whose text the test gives: it may say the format. */
static const char *ending_of(const reader_block *reader)
{
    const char *path = reader->kind.kind == &file_reader_ops.block
                           ? ((const file_options *)reader->kind.options)->path.value
                           : NULL;
    const char *dot = path == NULL ? NULL : strrchr(path, '.');
    return dot == NULL || strchr(dot, '/') != NULL ? "" : dot;
}

static freshet_code stage_write_file(stage *stage, stage_reader *reader, const text_buffer *text,
                                     freshet_error *err)
{
    char name[32], hidden[40];
    snprintf(name, sizeof name, "%06u%s", ++reader->n_files,
             reader->has_text ? reader->ending : ".jsonl");
    snprintf(hidden, sizeof hidden, ".%s", name);
    const char *folder = stage_reader_path(stage, reader->id);
    const char *to =
        folder == NULL ? NULL : arena_format(stage->file->arena, "%s/%s", folder, name);
    const char *from =
        folder == NULL ? NULL : arena_format(stage->file->arena, "%s/%s", folder, hidden);
    if (to == NULL || from == NULL || text->failed || reader->n_files > STAGE_FILES_MAX)
        return error_memory(err, "writing the rows of a test");
    FILE *file = fopen(from, "we");
    if (file == NULL)
        return error_system(err, "cannot write the rows of a test", from);
    const bool good = fwrite(text->bytes, 1, text->length, file) == text->length;
    if (fclose(file) != 0 || !good || os.rename(from, to) != 0)
        return error_system(err, "cannot write the rows of a test", to);
    return FRESHET_OK;
}

static freshet_code add_rows_of(stage *stage, const node *of, freshet_error *err)
{
    stage_reader *reader = stage_find_reader(stage, of->key);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    if (of->kind == NODE_SCALAR && !node_is_null(of)) {
        text_append_c(&text, of->value);
        if (text.length > 0 && text.bytes[text.length - 1] != '\n')
            text_append_char(&text, '\n');
    }
    for (const node *row = of->kind == NODE_LIST ? of->first : NULL; row != NULL; row = row->next) {
        node_append_json(row, &text);
        text_append_char(&text, '\n');
    }
    freshet_code code = FRESHET_OK;
    if (text.length > 0 || text.failed)
        code = stage_write_file(stage, reader, &text, err);
    text_release(&text);
    return code;
}

freshet_code stage_add_rows(stage *stage, const node *rows, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    const node *of = rows == NULL || rows->kind != NODE_MAP ? NULL : rows->first;
    for (; of != NULL && code == FRESHET_OK; of = of->next)
        code = add_rows_of(stage, of, err);
    return code;
}

freshet_code stage_open(suite_file *file, const test_block *test, play_mode mode, stage *stage,
                        freshet_error *err)
{
    const reader_block *parsed = file->parsed->source.readers.items;
    *stage = (struct stage){.file = file, .test = test, .mode = mode};
    stage->n_readers = file->parsed->source.readers.n;
    stage->readers = arena_zero(file->arena, stage->n_readers, sizeof *stage->readers);
    seen_columns *seen = arena_zero(file->arena, stage->n_readers, sizeof *seen);
    if (stage->readers == NULL || seen == NULL)
        return error_memory(err, "preparing a test");
    for (uint32_t i = 0; i < stage->n_readers; i++) {
        stage->readers[i] =
            (stage_reader){.id = parsed[i].id.value, .ending = ending_of(&parsed[i])};
        seen[i].arena = file->arena;
    }
    see_test(stage, seen);
    change change = {.stage = stage, .seen = seen};
    freshet_code code = stage_make_folders(stage, err);
    if (code == FRESHET_OK)
        code = declaration_read_changed(file->declaration_path, registry_of_engine(), change_tree,
                                        &change, file->settings->problem, file->settings->context,
                                        &stage->declaration, err);
    return code;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

void stage_close(stage *stage)
{
    freshet_declaration_close(stage->declaration);
    stage->declaration = NULL;
    if (stage->folder[0] != '\0')
        nftw(stage->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
