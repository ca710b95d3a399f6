/* format_conformance_testing.h - what format.h promises, as tests that any format gets by one line:
 *
 *     static const format_sample mine = {.name = "mine", .schema = "a: bigint",
 *                                        .text = ..., .rows = ...};
 *     ... const struct CMUnitTest tests[] = {FORMAT_CONFORMANCE(mine)}; ...
 *
 * A sample is a file's content and the rows that it means: every type, nulls, fields that are
 * missing. It is read through the reader `file`, and record by record as messages.
 */
#ifndef FRESHET_READERS_FILE_FORMAT_CONFORMANCE_TESTING_H
#define FRESHET_READERS_FILE_FORMAT_CONFORMANCE_TESTING_H

#include "readers/file/file_testing.h"

typedef struct format_sample {
    const char *name;
    const char *schema; /* NULL: the format has one column, or a file says it itself */
    const char *text;   /* the file, its last newline included */
    void (*write)(rig *rig, const char *name); /* formats of files: makes the file instead */
    bool has_header;                           /* the first record is no row */
    const char *rows;                          /* as JSON, a line each */
    const char *bad[4][2]; /* records, without newline, and a part of the reason */
    const char *misfit;    /* a record with a value of another type; NULL: none can be */
    const char *inferred;  /* of the file alone, as a type; NULL: nothing is inferred */
} format_sample;

static inline rig *format_rig(const format_sample *it)
{
    rig *rig = rig_make("a.txt");

    rig_format(rig, it->name);
    if (it->schema != NULL)
        rig_schema(rig, it->schema);
    return rig;
}

static inline void format_put(const format_sample *it, rig *rig)
{
    if (it->write != NULL)
        it->write(rig, "a.txt");
    else
        rig_write(rig, "a.txt", it->text);
}

/* What stands behind the header. */
static inline const char *format_body(const format_sample *it)
{
    return it->has_header ? strchr(it->text, '\n') + 1 : it->text;
}

static inline void format_reads_every_type(void **state)
{
    const format_sample *it = *state;
    rig *rig = format_rig(it);

    format_put(it, rig);
    rig_read(rig);
    rig_expect(rig, it->rows);
    rig_expect_reasons(rig, "");
    rig_free(rig);
}

/* One record a message gives the same rows. */
static inline void format_reads_messages(void **state)
{
    const format_sample *it = *state;
    rig *rig = format_rig(it);
    const format *format = format_of_file(rig->options.format.choice);
    const format_options *options = &rig->options.format;
    decoder like = {.format = format, .options = options, .of_messages = true}, *decoder;
    schema schema;
    batch batch;

    if (format->decode == NULL) {
        rig_free(rig);
        skip();
    }
    like.schema = &schema;
    assert_int_equal(format_describe(format, options, "value", rig->arena, &schema, NULL),
                     FRESHET_OK);
    assert_int_equal(decoder_open(&like, &decoder, NULL), FRESHET_OK);
    assert_int_equal(batch_init(&batch, rig->step, &schema, 100, NULL), FRESHET_OK);
    decoder_begin(decoder, &batch);
    for (const char *at = format_body(it); *at != '\0';) {
        record_progress progress = {0};
        size_t n = format->record_end == NULL
                       ? (size_t)(strchr(at, '\n') + 1 - at)
                       : format->record_end(options, &progress, at, strlen(at));
        assert_true(n > 0);
        assert_int_equal(decoder_decode(decoder, at, n - 1, &rig->err), FRESHET_OK);
        assert_int_equal(batch_row_to_json(&batch, batch.n_rows++, &rig->rows, NULL), FRESHET_OK);
        text_append_char(&rig->rows, '\n');
        at += n;
    }
    rig_expect(rig, it->rows);
    decoder_close(decoder);
    rig_free(rig);
}

/* A file that grows is read by whole records, wherever it is cut. */
static inline void format_waits_for_whole_records(void **state)
{
    const format_sample *it = *state;

    if (it->text == NULL)
        skip();
    for (size_t cut = 1; cut < strlen(it->text); cut++) {
        rig *rig = format_rig(it);
        rig->mode = READ_FOLLOW;
        rig->block.stream = true;
        rig_write_bytes(rig, "a.txt", "w", it->text, cut);
        rig_open(rig);
        rig_drain(rig, RIG_ROWS);
        if (strncmp(rig->rows.bytes == NULL ? "" : rig->rows.bytes, it->rows, rig->rows.length) !=
            0)
            fail_msg("cut at %zu: %s", cut, rig->rows.bytes);
        rig_append(rig, "a.txt", it->text + cut);
        rig_reopen(rig);
        rig_drain(rig, RIG_ROWS);
        rig_expect(rig, it->rows);
        rig_expect_reasons(rig, "");
        rig_free(rig);
    }
}

