/* source_testing.h - for the tests of this folder: a source over made-up readers.
 *
 * `readers` is a list as "flights* airports": which of the readers below the declaration has, those
 * with a star streaming, those with a plus (behind the star) joined by the time `delay` within a
 * bound. Rows come from fixture_fill, which depends on its seed only.
 */
#ifndef FRESHET_SOURCE_SOURCE_TESTING_H
#define FRESHET_SOURCE_SOURCE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "declaration/registry_testing.h"
#include "functions/functions.h"
#include "source/source.h"

#define FIXTURE_READERS_MAX 6

static const struct {
    const char *id;
    const char *type;
} fixture_readers[FIXTURE_READERS_MAX] = {
    {"flights", "struct<origin: string, carrier: string, delay: bigint, amount: double, "
                "tags: array<string>, nested: struct<a: integer, b: struct<c: string>>, "
                "code: string, ts: timestamp>"},
    {"events", "struct<origin: string, carrier: string, delay: bigint>"},
    {"airports", "struct<faa: string, name: string, lat: double>"},
    {"airlines", "struct<carrier: string, title: string>"},
    {"cells", "struct<flag: boolean, small: integer, big: bigint, thin: float, real: double, "
              "money: decimal(12,3), word: string, bytes: binary, day: date, ts: timestamp, "
              "tags: array<string>, place: struct<city: string, n: integer, deep: struct<flag: "
              "boolean, ts: timestamp>>, cells: bigint, Order: string>"},
    {"others", "struct<word: string, ts: timestamp, big: bigint, small: integer, real: double, "
               "place: struct<city: string, n: integer, deep: struct<flag: boolean, ts: "
               "timestamp>>, flag: boolean, day: date, tags: array<string>>"}};

/* One engine for all fixtures of a program: opening it takes longest. */
static sql_engine *fixture_engine;

static void fixture_close_engine(void)
{
    sql_close(fixture_engine);
}

typedef struct fixture {
    arena *arena;
    sql_session *session;
    freshet_declaration *declaration;
    problems *problems;
    freshet_reader readers[FIXTURE_READERS_MAX];
    freshet_reader *list[FIXTURE_READERS_MAX];
    uint32_t n_readers;
    source *source;
    freshet_error err;
} fixture;

__attribute__((unused)) static void must(freshet_code code, const freshet_error *err)
{
    if (code != FRESHET_OK)
        fail_msg("code %d: %s", code, err->text);
}

static void fixture_say(void *context, const freshet_error *problem)
{
    (void)context;
    fprintf(stderr, "%s: %s\n", problem->at, problem->text);
}

/* The declaration's YAML; the query's lines begin at column 5. */
static const char *fixture_yaml(arena *arena, const char *readers, const char *query)
{
    const char *yaml = "version: 1\npipeline: p\nsource:\n  readers:\n";
    char *list = arena_text(arena, readers), *rest = NULL;
    for (char *id = strtok_r(list, " ", &rest); id != NULL; id = strtok_r(NULL, " ", &rest)) {
        char *plus = strchr(id, '+'), *star = strchr(id, '*');
        if (plus != NULL)
            *plus = '\0';
        if (star != NULL)
            *star = '\0';
        yaml = arena_format(
            arena, "%s    - id: %s\n      file: {path: x}\n%s%s", yaml, id,
            star == NULL ? "" : "      stream: true\n",
            plus == NULL ? "" : "      timestamp: {from: delay}\n      within: 1 minute\n");
    }
    yaml = arena_format(arena, "%s  query: |\n    ", yaml);
    for (const char *c = query; *c != '\0'; c++)
        yaml = arena_format(arena, *c == '\n' ? "%s\n    " : "%s%c", yaml, *c);
    return arena_format(
        arena,
        "%s\nfeature_set:\n  name: f\n  entity: e\n  keys: [{name: k, type: string}]\n"
        "  timestamp: {from: ts}\n  features: [{name: x, type: double}]\n"
        "sink: {writers: [{nowhere: {}}]}\n",
        yaml);
}

static void fixture_describe(fixture *here)
{
    const declaration *declaration = declaration_of(here->declaration);
    const reader_block *blocks = declaration->source.readers.items;
    here->n_readers = declaration->source.readers.n;
    for (uint32_t i = 0; i < here->n_readers; i++) {
        freshet_reader *reader = &here->readers[i];
        *reader = (freshet_reader){.declaration = declaration, .block = &blocks[i], .index = i};
        for (int k = 0; k < FIXTURE_READERS_MAX; k++) {
            if (strcasecmp(fixture_readers[k].id, blocks[i].id.value) == 0) {
                const type *type = type_parse(here->arena, fixture_readers[k].type);
                assert_non_null(type);
                reader->schema = (schema){type->n_fields, type->fields};
            }
        }
        here->list[i] = reader;
    }
}

