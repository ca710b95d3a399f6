/* declaration_test.c - reading declarations: each kind of mistake with its exact place and
 * sentence. */
#include "declaration/declaration_testing.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/os.h"

/* `sound` with `from` replaced by `to` has these problems, and no others. */
typedef struct mistake {
    const char *from;
    const char *to;
    const char *problems;
} mistake;

static void assert_mistakes(const mistake *mistakes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *text = sound_with(mistakes[i].from, mistakes[i].to);
        assert_problems(text, strlen(text), mistakes[i].problems);
        free(text);
    }
}

#define FILE_BLOCK "file: {path: data/flights, format: json}"
#define DELAY "{name: dep_delay, type: double}"
#define LATE "sql: \"dep_delay > 15\""
#define FIFTY "a123456789b123456789c123456789d123456789e123456789"
#define TYPES                                                                                    \
    "it must be boolean, integer, bigint, float, double, decimal(width,scale), string, binary, " \
    "date, timestamp, array<type> or struct<name: type>"

static void sound_declaration_has_no_problem(void **state)
{
    (void)state;
    assert_problems(sound, strlen(sound), "");
}

static void unknown_and_missing_options(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {"pipeline: a", "pipline: a",
         "2:1 unknown option \"pipline\" in \"declaration\"; did you mean \"pipeline\"?\n"},
        {"stream: true", "STREAM: true",
         "7:7 unknown option \"STREAM\" in \"reader\"; did you mean \"stream\"?\n"},
        {"stream: true", "speed: 1",
         "7:7 unknown option \"speed\" in \"reader\", which has id, file, table, stream, "
         "on_cast_error, preprocess, incremental, bootstrap, timestamp, within and hooks\n"},
        {"format: json", "retry: {often: 1}",
         "6:42 unknown option \"often\" in \"retry\", which has times and pause\n"},
        {"{debug: true}", "{}\n    - nowhere: {a: 1}",
         "26:17 unknown option \"a\" in \"nowhere\", which has none\n"},
        {"version: 1\n", "",
         "1:1 \"version\" is missing in \"declaration\": write for example version: 1\n"},
        {"path: data/flights, ", "",
         "6:13 \"path\" is missing in \"file\": write for example path: data/flights\n"},
        {"path: data/flights, ", "pth: data/flights, ",
         "6:14 unknown option \"pth\" in \"file\"; did you mean \"path\"?\n"},
        {"  query: |\n    select f.origin\n    from flights f\n", "",
         "4:3 \"query\" is missing in \"source\": write for example query: select origin, "
         "sched_dep, "
         "dep_delay from flights\n"},
        {"  timestamp: {from: sched_dep}\n", "",
         "14:3 \"timestamp\" is missing in \"feature_set\": write for example timestamp: {from: "
         "sched_dep}\n"},
        {"{name: dep_delay, ", "{",
         "20:7 \"name\" is missing in \"feature\": write for example name: dep_delay\n"},
        {", type: double", "",
         "20:7 \"type\" is missing in \"feature\": write for example type: double\n"},
        {"{name: origin, type: string}", "{}",
         "17:7 \"name\" is missing in \"key\": write for example name: origin\n"
         "17:7 \"type\" is missing in \"key\": write for example type: string\n"},
        {"    - id: flights\n      file", "    - file",
         "5:7 \"id\" is missing in \"reader\": write for example id: flights\n"},
        {"sink:\n  writers:\n    - online: {debug: true}\n", "",
         "1:1 \"sink\" is missing in \"declaration\": write for example sink: {writers: [{online: "
         "{debug: true}}]}\n"},
        {"  writers:\n    - online: {debug: true}\n", "",
         "23:6 \"writers\" is missing in \"sink\": write for example writers: [{online: {debug: "
         "true}}]\n"},
    };
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);
}

static void options_of_later_versions(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {"{debug: true}", "{cassandra: {}}",
         "25:16 Cassandra is a store of the writer \"online\": write `online: {cassandra: "
         "{...}}`\n"},
    };
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);
}

#define AVG "window: {functions: [avg], over: [2 hours]}"