/* `text`, the record, and the rows of `text` again: the record's neighbours are read. */
static inline void format_read_between(const format_sample *it, rig *rig, const char *record)
{
    rig_write(rig, "a.txt", it->text);
    rig_append(rig, "a.txt", record);
    rig_append(rig, "a.txt", "\n");
    rig_append(rig, "a.txt", format_body(it));
    rig_read(rig);
}

static inline void format_expect_neighbours(const format_sample *it, rig *rig)
{
    char *twice = malloc(2 * strlen(it->rows) + 1);

    assert_non_null(twice);
    sprintf(twice, "%s%s", it->rows, it->rows);
    rig_expect(rig, twice);
    assert_int_equal(rig->n_rejects, 1);
    free(twice);
}

static inline void format_refuses_a_bad_record_alone(void **state)
{
    const format_sample *it = *state;

    if (it->text == NULL)
        skip();
    for (size_t i = 0; i < 4 && it->bad[i][0] != NULL; i++) {
        rig *rig = format_rig(it);
        format_read_between(it, rig, it->bad[i][0]);
        format_expect_neighbours(it, rig);
        if (strstr(rig->reasons.bytes, it->bad[i][1]) == NULL)
            fail_msg("%s: %s", it->bad[i][0], rig->reasons.bytes);
        rig_free(rig);
    }
}

static inline void format_passes_by_too_long_a_record(void **state)
{
    const format_sample *it = *state;
    char record[3001];
    rig *rig;

    if (it->text == NULL)
        skip();
    memset(record, 'x', sizeof record - 1);
    record[sizeof record - 1] = '\0';
    rig = format_rig(it);
    rig->options.max_record_bytes = 2000;
    format_read_between(it, rig, record);
    format_expect_neighbours(it, rig);
    assert_non_null(
        strstr(rig->reasons.bytes, "the record has 3001 bytes, more than max_record_bytes"));
    rig_free(rig);
}

/* A value of another type: a bad record, or, with on_cast_error null, a null. */
static inline void format_makes_misfits_null(void **state)
{
    const format_sample *it = *state;
    rig *rig;

    if (it->misfit == NULL)
        skip();
    rig = format_rig(it);
    format_read_between(it, rig, it->misfit);
    format_expect_neighbours(it, rig);
    uint32_t n = rig->n_rows;
    rig_forget(rig);
    rig->block.on_cast_error = ON_CAST_ERROR_NULL;
    format_read_between(it, rig, it->misfit);
    rig_expect_reasons(rig, "");
    assert_int_equal(rig->n_rows, n + 1);
    rig_free(rig);
}

/* Without a schema: the columns, and every record fits them. One column is the format's own. */
static inline void format_infers_what_it_decodes(void **state)
{
    const format_sample *it = *state;
    rig *rig = rig_make("a.txt");
    const struct format *format;
    schema declared;

    rig_format(rig, it->name);
    format_put(it, rig);
    format = format_of_file(rig->options.format.choice);
    assert_int_equal(
        format_describe(format, &rig->options.format, "mine", rig->arena, &declared, NULL),
        FRESHET_OK);
    assert_int_equal(declared.n_fields, format->one_column ? 1 : 0);
    if (format->one_column)
        assert_string_equal(declared.fields[0].name, "mine");
    rig_open(rig);
    const schema *found = &rig->reader->schema;
    assert_string_equal(
        type_name(rig->arena, type_struct(rig->arena, found->fields, found->n_fields)),
        it->inferred);
    rig_drain(rig, RIG_ROWS);
    rig_expect_reasons(rig, "");
    uint32_t n = 0;
    for (const char *c = it->rows; *c != '\0'; c++)
        n += *c == '\n';
    assert_int_equal(rig->n_rows, n);
    rig_free(rig);
}

#define FORMAT_CONFORMANCE_TEST(TEST, X)              \
    {                                                 \
#TEST ": " #X, TEST, NULL, NULL, (void *)&(X) \
    }
#define FORMAT_CONFORMANCE(X)                                           \
    FORMAT_CONFORMANCE_TEST(format_reads_every_type, X),                \
        FORMAT_CONFORMANCE_TEST(format_reads_messages, X),              \
        FORMAT_CONFORMANCE_TEST(format_waits_for_whole_records, X),     \
        FORMAT_CONFORMANCE_TEST(format_refuses_a_bad_record_alone, X),  \
        FORMAT_CONFORMANCE_TEST(format_passes_by_too_long_a_record, X), \
        FORMAT_CONFORMANCE_TEST(format_makes_misfits_null, X),          \
        FORMAT_CONFORMANCE_TEST(format_infers_what_it_decodes, X)

#endif
