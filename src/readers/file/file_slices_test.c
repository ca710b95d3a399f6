/* file_slices_test.c - files decoded in slices by 2, 3 and 5 workers give what one worker gives:
 * the same rows with their places, the same bad records and reasons, the same positions, poll by
 * poll. Random records of each format: good and bad, blank, too long, with nulls and long texts. */
/* tsan */
#include "readers/file/file_internal.h"

#include "base/crew.h"
#include "base/random_testing.h"
#include "readers/file/file_testing.h"

#define FILES 3u
#define RECORDS 4000u /* of each file */
#define RECORD_MAX 6000u
#define RECORD_BYTES_MAX 2000

/* One way to read: of these there are as many as there are cases. */
typedef struct slices_case {
    const char *format;
    const char *fields; /* NULL: the format has its own */
    const char *ending;
    bool is_null; /* on_cast_error */
    bool in_lanes;
    bool in_folders;
    bool gzip;
    bool some_used;
    uint32_t max_rows;
    size_t max_bytes;
} slices_case;

#define JSON_FIELDS                                                                         \
    "id: bigint, amount: double, name: string, note: string, at: timestamp, flag: boolean," \
    "parts: struct<a: integer, b: string>, m: decimal(10,2), day: date, n: integer"
#define CSV_FIELDS                                                                          \
    "id: bigint, amount: double, name: string, note: string, at: timestamp, flag: boolean," \
    "absent: integer, day: date, n: integer"

static const slices_case cases[] = {
    {"json", JSON_FIELDS, "jsonl", .max_rows = 100000, .max_bytes = SIZE_MAX},
    {"json", JSON_FIELDS, "jsonl", true, .in_folders = true, .max_rows = 3000,
     .max_bytes = SIZE_MAX},
    {"json", JSON_FIELDS, "jsonl", .in_folders = true, .max_rows = 100000, .max_bytes = 150000},
    {"json", JSON_FIELDS ", list: array<bigint>", "jsonl", .max_rows = 100000,
     .max_bytes = SIZE_MAX},
    {"json", JSON_FIELDS, "jsonl.gz", true, .in_lanes = true, .gzip = true, .some_used = true,
     .max_rows = 1111, .max_bytes = SIZE_MAX},
    {"csv", CSV_FIELDS, "csv", .max_rows = 100000, .max_bytes = SIZE_MAX},
    {"csv", CSV_FIELDS, "csv", true, .in_lanes = true, .in_folders = true, .max_rows = 2000,
     .max_bytes = SIZE_MAX},
    {"csv", CSV_FIELDS, "csv.gz", true, .gzip = true, .some_used = true, .max_rows = 777,
     .max_bytes = SIZE_MAX},
    {"raw", NULL, "txt", .max_rows = 100000, .max_bytes = SIZE_MAX},
    {"raw", NULL, "txt", true, .in_lanes = true, .max_rows = 1500, .max_bytes = 100000},
};

static const bool some_used[] = {true, false, true,  true, false, true,
                                 true, true,  false, true, true};

/* ---- records --------------------------------------------------------------------------------- */

static size_t make_text(char *into)
{
    static const uint32_t lengths[] = {0, 3, 12, 13, 40, 200};
    size_t n = lengths[random_below(6)];

    if (random_below(900) == 0)
        n = RECORD_BYTES_MAX + random_below(1000);
    for (size_t i = 0; i < n; i++)
        into[i] = (char)('a' + random_below(26));
    if (n > 3 && random_below(8) == 0)
        into[n - 2] = '\xc3', into[n - 1] = '\xa9';
    if (n > 3 && random_below(200) == 0)
        into[1] = '\xff';
    return n;
}