static const mistake window_mistakes[] = {
    {"type: double", AVG, ""},
    {"type: double", "type: double, filter: a > 1, " AVG, ""},
    {"type: double",
     "window: {functions: [{avg: double}, {percentile(0.9): float}], over: 5 events, mode: "
     "row_windows, order_by: x, partition_by: y}",
     ""},
    {"type: double", "from: x", /* without windows a type is needed */
     "20:7 \"type\" is missing in \"feature\": write for example type: double\n"},
    {"type: double", "typ: double, " AVG,
     "20:25 unknown option \"typ\" in \"feature\"; did you mean \"type\"?\n"},
    {"type: double", "window: {}",
     "20:33 \"functions\" is missing in \"window\": write for example functions: [avg, {count: "
     "bigint}]\n"
     "20:33 \"over\" is missing in \"window\": write for example over: [2 hours, 7 days]\n"},
    {"type: double", "window: {functions: [avgg, percentile, count(1)], over: [2 hours]}",
     "20:46 there is no aggregate function \"avgg\"; did you mean \"avg\"?\n"
     "20:52 percentile needs a part from 0 to 1 in brackets, as in percentile(0.9)\n"
     "20:64 count takes no parameter: leave out \"(1)\"\n"},
    {"type: double", "window: {functions: [], over: [5 parts, 0 seconds, 1 month, 5 events]}",
     "20:45 \"functions\" needs at least one function\n"
     "20:56 window \"5 parts\": the unit must be second, minute, hour, day, week or year\n"
     "20:65 window \"0 seconds\": it is empty: the number must be at least 1\n"
     "20:76 window \"1 month\": months differ in length: say it in days or weeks\n"
     "20:85 window \"5 events\": the unit must be second, minute, hour, day, week or year\n"},
    {"type: double", "window: {functions: [avg], over: [2 hours, 0 events], mode: row_windows}",
     "20:59 window \"2 hours\": row windows are counted in events, as in \"5 events\"\n"
     "20:68 window \"0 events\": it is empty: the number must be at least 1\n"},
    {"type: double", "window: {functions: [avg], over: [1 day], mode: rolling_windows}",
     "20:73 \"mode\" cannot be \"rolling_windows\": it must be fixed_windows or row_windows; "
     "did "
     "you mean \"row_windows\"?\n"},
    {"type: double", "window: {functions: [avg], over: [1 day], order_by: x}",
     "20:77 \"order_by\" is for row_windows: fixed_windows are spans of the timestamp\n"},
    {"type: double",
     "window: {functions: [[avg], {avg: double, min: double}, {max: doubl}, ~, {sum: }], over: "
     "1 day}",
     "20:46 an item of \"functions\" must be a function's name, such as avg, or one name and "
     "the "
     "type of its values, such as {count: bigint}\n"
     "20:53 an item of \"functions\" must be a function's name, such as avg, or one name and "
     "the "
     "type of its values, such as {count: bigint}\n"
     "20:87 \"type\" cannot be \"doubl\": " TYPES "; did you mean \"double\"?\n"
     "20:95 an item of \"functions\" must be a function's name, such as avg, or one name and "
     "the "
     "type of its values, such as {count: bigint}\n"
     "20:104 \"type\" cannot be \"\": " TYPES "\n"},
    {LATE, LATE ", " AVG,
     "21:43 a windowed or aggregated feature is computed of a column: make a feature of the "
     "expression first, and name it here as \"from\"\n"},
    {"type: double", "type: double, filter: a > 1",
     "20:47 \"filter\" is for features with \"window\" or \"aggregate\": filter rows in the "
     "query, or write a case expression as \"sql\"\n"},
    {"type: double", "aggregate: {functions: avg}",
     "20:7 feature \"dep_delay\": \"aggregate\" needs an aggregated feature set: write "
     "\"aggregated: {}\" beside \"keys\", or use \"window\"\n"},
    {"type: double", "aggregate: {functions: avg}, " AVG,
     "20:7 \"window\" and \"aggregate\" exclude each other: \"window\" looks back from each "
     "row, "
     "\"aggregate\" belongs into an aggregated feature set\n"},
    {"  features:\n    - " DELAY,
     "  aggregated: {windows: {over: [3 dayz], slide: 5 events}}\n  features:\n    - {name: "
     "dep_delay, aggregate: {functions: avg}}",
     "19:33 window \"3 dayz\": the unit must be second, minute, hour, day, week or year\n"
     "19:49 window \"5 events\": the unit must be second, minute, hour, day, week or year\n"
     "22:7 feature \"is_late\" needs \"aggregate\": the rows of an aggregated feature set are "
     "groups\n"},
    {"  features:\n    - " DELAY,
     "  aggregated: {pivot: {column: x}, distinct: {}}\n  features:\n    - {name: "
     "dep_delay, " AVG "}",
     "19:23 \"values\" is missing in \"pivot\": write for example values: [paid, refunded]\n"
     "19:46 \"subset\" is missing in \"distinct\": write for example subset: [order_id]\n"
     "21:7 feature \"dep_delay\": \"window\" looks back from each row, and an aggregated "
     "feature "
     "set has groups: use \"aggregate\", and \"windows\" in \"aggregated\"\n"
     "22:7 feature \"is_late\" needs \"aggregate\": the rows of an aggregated feature set are "
     "groups\n"},
    {"{from: sched_dep}", "{lateness: 0 seconds, max_future: 36501 days, late: never}",
     "18:48 \"max_future\" cannot be \"36501 days\": it must be from 0 seconds to 36500 days\n"
     "18:66 \"late\" cannot be \"never\": it must be dead_letter, drop or update\n"},
    {"  entity: airport", "  deduplicate: {on: id}\n  refresh: sometimes",
     "15:16 \"within\" is missing in \"deduplicate\": write for example within: 1 hour\n"
     "16:12 \"refresh\" cannot be \"sometimes\": it must be never or on_expiry\n"},
    {"version: 1", "version: 1\ncheckpoint: {interval: 0 ms}\nstate: {memory: 1 kB}",
     "2:24 \"interval\" cannot be \"0 ms\": it must be from 1 ms to 36500 days\n"
     "3:17 \"memory\" cannot be \"1 kB\": it must be at least 1 MiB\n"},
};

static void windows_and_aggregates(void **state)
{
    (void)state;
    assert_mistakes(window_mistakes, sizeof window_mistakes / sizeof window_mistakes[0]);
}

static void windowed_features_have_no_column_of_their_own_name(void **state)
{
    (void)state;
    char *text = sound_with("- " DELAY, "- " DELAY "\n    - {name: dep_delay, " AVG "}");
    freshet_declaration_close(read_sound(text));
    free(text);
}

