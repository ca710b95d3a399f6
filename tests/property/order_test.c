/* release */
/* order_test.c - random declarations with two readers over random files: a batch, a stream, and a
 * stream that is stopped and started again must give the same rows as a naive twin.
 *
 * Each pipeline has the readers a and b, each with files of its own: one or some, whose times
 * follow each other or overlap, JSON, CSV or gzip, with modification times in any order; each file
 * is sorted by time. The query puts their rows together by UNION ALL; each branch may join a static
 * reader, left or right of it, inner or left, in a subquery or not. The features are windows by
 * time and by rows. It is computed four times:
 *
 *   twin       all rows in one list, sorted by time, reader, file and place; windows by looking at
 *              every row of the key
 *   batch      in micro-batches of some size
 *   stream     as a stream that ends, in micro-batches of another size
 *   restarts   the same stream, closed after some steps and opened again, twice
 *
 * Each run has one, two or five workers, as chance has it.
 *
 * Every row that a stream gives first, and that a batch gives, is the twin's. Windows by time see
 * all rows of their second, also those that come later, which a stream cannot know: so times of a
 * key are either all different, or windows go by rows.
 *
 *   order_test [N [SEED]]   N pipelines (PROPERTY_PIPELINES, or 1000), the first with that seed; it
 *                           says each few seconds how far it is
 *
 * A pipeline that fails is made smaller as long as it fails, and printed with its files and its
 * seed; `order_test 1 SEED` runs it again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>
#include <freshet/freshet.h>

#include "base/log.h"
#include "base/text.h"

#define PIPELINES 1000u
#define READERS 2u
#define FILES_MAX 6u
#define ROWS_MAX 400u
#define KEYS_MAX 4u
#define PLACES 6u /* rows of the static reader have g 0 to PLACES - 1, but for one */
#define WINDOWS 4u
#define RESTARTS_MAX 1000u
#define STOPS_MAX 2u
#define START_US (INT64_C(1704067200) * 1000000)
#define SAY_EVERY_S 5
#define VALUES_MAX 400

/* ---- chance ---------------------------------------------------------------------------------- */

typedef struct chance {
    uint64_t state;
} chance;

