/* tsan */
/* Finding the Cassandra adapter: what is said where it is missing, is something else, or is of another version. */
#include "writers/cql_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(freshet_code code, const freshet_error *err, const char *what)
{
    assert_int_equal(code, FRESHET_FAILED);
    assert_int_equal(err->then, FRESHET_STOP);
    if (strstr(err->text, what) == NULL) {
        fail_msg("\"%s\" is not in: %s", what, err->text);
    }
    assert_non_null(strstr(err->text, "scripts/build adapter"));
}

static void test_a_file_that_is_not_there(void **state)
{
    (void)state;
    freshet_error err = {0};
    const cql_api *api = NULL;
    setenv(CQL_LOAD_ENVIRONMENT, "/nowhere/adapter.so", 1);
    expect(cql_load(&api, &err), &err, "cannot be loaded");
    assert_non_null(strstr(err.text, "/nowhere/adapter.so"));
    assert_null(api);
}

static void test_another_library(void **state)
{
    (void)state;
    freshet_error err = {0};
    const cql_api *api = NULL;
    setenv(CQL_LOAD_ENVIRONMENT, "libm.so.6", 1);
    expect(cql_load(&api, &err), &err, "is no Cassandra adapter");
    assert_null(api);
}

static void test_another_version(void **state)
{
    (void)state;
    freshet_error err = {0};
    cql_api api = {.version = CQL_API_VERSION, .size = sizeof api};
    assert_int_equal(cql_load_check("adapter.so", &api, &err), FRESHET_OK);

    api.version = CQL_API_VERSION + 1;
    expect(cql_load_check("adapter.so", &api, &err), &err, "has version 2 of the interface");
    api.version = CQL_API_VERSION;
    api.size -= sizeof(void *);
    expect(cql_load_check("adapter.so", &api, &err), &err, "wants version 1");
    expect(cql_load_check("adapter.so", NULL, &err), &err, "has version 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_that_is_not_there),
        cmocka_unit_test(test_another_library),
        cmocka_unit_test(test_another_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