/* A warning is told with the code FRESHET_OK, and the declaration is good. */
static void years_are_warned_of(void **state)
{
    (void)state;
    char *text = sound_with("type: double", "window: {functions: avg, over: [1 day, 1 year]}");
    text_buffer problems;
    freshet_declaration *handle = read_bytes(text, strlen(text), &problems);
    assert_non_null(handle);
    assert_string_equal(problems.bytes,
                        "20:64 window \"1 year\": a year has 336 days here, as in Butterfree; for "
                        "365 write \"365 days\"\n");
    text_release(&problems);
    freshet_declaration_close(handle);
    free(text);
    text = sound_with("type: double", "window: {functions: avgg, over: 1 year}");
    assert_problems(text, strlen(text),
                    "20:45 there is no aggregate function \"avgg\"; did you mean \"avg\"?\n"
                    "20:57 window \"1 year\": a year has 336 days here, as in Butterfree; for 365 "
                    "write \"365 days\"\n");
    free(text);
}

static void kinds_of_readers_and_writers(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {"      " FILE_BLOCK "\n", "",
         "5:7 this reader does not say its kind: add file or table\n"},
        {FILE_BLOCK, "fil: {path: x}",
         "6:7 unknown option \"fil\" in \"reader\"; did you mean \"file\"?\n"},
        {FILE_BLOCK, FILE_BLOCK "\n      table: {database: a, table: b}",
         "7:7 \"table\" and \"file\" exclude each other: each reader has one only\n"},
        {FILE_BLOCK, "file: {path: x}\n      file: {path: y}",
         "7:7 \"file\" was already given at d.yaml:6:7: remove one of the two\n"},
        {"- online: {debug: true}", "- {}",
         "25:7 this writer does not say its kind: add online or nowhere\n"},
        {"- online: {debug: true}", "- {online: {}, nowhere: {}}",
         "25:20 \"nowhere\" and \"online\" exclude each other: each writer has one only\n"},
    };
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);
}

static void wrong_shapes(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {FILE_BLOCK, "file: data/flights",
         "6:13 \"file\" must be a map of options: write {path: \"data/flights\"}\n"},
        {FILE_BLOCK, "file: [data/flights]",
         "6:13 \"file\" must be a map of options, each \"key: value\" on a line of its own, not a "
         "list\n"},
        {"- online: {debug: true}", "- nowhere: x",
         "25:16 \"nowhere\" must be a map of options, each \"key: value\" on a line of its own, "
         "not a "
         "single value\n"},
        {"{name: origin, type: string}", "origin",
         "17:7 an item of \"keys\" must be a map of options: write {name: \"origin\"}\n"},
        {"- {name: origin, type: string}", "name: origin",
         "17:5 \"keys\" must be a list: begin each item with \"- \"\n"},
        {"  keys:\n    - {name: origin, type: string}", "  keys: []",
         "16:9 \"keys\" needs at least one item\n"},
        {"  keys:\n    - {name: origin, type: string}", "  keys:",
         "16:8 \"keys\" has no value: write one behind the colon, or remove the option\n"},
        {"entity: airport", "entity: [airport]",
         "15:11 \"entity\" must be a single value, not a list\n"},
        {"entity: airport", "entity: {a: b}",
         "15:11 \"entity\" must be a single value, not a map of options\n"},
        {"entity: airport", "entity:",
         "15:10 \"entity\" has no value: write one behind the colon, or remove the option\n"},
        {"entity: airport", "entity: ~",
         "15:11 \"entity\" has no value: write one behind the colon, or remove the option\n"},
        {"entity: airport", "entity: null",
         "15:11 \"entity\" has no value: write one behind the colon, or remove the option\n"},
        {"format: json", "columns: {a: 1}",
         "6:43 \"columns\" must be a value or a list of values, not a map of options\n"},
        {"format: json", "columns: [a, [b], ~]",
         "6:47 an item of \"columns\" must be a single value\n"
         "6:52 an item of \"columns\" must be a single value\n"},
        {"entity: airport", "entity: a\n  entity: b\n  entity: c",
         "16:3 \"entity\" was already given at d.yaml:15:3: remove one of the two\n"
         "17:3 \"entity\" was already given at d.yaml:15:3: remove one of the two\n"},
    };
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);
    assert_problems(
        "- a\n", 4,
        "1:1 a declaration is a map of options, each \"key: value\" on a line of its own, "
        "not a list\n");
    assert_problems(
        "hello", 5,
        "1:1 a declaration is a map of options, each \"key: value\" on a line of its own, "
        "not a single value\n");
}