static size_t make_json(char *into)
{
    static const char *const odd[] = {
        "", "  ", "{", "[1]", "{\"id\":1}x", "null", "{\"id\":\"x\"}"};
    size_t n;

    if (random_below(25) == 0)
        return (size_t)sprintf(into, "%s", odd[random_below(7)]);
    n = (size_t)sprintf(into, "{\"id\":%s%u,\"amount\":%u.%02u,\"name\":\"",
                        random_below(40) == 0 ? "1." : "", random_below(1000000),
                        random_below(1000), random_below(100));
    n += make_text(into + n);
    n += (size_t)sprintf(into + n, "\",\"note\":");
    if (random_below(6) == 0) {
        n += (size_t)sprintf(into + n, "null");
    } else {
        n += (size_t)sprintf(into + n, "\"%s", random_below(20) == 0 ? "\\n" : "");
        n += make_text(into + n);
        n += (size_t)sprintf(into + n, "\"");
    }
    if (random_below(4) > 0)
        n += (size_t)sprintf(into + n, ",\"at\":\"2024-05-%02uT12:00:%02u\"", random_below(34),
                             random_below(60));
    if (random_below(3) > 0)
        n += (size_t)sprintf(into + n, ",\"flag\":%s", random_below(2) == 0 ? "true" : "false");
    if (random_below(5) == 0)
        n += (size_t)sprintf(into + n, ",\"parts\":{\"a\":%u,\"b\":\"%u of a long text\"}",
                             random_below(9), random_below(9));
    if (random_below(9) == 0)
        n += (size_t)sprintf(into + n, ",\"m\":%u.5,\"list\":[1,%u]", random_below(900),
                             random_below(9));
    return n + (size_t)sprintf(into + n, ",\"n\":%s}", random_below(30) == 0 ? "99999999999" : "7");
}

static size_t make_csv(char *into)
{
    size_t n;

    if (random_below(40) == 0)
        return (size_t)sprintf(into, "%s", random_below(2) == 0 ? "" : "1,2,3");
    n = (size_t)sprintf(into, "%u,%s,\"", random_below(1000000),
                        random_below(30) == 0 ? "x" : "1.5");
    n += make_text(into + n);
    n += (size_t)sprintf(into + n, "%s\",", random_below(20) == 0 ? "\"\"\n" : "");
    n += make_text(into + n);
    n += (size_t)sprintf(into + n, ",2024-05-%02u,%s,", random_below(34),
                         random_below(3) == 0 ? "" : "true");
    return n +
           (size_t)sprintf(into + n, "%u%s", random_below(100), random_below(90) == 0 ? ",\"" : "");
}

static size_t make_record(const char *format, char *into)
{
    if (strcmp(format, "json") == 0)
        return make_json(into);
    return strcmp(format, "csv") == 0 ? make_csv(into) : make_text(into);
}