static uint64_t draw(chance *chance)
{
    uint64_t z = (chance->state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static uint32_t below(chance *chance, uint32_t n)
{
    return (uint32_t)(draw(chance) % n);
}

static bool one_in(chance *chance, uint32_t n)
{
    return below(chance, n) == 0;
}

/* ---- what is computed ------------------------------------------------------------------------ */

typedef struct row_spec {
    uint32_t reader, file;
    int64_t time_us;
    uint32_t key, g;
    int64_t id;
} row_spec;

typedef struct reader_spec {
    uint32_t n_files;
    bool csv, gzip;
    int64_t modified_s[FILES_MAX]; /* of each file */
    int join;                      /* of `joins` */
} reader_spec;

typedef struct pipeline_spec {
    uint64_t seed;
    bool ties;
    reader_spec readers[READERS];
    row_spec rows[ROWS_MAX]; /* in the order of their time */
    uint32_t n_rows;
    uint32_t step_rows[3]; /* batch, stream, restarts */
    uint64_t stops;        /* seed of when it is stopped */
    uint32_t spans_s[2];   /* of windows by time */
    uint32_t counts[2];    /* of windows by rows */
} pipeline_spec;

/* %s: the reader. A left join keeps rows without a partner. */
static const struct {
    const char *sql;
    bool drops;
} joins[] = {
    {"select k, ts, id from %s", false},
    {"select e.k, e.ts, e.id from %s e join dim d on d.g = e.g", true},
    {"select e.k, e.ts, e.id from dim d join %s e on d.g = e.g", true},
    {"select k, ts, id from dim, %s e where e.g = dim.g", true},
    {"select e.k, e.ts, e.id from %s e left join dim d using (g)", false},
    {"select e.k, e.ts, e.id from dim d right join %s e using (g)", false},
    {"select e.k, e.ts, e.id from dim d join (select * from %s where id >= 0) e on d.g = e.g",
     true},
    {"select e.k, e.ts, e.id from %s e join dim d using (g) join dim f on f.g = e.g", true},
    {"select k, ts, id from (select e.*, d.name from dim d join %s e using (g))", true},
};
#define N_JOINS (sizeof joins / sizeof *joins)

/* ---- making a pipeline ----------------------------------------------------------------------- */

/* Which file a row is in: files follow each other, or overlap. */
static uint32_t choose_file(chance *chance, const reader_spec *reader, bool overlaps, uint32_t i,
                            uint32_t n)
{
    return overlaps ? below(chance, reader->n_files) : i * reader->n_files / n;
}

static void make_pipeline(uint64_t seed, pipeline_spec *spec)
{
    static const uint32_t sizes[] = {5, 5, 20, 20, 60, 60, 60, ROWS_MAX};
    static const uint32_t steps[] = {1, 2, 7, 50, 0};
    static const uint32_t gaps_ms[] = {300, 1500, 20000, 600000};
    chance chance = {seed};
    *spec = (pipeline_spec){.seed = seed};
    spec->ties = one_in(&chance, 3);
    spec->n_rows = 1 + below(&chance, sizes[below(&chance, 8)]);
    bool overlaps[READERS];
    for (uint32_t r = 0; r < READERS; r++) {
        reader_spec *reader = &spec->readers[r];
        reader->n_files = 1 + below(&chance, FILES_MAX);
        reader->csv = one_in(&chance, 4);
        reader->gzip = one_in(&chance, 4);
        reader->join = (int)below(&chance, N_JOINS);
        overlaps[r] = one_in(&chance, 2);
        for (uint32_t f = 0; f < reader->n_files; f++)
            reader->modified_s[f] = 1700000000 + below(&chance, 5) * 100;
    }
    const uint32_t gap_ms = gaps_ms[below(&chance, 4)], n_keys = 1 + below(&chance, KEYS_MAX);
    const uint32_t stretch = one_in(&chance, 3) ? 1 + below(&chance, spec->n_rows) : 0;
    int64_t now_us = START_US;
    for (uint32_t i = 0; i < spec->n_rows; i++) {
        const uint32_t r = stretch > 0 ? i / stretch % READERS : below(&chance, READERS);
        int64_t step_us = below(&chance, gap_ms) * INT64_C(1000);
        if (spec->ties && one_in(&chance, 3))
            step_us = 0;
        now_us += spec->ties ? step_us : step_us + 1000000;
        spec->rows[i] = (row_spec){
            .reader = r,
            .file = choose_file(&chance, &spec->readers[r], overlaps[r], i, spec->n_rows),
            .time_us = now_us,
            .key = below(&chance, n_keys),
            .g = below(&chance, PLACES),
            .id = i};
    }
    for (uint32_t i = 0; i < 3; i++)
        spec->step_rows[i] = steps[below(&chance, 5)];
    spec->spans_s[0] = 1 + below(&chance, 120);
    spec->spans_s[1] = 3600;
    spec->counts[0] = 1 + below(&chance, 4);
    spec->counts[1] = 10;
    spec->stops = draw(&chance);
}

/* ---- as files -------------------------------------------------------------------------------- */

static char folder[256];
static char wrong[2000];

static bool complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(wrong, sizeof wrong, format, args);
    va_end(args);
    return false;
}

static void path_of(char *into, size_t size, const char *name)
{
    snprintf(into, size, "%s/%s", folder, name);
}

static void put(const char *name, const char *bytes, size_t length, bool gzip)
{
    char path[512];
    path_of(path, sizeof path, name);
    if (gzip) {
        gzFile file = gzopen(path, "wb1");
        assert_non_null(file);
        assert_int_equal(gzwrite(file, bytes, (unsigned)length), (int)length);
        assert_int_equal(gzclose(file), Z_OK);
        return;
    }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void text_of_time(int64_t time_us, char into[40])
{
    time_t second = time_us / 1000000;
    struct tm parts;
    gmtime_r(&second, &parts);
    const size_t length = strftime(into, 40, "%Y-%m-%d %H:%M:%S", &parts);
    snprintf(into + length, 40 - length, ".%06d", (int)(time_us % 1000000));
}

static void file_name(const reader_spec *reader, uint32_t r, uint32_t f, char into[40])
{
    snprintf(into, 40, "%c/%u.%s%s", 'a' + (int)r, f, reader->csv ? "csv" : "jsonl",
             reader->gzip ? ".gz" : "");
}

static void write_file(const pipeline_spec *spec, uint32_t r, uint32_t f)
{
    const reader_spec *reader = &spec->readers[r];
    text_buffer text;
    char name[40], path[512], when[40];
    text_init(&text, TEXT_LIMIT_DEFAULT);
    if (reader->csv)
        text_append_c(&text, "k,ts,g,id\n");
    for (uint32_t i = 0; i < spec->n_rows; i++) {
        const row_spec *row = &spec->rows[i];
        if (row->reader != r || row->file != f)
            continue;
        text_of_time(row->time_us, when);
        text_format(&text,
                    reader->csv ? "%u,%s,%u,%" PRId64 "\n"
                                : "{\"k\":%u,\"ts\":\"%s\",\"g\":%u,\"id\":%" PRId64 "}\n",
                    row->key, when, row->g, row->id);
    }
    file_name(reader, r, f, name);
    put(name, text.length == 0 ? "" : text.bytes, text.length, reader->gzip);
    path_of(path, sizeof path, name);
    const struct timespec times[2] = {{.tv_sec = reader->modified_s[f]},
                                      {.tv_sec = reader->modified_s[f]}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    text_release(&text);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_tree(const char *path)
{
    assert_true(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT);
}

static void clear(void)
{
    char path[512];
    remove_tree(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (uint32_t r = 0; r < READERS; r++) {
        const char name[] = {(char)('a' + r), '\0'};
        path_of(path, sizeof path, name);
        assert_int_equal(mkdir(path, 0700), 0);
    }
}

static void write_files(const pipeline_spec *spec)
{
    text_buffer text;
    clear();
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, "g,name\n");
    for (uint32_t g = PLACES - 1; g > 0; g--) /* in another order, and 0 is not there */
        text_format(&text, "%u,place %u\n", g, g);
    put("dim.csv", text.bytes, text.length, false);
    text_release(&text);
    for (uint32_t r = 0; r < READERS; r++)
        for (uint32_t f = 0; f < spec->readers[r].n_files; f++)
            write_file(spec, r, f);
}

static void append_declaration(text_buffer *text, const pipeline_spec *spec, bool stream)
{
    text_append_c(text, "version: 1\npipeline: p\nsource:\n  readers:\n");
    for (uint32_t r = 0; r < READERS; r++)
        text_format(text,
                    "    - id: %c\n      stream: %s\n      file: {path: \"%s/%c\", format: %s, "
                    "schema: {k: bigint, ts: timestamp, g: bigint, id: bigint}}\n",
                    'a' + (int)r, stream ? "true" : "false", folder, 'a' + (int)r,
                    spec->readers[r].csv ? "csv" : "json");
    text_format(text,
                "    - {id: dim, file: {path: \"%s/dim.csv\", schema: {g: bigint, name: string}}}\n"
                "  query: >\n    ",
                folder);
    text_format(text, joins[spec->readers[0].join].sql, "a");
    text_append_c(text, "\n    union all ");
    text_format(text, joins[spec->readers[1].join].sql, "b");
    text_append_c(text, "\nfeature_set:\n  name: fs\n  keys: [{name: k, type: bigint}]\n"
                        "  timestamp: {from: ts, lateness: 0 seconds}\n  features:\n"
                        "    - {name: id, type: bigint}\n");
    for (uint32_t w = 0; w < 2; w++)
        text_format(text,
                    "    - {name: r%u, from: id, window: {functions: [count, collect_list], "
                    "over: [%u events], mode: row_windows}}\n",
                    w, spec->counts[w]);
    for (uint32_t w = 0; w < 2 && !spec->ties; w++)
        text_format(text,
                    "    - {name: t%u, from: id, window: {functions: [count, sum], "
                    "over: [%u seconds]}}\n",
                    w, spec->spans_s[w]);
    text_format(text,
                "dead_letters: {path: \"%s/letters.jsonl\"}\nsink:\n  writers:\n"
                "    - jsonl: {path: \"%s/out.jsonl\"}\n",
                folder, folder);
}

/* ---- the twin -------------------------------------------------------------------------------- */

/* The place of a file in the order in which its reader lists them. */
static uint32_t place_of_file(const reader_spec *reader, uint32_t f)
{
    uint32_t place = 0;
    for (uint32_t i = 0; i < reader->n_files; i++)
        place += reader->modified_s[i] < reader->modified_s[f] ||
                 (reader->modified_s[i] == reader->modified_s[f] && i < f);
    return place;
}

static const pipeline_spec *sorting;

static int compare_rows(const void *a, const void *b)
{
    const row_spec *left = a, *right = b;
    if (left->time_us != right->time_us)
        return left->time_us < right->time_us ? -1 : 1;
    if (left->reader != right->reader)
        return left->reader < right->reader ? -1 : 1;
    const uint32_t i = place_of_file(&sorting->readers[left->reader], left->file),
                   k = place_of_file(&sorting->readers[right->reader], right->file);
    if (i != k)
        return i < k ? -1 : 1;
    return left->id < right->id ? -1 : left->id > right->id;
}

static void append_by_rows(text_buffer *text, const row_spec *rows, uint32_t n, uint32_t i,
                           uint32_t count)
{
    int64_t ids[16];
    uint32_t found = 0;
    (void)n;
    for (uint32_t k = i + 1; k-- > 0 && found < count;)
        if (rows[k].key == rows[i].key)
            ids[found++] = rows[k].id;
    text_format(text, "|%u|[", found);
    for (uint32_t k = found; k-- > 0;)
        text_format(text, "%" PRId64 "%s", ids[k], k > 0 ? "," : "]");
}

static void append_by_time(text_buffer *text, const row_spec *rows, uint32_t n, uint32_t i,
                           uint32_t span_s)
{
    const int64_t second = rows[i].time_us / 1000000;
    uint32_t found = 0;
    int64_t sum = 0;
    for (uint32_t k = 0; k < n; k++) {
        const int64_t theirs = rows[k].time_us / 1000000;
        if (rows[k].key != rows[i].key || theirs > second || theirs < second - span_s)
            continue;
        found++;
        sum += rows[k].id;
    }
    text_format(text, "|%u|%" PRId64, found, sum);
}

/* What each row must give, by its id: NULL for one that the query leaves out. */
static void ask_twin(const pipeline_spec *spec, char *expected[ROWS_MAX])
{
    static row_spec rows[ROWS_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < spec->n_rows; i++) {
        const row_spec *row = &spec->rows[i];
        if (row->g != 0 || !joins[spec->readers[row->reader].join].drops)
            rows[n++] = *row;
    }
    sorting = spec;
    qsort(rows, n, sizeof *rows, compare_rows);
    for (uint32_t i = 0; i < n; i++) {
        text_buffer text;
        text_init(&text, TEXT_LIMIT_DEFAULT);
        text_format(&text, "%" PRId64, rows[i].id);
        for (uint32_t w = 0; w < 2; w++)
            append_by_rows(&text, rows, n, i, spec->counts[w]);
        for (uint32_t w = 0; w < 2 && !spec->ties; w++)
            append_by_time(&text, rows, n, i, spec->spans_s[w]);
        expected[rows[i].id] = strdup(text.bytes);
        text_release(&text);
    }
}

/* ---- what came ------------------------------------------------------------------------------- */

/* The values behind `"id":` of a line, without their names. */
static void values_of(const char *line, char *into, size_t size)
{
    const char *at = strstr(line, "\"id\":");
    size_t n = 0;
    for (at = at == NULL ? "" : at + 5; *at != '\0' && *at != '}' && n + 1 < size; at++) {
        if (*at == '"') { /* ,"name": */
            n--;
            into[n++] = '|';
            at = strstr(at + 1, "\":");
            if (at == NULL)
                break;
            at++;
            continue;
        }
        into[n++] = *at;
    }
    into[n] = '\0';
}

/* Every row that was given first must be the twin's. */
static bool compare(const char *who, const pipeline_spec *spec, char *const expected[ROWS_MAX])
{
    char path[512], values[VALUES_MAX];
    static bool seen[ROWS_MAX];
    char *line = NULL;
    size_t size = 0;
    bool well = true;
    memset(seen, 0, sizeof seen);
    path_of(path, sizeof path, "out.jsonl");
    FILE *file = fopen(path, "r");
    while (file != NULL && well && getline(&line, &size, file) > 0) {
        values_of(line, values, sizeof values);
        const int64_t id = strtoll(values, NULL, 10);
        if (id < 0 || id >= spec->n_rows || expected[id] == NULL)
            well = complain("%s: a row that should not be there: %s", who, line);
        else if (seen[id])
            well = complain("%s: row %" PRId64 " came twice", who, id);
        else if (strcmp(values, expected[id]) != 0)
            well = complain("%s: row %" PRId64 " is %s, and should be %s", who, id, values,
                            expected[id]);
        if (well)
            seen[id] = true;
    }
    if (file != NULL)
        fclose(file);
    free(line);
    for (uint32_t i = 0; well && i < spec->n_rows; i++)
        if (expected[i] != NULL && !seen[i])
            well = complain("%s: row %u is not there", who, i);
    path_of(path, sizeof path, "letters.jsonl");
    struct stat info;
    if (well && stat(path, &info) == 0 && info.st_size > 0)
        well = complain("%s: rows were refused", who);
    return well;
}

/* ---- running it ------------------------------------------------------------------------------ */

static void say_problem(void *context, const freshet_error *problem)
{
    (void)context;
    complain("%s: %s", problem->at, problem->text);
}

static freshet_declaration *declare(const pipeline_spec *spec, bool stream)
{
    freshet_declaration *declaration = NULL;
    freshet_error err = {0};
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    append_declaration(&text, spec, stream);
    if (freshet_declaration_parse(text.bytes, text.length, "p.yaml", say_problem, NULL,
                                  &declaration, &err) != FRESHET_OK)
        complain("%s: %s", err.at, err.text);
    text_release(&text);
    return declaration;
}

/* Steps to the end, or as many as `steps` says; *ended tells which. */
static bool run_part(const freshet_declaration *declaration, bool stream, uint32_t step_rows,
                     uint32_t workers, uint32_t steps, bool *ended)
{
    char state[512];
    freshet_pipeline *pipeline = NULL;
    freshet_error err = {0};
    path_of(state, sizeof state, "state");
    const freshet_run_options options = {.size = sizeof options,
                                         .once = true,
                                         .step_rows = step_rows,
                                         .workers = workers,
                                         .state = stream ? state : NULL};
    freshet_code code =
        freshet_pipeline_open(declaration, &options, say_problem, NULL, &pipeline, &err);
    for (uint32_t i = 0; code == FRESHET_OK && i < steps; i++)
        code = freshet_step(pipeline, 0, &err);
    if (code == FRESHET_OK)
        code = freshet_checkpoint(pipeline, &err);
    freshet_pipeline_close(pipeline);
    *ended = code == FRESHET_END;
    return code == FRESHET_OK || code == FRESHET_END || complain("%s: %s", err.at, err.text);
}

static void forget_output(void)
{
    static const char *const names[] = {"out.jsonl", "letters.jsonl"};
    char path[512];
    for (size_t i = 0; i < 2; i++) {
        path_of(path, sizeof path, names[i]);
        unlink(path);
    }
    path_of(path, sizeof path, "state");
    remove_tree(path);
}

static bool run_one(const char *who, const pipeline_spec *spec, bool stream, uint32_t step_rows,
                    bool restarts, char *const expected[ROWS_MAX])
{
    static const uint32_t workers[] = {1, 2, 5};
    chance chance = {spec->stops};
    freshet_declaration *declaration = declare(spec, stream);
    bool ended = false, well = declaration != NULL;
    forget_output();
    for (uint32_t i = 0; well && !ended && i < RESTARTS_MAX; i++) {
        const uint32_t steps = restarts && i < STOPS_MAX ? 1 + below(&chance, 12) : UINT32_MAX;
        well = run_part(declaration, stream, step_rows, workers[below(&chance, 3)], steps, &ended);
    }
    freshet_declaration_close(declaration);
    return well && compare(who, spec, expected);
}

/* True where all is well; else `wrong` says what is not. */
static bool check_pipeline(const pipeline_spec *spec)
{
    char *expected[ROWS_MAX] = {NULL};
    wrong[0] = '\0';
    write_files(spec);
    ask_twin(spec, expected);
    bool well = run_one("batch", spec, false, spec->step_rows[0], false, expected) &&
                run_one("stream", spec, true, spec->step_rows[1], false, expected) &&
                run_one("restarts", spec, true, spec->step_rows[2], true, expected);
    for (uint32_t i = 0; i < ROWS_MAX; i++)
        free(expected[i]);
    return well;
}

/* ---- making it smaller ----------------------------------------------------------------------- */

/* The pipeline without rows [first, first + n), whose ids stay their places. */
static void cut(const pipeline_spec *from, uint32_t first, uint32_t n, pipeline_spec *into)
{
    *into = *from;
    memmove(into->rows + first, into->rows + first + n,
            (from->n_rows - first - n) * sizeof *into->rows);
    into->n_rows -= n;
    for (uint32_t i = 0; i < into->n_rows; i++)
        into->rows[i].id = i;
}

static void make_smaller(pipeline_spec *spec)
{
    static pipeline_spec smaller;
    for (uint32_t n = spec->n_rows / 2; n > 0; n /= 2)
        for (uint32_t first = 0; first + n <= spec->n_rows && spec->n_rows > 1;) {
            cut(spec, first, n, &smaller);
            if (smaller.n_rows > 0 && !check_pipeline(&smaller))
                *spec = smaller;
            else
                first += n;
        }
}

static void print_pipeline(const pipeline_spec *spec)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    append_declaration(&text, spec, true);
    check_pipeline(spec);
    printf("%s\n", text.bytes);
    text_release(&text);
    for (uint32_t i = 0; i < spec->n_rows; i++) {
        const row_spec *row = &spec->rows[i];
        char when[40], name[40];
        text_of_time(row->time_us, when);
        file_name(&spec->readers[row->reader], row->reader, row->file, name);
        printf("%s (modified %" PRId64 "): k %u, ts %s, g %u, id %" PRId64 "\n", name,
               spec->readers[row->reader].modified_s[row->file], row->key, when, row->g, row->id);
    }
    printf("step_rows %u %u %u; seed %" PRIu64 ": %s\n", spec->step_rows[0], spec->step_rows[1],
           spec->step_rows[2], spec->seed, wrong);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static uint32_t wanted = PIPELINES;
static uint64_t first_seed;

static void say_how_far(uint32_t done, uint64_t n_rows)
{
    static time_t said;
    const time_t now = time(NULL);
    if (done < wanted && now - said < SAY_EVERY_S)
        return;
    said = now;
    printf("order_test: %u of %u pipelines, %" PRIu64 " rows, seeds from %" PRIu64 "\n", done,
           wanted, n_rows, first_seed);
    fflush(stdout);
}

static void all_give_the_same(void **state)
{
    static pipeline_spec spec;
    uint64_t n_rows = 0;
    (void)state;
    for (uint32_t i = 0; i < wanted; i++) {
        make_pipeline(first_seed + i, &spec);
        if (!check_pipeline(&spec)) {
            printf("seed %" PRIu64 " fails: %s\nmaking it smaller ...\n", spec.seed, wrong);
            make_smaller(&spec);
            print_pipeline(&spec);
            fail();
        }
        n_rows += spec.n_rows;
        say_how_far(i + 1, n_rows);
    }
}

static int order_make_folder(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    if (parent == NULL) /* rather in memory: each pipeline has a state, which syncs */
        parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%s/freshet-order.XXXXXX", parent);
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    return mkdtemp(folder) == NULL;
}

static int order_remove_folder(void **state)
{
    (void)state;
    remove_tree(folder);
    return 0;
}

int main(int n_arguments, char **arguments)
{
    const char *preset = getenv("FRESHET_PRESET"), *given = getenv("PROPERTY_PIPELINES");
    if (preset != NULL && strcmp(preset, "release") != 0)
        wanted = PIPELINES / 50; /* with sanitizers */
    if (given != NULL)
        wanted = (uint32_t)strtoul(given, NULL, 10);
    if (n_arguments > 1)
        wanted = (uint32_t)strtoul(arguments[1], NULL, 10);
    first_seed =
        n_arguments > 2 ? strtoull(arguments[2], NULL, 10) : (uint64_t)time(NULL) * 1000000;
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_give_the_same)};
    return cmocka_run_group_tests(tests, order_make_folder, order_remove_folder);
}
