/* fuzz_serving.c - any bytes as a request for feature vectors, to two sets with keys of many types.
 *
 * What comes back is JSON with a status that there is. An answer has as many results as names, and
 * in each as many values as statuses and times; a refusal has a sentence.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "serving/serving_answer.h"
#include "serving/serving_rows.h"

#define ANSWER_MAX ((size_t)8 << 20)

static const char one_types[] =
    "struct<id: bigint, timestamp: timestamp, amount: double, s: string>";
static const char two_types[] =
    "struct<a: string, b: integer, c: timestamp, d: boolean, e: binary, f: decimal(9,2), g: double,"
    "timestamp: timestamp, amount: bigint, list: array<array<float>>, o: struct<p: string>>";

static void check(bool holds)
{
    if (!holds)
        abort();
}

static serving_set set_of(arena *arena, const char *name, const char *types, uint32_t n_keys)
{
    const type *type = type_parse(arena, types);
    return (serving_set){
        .name = name, .schema = {type->n_fields, type->fields}, .n_keys = n_keys, .max_age_us = 1};
}

/* A row of zeroes: the id 0. */
static void put_row(arena *arena, serving_set *set)
{
    const serving_rows_options options = {&set->schema, set->n_keys, (size_t)1 << 30, false};
    batch rows = {.arena = arena};
    check(serving_rows_open(&options, arena, &set->rows, NULL) == FRESHET_OK);
    check(batch_init(&rows, arena, &set->schema, 1, NULL) == FRESHET_OK);
    rows.n_rows = 1;
    check(serving_rows_put(set->rows, &rows, 1, NULL) == FRESHET_OK);
}

static void check_answer(yyjson_val *root)
{
    yyjson_val *names = yyjson_obj_get(yyjson_obj_get(root, "metadata"), "feature_names");
    yyjson_val *results = yyjson_obj_get(root, "results"), *result;
    size_t i, n, n_rows = 0;
    check(yyjson_arr_size(names) > 1 && yyjson_arr_size(names) == yyjson_arr_size(results));
    yyjson_arr_foreach(results, i, n, result)
    {
        const size_t values = yyjson_arr_size(yyjson_obj_get(result, "values"));
        check(values > 0 && (i == 0 || values == n_rows));
        check(yyjson_arr_size(yyjson_obj_get(result, "statuses")) == values);
        check(yyjson_arr_size(yyjson_obj_get(result, "event_timestamps")) == values);
        n_rows = values;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena *arena = arena_open();
    serving_set sets[] = {set_of(arena, "one", one_types, 1), set_of(arena, "two", two_types, 7)};
    text_buffer body;
    char *copy = arena_alloc(arena, size + 1);
    text_init(&body, ANSWER_MAX);
    put_row(arena, &sets[0]);
    put_row(arena, &sets[1]);
    memcpy(copy, data, size);
    const unsigned status = serving_answer(sets, 2, copy, size, 0, arena, &body);
    check(memcmp(copy, data, size) == 0);
    check(status == 200 || status == 400 || status == 404 || status == 413 || status == 422);
    yyjson_doc *document = yyjson_read(body.bytes, body.length, 0);
    check(document != NULL);
    if (status == 200)
        check_answer(yyjson_doc_get_root(document));
    else
        check(yyjson_get_len(yyjson_obj_get(yyjson_doc_get_root(document), "detail")) > 0);
    yyjson_doc_free(document);
    text_release(&body);
    serving_rows_close(sets[0].rows);
    serving_rows_close(sets[1].rows);
    arena_close(arena);
    return 0;
}