static void make_file(rig *rig, const slices_case *which, uint32_t file)
{
    const bool has_header = strcmp(which->format, "csv") == 0;
    text_buffer text;
    char name[64];
    char *made = malloc(RECORD_MAX);

    assert_non_null(made);
    text_init(&text, TEXT_LIMIT_DEFAULT);
    if (has_header)
        text_append_c(&text, file == 1 ? "n,id,amount,name,note,at,flag\n"
                                       : "id,amount,name,note,at,flag,n\n");
    for (uint32_t i = 0; i < RECORDS; i++) {
        text_append(&text, made, make_record(which->format, made));
        text_append_c(&text, i % 5 == 0 ? "\r\n" : "\n");
    }
    assert_false(text.failed);
    if (which->in_folders) {
        snprintf(name, sizeof name, "day=%s", file == 2 ? "never" : "2024-05-01");
        mkdir(rig_path(rig, name), 0700);
        snprintf(name, sizeof name, "%s/%u.%s", file == 2 ? "day=never" : "day=2024-05-01", file,
                 which->ending);
    } else {
        snprintf(name, sizeof name, "%u.%s", file, which->ending);
    }
    if (which->gzip)
        rig_write_gzip(rig, name, text.bytes);
    else
        rig_write_bytes(rig, name, "w", text.bytes, text.length);
    text_release(&text);
    free(made);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void note_positions(rig *rig)
{
    rig_keep_positions(rig);
    for (uint32_t i = 0; i < rig->positions.n; i++)
        text_format(&rig->rows, "%s reached %lld\n", rig->positions.items[i].label,
                    (long long)rig->positions.items[i].offset);
}

static freshet_code poll_into(rig *rig, const slices_case *which, batch *batch, rejects *bad,
                              const reader_choice *choice)
{
    freshet_code code;

    rig->reader->choice = choice;
    code = rig->ops->poll(rig->reader, batch, which->max_rows, which->max_bytes, bad, &rig->more,
                          &rig->err);
    rig->reader->choice = NULL;
    if (code != FRESHET_OK && code != FRESHET_END)
        fail_msg("%s: %s", rig->err.at, rig->err.text);
    return code;
}

/* Polls of several partitions into one batch, as pipeline/merge.c does it. */
static bool poll_lanes(rig *rig, const slices_case *which, batch *batch, rejects *bad)
{
    const reader_choice none = {.partition = READER_NONE};
    uint32_t lanes[FILES], n = 0;

    if (poll_into(rig, which, batch, bad, &none) == FRESHET_END)
        return false;
    for (uint32_t lane = READER_NONE;
         n < FILES && (lane = rig->ops->waiting(rig->reader, lane)) != READER_NONE;)
        lanes[n++] = lane;
    for (uint32_t i = 0; i < n; i++)
        poll_into(rig, which, batch, bad, &(reader_choice){.partition = lanes[i]});
    return true;
}

static void read_all(rig *rig, const slices_case *which)
{
    bool more = true;

    rig_forget(rig);
    rig_open(rig);
    rig->reader->in_lanes = which->in_lanes;
    while (more) {
        batch batch;
        rejects bad = {.arena = rig->step};
        arena_reset(rig->step);
        assert_int_equal(batch_init(&batch, rig->step, &rig->reader->schema, 4, NULL), FRESHET_OK);
        more = which->in_lanes ? poll_lanes(rig, which, &batch, &bad)
                               : poll_into(rig, which, &batch, &bad, NULL) == FRESHET_OK;
        for (uint32_t i = 0; i < batch.n_rows; i++)
            rig_note_row(rig, &batch, i);
        for (uint32_t i = 0; i < bad.n; i++)
            text_format(&rig->reasons, "%s@%lld %d %.20s %s\n", bad.items[i].partition,
                        (long long)bad.items[i].offset, (int)bad.items[i].code, bad.items[i].raw,
                        bad.items[i].reason);
        rig->n_rows += batch.n_rows;
        rig->n_rejects += bad.n;
        note_positions(rig);
    }
    rig_close(rig);
    rig->positions = (reader_positions){0};
}

static void expect_same(const char *what, uint32_t n_workers, const char *found, const char *wanted)
{
    size_t at = 0;

    while (found[at] == wanted[at] && found[at] != '\0')
        at++;
    if (found[at] != wanted[at])
        fail_msg("%s, %u workers, at byte %zu: %.300s\nshould be %.300s", what, n_workers, at,
                 found + (at < 100 ? 0 : at - 100), wanted + (at < 100 ? 0 : at - 100));
}

static void compare_case(const slices_case *which)
{
    static const uint32_t workers[] = {2, 3, 5};
    rig *rig = rig_make(which->in_folders ? "*/*" : "");
    char *rows, *reasons;

    rig_format(rig, which->format);
    if (which->fields != NULL)
        rig_schema(rig, which->fields);
    rig->with_places = true;
    rig->options.order = 1; /* by name */
    rig->options.max_record_bytes = RECORD_BYTES_MAX;
    rig->block.on_cast_error = which->is_null ? ON_CAST_ERROR_NULL : ON_CAST_ERROR_DEAD_LETTER;
    rig->used = which->some_used ? some_used : NULL;
    for (uint32_t i = 0; i < FILES; i++)
        make_file(rig, which, i);
    read_all(rig, which);
    if (rig->n_rows < FILES * RECORDS / 4)
        fail_msg("case %zu: %u rows", (size_t)(which - cases), rig->n_rows);
    assert_true(rig->n_rejects > 0);
    rows = strdup(rig->rows.bytes);
    reasons = strdup(rig->reasons.bytes);
    for (size_t i = 0; i < sizeof workers / sizeof *workers; i++) {
        assert_int_equal(crew_open(workers[i], &rig->crew, NULL), FRESHET_OK);
        read_all(rig, which);
        crew_close(rig->crew);
        expect_same(which->ending, workers[i], rig->rows.bytes, rows);
        expect_same("reasons", workers[i], rig->reasons.bytes, reasons);
    }
    free(rows);
    free(reasons);
    rig_free(rig);
}

static void slices_give_what_one_worker_gives(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        compare_case(&cases[i]);
}

/* Few records are decoded as they come, by a reader that could cut them, too. */
static void few_records_are_not_cut(void **state)
{
    rig *rig = rig_make("a.jsonl");

    (void)state;
    assert_int_equal(crew_open(2, &rig->crew, NULL), FRESHET_OK);
    rig_schema(rig, "id: bigint");
    rig_write(rig, "a.jsonl", "{\"id\":1}\n{\"id\":2}\n");
    rig_read(rig);
    rig_expect(rig, "{\"id\":1}\n{\"id\":2}\n");
    crew_close(rig->crew);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_give_what_one_worker_gives),
        cmocka_unit_test(few_records_are_not_cut),
    };

    return cmocka_run_group_tests_name("file_slices", tests, NULL, NULL);
}
