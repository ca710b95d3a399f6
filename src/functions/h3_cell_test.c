/* h3_cell_test.c - the cells are those of PyPI's h3 3.7.7, which Butterfree uses; what is no place
 * is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "functions/functions.h"
#include "functions/h3_cell.h"
#include "functions/h3_cells_testing.h"
#include "sql/sql_testing.h"

#define N_CELLS (sizeof h3_cells / sizeof *h3_cells)
#define IDS_BYTES_MAX 300

/* One row a place: its id at that resolution. */
static const cell_text *ids_of(bench *here, const batch *places, int resolution)
{
    freshet_error err = {0};
    column levels, *made = arena_zero(here->arena, 1, sizeof *made);
    column arguments[3] = {places->columns[0], places->columns[1]};
    must(column_init(here->arena, &levels, type_simple(TYPE_INTEGER), N_CELLS, &err), &err);
    must(column_init(here->arena, made, type_simple(TYPE_STRING), N_CELLS, &err), &err);
    for (size_t i = 0; i < N_CELLS; i++)
        ((int32_t *)levels.data)[i] = resolution;
    arguments[2] = levels;
    const batch given = {.arena = here->arena, .columns = arguments, .n_rows = N_CELLS};
    must(h3_cell_call(NULL, &given, made, &err), &err);
    return made->data;
}

static batch all_places(bench *here)
{
    freshet_error err = {0};
    batch places = {.arena = here->arena, .n_rows = N_CELLS};
    places.columns = arena_zero(here->arena, 2, sizeof *places.columns);
    for (unsigned i = 0; i < 2; i++)
        must(column_init(here->arena, &places.columns[i], type_simple(TYPE_DOUBLE), N_CELLS, &err),
             &err);
    for (size_t i = 0; i < N_CELLS; i++) {
        ((double *)places.columns[0].data)[i] = h3_cells[i].lat / 1e6;
        ((double *)places.columns[1].data)[i] = h3_cells[i].lng / 1e6;
    }
    return places;
}

static void test_a_thousand_places(void **state)
{
    bench *here = *state;
    const batch places = all_places(here);
    const cell_text *ids[H3_RESOLUTION_MAX + 1];
    for (int resolution = 0; resolution <= H3_RESOLUTION_MAX; resolution++)
        ids[resolution] = ids_of(here, &places, resolution);
    assert_true(N_CELLS >= 1000);
    for (size_t i = 0; i < N_CELLS; i++) {
        char text[IDS_BYTES_MAX] = "";
        size_t length = 0;
        for (int resolution = 0; resolution <= H3_RESOLUTION_MAX; resolution++)
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%.*s",
                                       resolution == 0 ? "" : " ", (int)ids[resolution][i].length,
                                       text_bytes(&ids[resolution][i]));
        if (crc32(0, (const Bytef *)text, (uInt)length) != h3_cells[i].ids)
            fail_msg("%d, %d: other cells than %s", h3_cells[i].lat, h3_cells[i].lng, text);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *call, *text;
    } refused[] = {
        {"h3_latlng_to_cell_string(x, 1, 16)", "go from 0 to 15, and this one is 16"},
        {"h3_latlng_to_cell_string(x, 1, -1)", "go from 0 to 15, and this one is -1"},
        {"h3_latlng_to_cell_string('nan'::DOUBLE * x, 1, 6)", "nan, 1 is no latitude"},
        {"h3_latlng_to_cell_string(1, '-inf'::DOUBLE * x, 6)", "1, -inf is no latitude"},
    };
    bench *here = *state;
    freshet_error err = {0};
    must(functions_create(here->session, &err), &err);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *sql = arena_format(here->arena, "SELECT %s FROM (VALUES (1.0::DOUBLE)) v(x)",
                                       refused[i].call);
        sql_statement *statement = NULL;
        batch out;
        must(sql_prepare(here->session, sql, &statement, NULL, &err), &err);
        if (sql_run(statement, here->arena, &out, &err) == FRESHET_OK)
            fail_msg("%s is not refused", sql);
        assert_int_equal(err.then, FRESHET_SKIP_ROW);
        if (strstr(err.text, refused[i].text) == NULL)
            fail_msg("%s: %s", sql, err.text);
        sql_statement_close(statement);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_thousand_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("functions/h3_cell", tests, NULL, NULL);
}
