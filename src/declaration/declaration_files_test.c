/* declaration_files_test.c - declarations out of files: what is no file, folders of relative paths,
 * reading that fails. */
#include "declaration/declaration_testing.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/os.h"

static freshet_code read_file(const char *path, freshet_declaration **out, freshet_error *err)
{
    return declaration_read_file(path, &fake_registry, NULL, NULL, out, err);
}

static void write_file(const char *path, const char *text, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), (ssize_t)length);
    close(fd);
}

static void files(void **state)
{
    (void)state;
    char folder[] = "/tmp/freshet-declaration-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[100];
    snprintf(path, sizeof path, "%s/d.yaml", folder);
    freshet_declaration *handle = NULL;
    freshet_error err = {0};

    assert_int_equal(read_file(path, &handle, &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, "cannot open the declaration"));
    assert_non_null(strstr(err.text, "No such file or directory"));
    assert_int_equal(read_file(folder, &handle, &err), FRESHET_BAD_DECLARATION);
    assert_non_null(strstr(err.text, "is a folder: name the file of the declaration in it"));

    write_file(path, sound, strlen(sound));
    assert_int_equal(read_file(path, &handle, &err), FRESHET_OK);
    const declaration *read = declaration_of(handle);
    assert_string_equal(read->folder, folder);
    arena *arena = arena_open();
    char expected[100];
    snprintf(expected, sizeof expected, "%s/data/x", folder);
    assert_string_equal(declaration_path(read, arena, "data/x"), expected);
    assert_string_equal(declaration_path(read, arena, "/data/x"), "/data/x");
    arena_close(arena);
    freshet_declaration_close(handle);

    handle = NULL;
    write_file(path, "", 0);
    assert_int_equal(read_file(path, &handle, &err), FRESHET_BAD_DECLARATION);
    assert_string_equal(
        err.text, "the declaration is empty: it begins with \"version: 1\" and \"pipeline: NAME\"");
    assert_null(handle);
    unlink(path);
    rmdir(folder);
}

static ssize_t failing_read(int fd, void *into, size_t size)
{
    (void)fd, (void)into, (void)size;
    errno = EIO;
    return -1;
}

static int interruptions;

static ssize_t interrupted_read(int fd, void *into, size_t size)
{
    if (interruptions++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return read(fd, into, size > 10 ? 10 : size);
}

static void reading_that_fails(void **state)
{
    (void)state;
    char path[] = "/tmp/freshet-declaration-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_file(path, sound, strlen(sound));
    freshet_declaration *handle = NULL;
    freshet_error err = {0};
    os.read = failing_read;
    assert_int_equal(read_file(path, &handle, &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, "cannot read the declaration"));
    os.read = interrupted_read;
    assert_int_equal(read_file(path, &handle, &err), FRESHET_OK);
    os_restore();
    freshet_declaration_close(handle);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(reading_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
