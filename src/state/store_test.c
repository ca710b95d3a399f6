/* tsan */
/* store_test.c - the state folder: what was committed is there, all of it or nothing, whatever
 * happened to the process, the disk or the files.
 *
 * Called with the word `write` and a folder, this program is the writer that gets killed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/log.h"
#include "state/folder.h"
#include "state/rocks.h"
#include "state/seal.h"
#include "state/store.h"

#define KEYS 300
#define MANY_KEYS ((int)ROCKS_TABLE_ENTRIES + 100)

extern char **environ;

static char home[64];
static char folder[128];

static uint64_t drawn; /* the state of a small generator of random numbers */

static long draw(void)
{
    drawn = drawn * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (long)(drawn >> 34);
}

static void remove_tree(const char *path)
{
    char below[1024];
    DIR *stream = opendir(path);
    struct dirent *entry;
    if (stream == NULL) {
        unlink(path);
        return;
    }
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        remove_tree(below);
    }
    closedir(stream);
    rmdir(path);
}

static int make_home(void **state)
{
    (void)state;
    snprintf(home, sizeof home, "/tmp/freshet-store-XXXXXX");
    if (mkdtemp(home) == NULL)
        return -1;
    snprintf(folder, sizeof folder, "%s/p.state", home);
    return 0;
}

static int remove_home(void **state)
{
    (void)state;
    remove_tree(home);
    return 0;
}

