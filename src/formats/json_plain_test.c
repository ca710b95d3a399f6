/* json_plain_test.c - records of plain values give what the way through yyjson gives: random ones,
 * good and bad, by both, with each option, and both tell of the same columns that none had. */
#include "formats/json_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random_testing.h"

#define ROWS 256u
#define ROUNDS 60
#define RECORD_MAX 1024

static const char types[] =
    "struct<b: boolean, i: integer, id: bigint, f: float, d: double, s: string, text: string,"
    "x: binary, day: date, at: timestamp, m: decimal(12,3), unused: bigint,"
    "a_name_of_more_than_thirty_one_bytes: integer, list: array<bigint>, never: string>";
static const bool used[] = {true, true, true, true,  true, true, true, true,
                            true, true, true, false, true, true, true};
/* Without a list and a decimal: more records are plain, and numbers are not read as text. */
static const char simple[] = "struct<b: boolean, i: integer, id: bigint, f: float, d: double,"
                             "s: string, text: string, day: date, at: timestamp>";

static const char *const keys[] = {"b",
                                   "i",
                                   "id",
                                   "f",
                                   "d",
                                   "s",
                                   "text",
                                   "day",
                                   "at",
                                   "x",
                                   "m",
                                   "Id",
                                   "ignored",
                                   "unused",
                                   "a_name_of_more_than_thirty_one_bytes",
                                   "",
                                   "list",
                                   "t\\u0065xt",
                                   "\xc3\xa9t\xc3\xa9",
                                   "\xff"};

static const char *const values[] = {"1",
                                     "0",
                                     "-1",
                                     "-0",
                                     "00",
                                     "01",
                                     "1.",
                                     ".5",
                                     "+1",
                                     "2147483647",
                                     "2147483648",
                                     "-2147483648",
                                     "-2147483649",
                                     "9223372036854775807",
                                     "9223372036854775808",
                                     "-9223372036854775808",
                                     "-9223372036854775809",
                                     "18446744073709551615",
                                     "18446744073709551616",
                                     "123456789012345678901234567890",
                                     "0.1",
                                     "0.10",
                                     "613.89",
                                     "-0.0",
                                     "0.0",
                                     "3.0",
                                     "1e3",
                                     "1E+3",
                                     "1e-3",
                                     "1e",
                                     "1e+",
                                     "1.5e400",
                                     "-1e400",
                                     "1e-400",
                                     "9007199254740993",
                                     "9007199254740993.0",
                                     "0.8444218515250481",
                                     "0.30000000000000004",
                                     "12345678901234567.25",
                                     "0.0000000000000000000001",
                                     "1.7976931348623157e308",
                                     "3.4028235677973366e38",
                                     "16777217.0",
                                     "4.35",
                                     "1.005",
                                     "999999999.9995",
                                     "true",
                                     "false",
                                     "null",
                                     "True",
                                     "nul",
                                     "nulll",
                                     "NaN",
                                     "Infinity",
                                     "-Infinity",
                                     "\"NaN\"",
                                     "\"\"",
                                     "\"a\"",
                                     "\"twelve bytes\"",
                                     "\"thirteen byte\"",
                                     "\"a text of more than sixteen bytes\"",
                                     "\"a \\\" quote\"",
                                     "\"\\u00e9\"",
                                     "\"\xc3\xa9\"",
                                     "\"\xe2\x82\xac and more text\"",
                                     "\"\xc3\"",
                                     "\"\xed\xa0\x80\"",
                                     "\"\xc0\xaf\"",
                                     "\"a\ttab\"",
                                     "\"a\x01\"",
                                     "\"\x7f\"",
                                     "\"no end",
                                     "\"2024-05-01\"",
                                     "\"2024-02-30\"",
                                     "\"2024-05-01T12:00:00.358\"",
                                     "\"2024-05-01 12:00:00Z\"",
                                     "\"2024-05-01T24:00:00\"",
                                     "\"2024-05-01T12:00:00.358+02:00\"",
                                     "\" 2024-05-01 \"",
                                     "\"AAEC\"",
                                     "\"AAE\"",
                                     "\"1.5\"",
                                     "\"12\"",
                                     "[]",
                                     "[1,2]",
                                     "[1,\"a\"]",
                                     "{}",
                                     "{\"a\":1}",
                                     "[",
                                     "{",
                                     "",
                                     "12 34",
                                     "\"a\" \"b\"",
                                     "1,",
                                     "/**/1"};

