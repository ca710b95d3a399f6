/* release only, serial */
/* json_rate_test.c - how many events a second one core decodes; fails far below what it should
 * be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/os.h"
#include "base/text.h"
#include "formats/format.h"

#define ROWS 50000u
#define ROUNDS 40
#define LEAST_ROWS_A_SECOND 1500000.0 /* a busy machine must not fail the test */

static void events_a_second(void **state)
{
    arena *arena = arena_open();
    const type *row =
        type_parse(arena, "struct<id: bigint, user: string, ts: timestamp,"
                          "amount: double, country: string, nested: struct<a: bigint>>");
    schema schema = {.n_fields = row->n_fields, .fields = row->fields};
    text_buffer text;
    static const format_options options;
    decoder *decoder;
    size_t *starts = malloc((ROWS + 1) * sizeof(*starts));
    int64_t best_us = INT64_MAX;

    (void)state;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (unsigned i = 0; i < ROWS; i++) {
        starts[i] = text.length;
        text_format(&text,
                    "{\"id\":%u,\"user\":\"user-%08u\",\"ts\":\"2024-05-01T12:%02u:%02u.%03uZ\","
                    "\"amount\":%u.%02u,\"country\":\"BR\",\"nested\":{\"a\":%u}}\n",
                    i + 1000000, i * 7919 % 1000000, i / 60 % 60, i % 60, i % 1000, i % 500,
                    i % 100, i % 13);
    }
    starts[ROWS] = text.length;
    struct decoder like = {.format = &format_json, .options = &options, .schema = &schema};
    assert_int_equal(decoder_open(&like, &decoder, NULL), FRESHET_OK);
    for (int round = 0; round < ROUNDS; round++) {
        struct arena *step = arena_open();
        batch batch;
        int64_t begun_us = os.monotonic_us();
        assert_int_equal(batch_init(&batch, step, &schema, ROWS, NULL), FRESHET_OK);
        decoder_begin(decoder, &batch);
        for (unsigned i = 0; i < ROWS; i++) {
            assert_true(decoder_decode(decoder, text.bytes + starts[i],
                                       starts[i + 1] - starts[i] - 1, NULL) == FRESHET_OK);
            batch.n_rows++;
        }
        if (os.monotonic_us() - begun_us < best_us)
            best_us = os.monotonic_us() - begun_us;
        arena_close(step);
    }
    print_message("%.2f M rows/s of %zu bytes\n", ROWS / (double)best_us, text.length / ROWS);
    assert_true(ROWS * 1e6 / (double)best_us > LEAST_ROWS_A_SECOND);
    decoder_close(decoder);
    text_release(&text);
    arena_close(arena);
    free(starts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(events_a_second)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
