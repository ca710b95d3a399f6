/* verb_init.c - freshet init NAME: a first declaration with data and a test, all of which run.
 *
 * The files are texts with @NAME@ in the place of the name. Nothing that is there is written over:
 * the folder must be new, or empty.
 */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "cli/cli.h"

#define INIT_NAME_MAX 48u

typedef struct init_arguments {
    const char *name;
} init_arguments;

static const argument init_options[] = {{.name = NULL}};

typedef struct init_file {
    const char *path; /* below the folder */
    const char *text;
} init_file;

static const init_file init_files[] = {
    {"@NAME@.yaml",
     "# Orders of customers, and what each has spent lately.\n"
     "#\n"
     "#   freshet check @NAME@.yaml     every mistake, with its place\n"
     "#   freshet run @NAME@.yaml       compute it, and go on as files come (Ctrl-C ends it)\n"
     "#   freshet test                  the tests beside it\n"
     "#\n"
     "# docs/reference/declaration.md has every option.\n"
     "\n"
     "version: 1\n"
     "pipeline: @NAME@\n"
     "\n"
     "source:\n"
     "  readers:\n"
     "    # Where rows come from. A topic instead:\n"
     "    #   kafka: {brokers: \"localhost:9092\", topic: orders, value: {format: json, schema: "
     "...}}\n"
     "    - id: orders\n"
     "      stream: true # without this line: a batch over what is there\n"
     "      file:\n"
     "        path: data/*.jsonl\n"
     "        format: json\n"
     "        schema: {order_id: bigint, customer: string, ordered_at: timestamp, amount: double}\n"
     "  query: |\n"
     "    select order_id, customer, ordered_at, amount\n"
     "    from orders\n"
     "    where amount is not null\n"
     "\n"
     "feature_set:\n"
     "  name: @NAME@\n"
     "  entity: customer\n"
     "  description: What customers order\n"
     "  keys:\n"
     "    - {name: customer, type: string}\n"
     "  # The time of a row; later rows than these ten minutes go to the dead letters.\n"
     "  timestamp: {from: ordered_at, lateness: 10 minutes}\n"
     "  features:\n"
     "    - {name: last_amount, from: amount, type: double}\n"
     "    - {name: is_large, type: boolean, sql: amount >= 100}\n"
     "    - name: amount\n"
     "      window: {functions: [avg, count], over: [1 hour, 1 day]}\n"
     "\n"
     "sink:\n"
     "  writers:\n"
     "    # A table in memory, for `freshet query @NAME@ \"select ...\"`. A store instead:\n"
     "    #   online: {cassandra: {hosts: [localhost], keyspace: features}}\n"
     "    # and every row for training: history: {path: history}\n"
     "    - online: {debug: true}\n"},
    {"@NAME@.test.yaml",
     "# Tests of @NAME@.yaml: rows in, expected rows out. Run them with `freshet test`.\n"
     "# `freshet test --update` writes what came out in the place of what is expected here.\n"
     "\n"
     "declaration: @NAME@.yaml\n"
     "tests:\n"
     "  - name: windows count the orders of their time\n"
     "    now: 2026-01-05T12:00:00Z # the test's clock; `advance` moves it\n"
     "    batch_equals_stream: true # and the batch gives the same numbers\n"
     "    given:\n"
     "      orders:\n"
     "        - {order_id: 1, customer: ada, ordered_at: 2026-01-05T09:00:00Z, amount: 20}\n"
     "        - {order_id: 2, customer: ada, ordered_at: 2026-01-05T09:30:00Z, amount: 40}\n"
     "    steps:\n"
     "      - rows:\n"
     "          orders:\n"
     "            - {order_id: 3, customer: ada, ordered_at: 2026-01-05T10:15:00Z, amount: 120}\n"
     "            - {order_id: 4, customer: bob, ordered_at: 2026-01-05T10:20:00Z, amount: 5}\n"
     "        restart: true # nothing is lost or counted twice\n"
     "    expect:\n"
     "      online:\n"
     "        - {customer: ada, is_large: true, amount__count_over_1_hour_fixed_windows: 2, "
     "amount__avg_over_1_day_fixed_windows: 60}\n"
     "        - {customer: bob, is_large: false, amount__count_over_1_hour_fixed_windows: 1}\n"
     "\n"
     "  - name: a late order and a bad one are refused\n"
     "    now: 2026-01-05T12:00:00Z\n"
     "    given:\n"
     "      orders:\n"
     "        - {order_id: 1, customer: ada, ordered_at: 2026-01-05T10:00:00Z, amount: 20}\n"
     "        - {order_id: 2, customer: ada, ordered_at: 2026-01-05T10:05:00Z, amount: a lot}\n"
     "    steps:\n"
     "      - rows:\n"
     "          orders:\n"
     "            - {order_id: 3, customer: ada, ordered_at: 2026-01-05T09:00:00Z, amount: 1}\n"
     "    expect:\n"
     "      history:\n"
     "        - {customer: ada, last_amount: 20}\n"
     "      dead_letters:\n"
     "        - {code: bad_cast, reason: amount}\n"
     "        - {code: late}\n"
     "      late: 1\n"},
    {"data/2026-01-05.jsonl",
     "{\"order_id\":1,\"customer\":\"ada\",\"ordered_at\":\"2026-01-05T09:00:00Z\",\"amount\":20}\n"
     "{\"order_id\":2,\"customer\":\"bob\",\"ordered_at\":\"2026-01-05T09:10:00Z\",\"amount\":7.5}"
     "\n"
     "{\"order_id\":3,\"customer\":\"ada\",\"ordered_at\":\"2026-01-05T09:30:00Z\",\"amount\":40}\n"
     "{\"order_id\":4,\"customer\":\"eve\",\"ordered_at\":\"2026-01-05T09:45:00Z\",\"amount\":180}"
     "\n"
     "{\"order_id\":5,\"customer\":\"ada\",\"ordered_at\":\"2026-01-05T10:15:00Z\",\"amount\":120}"
     "\n"
     "{\"order_id\":6,\"customer\":\"bob\",\"ordered_at\":\"2026-01-05T10:20:00Z\",\"amount\":5}"
     "\n"},
};