#define PICK(list) (list)[random_below((uint32_t)(sizeof(list) / sizeof(*(list))))]

static const char *blank(void)
{
    static const char *const blanks[] = {"", "", "", " ", "  ", "\t", "\r\n"};
    return random_below(500) == 0 ? "\v" : PICK(blanks);
}

/* A value that mostly fits the key. */
static const char *likely_value(const char *key, char into[64])
{
    if (random_below(20) == 0)
        return "null";
    switch (key[0]) {
    case 'b': return random_below(2) == 0 ? "true" : "false";
    case 'i':
    case 'u':
    case 'a':
        if (strcmp(key, "at") == 0) {
            snprintf(into, 64, "\"2024-%02d-%02dT%02d:%02d:%02d.%d\"", (int)random_below(12) + 1,
                     (int)random_below(29) + 1, (int)random_below(24), (int)random_below(60),
                     (int)random_below(60), (int)random_below(1000));
            return into;
        }
        snprintf(into, 64, "%d", (int)random_below(2000000) - 1000000);
        return into;
    case 'f':
    case 'd':
        if (strcmp(key, "day") == 0)
            return "\"2024-05-01\"";
        snprintf(into, 64, "%.*f", (int)random_below(18), (double)random_below(1000000) / 777.0);
        return into;
    case 'm': snprintf(into, 64, "%d.%03d", (int)random_below(1000), 5); return into;
    case 'x': return "\"AAEC\"";
    default: return random_below(2) == 0 ? "\"view\"" : "\"a longer text of a user\"";
    }
}

static size_t make_record(char into[RECORD_MAX])
{
    const bool is_wild = random_below(4) == 0;
    const uint32_t n = (uint32_t)random_below(12);
    size_t length = 0;

    length += (size_t)sprintf(into, "%s{%s", is_wild ? blank() : "", blank());
    for (uint32_t i = 0; i < n; i++) {
        char made[64];
        const char *key = is_wild ? PICK(keys) : keys[i % 11];
        const char *value =
            random_below(is_wild ? 3 : 60) == 0 ? PICK(values) : likely_value(key, made);
        length += (size_t)sprintf(into + length, "%s\"%s\"%s:%s%s%s", i == 0 ? "" : ",", key,
                                  blank(), blank(), value, blank());
    }
    length += (size_t)sprintf(into + length, "}%s", blank());
    if (random_below(20) == 0) /* one byte is another */
        into[random_below((uint32_t)length)] = (char)random_below(256);
    if (random_below(30) == 0)
        length = random_below((uint32_t)length + 1);
    return length;
}

/* What a decoder makes of records: its rows, and what it says. */
typedef struct way {
    decoder *decoder;
    batch rows;
    text_buffer text;
    freshet_error err;
} way;

static void way_open(way *it, arena *arena, const decoder *like, bool plain)
{
    assert_int_equal(decoder_open(like, &it->decoder, NULL), FRESHET_OK);
    ((json_decoder *)it->decoder)->tries_plain = plain;
    assert_int_equal(batch_init(&it->rows, arena, like->schema, ROWS, NULL), FRESHET_OK);
    decoder_begin(it->decoder, &it->rows);
    text_init(&it->text, TEXT_LIMIT_DEFAULT);
}