static void wrong_values(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {"version: 1", "version: 2", "1:10 \"version\" cannot be \"2\": it must be 1\n"},
        {"version: 1", "version: one",
         "1:10 \"version\" cannot be \"one\": it must be a whole number, such as 1000\n"},
        {"format: json", "format: jsn",
         "6:42 \"format\" cannot be \"jsn\": it must be auto, json, csv or parquet; did you mean "
         "\"json\"?\n"},
        {"format: json", "format: JSON",
         "6:42 \"format\" cannot be \"JSON\": it must be auto, json, csv or parquet; did you mean "
         "\"json\"?\n"},
        {"on_cast_error: null", "on_cast_error: skip",
         "22:18 \"on_cast_error\" cannot be \"skip\": it must be dead_letter or null\n"},
        {"stream: true", "stream: yes",
         "7:15 \"stream\" cannot be \"yes\": it must be true or false: write true\n"},
        {"stream: true", "stream: Off",
         "7:15 \"stream\" cannot be \"Off\": it must be true or false: write false\n"},
        {"stream: true", "stream: always",
         "7:15 \"stream\" cannot be \"always\": it must be true or false\n"},
        {"format: json", "sample: 0",
         "6:42 \"sample\" cannot be \"0\": it must be from 1 to 1000\n"},
        {"format: json", "sample: 1001",
         "6:42 \"sample\" cannot be \"1001\": it must be from 1 to 1000\n"},
        {"format: json", "sample: 99999999999999999999",
         "6:42 \"sample\" cannot be \"99999999999999999999\": it must be a whole number of at most "
         "64 "
         "bits\n"},
        {"format: json", "poll: 5 parts",
         "6:40 \"poll\" cannot be \"5 parts\": it has no known unit: it must be us, ms, second, "
         "minute, "
         "hour, day or week (or s, m, h, d, w)\n"},
        {"format: json", "retry: {pause: 61 seconds}",
         "6:49 \"pause\" cannot be \"61 seconds\": it must be from 1 ms to 1 minute\n"},
        {"format: json", "buffer: 4095",
         "6:42 \"buffer\" cannot be \"4095\": it must be at least 4 KiB\n"},
        {"format: json", "buffer: 1 MEGA",
         "6:42 \"buffer\" cannot be \"1 MEGA\": it has no known unit: it must be kB, MB, GB, TB "
         "(powers "
         "of 1000) or KiB, MiB, GiB, TiB (of 1024)\n"},
        {"type: double", "type: dubble",
         "20:31 \"type\" cannot be \"dubble\": " TYPES "; did you mean \"double\"?\n"},
        {"type: double", "type: decimal(10,2), description: x",
         "20:31 \"type\" cannot be \"decimal(10\": it is cut at a comma: put the whole type in "
         "quotes, "
         "as in \"decimal(10,2)\"\n"},
        {"path: data/flights", "path: ''", "6:20 \"path\" must not be empty\n"},
        {LATE, "sql: \" \\n\"", "21:43 \"sql\" must not be empty\n"},
        {"format: json", "password: [a]", "6:44 \"password\" must be a single value, not a list\n"},
    };
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);
}

static void names(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {"pipeline: airport_delays", "pipeline: airport delays",
         "2:11 \"pipeline\" must be a name of 1 to 64 letters (a to z), digits, \"_\", \".\" and "
         "\"-\"\n"},
        {"pipeline: airport_delays", "pipeline: ..",
         "2:11 \"pipeline\" must have a letter or digit in its name\n"},
        {"pipeline: airport_delays", "pipeline: " FIFTY "012345.-_XYZabc",
         "2:11 \"pipeline\" must be a name of 1 to 64 letters (a to z), digits, \"_\", \".\" and "
         "\"-\"\n"},
        {"id: flights", "id: __Freshet_row",
         "5:11 the name \"__Freshet_row\" cannot be used: names that begin with __freshet are "
         "Freshet's own\n"},
        {"id: flights", "id: my-flights",
         "5:11 \"id\" cannot be \"my-flights\": it must be a plain name: letters (a to z), digits "
         "and "
         "_ only\n"},
        {"id: flights", "id: 1st",
         "5:11 \"id\" cannot be \"1st\": it must not begin with a digit: names are letters, digits "
         "and "
         "_\n"},
        {"id: airports", "id: Flights",
         "8:11 the reader \"Flights\" has the name of the reader at d.yaml:5:11: choose another "
         "name\n"},
        {"name: dep_delay", "name: ORIGIN",
         "20:14 the feature \"ORIGIN\" has the name of the key at d.yaml:17:14: choose another "
         "name\n"},
        {"name: dep_delay", "name: is_late",
         "21:14 the feature \"is_late\" has the name of the feature at d.yaml:20:14: choose "
         "another "
         "name\n"},
        {"{name: origin, type: string}", "{name: a, type: string}\n    - {name: a, type: date}",
         "18:14 the key \"a\" has the name of the key at d.yaml:17:14: choose another name\n"},
        {"name: dep_delay", "name: Timestamp",
         "20:14 \"Timestamp\" is the name of the feature set's own time column: choose another "
         "name\n"},
        {"name: origin", "name: timestamp",
         "17:14 \"timestamp\" is the name of the feature set's own time column: choose another "
         "name\n"},
        {"name: dep_delay", "name: __freshet_x",
         "20:14 the name \"__freshet_x\" cannot be used: names that begin with __freshet are "
         "Freshet's "
         "own\n"},
    };
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);

    char *longest = sound_with("pipeline: airport_delays", "pipeline: " FIFTY "012345.-_XYZab");
    freshet_declaration_close(read_sound(longest));
    free(longest);
}

static void lengths_of_names(void **state)
{
    (void)state;
    char name[130];
    char to[160];
    memset(name, 'a', sizeof name);
    name[128] = '\0';
    snprintf(to, sizeof to, "name: %s", name);
    char *text = sound_with("name: dep_delay", to);
    freshet_declaration_close(read_sound(text));
    free(text);

    name[128] = 'a';
    name[129] = '\0';
    snprintf(to, sizeof to, "name: %s", name);
    text = sound_with("name: dep_delay", to);
    char expected[300];
    snprintf(expected, sizeof expected,
             "20:14 \"name\" cannot be \"%.60s...\": it must have 128 letters at most\n", name);
    assert_problems(text, strlen(text), expected);
    free(text);
}

