/* tsan */
/* Finding the Cassandra adapter: what is said where it is missing, is something else, or is of
 * another version. */
#include "writers/cassandra/cql_load.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void expect(freshet_code code, const freshet_error *err, const char *what)
{
    assert_int_equal(code, FRESHET_FAILED);
    assert_int_equal(err->then, FRESHET_STOP);
    if (strstr(err->text, what) == NULL) {
        fail_msg("\"%s\" is not in: %s", what, err->text);
    }
    assert_non_null(strstr(err->text, "make adapter"));
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
    assert_true(cql_has_many(&api));
    api.size = CQL_API_SIZE_MIN; /* an adapter of before */
    assert_int_equal(cql_load_check("adapter.so", &api, &err), FRESHET_OK);
    assert_false(cql_has_many(&api));
    api.size -= sizeof(void *);
    expect(cql_load_check("adapter.so", &api, &err), &err, "wants version 1");
    expect(cql_load_check("adapter.so", NULL, &err), &err, "has version 0");
}

/* Beside this program, where an installation has it beside libfreshet.so. */
static void test_what_is_beside(void **state)
{
    (void)state;
    freshet_error err = {0};
    const cql_api *api = NULL;
    unsetenv(CQL_LOAD_ENVIRONMENT);
    expect(cql_load(&api, &err), &err, "is not installed");

    char program[PATH_MAX];
    char folder[PATH_MAX + 16];
    char path[PATH_MAX + 64];
    assert_non_null(realpath("/proc/self/exe", program));
    *strrchr(program, '/') = '\0';
    snprintf(folder, sizeof folder, "%s/freshet", program);
    snprintf(path, sizeof path, "%s/" CQL_LOAD_FILE, folder);
    assert_true(mkdir(folder, 0777) == 0 || errno == EEXIST);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("no library", file);
    fclose(file);
    freshet_code code = cql_load(&api, &err);
    unlink(path);
    rmdir(folder);
    expect(code, &err, "cannot be loaded");
    if (strstr(err.text, path) == NULL && strstr(err.at, path) == NULL) {
        fail_msg("%s is not named: %s: %s", path, err.at, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_that_is_not_there),
        cmocka_unit_test(test_another_library),
        cmocka_unit_test(test_another_version),
        cmocka_unit_test(test_what_is_beside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
