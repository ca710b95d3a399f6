/* release only, serial */
/* file_rate_test.c - how many events a second one core reads from files into batches; fails far
 * below what it should be. */
#include "readers/file/file_testing.h"

#define ROWS 1000000u
#define LEAST_ROWS_A_SECOND 1000000.0 /* a busy machine must not fail the test */

static void rate_of(bool csv)
{
    rig *rig = rig_make("");
    text_buffer text;
    int64_t best_us = INT64_MAX;

    rig_format(rig, csv ? "csv" : "json");
    rig_schema(rig, "id: bigint, user: string, ts: timestamp, amount: double, country: string");
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, csv ? "id,user,ts,amount,country\n" : "");
    for (unsigned i = 0; i < ROWS; i++)
        text_format(
            &text,
            csv ? "%u,user-%08u,2024-05-01T12:%02u:%02u.%03uZ,%u.%02u,BR\n"
                : "{\"id\":%u,\"user\":\"user-%08u\",\"ts\":\"2024-05-01T12:%02u:%02u.%03uZ\","
                  "\"amount\":%u.%02u,\"country\":\"BR\"}\n",
            i + 1000000, i * 7919 % 1000000, i / 60 % 60, i % 60, i % 1000, i % 500, i % 100);
    rig_write_bytes(rig, "a", "w", text.bytes, text.length);
    for (int round = 0; round < 5; round++) {
        int64_t begun_us = os.monotonic_us();
        freshet_code code = FRESHET_OK;
        uint32_t rows = 0;
        rig_open(rig);
        while (code == FRESHET_OK) {
            batch batch;
            rejects bad = {.arena = rig->step};
            arena_reset(rig->step);
            batch_init(&batch, rig->step, &rig->reader->schema, 20000, NULL);
            code =
                rig->ops->poll(rig->reader, &batch, 20000, SIZE_MAX, &bad, &rig->more, &rig->err);
            rows += batch.n_rows;
        }
        assert_int_equal(code, FRESHET_END);
        assert_int_equal(rows, ROWS);
        rig_close(rig);
        if (os.monotonic_us() - begun_us < best_us)
            best_us = os.monotonic_us() - begun_us;
    }
    print_message("%s: %.2f M rows/s of %zu bytes\n", csv ? "CSV" : "JSON", ROWS / (double)best_us,
                  text.length / ROWS);
    assert_true(ROWS * 1e6 / (double)best_us > LEAST_ROWS_A_SECOND);
    text_release(&text);
    rig_free(rig);
}

static void json_rows_a_second(void **state)
{
    (void)state;
    rate_of(false);
}

static void csv_rows_a_second(void **state)
{
    (void)state;
    rate_of(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_rows_a_second),
        cmocka_unit_test(csv_rows_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