static void types_of_keys_and_features(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {"type: string", "type: array<string>",
         "17:28 a key cannot be an array: use a single value, such as a string or a bigint\n"},
        {"type: string", "type: \"struct<a: bigint>\"",
         "17:28 a key cannot be a struct: use a single value, such as a string or a bigint\n"},
        {"type: double", "type: \"struct<a: bigint>\"",
         "20:31 a feature cannot be a struct: make one feature of each field, as in sql: "
         "customer.city\n"},
        {"type: double", "type: array<array<bigint>>",
         "20:31 a feature cannot be an array of arrays: its elements must be single values\n"},
        {"type: double", "type: \"array<struct<a: bigint>>\"",
         "20:31 a feature cannot be an array of structs: its elements must be single values\n"},
        {LATE, LATE ", from: x",
         "21:43 \"from\" and \"sql\" exclude each other: a feature is a column or an expression\n"},
    };
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);

    static const char *const key_types[] = {"binary", "boolean", "\"decimal(38,38)\"", "date"};
    for (size_t i = 0; i < 4; i++) {
        char to[60];
        snprintf(to, sizeof to, "type: %s", key_types[i]);
        char *text = sound_with("type: string", to);
        freshet_declaration_close(read_sound(text));
        free(text);
    }
    char *text = sound_with("type: double", "type: array<float>");
    freshet_declaration_close(read_sound(text));
    free(text);
}

static void schemas(void **state)
{
    (void)state;
    static const mistake mistakes[] = {
        {"format: json", "schema: {a: strng}",
         "6:46 \"a\" cannot be \"strng\": " TYPES "; did you mean \"string\"?\n"},
        {"format: json", "schema: {a: bigint, b: {C: date, c: date}}",
         "6:67 the column \"c\" has the name of the column \"C\", since SQL does not tell capital "
         "letters apart: remove one\n"},
        {"format: json", "schema: {a: \"struct<C: date, c: date>\"}",
         "6:46 the column \"c\" has the name of the column \"C\", since SQL does not tell capital "
         "letters apart: remove one\n"},
        {"format: json", "schema: {a: , b: [bigint]}",
         "6:46 the column \"a\" must have a type, such as bigint, or a map of its fields; an array "
         "is "
         "written array<type>, one of structs \"array<struct<name: type, other: type>>\"\n"
         "6:51 the column \"b\" must have a type, such as bigint, or a map of its fields; an array "
         "is "
         "written array<type>, one of structs \"array<struct<name: type, other: type>>\"\n"},
        {"format: json", "schema: {__Freshet_row: bigint, '': date}",
         "6:43 the column \"__Freshet_row\" cannot be used: names that begin with __freshet are "
         "Freshet's own\n"
         "6:66 a column must have a name\n"},
        {"format: json", "schema: {a: {}}",
         "6:46 a schema must name from 1 to 10000 columns, each with its type, as in {id: "
         "bigint}\n"},
        {"format: json", "schema: {}",
         "6:42 a schema must name from 1 to 10000 columns, each with its type, as in {id: "
         "bigint}\n"},
        {"format: json", "schema: {a: decimal(10,2), b: date}",
         "6:46 \"a\" cannot be \"decimal(10\": it is cut at a comma: put the whole type in quotes, "
         "as "
         "in \"decimal(10,2)\"\n"},
        {"format: json", "schema: id",
         "6:42 \"schema\" must be a map of columns and their types, as in {id: bigint, name: "
         "string}\n"},
    };
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);

    char *text =
        sound_with("format: json", "schema: {id: bigint, \"a b\": \"decimal(10,2)\", c: {d: "
                                   "{e: array<date>}, f: \"struct<g: text>\"}}");
    freshet_declaration *handle = read_sound(text);
    const reader_block *readers = declaration_of(handle)->source.readers.items;
    const fake_file *file = readers[0].kind.options;
    const schema *schema = &file->schema.value;
    assert_int_equal(schema->n_fields, 3);
    assert_string_equal(schema->fields[1].name, "a b");
    assert_int_equal(schema->fields[1].type->scale, 2);
    const type *nested = schema->fields[2].type;
    assert_int_equal(nested->kind, TYPE_STRUCT);
    assert_int_equal(nested->fields[0].type->fields[0].type->kind, TYPE_ARRAY);
    assert_int_equal(nested->fields[1].type->fields[0].type->kind, TYPE_STRING);
    assert_int_equal(file->schema.places[1].line, 6);
    assert_int_equal(file->schema.places[1].column, 62);
    freshet_declaration_close(handle);
    free(text);
}

/* {a: {a: ... {a: bigint}}}: `levels` maps. */
static char *nested_schema(uint32_t levels)
{
    text_buffer to;
    text_init(&to, TEXT_LIMIT_DEFAULT);
    text_append_c(&to, "schema: ");
    for (uint32_t i = 0; i < levels; i++)
        text_append_c(&to, "{a: ");
    text_append_c(&to, "bigint");
    for (uint32_t i = 0; i < levels; i++)
        text_append_char(&to, '}');
    char *text = sound_with("format: json", to.bytes);
    text_release(&to);
    return text;
}