static state_store *open_it(void)
{
    state_store *store = NULL;
    freshet_error err = {0};
    if (store_open(folder, false, STORE_MEMORY_MIN, &store, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    return store;
}

static void put(state_store *store, store_space space, const char *name, const char *key,
                const char *value)
{
    assert_int_equal(store_put(store, space, name, key, strlen(key), value, strlen(value), NULL),
                     FRESHET_OK);
}

static void commit(state_store *store)
{
    assert_int_equal(store_commit(store, NULL), FRESHET_OK);
}

static void begin(state_store *store)
{
    freshet_error err = {0};
    if (store_begin(store, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
}

static void expect(state_store *store, store_space space, const char *name, const char *key,
                   const char *value)
{
    text_buffer got;
    freshet_error err = {0};
    text_init(&got, TEXT_LIMIT_DEFAULT);
    freshet_code code = store_get(store, space, name, key, strlen(key), &got, &err);
    if (value == NULL) {
        assert_int_equal(code, FRESHET_END);
    } else {
        if (code != FRESHET_OK)
            fail_msg("%s %s: %s", name, key, err.text);
        assert_int_equal(got.length, strlen(value));
        assert_memory_equal(got.bytes, value, got.length);
    }
    text_release(&got);
}

/* ---- the plain life ------------------------------------------------------------------------- */

static freshet_code list_entry(void *context, const store_entry *entry, freshet_error *err)
{
    (void)err;
    text_format(context, "%s/%.*s=%.*s ", entry->name, (int)entry->key_length, entry->key,
                (int)entry->length, entry->value);
    return FRESHET_OK;
}

static freshet_code list_one(void *context, const store_entry *entry, freshet_error *err)
{
    list_entry(context, entry, err);
    return FRESHET_END;
}

static void expect_list(state_store *store, store_space space, const char *name,
                        store_visit_fn *visit, const char *list)
{
    text_buffer got;
    text_init(&got, TEXT_LIMIT_DEFAULT);
    text_append_c(&got, "");
    assert_int_equal(store_visit(store, space, name, visit, &got, NULL), FRESHET_OK);
    assert_string_equal(got.bytes, list);
    text_release(&got);
}

static void test_put_get_visit(void **state)
{
    (void)state;
    state_store *store = open_it();
    expect(store, STORE_STATE, "windows", "a", NULL);
    begin(store);
    put(store, STORE_STATE, "windows", "b", "2");
    put(store, STORE_STATE, "windows", "a", "0");
    put(store, STORE_STATE, "windows", "a", "1");
    put(store, STORE_STATE, "window", "a", "another part");
    put(store, STORE_POSITION, "windows", "a", "another space");
    put(store, STORE_FACT, "checkpoint", "", "");
    put(store, STORE_STATE, "windows", "c", "3");
    assert_int_equal(store_remove(store, STORE_STATE, "windows", "c", 1, NULL), FRESHET_OK);
    expect(store, STORE_STATE, "windows", "a", NULL);
    commit(store);
    for (int times = 0; times < 2; times++) {
        expect(store, STORE_STATE, "windows", "a", "1");
        expect(store, STORE_STATE, "windows", "b", "2");
        expect(store, STORE_STATE, "windows", "c", NULL);
        expect(store, STORE_FACT, "checkpoint", "", "");
        expect_list(store, STORE_STATE, "windows", list_entry, "windows/a=1 windows/b=2 ");
        expect_list(store, STORE_STATE, NULL, list_entry,
                    "window/a=another part windows/a=1 windows/b=2 ");
        expect_list(store, STORE_STATE, NULL, list_one, "window/a=another part ");
        assert_int_equal(store_verify(store, NULL), FRESHET_OK);
        store_close(store);
        store = open_it();
    }
    store_close(store);
}

static void test_remove(void **state)
{
    (void)state;
    state_store *store = open_it();
    begin(store);
    put(store, STORE_STATE, "dedup", "a", "1");
    put(store, STORE_STATE, "dedup", "\xff", "2");
    put(store, STORE_STATE, "dedupe", "a", "3");
    put(store, STORE_STATE, "windows", "a", "4");
    put(store, STORE_STATE, "windows", "b", "5");
    commit(store);
    begin(store);
    assert_int_equal(store_remove_all(store, STORE_STATE, "dedup", NULL), FRESHET_OK);
    assert_int_equal(store_remove(store, STORE_STATE, "windows", "a", 1, NULL), FRESHET_OK);
    commit(store);
    expect(store, STORE_STATE, "windows", "a", NULL);
    expect_list(store, STORE_STATE, NULL, list_entry, "dedupe/a=3 windows/b=5 ");
    expect(store, STORE_STATE, "dedup", "a", NULL);
    store_close(store);
}

static void put_many(state_store *store, const char *name, int first, int step, const char *value)
{
    char key[16];
    for (int i = first; i < MANY_KEYS; i += step) {
        snprintf(key, sizeof key, "%06d", i);
        put(store, STORE_STATE, name, key, value);
    }
}

static freshet_code count_one(void *context, const store_entry *entry, freshet_error *err)
{
    int *n = context;
    (void)entry;
    (void)err;
    ++*n;
    return FRESHET_OK;
}

static int count(state_store *store, const char *name)
{
    int n = 0;
    assert_int_equal(store_visit(store, STORE_STATE, name, count_one, &n, NULL), FRESHET_OK);
    return n;
}

/* Large checkpoints go another way to the disk, and mean the same. */
static void test_many(void **state)
{
    (void)state;
    state_store *store = open_it();
    begin(store);
    put_many(store, "a", 0, 1, "1");
    put(store, STORE_STATE, "b", "x", "1");
    put(store, STORE_FACT, "checkpoint", "", "1");
    commit(store);
    begin(store);
    put(store, STORE_FACT, "checkpoint", "", "2"); /* through the log */
    put(store, STORE_STATE, "a", "000007", "2");
    commit(store);
    begin(store);
    assert_int_equal(store_remove_all(store, STORE_STATE, "a", NULL), FRESHET_OK);
    put_many(store, "a", 0, 2, "3");
    put_many(store, "c", 0, 1, "3");
    assert_int_equal(store_remove(store, STORE_STATE, "b", "x", 1, NULL), FRESHET_OK);
    put(store, STORE_FACT, "checkpoint", "", "3");
    commit(store);
    begin(store);
    put(store, STORE_STATE, "a", "000008", "4");
    commit(store);
    for (int times = 0; times < 2; times++) {
        expect(store, STORE_FACT, "checkpoint", "", "3");
        expect(store, STORE_STATE, "a", "000006", "3");
        expect(store, STORE_STATE, "a", "000007", NULL);
        expect(store, STORE_STATE, "a", "000008", "4");
        expect(store, STORE_STATE, "b", "x", NULL);
        assert_int_equal(count(store, "a"), (MANY_KEYS + 1) / 2);
        assert_int_equal(count(store, "c"), MANY_KEYS);
        assert_int_equal(store_verify(store, NULL), FRESHET_OK);
        store_close(store);
        store = open_it();
    }
    store_close(store);
}

/* What is committed is seen at once, though the disk takes its time; and bytes are any bytes. */
static void test_seen_while_written(void **state)
{
    (void)state;
    static char value[200000];
    char key[32];
    state_store *store = open_it();
    for (int round = 0; round < 5; round++) {
        memset(value, round, sizeof value);
        begin(store);
        for (int i = 0; i < 50; i++) {
            snprintf(key, sizeof key, "key %d", i);
            assert_int_equal(store_put(store, STORE_STATE, "windows", key, strlen(key) + 1, value,
                                       sizeof value - (size_t)i, NULL),
                             FRESHET_OK);
        }
        commit(store);
        text_buffer got;
        text_init(&got, TEXT_LIMIT_DEFAULT);
        for (int i = 0; i < 50; i += 7) {
            text_reset(&got);
            snprintf(key, sizeof key, "key %d", i);
            assert_int_equal(
                store_get(store, STORE_STATE, "windows", key, strlen(key) + 1, &got, NULL),
                FRESHET_OK);
            assert_int_equal(got.length, sizeof value - (size_t)i);
            assert_memory_equal(got.bytes, value, got.length);
        }
        text_release(&got);
    }
    assert_int_equal(store_wait(store, NULL), FRESHET_OK);
    assert_true(store_is_idle(store));
    store_close(store);
}

/* ---- the folder ----------------------------------------------------------------------------- */

static void test_lock(void **state)
{
    (void)state;
    char pid[32];
    freshet_error err = {0};
    state_store *other = NULL;
    state_store *store = open_it();
    begin(store);
    put(store, STORE_FACT, "checkpoint", "", "7");
    commit(store);
    assert_int_equal(store_wait(store, NULL), FRESHET_OK);
    assert_int_equal(store_open(folder, false, STORE_MEMORY_MIN, &other, &err), FRESHET_TRY_AGAIN);
    snprintf(pid, sizeof pid, "process %ld;", (long)getpid());
    assert_non_null(strstr(err.text, pid));
    assert_non_null(strstr(err.text, "--state"));
    assert_int_equal(store_remove_folder(folder, &err), FRESHET_TRY_AGAIN);
    /* Reading needs no lock, and disturbs nobody. */
    assert_int_equal(store_open(folder, true, STORE_MEMORY_MIN, &other, &err), FRESHET_OK);
    expect(other, STORE_FACT, "checkpoint", "", "7");
    begin(store);
    put(store, STORE_FACT, "checkpoint", "", "8");
    commit(store);
    assert_int_equal(store_wait(store, NULL), FRESHET_OK);
    expect(other, STORE_FACT, "checkpoint", "", "7");
    store_close(other);
    store_close(store);
    store = open_it();
    expect(store, STORE_FACT, "checkpoint", "", "8");
    store_close(store);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_not_ours(void **state)
{
    (void)state;
    char path[256];
    state_store *store = NULL;
    freshet_error err = {0};
    assert_int_equal(store_open(folder, true, STORE_MEMORY_MIN, &store, &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, "there is no state in"));
    assert_int_equal(store_remove_folder(folder, &err), FRESHET_END);
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/thesis.tex", folder);
    write_file(path, "precious");
    assert_int_equal(store_open(folder, false, STORE_MEMORY_MIN, &store, &err), FRESHET_USAGE);
    assert_non_null(strstr(err.text, "thesis.tex"));
    assert_int_equal(store_remove_folder(folder, &err), FRESHET_USAGE);
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/nowhere/p.state", home);
    assert_int_equal(store_open(path, false, STORE_MEMORY_MIN, &store, &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, path));
}

static void test_reset(void **state)
{
    (void)state;
    state_store *store = open_it();
    begin(store);
    put(store, STORE_FACT, "checkpoint", "", "7");
    commit(store);
    store_close(store);
    assert_int_equal(store_remove_folder(folder, NULL), FRESHET_OK);
    assert_int_not_equal(access(folder, F_OK), 0);
    store = open_it();
    expect(store, STORE_FACT, "checkpoint", "", NULL);
    store_close(store);
}

/* A folder goes that was made and not committed to; none that was there, or that has a commit. */
static void test_unused(void **state)
{
    (void)state;
    store_close_unused(open_it());
    assert_int_not_equal(access(folder, F_OK), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    store_close_unused(open_it());
    assert_int_equal(access(folder, F_OK), 0);
    store_close_unused(open_it());
    assert_int_equal(access(folder, F_OK), 0);
    remove_tree(folder);
    state_store *store = open_it();
    begin(store);
    put(store, STORE_FACT, "checkpoint", "", "7");
    commit(store);
    store_close_unused(store);
    store = open_it();
    expect(store, STORE_FACT, "checkpoint", "", "7");
    store_close(store);
}

/* Killed while the database was made for the first time. */
static void test_half_made(void **state)
{
    (void)state;
    char path[256];
    store_close(open_it());
    snprintf(path, sizeof path, "%s/db.new", folder);
    char made[256];
    snprintf(made, sizeof made, "%s/db", folder);
    assert_int_equal(rename(made, path), 0);
    snprintf(made, sizeof made, "%s/db.new/CURRENT", folder);
    unlink(made);
    state_store *store = open_it();
    begin(store);
    put(store, STORE_FACT, "checkpoint", "", "1");
    commit(store);
    store_close(store);
}

static void test_format(void **state)
{
    (void)state;
    freshet_error err = {0};
    state_store *store = open_it();
    begin(store);
    put(store, STORE_FACT, "format", "", "2");
    commit(store);
    store_close(store);
    assert_int_equal(store_open(folder, false, STORE_MEMORY_MIN, &store, &err), FRESHET_FAILED);
    assert_non_null(strstr(err.text, "format 2"));
}

/* ---- a full disk ---------------------------------------------------------------------------- */

/* A checkpoint that cannot be written is not lost, and is written as soon as that is possible. */
static void test_full_disk(void **state)
{
    (void)state;
    static char value[300000];
    struct rlimit before, small;
    freshet_error err = {0};
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (char)(draw() % 250 + 1);
    value[sizeof value - 1] = '\0';
    state_store *store = open_it();
    begin(store);
    put(store, STORE_STATE, "windows", "a", "1");
    commit(store);
    begin(store);
    put(store, STORE_STATE, "windows", "a", value);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 100000;
    setrlimit(RLIMIT_FSIZE, &small);
    commit(store);
    assert_int_equal(store_wait(store, &err), FRESHET_TRY_AGAIN);
    assert_int_equal(err.then, FRESHET_RETRY);
    assert_non_null(strstr(err.text, folder));
    assert_int_equal(store_begin(store, &err), FRESHET_TRY_AGAIN);
    expect(store, STORE_STATE, "windows", "a", value);
    setrlimit(RLIMIT_FSIZE, &before);
    begin(store);
    put(store, STORE_STATE, "windows", "b", "2");
    commit(store);
    store_close(store);
    store = open_it();
    expect(store, STORE_STATE, "windows", "a", value);
    expect(store, STORE_STATE, "windows", "b", "2");
    store_close(store);
}

/* ---- kill -9 -------------------------------------------------------------------------------- */

/* One number in many entries: a checkpoint of which a part is missing shows two. */
static int n_keys = KEYS;

static void write_number(state_store *store, int number)
{
    char key[32], value[300];
    begin(store);
    for (int i = 0; i < n_keys; i++) {
        snprintf(key, sizeof key, "key %04d", i * 7919 % n_keys);
        int length = snprintf(value, sizeof value, "%d", number);
        memset(value + length, 'a' + number % 26, (size_t)(i % 97));
        value[length + i % 97] = '\0';
        put(store, STORE_STATE, i % 2 ? "windows" : "dedup", key, value);
    }
    snprintf(value, sizeof value, "%d", number);
    put(store, STORE_FACT, "number", "", value);
    commit(store);
}

__attribute__((noreturn)) static void be_writer(const char *path, const char *many)
{
    n_keys = strcmp(many, "many") == 0 ? MANY_KEYS : KEYS;
    snprintf(folder, sizeof folder, "%s", path);
    state_store *store = open_it();
    text_buffer got;
    text_init(&got, 100);
    int number = 0;
    text_reset(&got);
    if (store_get(store, STORE_FACT, "number", "", 0, &got, NULL) == FRESHET_OK)
        number = (int)strtol(got.bytes, NULL, 10);
    text_release(&got);
    for (;;) {
        write_number(store, ++number);
        if (number % 3 == 0 && store_wait(store, NULL) == FRESHET_OK)
            dprintf(STDOUT_FILENO, "%d\n", number);
    }
}

typedef struct numbers {
    long number;
    int n;
    bool same;
} numbers;

static freshet_code see_number(void *context, const store_entry *entry, freshet_error *err)
{
    numbers *numbers = context;
    char text[400];
    (void)err;
    snprintf(text, sizeof text, "%.*s", (int)entry->length, entry->value);
    numbers->same &= numbers->n == 0 || numbers->number == strtol(text, NULL, 10);
    numbers->number = strtol(text, NULL, 10);
    numbers->n++;
    return FRESHET_OK;
}

/* Spawned, not forked: RocksDB's threads do not survive a fork. */
static pid_t start_writer(int out)
{
    pid_t writer = -1;
    char *const words[] = {"store_test", "write", folder, n_keys == KEYS ? "few" : "many", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    assert_int_equal(posix_spawn(&writer, "/proc/self/exe", &actions, NULL, words, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    return writer;
}

static void kill_writers(void)
{
    long last = 0;
    for (int times = 0; times < 12; times++) {
        int out[2];
        assert_int_equal(pipe(out), 0);
        pid_t writer = start_writer(out[1]);
        close(out[1]);
        long pause_us = draw() % 150000 + (times % 4 == 0 ? 0 : 150000);
        nanosleep(&(struct timespec){.tv_nsec = pause_us * 1000}, NULL);
        kill(writer, SIGKILL);
        waitpid(writer, NULL, 0);
        FILE *said = fdopen(out[0], "r");
        char line[32];
        while (fgets(line, sizeof line, said) != NULL)
            last = strtol(line, NULL, 10);
        fclose(said);
        state_store *store = open_it();
        numbers found = {.same = true};
        assert_int_equal(store_visit(store, STORE_STATE, NULL, see_number, &found, NULL),
                         FRESHET_OK);
        store_visit(store, STORE_FACT, "number", see_number, &found, NULL);
        assert_true(found.same);
        assert_true(found.n == 0 || found.n == n_keys + 1);
        assert_true(found.number >= last); /* what was said to be durable is */
        assert_int_equal(store_verify(store, NULL), FRESHET_OK);
        store_close(store);
    }
}

static void test_kill(void **state)
{
    (void)state;
    kill_writers();
}

static void test_kill_many(void **state)
{
    (void)state;
    n_keys = MANY_KEYS;
    kill_writers();
    n_keys = KEYS;
}

/* ---- damage --------------------------------------------------------------------------------- */

typedef struct file_bytes {
    char *bytes;
    long length;
} file_bytes;

static file_bytes read_bytes(const char *path)
{
    file_bytes file = {0};
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    fseek(stream, 0, SEEK_END);
    file.length = ftell(stream);
    file.bytes = malloc((size_t)file.length + 1);
    rewind(stream);
    assert_int_equal(fread(file.bytes, 1, (size_t)file.length, stream), file.length);
    fclose(stream);
    return file;
}

static void write_bytes(const char *path, const char *bytes, long length)
{
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, (size_t)length, stream), length);
    fclose(stream);
}

static void copy_folder(const char *from, const char *to)
{
    char a[600], b[600];
    struct stat info;
    DIR *stream = opendir(from);
    struct dirent *entry;
    assert_non_null(stream);
    mkdir(to, 0700);
    while ((entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(a, sizeof a, "%s/%s", from, entry->d_name);
        snprintf(b, sizeof b, "%s/%s", to, entry->d_name);
        if (stat(a, &info) == 0 && S_ISDIR(info.st_mode)) {
            copy_folder(a, b);
        } else {
            file_bytes file = read_bytes(a);
            write_bytes(b, file.bytes, file.length);
            free(file.bytes);
        }
    }
    closedir(stream);
}

typedef struct damage {
    char good[160];
    int refused, recovered;
    long number; /* of the last checkpoint */
} damage;

/* Facts that only one session writes: what comes later does not cover for them. */
static const char *const session_names[] = {"first", "second", "third"};

/* Opens the damaged folder and reads all of it: the last checkpoint, or a refusal with the name. */
static void look_at_damage(damage *it, const char *name, const char *what, long where)
{
    state_store *store = NULL;
    freshet_error err = {0};
    numbers found = {.same = true};
    freshet_code code = store_open(folder, false, STORE_MEMORY_MIN, &store, &err);
    if (code == FRESHET_OK)
        code = store_visit(store, STORE_STATE, NULL, see_number, &found, &err);
    if (code == FRESHET_OK)
        code = store_visit(store, STORE_FACT, "number", see_number, &found, &err);
    for (int i = 0; code == FRESHET_OK && i < 3; i++) {
        text_buffer got;
        text_init(&got, 100);
        code = store_get(store, STORE_FACT, session_names[i], "", 0, &got, &err);
        text_release(&got);
        found.same &= code != FRESHET_END;
        code = code == FRESHET_END ? FRESHET_OK : code;
    }
    store_close(store);
    if (code == FRESHET_OK) {
        if (!found.same || found.n != n_keys + 1 || found.number != it->number)
            fail_msg("%s %s at %ld: opened, with checkpoint %ld (%d entries, %s)", name, what,
                     where, found.number, found.n, found.same ? "alike" : "not alike");
        it->recovered++;
        return;
    }
    it->refused++;
    if (code != FRESHET_FAILED || strstr(err.text, name) == NULL)
        fail_msg("%s %s at %ld: %s", name, what, where, err.text);
}

static void flip(damage *it, file_bytes *file, const char *to, const char *name, long at, char bit)
{
    remove_tree(folder);
    copy_folder(it->good, folder);
    file->bytes[at] ^= bit;
    write_bytes(to, file->bytes, file->length);
    file->bytes[at] ^= bit;
    look_at_damage(it, name, "flipped", at);
}

static void damage_file(damage *it, const char *below, const char *name)
{
    char from[600], to[600];
    snprintf(from, sizeof from, "%s%s/%s", it->good, below, name);
    snprintf(to, sizeof to, "%s%s/%s", folder, below, name);
    file_bytes file = read_bytes(from);
    bool is_read = strstr(name, ".log") || strstr(name, ".sst") || name[0] == 'M' ||
                   name[0] == 'C' || strcmp(name, "seal") == 0;
    int flips = is_read ? 15 : 2;
    for (long cut = 0; cut < file.length; cut += 4096) {
        remove_tree(folder);
        copy_folder(it->good, folder);
        write_bytes(to, file.bytes, cut);
        look_at_damage(it, name, "cut", cut);
    }
    for (int i = 0; i < flips && file.length > 0; i++) {
        /* The last bytes are the most delicate: there a crash may have been. */
        long at = i % 3 == 0 ? file.length - 1 - draw() % (file.length < 40 ? file.length : 40)
                             : draw() % file.length;
        char bit = (char)(1u << draw() % 8);
        flip(it, &file, to, name, at, bit);
    }
    if (strstr(name, ".sst") != NULL)
        for (int bit = 0; bit < 8; bit++) /* of the format's number */
            flip(it, &file, to, name, file.length - 12, (char)(1u << bit));
    if (is_read) {
        remove_tree(folder);
        copy_folder(it->good, folder);
        unlink(to);
        /* Refused without that name, perhaps; or it was needed for nothing (the lock). */
        state_store *store = NULL;
        freshet_code code = store_open(folder, false, STORE_MEMORY_MIN, &store, NULL);
        store_close(store);
        if (code == FRESHET_OK)
            look_at_damage(it, name, "removed", 0);
        assert_true(code != FRESHET_OK || strcmp(name, "seal") != 0);
    }
    free(file.bytes);
}

static void damage_files(damage *it, const char *below)
{
    char path[300];
    snprintf(path, sizeof path, "%s%s", it->good, below);
    DIR *stream = opendir(path);
    struct dirent *entry;
    assert_non_null(stream);
    while ((entry = readdir(stream)) != NULL)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "db") != 0)
            damage_file(it, below, entry->d_name);
    closedir(stream);
}

/* Makes the state of some checkpoints, and sets it aside. */
static damage make_good(bool many)
{
    damage it = {.number = many ? 10 : 9};
    for (int session = 0; session < 3; session++) {
        state_store *store = open_it();
        for (int i = 1; i <= 3; i++)
            write_number(store, session * 3 + i);
        begin(store);
        put(store, STORE_FACT, session_names[session], "", "there");
        commit(store);
        if (many && session == 2) { /* the last one as a table */
            n_keys = MANY_KEYS;
            write_number(store, 10);
        }
        store_close(store);
    }
    snprintf(it.good, sizeof it.good, "%s/good", home);
    assert_int_equal(rename(folder, it.good), 0);
    return it;
}

static void damage_all(bool many)
{
    damage it = make_good(many);
    damage_files(&it, "");
    damage_files(&it, "/db");
    assert_true(it.refused > 50);
    assert_true(it.recovered > 10);
    n_keys = KEYS;
}

static void test_damage(void **state)
{
    (void)state;
    damage_all(false);
}

static void test_damage_many(void **state)
{
    (void)state;
    damage_all(true);
}

/* Copies the first bytes of what is below, files in the order of the folder or against it. */
static long copy_bytes(const char *below, const char *good, long bytes, bool backwards)
{
    char from[600], to[600];
    struct dirent **names = NULL;
    struct stat info;
    snprintf(from, sizeof from, "%s%s", good, below);
    snprintf(to, sizeof to, "%s%s", folder, below);
    mkdir(to, 0700);
    int n = scandir(from, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = names[backwards ? n - 1 - i : i]->d_name;
        if (name[0] == '.' || bytes <= 0)
            continue;
        snprintf(from, sizeof from, "%s%s/%s", good, below, name);
        snprintf(to, sizeof to, "%s%s/%s", folder, below, name);
        if (stat(from, &info) == 0 && S_ISDIR(info.st_mode)) {
            bytes = copy_bytes("/db", good, bytes, backwards);
            continue;
        }
        file_bytes file = read_bytes(from);
        write_bytes(to, file.bytes, file.length < bytes ? file.length : bytes);
        bytes -= file.length;
        free(file.bytes);
    }
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return bytes;
}

/* A copy of the folder that ended too early: the files behind are missing. Where there is nothing
 * but the lock, nobody can know that there was a state. */
static void test_cut_copy(void **state)
{
    (void)state;
    damage it = make_good(true);
    const long much = 1L << 40;
    long total = much - copy_bytes("", it.good, much, false);
    int refused = 0;
    for (int i = 0; i < 40; i++) {
        state_store *store = NULL;
        freshet_error err = {0};
        long bytes = i < 4 ? total - i : 100 + draw() % total;
        remove_tree(folder);
        copy_bytes("", it.good, bytes, i % 2);
        if (store_open(folder, false, STORE_MEMORY_MIN, &store, &err) != FRESHET_OK) {
            assert_non_null(strstr(err.text, "damaged"));
            refused++;
            continue;
        }
        store_close(store);
        look_at_damage(&it, "", "copied up to", bytes);
    }
    assert_true(refused >= 20);
    n_keys = KEYS;
}

/* Nothing but the beginning of the seal: it tells that there was a state. */
static void test_cut_seal(void **state)
{
    (void)state;
    char path[200];
    state_store *store = open_it();
    for (int i = 1; i < 4; i++)
        write_number(store, i);
    assert_int_equal(store_wait(store, NULL), FRESHET_OK);
    store_close(store);
    snprintf(path, sizeof path, "%s/seal", folder);
    file_bytes seal = read_bytes(path);
    for (long bytes = 30; bytes < 300; bytes += 9) {
        freshet_error err = {0};
        remove_tree(folder);
        mkdir(folder, 0700);
        write_bytes(path, seal.bytes, bytes);
        assert_int_equal(store_open(folder, false, STORE_MEMORY_MIN, &store, &err), FRESHET_FAILED);
        assert_non_null(strstr(err.text, "damaged"));
    }
    free(seal.bytes);
}

/* What a crash leaves in the last log is cut off, not refused: the checkpoint before is there. */
static void test_torn_tail(void **state)
{
    (void)state;
    char log[600] = "", seal[200], path[200];
    state_store *store = open_it();
    write_number(store, 1);
    assert_int_equal(store_wait(store, NULL), FRESHET_OK);
    snprintf(seal, sizeof seal, "%s/seal", folder);
    snprintf(path, sizeof path, "%s/db", folder);
    file_bytes sealed = read_bytes(seal);
    DIR *stream = opendir(path);
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (strstr(entry->d_name, ".log") != NULL)
            snprintf(log, sizeof log, "%s/%s", path, entry->d_name);
    closedir(stream);
    file_bytes first = read_bytes(log);
    write_number(store, 2);
    store_close(store);
    file_bytes both = read_bytes(log);
    char good[160];
    snprintf(good, sizeof good, "%s/good", home);
    assert_int_equal(rename(folder, good), 0);
    for (long cut = first.length; cut < both.length; cut += (both.length - first.length) / 23) {
        copy_folder(good, folder);
        write_bytes(seal, sealed.bytes, sealed.length);
        write_bytes(log, both.bytes, cut);
        store = open_it();
        numbers found = {.same = true};
        assert_int_equal(store_visit(store, STORE_STATE, NULL, see_number, &found, NULL),
                         FRESHET_OK);
        assert_true(found.same);
        assert_int_equal(found.number, 1);
        assert_int_equal(found.n, KEYS);
        store_close(store);
        remove_tree(folder);
    }
    free(sealed.bytes);
    free(first.bytes);
    free(both.bytes);
}

/* ---- several keys at once -------------------------------------------------------------------- */

static text_buffer given[ROCKS_MANY_MAX];

static freshet_code take_given(void *into, uint32_t i, const void *bytes, size_t length,
                               freshet_error *err)
{
    (void)into, (void)err;
    text_append(&given[i], bytes, length);
    return FRESHET_OK;
}

/* Random keys, some of them twice, many not there: as when each is asked for alone. */
static void ask_for_many(state_store *store)
{
    char keys[ROCKS_MANY_MAX][16];
    state_key asked[ROCKS_MANY_MAX];
    const uint32_t n = 1 + (uint32_t)draw() % ROCKS_MANY_MAX;
    for (uint32_t i = 0; i < n; i++) {
        snprintf(keys[i], sizeof keys[i], "k%ld", draw() % (2 * MANY_KEYS));
        asked[i] = (state_key){keys[i], strlen(keys[i]), 0, 0};
        text_init(&given[i], TEXT_LIMIT_DEFAULT);
    }
    assert_int_equal(
        store_get_many(store, STORE_STATE, "windows", asked, n, take_given, NULL, NULL),
        FRESHET_OK);
    for (uint32_t i = 0; i < n; i++) {
        const bool is_there = given[i].length > 0; /* no value is empty */
        text_append_char(&given[i], '\0');
        expect(store, STORE_STATE, "windows", keys[i], is_there ? given[i].bytes : NULL);
        text_release(&given[i]);
    }
}

static void test_get_many(void **state)
{
    char key[16], value[32];
    (void)state;
    state_store *store = open_it();
    for (int round = 0; round < 4; round++) {
        begin(store);
        for (int i = round; i < MANY_KEYS; i += 1 + 3 * round) {
            snprintf(key, sizeof key, "k%d", i);
            snprintf(value, sizeof value, "%d of %d", i, round);
            if (round > 0 && i % 2 == 0)
                store_remove(store, STORE_STATE, "windows", key, strlen(key), NULL);
            else
                put(store, STORE_STATE, "windows", key, value);
        }
        commit(store); /* it may still be written while keys are asked for */
        for (int i = 0; i < 10; i++)
            ask_for_many(store);
    }
    store_close(store);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "write") == 0)
        be_writer(argv[2], argv[3]);
    const char *given = getenv("FRESHET_SEED");
    unsigned seed = given == NULL ? (unsigned)time(NULL) : (unsigned)strtoul(given, NULL, 10);
    print_message("seed %u\n", seed);
    drawn = seed;
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_home, remove_home)
    const struct CMUnitTest tests[] = {
        TEST(test_put_get_visit), TEST(test_remove),
        TEST(test_many),          TEST(test_seen_while_written),
        TEST(test_lock),          TEST(test_not_ours),
        TEST(test_reset),         TEST(test_half_made),
        TEST(test_format),        TEST(test_full_disk),
        TEST(test_kill),          TEST(test_kill_many),
        TEST(test_torn_tail),     TEST(test_damage),
        TEST(test_damage_many),   TEST(test_cut_copy),
        TEST(test_cut_seal),      TEST(test_unused),
        TEST(test_get_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