static const char *init_check_name(const char *name)
{
    if (strlen(name) > INIT_NAME_MAX)
        return "is too long: 48 characters are enough";
    if (!((name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z')))
        return "must begin with a letter";
    for (const char *at = name; *at != '\0'; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
              (*at >= '0' && *at <= '9') || *at == '_'))
            return "must be letters, digits and _, since the feature set is called so; a folder of "
                   "that name is made here";
    return NULL;
}

/* `text` with the name in it. */
static void fill_in(const char *text, const char *name, text_buffer *into)
{
    for (const char *at; (at = strstr(text, "@NAME@")) != NULL; text = at + 6) {
        text_append(into, text, (size_t)(at - text));
        text_append_c(into, name);
    }
    text_append_c(into, text);
}

static freshet_code write_new(const char *path, const char *text, freshet_error *err)
{
    FILE *file = fopen(path, "wxe");
    if (file == NULL)
        return error_system(err, "cannot write", path);
    const bool good = fputs(text, file) >= 0;
    return fclose(file) == 0 && good ? FRESHET_OK : error_system(err, "cannot write", path);
}

static freshet_code write_init_file(const init_file *file, const char *name, freshet_error *err)
{
    text_buffer path, text;
    text_init(&path, TEXT_LIMIT_DEFAULT);
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_format(&path, "%s/", name);
    fill_in(file->path, name, &path);
    fill_in(file->text, name, &text);
    freshet_code code = path.failed || text.failed ? error_memory(err, "writing a declaration")
                                                   : write_new(path.bytes, text.bytes, err);
    if (code == FRESHET_OK)
        output_format("  %s\n", path.bytes);
    text_release(&path);
    text_release(&text);
    return code;
}

static bool is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    uint32_t n = 0;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (dir != NULL)
        closedir(dir);
    return dir != NULL && n == 0;
}

static freshet_code make_folder(const char *path, freshet_error *err)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST
               ? FRESHET_OK
               : error_system(err, "cannot make the folder", path);
}

static freshet_code init_run(const void *arguments, freshet_error *err)
{
    const char *name = ((const init_arguments *)arguments)->name;
    char data[INIT_NAME_MAX + 8];
    const char *wrong = init_check_name(name);
    if (wrong != NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "the name \"%.60s\" %s", name,
                         wrong);
    freshet_code code = make_folder(name, err);
    if (code == FRESHET_OK && !is_empty(name))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, name,
                         "this is there already, and not empty: choose another name, or move it "
                         "away");
    snprintf(data, sizeof data, "%s/data", name);
    if (code == FRESHET_OK)
        code = make_folder(data, err);
    for (size_t i = 0; i < sizeof init_files / sizeof *init_files && code == FRESHET_OK; i++)
        code = write_init_file(&init_files[i], name, err);
    if (code == FRESHET_OK)
        output_format("\nNext:\n"
                      "    cd %s\n"
                      "    freshet test\n"
                      "    freshet run %s.yaml --once --query \"select * from "
                      "online_feature_store__%s_latest\"\n"
                      "Then write your own readers, query and features into %s.yaml.\n",
                      name, name, name, name);
    return code;
}

const verb verb_init = {
    .name = "init",
    .operand = "NAME",
    .summary = "write a first declaration, with data and tests that run",
    .doc = "Makes a folder NAME with a declaration, a little data and tests, all of which run as\n"
           "they are, and says what to do next. NAME is what the feature set is called. Nothing\n"
           "that is there already is changed.",
    .examples = "    freshet init customers\n",
    .arguments = init_options,
    .size = sizeof(init_arguments),
    .run = init_run,
};