static void limits_of_schemas(void **state)
{
    (void)state;
    char *text = nested_schema(TYPE_DEPTH_MAX + 1); /* the outermost map is the schema itself */
    freshet_declaration_close(read_sound(text));
    free(text);
    text = nested_schema(TYPE_DEPTH_MAX + 2);
    text_buffer problems;
    assert_null(read_bytes(text, strlen(text), &problems));
    assert_non_null(strstr(problems.bytes, "types can be nested 16 deep, no further\n"));
    text_release(&problems);
    free(text);

    for (uint32_t extra = 0; extra < 2; extra++) {
        text_buffer columns;
        text_init(&columns, TEXT_LIMIT_DEFAULT);
        text_append_c(&columns, "schema: {c: bigint");
        for (uint32_t i = 1; i < TYPE_FIELDS_MAX + extra; i++)
            text_format(&columns, ", c%u: bigint", i);
        text_append_char(&columns, '}');
        text = sound_with("format: json", columns.bytes);
        assert_problems(text, strlen(text),
                        extra == 0
                            ? ""
                            : "6:42 a schema must name from 1 to 10000 columns, each with its "
                              "type, as in {id: bigint}\n");
        text_release(&columns);
        free(text);
    }
}

static void what_is_read(void **state)
{
    (void)state;
    char *text =
        sound_with("format: json",
                   "header: false, sample: +7, poll: 2 minutes, buffer: 8 kB, columns: [a, \"b "
                   "c\"], password: secret, fallback: DECIMAL(5), retry: {}");
    freshet_declaration *handle = read_sound(text);
    const declaration *read = declaration_of(handle);
    assert_int_equal(read->version, 1);
    assert_string_equal(read->folder, ".");
    assert_string_equal(read->file, "d.yaml");
    assert_true(read->is_stream);
    assert_true(freshet_declaration_is_stream(handle));
    assert_string_equal(freshet_declaration_pipeline(handle), "airport_delays");
    assert_string_equal(freshet_declaration_feature_set(handle), "airport_delays");
    assert_string_equal(read->dead_letters.path.value, "airport_delays.dead_letters.jsonl");

    assert_int_equal(read->source.readers.n, 2);
    const reader_block *reader = read->source.readers.items;
    assert_string_equal(reader->id.value, "flights");
    assert_true(reader->stream);
    assert_int_equal(reader->on_cast_error, ON_CAST_ERROR_DEAD_LETTER);
    assert_ptr_equal(reader->kind.kind, &fake_file_kind);
    assert_int_equal(reader->kind.at.column, 13);
    const fake_file *file = reader->kind.options;
    assert_false(file->header);
    assert_int_equal(file->sample, 7);
    assert_int_equal(file->poll_us, 120000000);
    assert_int_equal(file->buffer, 8000);
    assert_int_equal(file->columns.n, 2);
    assert_string_equal(file->columns.items[1].value, "b c");
    assert_string_equal(file->password.value, "secret");
    assert_int_equal(file->fallback.value->kind, TYPE_DECIMAL);
    assert_true(file->has_retry);
    assert_int_equal(file->retry.times, 3);
    assert_int_equal(file->retry.pause_us, 500000);
    assert_int_equal(read->source.readers.places[1].line, 8);
    const fake_file *second = reader[1].kind.options;
    assert_false(reader[1].stream);
    assert_false(second->has_retry);
    assert_int_equal(second->format, 2);
    assert_int_equal(second->buffer, 64 << 20);
    assert_string_equal(second->delimiter.value, ",");

    const feature_set_block *set = &read->feature_set;
    assert_true(set->has_timestamp);
    assert_string_equal(set->timestamp.from.value, "sched_dep");
    assert_int_equal(set->timestamp.unit, UNIT_NONE);
    assert_int_equal(set->on_cast_error, ON_CAST_ERROR_NULL);
    const key_block *key = set->keys.items;
    assert_string_equal(key->from.value, "origin");
    const feature_block *features = set->features.items;
    assert_string_equal(features[0].from.value, "dep_delay");
    assert_int_equal(features[0].from.at.column, 14);
    assert_null(features[1].from.value);
    assert_string_equal(features[1].sql.value, "dep_delay > 15");
    freshet_declaration_close(handle);
    free(text);
}