/* Opens a session, a declaration and a source; gives what source_open gives. */
__attribute__((unused)) static freshet_code fixture_open(fixture *here, const char *readers,
                                                         const char *query)
{
    *here = (fixture){.arena = arena_open()};
    const char *yaml = fixture_yaml(here->arena, readers, query);
    if (fixture_engine == NULL) {
        must(sql_open(NULL, &fixture_engine, &here->err), &here->err);
        atexit(fixture_close_engine);
        sql_session *session;
        must(sql_session_open(fixture_engine, &session, &here->err), &here->err);
        must(functions_create(session, &here->err), &here->err);
        sql_session_close(session);
    }
    must(sql_session_open(fixture_engine, &here->session, &here->err), &here->err);
    must(declaration_read(yaml, strlen(yaml), "p.yaml", ".", &fake_registry, fixture_say, NULL,
                          &here->declaration, &here->err),
         &here->err);
    fixture_describe(here);
    here->problems = problems_open(here->arena);
    return source_open(here->declaration, here->session, here->list, here->n_readers,
                       here->problems, &here->source, &here->err);
}

__attribute__((unused)) static void fixture_open_well(fixture *here, const char *readers,
                                                      const char *query)
{
    freshet_code code = fixture_open(here, readers, query);
    if (code != FRESHET_OK) {
        problems_report(here->problems, fixture_say, NULL, &here->err);
        fail_msg("%s: code %d: %s", query, code, here->err.text);
    }
}

__attribute__((unused)) static void fixture_close(fixture *here)
{
    source_close(here->source);
    sql_session_close(here->session);
    freshet_declaration_close(here->declaration);
    arena_close(here->arena);
}

/* ---- rows ---- */

static uint64_t fixture_dice(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 11;
}

static cell_text fixture_text(arena *arena, const char *prefix, uint64_t number)
{
    const char *text = arena_format(arena, "%s%llu", prefix, (unsigned long long)number);
    return text_of(text, (uint32_t)strlen(text));
}

static void fixture_cell(arena *arena, const char *name, column *column, uint32_t row,
                         uint64_t *seed)
{
    uint64_t dice = fixture_dice(seed);
    switch (column->type->kind) {
    case TYPE_STRING:
        ((cell_text *)column->data)[row] =
            fixture_text(arena,
                         strcmp(name, "code") == 0 ? ""
                         : dice & 8                ? "K"
                                                   : "a long key no ",
                         strcmp(name, "code") == 0 ? dice % 1000 : dice % 7);
        break;
    case TYPE_BIGINT: ((int64_t *)column->data)[row] = (int64_t)(dice % 100) - 20; break;
    case TYPE_INTEGER: ((int32_t *)column->data)[row] = (int32_t)(dice % 50); break;
    case TYPE_DOUBLE: ((double *)column->data)[row] = (double)(dice % 1000) / 8; break;
    case TYPE_TIMESTAMP:
        ((int64_t *)column->data)[row] = 1700000000000000 + (int64_t)(dice % 1000000000);
        break;
    case TYPE_ARRAY:
        ((cell_span *)column->data)[row] = (cell_span){column->n_elements, dice % 4};
        for (uint64_t i = 0; i < dice % 4; i++) {
            must(column_reserve(arena, &column->children[0], column->n_elements + 1, NULL), NULL);
            fixture_cell(arena, "element", &column->children[0], (uint32_t)column->n_elements++,
                         seed);
        }
        break;
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < column->type->n_fields; i++)
            fixture_cell(arena, column->type->fields[i].name, &column->children[i], row, seed);
        break;
    default: break;
    }
    if (dice % 13 == 0 && strcmp(name, "code") != 0 && strcmp(name, "element") != 0)
        assert_true(column_set_null(arena, column, row));
}

/* n rows of a reader, with origins: row i is at offset 100 * (base + i). */
__attribute__((unused)) static batch *fixture_fill(fixture *here, uint32_t reader, uint32_t n,
                                                   uint64_t seed, uint32_t base)
{
    batch *rows = arena_zero(here->arena, 1, sizeof *rows);
    const schema *columns = &here->readers[reader].schema;
    must(batch_init(rows, here->arena, columns, n, &here->err), &here->err);
    rows->origins = arena_zero(here->arena, n, sizeof *rows->origins);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t c = 0; c < columns->n_fields; c++)
            fixture_cell(here->arena, columns->fields[c].name, &rows->columns[c], i, &seed);
        const char *raw = arena_format(here->arena, "row %u", base + i);
        rows->origins[i] = (origin){
            .raw = raw, .raw_length = (uint32_t)strlen(raw), .offset = 100 * (int64_t)(base + i)};
    }
    rows->n_rows = n;
    return rows;
}

/* Loads a reader that does not drive. */
__attribute__((unused)) static void fixture_load(fixture *here, uint32_t reader, const batch *rows)
{
    must(source_load_begin(here->source, reader, &here->err), &here->err);
    must(source_load_add(here->source, reader, rows, NULL, &here->err), &here->err);
    must(source_load_commit(here->source, reader, &here->err), &here->err);
}

/* A row as JSON, in the fixture's arena. */
__attribute__((unused)) static const char *fixture_json(fixture *here, const batch *rows,
                                                        uint32_t row)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    must(batch_row_to_json(rows, row, &text, &here->err), &here->err);
    const char *copy = arena_text(here->arena, text.bytes);
    text_release(&text);
    return copy;
}

#endif