static bool way_decode(way *it, const char *record, size_t length)
{
    const freshet_code code = decoder_decode(it->decoder, record, length, &it->err);

    text_reset(&it->text);
    if (code == FRESHET_OK)
        assert_int_equal(batch_row_to_json(&it->rows, it->rows.n_rows, &it->text, NULL),
                         FRESHET_OK);
    else
        text_format(&it->text, "%d: %s", (int)it->decoder->refused, it->err.text);
    return code == FRESHET_OK;
}

static void way_tell(void *context, uint32_t column, const char *name, const char *near)
{
    (void)near; /* keys of records that are not JSON may be among those it is from */
    text_format(context, "%u %s;", column, name);
}

static void compare(const char *type_text, const decoder *options, uint32_t *n_plain)
{
    arena *arena = arena_open();
    const type *type = type_parse(arena, type_text);
    const schema schema = {.n_fields = type->n_fields, .fields = type->fields};
    decoder like = *options;
    way plain = {0}, tree = {0};

    like.format = &format_json;
    like.schema = &schema;
    way_open(&plain, arena, &like, true);
    way_open(&tree, arena, &like, false);
    for (uint32_t i = 0; i < ROWS - 1; i++) {
        char made[RECORD_MAX];
        const size_t length = make_record(made);
        const char *record = arena_alloc(arena, length);
        memcpy((char *)record, made, length);
        ((json_decoder *)plain.decoder)->pause = 0;
        *n_plain += json_decode_plain((json_decoder *)plain.decoder, record, length);
        const bool good = way_decode(&plain, record, length);
        if (way_decode(&tree, record, length) != good ||
            strcmp(plain.text.bytes, tree.text.bytes) != 0) {
            print_message("%.*s\n", (int)length, record);
            assert_string_equal(plain.text.bytes, tree.text.bytes);
            fail();
        }
        plain.rows.n_rows += good;
        tree.rows.n_rows += good;
    }
    text_reset(&plain.text);
    text_reset(&tree.text);
    format_json.unseen(plain.decoder, way_tell, &plain.text);
    format_json.unseen(tree.decoder, way_tell, &tree.text);
    text_append_char(&plain.text, '.');
    text_append_char(&tree.text, '.');
    assert_string_equal(plain.text.bytes, tree.text.bytes);
    decoder_close(plain.decoder);
    decoder_close(tree.decoder);
    text_release(&plain.text);
    text_release(&tree.text);
    arena_close(arena);
}

static void plain_records_give_what_the_tree_gives(void **state)
{
    static const format_options loose, strict = {.json = {.strict = true}};
    uint32_t n_plain = 0;

    (void)state;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const decoder options = {.options = round % 8 == 7 ? &strict : &loose,
                                 .used = round % 4 < 2 ? used : NULL,
                                 .cast_error_null = round % 2 == 1};
        compare(round % 4 < 2 ? types : simple, &options, &n_plain);
    }
    assert_in_range(n_plain, ROUNDS * ROWS / 4, ROUNDS * ROWS);
}

/* The record's own bytes are all that is read, and a long text points into them. */
static void a_plain_record_is_not_copied(void **state)
{
    static const format_options options;
    static const char text[] = "{\"s\":\"a text of more than twelve bytes\"}";
    arena *arena = arena_open();
    const type *type = type_parse(arena, "struct<s: string>");
    const schema schema = {.n_fields = 1, .fields = type->fields};
    const decoder like = {.format = &format_json, .options = &options, .schema = &schema};
    way it = {0};
    const char *record = arena_copy(arena, text, sizeof text - 1);

    (void)state;
    way_open(&it, arena, &like, true);
    assert_true(way_decode(&it, record, sizeof text - 1));
    assert_ptr_equal(((const cell_text *)it.rows.columns[0].data)[0].as.outside.pointer,
                     record + 6);
    decoder_close(it.decoder);
    text_release(&it.text);
    arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_records_give_what_the_tree_gives),
        cmocka_unit_test(a_plain_record_is_not_copied),
    };

    return cmocka_run_group_tests_name("json_plain", tests, NULL, NULL);
}