static void variables(void **state)
{
    (void)state;
    setenv("FRESHET_T_NAME", "vuelos", 1);
    setenv("FRESHET_T_EMPTY", "", 1);
    setenv("FRESHET_T_BAD", "\xff", 1);
    unsetenv("FRESHET_T_NOT");
    char *text =
        sound_with("    select f.origin\n    from flights f\n",
                   "    ${FRESHET_T_NAME}-${FRESHET_T_NOT:a:b c}-${FRESHET_T_EMPTY:no}-$${x}-"
                   "$$${y}-$z-${FRESHET_T_NOT:}$\n");
    freshet_declaration *handle = read_sound(text);
    assert_string_equal(declaration_of(handle)->source.query.value,
                        "vuelos-a:b c--${x}-$${y}-$z-$\n");
    freshet_declaration_close(handle);
    free(text);

    static const mistake mistakes[] = {
        {"select f.origin", "select ${FRESHET_T_NOT},\n    ${FRESHET_T_NOT}",
         "11:12 the environment variable \"FRESHET_T_NOT\" is not set: set it, or write a default, "
         "as "
         "in ${FRESHET_T_NOT:default}\n"
         "12:5 the environment variable \"FRESHET_T_NOT\" is not set: set it, or write a default, "
         "as in "
         "${FRESHET_T_NOT:default}\n"},
        {"entity: airport", "entity: \"\\t${FRESHET_T_NOT}\"",
         "15:14 the environment variable \"FRESHET_T_NOT\" is not set: set it, or write a default, "
         "as "
         "in ${FRESHET_T_NOT:default}\n"},
        {"entity: airport", "entity: a${",
         "15:12 \"${\" must be followed by the name of an environment variable; write \"$${\" for "
         "the "
         "characters \"${\" themselves\n"},
        {"entity: airport", "entity: ${HOME",
         "15:11 \"${\" is not closed: write ${VAR} or ${VAR:default}, or \"$${\" for the "
         "characters "
         "\"${\" themselves\n"},
        {"entity: airport", "entity: ${HOME-x}",
         "15:11 \"${VAR-default}\" is the shell's: write ${VAR:default}, with a colon\n"},
        {"entity: airport", "entity: ${HOME:-x}",
         "15:11 \"${VAR:-default}\" and its like are the shell's: write ${VAR:default}, without a "
         "sign behind the colon, or ${VAR} for a variable that must be set\n"},
        {"entity: airport", "entity: ${FRESHET_T_NOT:${HOME}}",
         "15:11 a default inside \"${VAR:default}\" is taken as it is and cannot hold another "
         "\"${\"\n"},
        {"entity: airport", "entity: ${FRESHET_T_BAD}",
         "15:11 the value of this environment variable is not valid UTF-8\n"},
        {"stream: true", "stream: ${FRESHET_T_NAME}",
         "7:15 \"stream\" cannot be \"vuelos\": it must be true or false\n"},
    };
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);

    text = sound_with("stream: true", "stream: ${FRESHET_T_NOT:false}");
    handle = read_sound(text);
    assert_false(freshet_declaration_is_stream(handle));
    freshet_declaration_close(handle);
    free(text);
}

