/* reader_testing.h - for tests of readers: a reader, and what it has given.
 *
 * The includer says before what a rig has besides, as RIG_OWN: at least `options`, the reader's
 * struct.
 */
#ifndef FRESHET_READERS_READER_TESTING_H
#define FRESHET_READERS_READER_TESTING_H

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/os.h"
#include "base/text.h"
#include "readers/reader.h"

typedef struct rig {
    const reader_ops *ops;
    declaration declaration;
    reader_block block;
    reader_mode mode;
    arena *arena; /* of declaration and reader */
    arena *step;
    arena *kept; /* positions live here between a close and an open */
    freshet_reader *reader;
    const bool *used;
    struct crew *crew;
    reader_positions positions;
    bool with_places;
    text_buffer rows;    /* as JSON, a line each; with places: "orders/0@7 {...}" */
    text_buffer reasons; /* of rejects, a line each: "7 reason"; with places: "orders/0@7 reason" */
    freshet_error err;
    uint32_t n_rows, n_rejects;
    bool more, ended;
    RIG_OWN
} rig;

static inline rig *rig_make_of(const reader_ops *ops, const char *id)
{
    rig *it = calloc(1, sizeof *it);

    assert_non_null(it);
    it->ops = ops;
    it->arena = arena_open();
    it->step = arena_open();
    it->kept = arena_open();
    it->declaration.folder = ".";
    it->declaration.pipeline.value = "p";
    it->block.id.value = id;
    text_init(&it->rows, TEXT_LIMIT_DEFAULT);
    text_init(&it->reasons, TEXT_LIMIT_DEFAULT);
    log_configure(LOG_ERROR, LOG_TEXT);
    return it;
}

static inline schema rig_schema_of(rig *rig, const char *fields)
{
    const type *type = type_parse(rig->arena, arena_format(rig->arena, "struct<%s>", fields));

    assert_non_null(type);
    return (schema){.n_fields = type->n_fields, .fields = type->fields};
}

static inline void rig_make_reader(rig *rig, const void *options)
{
    rig->reader = calloc(1, rig->ops->size);
    assert_non_null(rig->reader);
    *rig->reader = (freshet_reader){.ops = rig->ops,
                                    .declaration = &rig->declaration,
                                    .block = &rig->block,
                                    .options = options,
                                    .mode = rig->mode,
                                    .arena = rig->arena,
                                    .crew = rig->crew,
                                    .used = rig->used};
    rig->ended = false;
}

static inline freshet_code rig_describe(rig *rig)
{
    rig_make_reader(rig, &rig->options);
    return rig->ops->describe(rig->reader, &rig->err);
}

static inline freshet_code rig_try_open(rig *rig)
{
    freshet_code code = rig_describe(rig);

    return code == FRESHET_OK ? rig->ops->open(rig->reader, &rig->positions, &rig->err) : code;
}

static inline void rig_open(rig *rig)
{
    if (rig_try_open(rig) != FRESHET_OK)
        fail_msg("%s: %s", rig->err.at, rig->err.text);
}

/* Closes the reader; the positions are what the next open goes on from. */
static inline void rig_close(rig *rig)
{
    if (rig->reader == NULL)
        return;
    rig->ops->close(rig->reader);
    free(rig->reader);
    rig->reader = NULL;
}

static inline void rig_keep_positions(rig *rig)
{
    arena_reset(rig->kept);
    assert_int_equal(rig->ops->positions(rig->reader, rig->kept, true, &rig->positions, NULL),
                     FRESHET_OK);
}

static inline void rig_reopen(rig *rig)
{
    rig_keep_positions(rig);
    rig_close(rig);
    rig_open(rig);
}

static inline void rig_forget(rig *rig)
{
    text_reset(&rig->rows);
    text_reset(&rig->reasons);
    rig->n_rows = rig->n_rejects = 0;
}

static inline void rig_free_of(rig *rig)
{
    rig_close(rig);
    os_restore();
    arena_close(rig->arena);
    arena_close(rig->step);
    arena_close(rig->kept);
    text_release(&rig->rows);
    text_release(&rig->reasons);
    free(rig);
}

static inline void rig_note_row(rig *rig, const batch *batch, uint32_t row)
{
    const origin *origin = &batch->origins[row];

    if (rig->with_places)
        text_format(&rig->rows, "%s@%lld ",
                    rig->ops->partition_label(rig->reader, origin->partition),
                    (long long)origin->offset);
    batch_row_to_json(batch, row, &rig->rows, NULL);
    text_append_char(&rig->rows, '\n');
    assert_true(origin->length > 0);
}

/* One poll; rows and reasons are taken down. Text in cells and raw records is read after the
 * poll, so what is let go too early is found. */
static inline freshet_code rig_poll(rig *rig, uint32_t max_rows, size_t max_bytes)
{
    batch batch;
    rejects bad = {.arena = rig->step};
    freshet_code code;

    arena_reset(rig->step);
    assert_int_equal(batch_init(&batch, rig->step, &rig->reader->schema, 4, NULL), FRESHET_OK);
    code = rig->ops->poll(rig->reader, &batch, max_rows, max_bytes, &bad, &rig->more, &rig->err);
    assert_true(batch.n_rows + bad.n <= max_rows);
    for (uint32_t i = 0; i < batch.n_rows; i++)
        rig_note_row(rig, &batch, i);
    for (uint32_t i = 0; i < bad.n; i++) {
        if (rig->with_places)
            text_format(&rig->reasons, "%s@", bad.items[i].partition);
        text_format(&rig->reasons, "%lld %s\n", (long long)bad.items[i].offset,
                    bad.items[i].reason);
    }
    rig->n_rows += batch.n_rows;
    rig->n_rejects += bad.n;
    rig->ended = code == FRESHET_END;
    return code;
}

/* Waits a moment for input, as the loop does. */
static inline void rig_wait(rig *rig)
{
    struct pollfd fd = {.fd = -1, .events = POLLIN};

    if (rig->ops->wake_fd != NULL)
        fd.fd = rig->ops->wake_fd(rig->reader);
    poll(&fd, fd.fd >= 0 ? 1 : 0, 20);
}

#define rig_expect(rig, text) \
    assert_string_equal((rig)->rows.length == 0 ? "" : (rig)->rows.bytes, text)
#define rig_expect_reasons(rig, text) \
    assert_string_equal((rig)->reasons.length == 0 ? "" : (rig)->reasons.bytes, text)

#endif