/* 64 kB of environment, often enough for more than DECLARATION_BYTES_MAX. */
static void write_bytes(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void files_stand_for_what_they_hold(void **state)
{
    (void)state;
    char path[] = "/tmp/freshet-value-XXXXXX";
    char changed[128];
    char expected[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(changed, sizeof changed, "entity: airport\n  description: \"<${file:%s}>\"", path);

    write_bytes(path, "an airport\r\n", 12);
    char *text = sound_with("entity: airport", changed);
    freshet_declaration *handle = read_sound(text);
    assert_string_equal(declaration_of(handle)->feature_set.description.value, "<an airport>");
    freshet_declaration_close(handle);

    write_bytes(path, "a\0b", 3);
    snprintf(expected, sizeof expected, "16:18 the file \"%s\" is not text in UTF-8\n", path);
    assert_problems(text, strlen(text), expected);

    char *large = calloc(1, 65539);
    assert_non_null(large);
    memset(large, 'x', 65538);
    write_bytes(path, large, 65538);
    snprintf(expected, sizeof expected, "16:18 the file \"%s\" has more than 65536 bytes\n", path);
    assert_problems(text, strlen(text), expected);
    free(large);

    unlink(path);
    snprintf(expected, sizeof expected,
             "16:18 the file \"%s\" cannot be read: No such file or directory\n", path);
    assert_problems(text, strlen(text), expected);
    free(text);
}

static void variables_have_a_limit(void **state)
{
    (void)state;
    size_t size = (size_t)64 << 10;
    char *big = malloc(size + 1);
    assert_non_null(big);
    memset(big, 'x', size);
    big[size] = '\0';
    setenv("FRESHET_T_BIG", big, 1);
    free(big);
    for (uint32_t extra = 0; extra < 2; extra++) {
        text_buffer to;
        text_init(&to, TEXT_LIMIT_DEFAULT);
        text_append_c(&to, "entity: a\n  description: ");
        for (uint32_t i = 0; i < DECLARATION_BYTES_MAX / size + extra; i++)
            text_append_c(&to, "${FRESHET_T_BIG}");
        char *text = sound_with("entity: airport", to.bytes);
        assert_problems(text, strlen(text),
                        extra == 0 ? ""
                                   : "16:16 the values of the environment variables make this "
                                     "declaration too large\n");
        text_release(&to);
        free(text);
    }
    unsetenv("FRESHET_T_BIG");
}

static void secrets_stay_out_of_messages(void **state)
{
    (void)state;
    static const option options[] = {
        {.name = "pin", .kind = OPTION_TEXT, .required = true, .secret = true, .doc = "Secret."},
        {.name = "choice",
         .kind = OPTION_CHOICE,
         .offset = sizeof(declared_text),
         .choices = fake_formats,
         .secret = true,
         .doc = "Secret."},
        {0}};
    static const block_kind kind = {.name = "safe",
                                    .title = "Safe",
                                    .doc = "Safe.",
                                    .options = options,
                                    .size = sizeof(declared_text) + sizeof(int64_t)};
    static const block_kind *const readers[] = {&kind, NULL};
    static const registry registry = {.readers = readers, .writers = fake_writers};
    char *first = sound_with(FILE_BLOCK, "safe: {pin: 1234, choice: jsonn}");
    char *airports = strstr(first, "file: {path: data/airports.csv, format: csv}");
    assert_non_null(airports);
    overwrite(airports, "safe: {pin: 1234,             choice: auto} ");
    text_buffer problems;
    freshet_declaration *handle = NULL;
    freshet_error err;
    text_init(&problems, TEXT_LIMIT_DEFAULT);
    assert_int_equal(declaration_read(first, strlen(first), "d.yaml", ".", &registry, take_problem,
                                      &problems, &handle, &err),
                     FRESHET_BAD_DECLARATION);
    assert_string_equal(problems.bytes,
                        "6:33 \"choice\" cannot be what was given: it must be auto, "
                        "json, csv or parquet\n");
    text_release(&problems);
    free(first);
}

static void problems_are_sorted_and_limited(void **state)
{
    (void)state;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, sound);
    for (uint32_t i = 0; i < DECLARATION_PROBLEMS_MAX; i++)
        text_format(&text, "zzzzzzzz%u: 1\n", i);
    text_buffer problems;
    assert_null(read_bytes(text.bytes, text.length, &problems));
    assert_null(strstr(problems.bytes, "more problems"));
    assert_memory_equal(problems.bytes, "26:1 ", 5);
    text_release(&problems);

    text_append_c(&text, "one_more: 1\n");
    assert_null(read_bytes(text.bytes, text.length, &problems));
    const char *end = "d.yaml ... and 1 more problems; correct these first\n";
    assert_string_equal(problems.bytes + problems.length - strlen(end), end);
    text_release(&problems);
    text_release(&text);
}

static void the_first_problem_is_the_error(void **state)
{
    (void)state;
    freshet_declaration *handle = NULL;
    freshet_error err = {0};
    const char *text = "version: 3\npipeline: x y\n";
    freshet_code code = declaration_read(text, strlen(text), "d.yaml", ".", &fake_registry, NULL,
                                         NULL, &handle, &err);
    assert_int_equal(code, FRESHET_BAD_DECLARATION);
    assert_int_equal(err.code, FRESHET_BAD_DECLARATION);
    assert_int_equal(err.then, FRESHET_STOP);
    assert_string_equal(err.at, "d.yaml:1:1");
    assert_string_equal(err.text, "\"source\" is missing in \"declaration\"");
    assert_int_equal(declaration_read(text, strlen(text), "d.yaml", ".", &fake_registry, NULL, NULL,
                                      &handle, NULL),
                     FRESHET_BAD_DECLARATION);
    assert_null(handle);
}

static void long_paths_keep_line_and_column(void **state)
{
    (void)state;
    char name[400];
    memset(name, 'n', sizeof name);
    overwrite(name + sizeof name - 6, ".yaml");
    name[sizeof name - 1] = '\0';
    place at = {.file = name, .line = 14, .column = 9};
    char text[40];
    assert_string_equal(place_text(&at, text, sizeof text),
                        "...nnnnnnnnnnnnnnnnnnnnnnnnnn.yaml:14:9");
    at = (place){.path = "feature_set.keys[0]"};
    assert_string_equal(place_text(&at, text, sizeof text), "feature_set.keys[0]");
}

static void sizes_of_texts(void **state)
{
    (void)state;
    size_t size = DECLARATION_BYTES_MAX;
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, ' ', size + 1);
    for (size_t i = 0; i <= size; i += 100)
        text[i] = '\n';
    overwrite(text, sound);
    overwrite(text + strlen(sound), "#");
    assert_problems(text, size, "");
    assert_problems(
        text, size + 1,
        "1:1 a declaration can have 16777216 bytes, and this one has more: is it the right "
        "file?\n");
    free(text);
}

static void handles_of_nothing(void **state)
{
    (void)state;
    freshet_declaration_close(NULL);
    assert_null(freshet_declaration_pipeline(NULL));
    assert_null(freshet_declaration_feature_set(NULL));
    assert_false(freshet_declaration_is_stream(NULL));
    assert_null(declaration_of(NULL));
    freshet_error err;
    assert_int_equal(freshet_declaration_show(NULL, take_bytes, NULL, &err), FRESHET_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_declaration_has_no_problem),
        cmocka_unit_test(unknown_and_missing_options),
        cmocka_unit_test(options_of_later_versions),
        cmocka_unit_test(windows_and_aggregates),
        cmocka_unit_test(windowed_features_have_no_column_of_their_own_name),
        cmocka_unit_test(years_are_warned_of),
        cmocka_unit_test(kinds_of_readers_and_writers),
        cmocka_unit_test(wrong_shapes),
        cmocka_unit_test(wrong_values),
        cmocka_unit_test(names),
        cmocka_unit_test(lengths_of_names),
        cmocka_unit_test(types_of_keys_and_features),
        cmocka_unit_test(schemas),
        cmocka_unit_test(limits_of_schemas),
        cmocka_unit_test(what_is_read),
        cmocka_unit_test(variables),
        cmocka_unit_test(files_stand_for_what_they_hold),
        cmocka_unit_test(variables_have_a_limit),
        cmocka_unit_test(secrets_stay_out_of_messages),
        cmocka_unit_test(problems_are_sorted_and_limited),
        cmocka_unit_test(the_first_problem_is_the_error),
        cmocka_unit_test(long_paths_keep_line_and_column),
        cmocka_unit_test(sizes_of_texts),
        cmocka_unit_test(handles_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
