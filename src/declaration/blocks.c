/* blocks.c - the tables of the declaration's blocks, of which parsing and the reference come.
 *
 * The doc strings are the user's manual. Kinds of readers and writers have their tables beside
 * their code and come in by the registry.
 */
#include "declaration/blocks.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/crew.h"
#include "base/timestamp.h"
#include "declaration/macros.h"
#include "declaration/value.h"
#include "windows/window.h"

#define PIPELINE_NAME_MAX 64
#define LATENESS_MAX_US (INT64_C(36500) * 86400 * 1000000) /* 100 years, as windows */

static const char *const cast_choices[] = {"dead_letter", "null", NULL};
static const char *const unit_choices[] = {"none", "s", "ms", "us", NULL};
static const char *const incremental_choices[] = {"time", "ms", "string", "year_month_day",
                                                  NULL}; /* enum incremental_from */
static const char *const late_choices[] = {"dead_letter", "drop", "update", NULL};
static const char *const mode_choices[] = {"fixed_windows", "row_windows", NULL};
static const char *const keep_choices[] = {"last", "first", NULL};
static const char *const emit_choices[] = {"close", "change", NULL};
static const char *const dialect_choices[] = {"duckdb", "spark", NULL}; /* enum dialect */
static const char *const until_full_choices[] = {"null", "partial", NULL};
static const char *const refresh_choices[] = {"never", "on_expiry", NULL};
static const char *const without_type[] = {"window", "aggregate", "function", "stack", "h3", NULL};
static const char *const key_without_type[] = {"function", "stack", "h3", NULL};

/* ---- checks that a table cannot say ---------------------------------------------------------- */

static bool is_reserved(const declared_text *name)
{
    return name->value != NULL && strncasecmp(name->value, "__freshet", 9) == 0;
}

static void check_reserved(const declared_text *name, problems *problems)
{
    if (is_reserved(name))
        problem_add(
            problems, &name->at,
            "the name \"%s\" cannot be used: names that begin with __freshet are Freshet's own",
            name->value);
}

static void check_column_name(const declared_text *name, problems *problems)
{
    check_reserved(name, problems);
    if (name->value != NULL && strcasecmp(name->value, "timestamp") == 0)
        problem_add(problems, &name->at,
                    "\"%s\" is the name of the feature set's own time column: choose another name",
                    name->value);
}

static void check_root(void *options, const place *at, problems *problems)
{
    const declaration *declaration = options;
    const declared_text *name = &declaration->pipeline;
    (void)at;
    if (name->value == NULL)
        return;
    size_t length = strlen(name->value);
    size_t plain = strspn(name->value, NAME_CHARACTERS ".-");
    if (length > PIPELINE_NAME_MAX || plain != length)
        problem_add(problems, &name->at,
                    "\"pipeline\" must be a name of 1 to %d letters (a to z), digits, \"_\", \".\" "
                    "and \"-\"",
                    PIPELINE_NAME_MAX);
    else if (strspn(name->value, ".") == length)
        problem_add(problems, &name->at, "\"pipeline\" must have a letter or digit in its name");
}

static void blocks_check_reader(void *options, const place *at, problems *problems)
{
    const reader_block *reader = options;
    (void)at;
    check_reserved(&reader->id, problems);
    if (place_is_set(&reader->within_at) && !reader->has_timestamp)
        problem_add(
            problems, &reader->within_at,
            "`within` is measured from the time of the rows: say which column of the reader "
            "has it, as in `timestamp: {from: ordered_at}`");
}

static void check_key(void *options, const place *at, problems *problems)
{
    key_block *key = options;
    check_column_name(&key->name, problems);
    const type *type = key->type.value;
    if (type != NULL && (type->kind == TYPE_ARRAY || type->kind == TYPE_STRUCT))
        problem_add(problems, &key->type.at,
                    "a key cannot be %s: use a single value, such as a string or a bigint",
                    type->kind == TYPE_ARRAY ? "an array" : "a struct");
    const made_block made = {.from = &key->from,
                             .sql = &key->sql,
                             .h3 = &key->h3,
                             .has_function = key->has_function,
                             .has_stack = key->has_stack,
                             .has_h3 = key->has_h3};
    blocks_check_made(&made, "key", at, problems);
    if (key->from.value != NULL && key->sql.value != NULL)
        problem_add(problems, &key->sql.at,
                    "\"from\" and \"sql\" exclude each other: a key is a column or an expression");
    if (key->from.value == NULL && key->sql.value == NULL && !key->has_stack && !key->has_h3)
        key->from = key->name;
}

static void blocks_check_feature(void *options, const place *at, problems *problems)
{
    feature_block *feature = options;
    check_column_name(&feature->name, problems);
    const type *type = feature->type.value;
    if (type != NULL && type->kind == TYPE_STRUCT) {
        problem_add(problems, &feature->type.at,
                    "a feature cannot be a struct: make one feature of each field, as in sql: "
                    "customer.city");
    } else if (type != NULL && type->kind == TYPE_ARRAY) {
        type_kind element = type->fields[0].type->kind;
        if (element == TYPE_ARRAY || element == TYPE_STRUCT)
            problem_add(problems, &feature->type.at,
                        "a feature cannot be an array of %s: its elements must be single values",
                        element == TYPE_ARRAY ? "arrays" : "structs");
    }
    bool many = feature->has_window || feature->has_aggregate; /* made of many rows */
    if (feature->from.value != NULL && feature->sql.value != NULL)
        problem_add(
            problems, &feature->sql.at,
            "\"from\" and \"sql\" exclude each other: a feature is a column or an expression");
    else if (many && feature->sql.value != NULL)
        problem_add(problems, &feature->sql.at,
                    "a windowed or aggregated feature is computed of a column: make a feature of "
                    "the expression first, and name it here as \"from\"");
    const made_block made = {.from = &feature->from,
                             .sql = &feature->sql,
                             .h3 = &feature->h3,
                             .has_function = feature->has_function,
                             .has_stack = feature->has_stack,
                             .has_h3 = feature->has_h3,
                             .has_window = feature->has_window,
                             .has_aggregate = feature->has_aggregate};
    blocks_check_made(&made, "feature", at, problems);
    if (feature->from.value == NULL && feature->sql.value == NULL && !feature->has_stack &&
        !feature->has_h3)
        feature->from = feature->name;
    if (feature->has_window && feature->has_aggregate)
        problem_add(problems, at,
                    "\"window\" and \"aggregate\" exclude each other: \"window\" looks back from "
                    "each row, \"aggregate\" belongs into an aggregated feature set");
    if (feature->filter.value != NULL && !many)
        problem_add(problems, &feature->filter.at,
                    "\"filter\" is for features with \"window\" or \"aggregate\": filter rows in "
                    "the query, or write a case expression as \"sql\"");
}

static void check_window(void *options, const place *at, problems *problems)
{
    const window_block *window = options;
    (void)at;
    if (window->mode == WINDOW_FIXED && window->order_by.value != NULL &&
        strcmp(window->order_by.value, "timestamp") != 0)
        problem_add(problems, &window->order_by.at,
                    "\"order_by\" is for row_windows: fixed_windows are spans of the timestamp");
}

/* ---- tables --------------------------------------------------------------------------------- */

static const option key_options[] = {
    {OPTION("name", NAME, key_block, name), .required = true,
     .doc = "The key's column in the output.", .example = "origin"},
    {OPTION("type", TYPE, key_block, type), .required = true, .unless = key_without_type,
     .doc = "The type it is cast to. A key is a single value: no array. With `function`, `stack` "
            "or `h3` it may be left out.",
     .example = "string"},
    {OPTION("from", TEXT, key_block, from),
     .doc = "The query's column it is taken from; the column of the key's own name unless said.",
     .example = "airport_code"},
    {OPTION("sql", SQL, key_block, sql),
     .doc = "An SQL expression over the query's columns instead of `from`.",
     .example = "\"upper(airport_code)\""},
    {OPTION_GIVEN("function", key_block, function), .block = &function_kind,
     .doc = "Functions of the column `from`: a key for each."},
    {OPTION_GIVEN("stack", key_block, stack), .block = &stack_kind,
     .doc = "Makes of each row one for each of some columns, whose value is the key."},
    {OPTION_GIVEN("h3", key_block, h3), .block = &h3_kind,
     .doc = "The H3 cells of a place: a key for each resolution, or with `with_stack` a row."},
    {OPTION("description", TEXT, key_block, description), .doc = "What the key is, for people.",
     .example = "IATA code of the airport"},
    {0},
};

static const block_kind key_kind = {
    BLOCK_KIND("key", "Key", key_block, key_options),
    .doc = "What a feature row is about. A row whose key is null, or does not cast, goes to the "
           "dead letters.",
    .check = check_key,
};

static const option timestamp_options[] = {
    {OPTION("from", TEXT, timestamp_block, from), .standard = "timestamp",
     .doc = "The query's column that holds the time of the event: a timestamp, a date, a number or "
            "a text.",
     .example = "sched_dep"},
    {OPTION("unit", CHOICE, timestamp_block, unit), .standard = "none", .choices = unit_choices,
     .doc = "What a number means: seconds (`s`), milliseconds (`ms`) or microseconds (`us`) since "
            "1970-01-01 UTC. `none` takes timestamps, dates and texts as they are, and numbers as "
            "seconds.",
     .example = "ms"},
    {OPTION("mask", TEXT, timestamp_block, mask),
     .doc = "How a text is written, in the letters of strptime (`%Y-%m-%d %H:%M`) or of Java "
            "(`yyyy-MM-dd HH:mm`). Without it ISO 8601 is read.",
     .example = "\"%d/%m/%Y\""},
    {OPTION("lateness", DURATION, timestamp_block, lateness_us), .standard = "1 hour", .minimum = 0,
     .maximum = LATENESS_MAX_US,
     .doc = "Streams with windows or groups: how long after newer rows of its partition a row may "
            "still come (in event time, whole seconds). What is needed for so long is kept.",
     .example = "10 minutes"},
    {OPTION("idle", DURATION, timestamp_block, idle_us), .standard = "1 minute", .minimum = 1000,
     .maximum = LATENESS_MAX_US,
     .doc = "Streams with windows or groups: a reader, or a partition, that has given no row for "
            "so long (by the clock) holds nobody back: windows end, and other rows go on, without "
            "it. What it gives after that may be late.",
     .example = "10 seconds"},
    {OPTION("max_future", DURATION, timestamp_block, max_future_us), .minimum = 0,
     .maximum = LATENESS_MAX_US, .place_offset = offsetof(timestamp_block, max_future_at) + 1,
     .doc =
         "A row whose time lies further ahead of the clock goes to the dead letters; `0 seconds`: "
         "any time is taken. Where it is not said: `1 day` for `aggregated` sets and, on "
         "streams, for windows and `deduplicate`, since there one row from the far future "
         "closes windows, makes all that follow late or fills days without end; else any.",
     .example = "1 hour"},
    {OPTION("late", CHOICE, timestamp_block, late), .standard = "dead_letter",
     .choices = late_choices,
     .doc = "What becomes of a row that is later than `lateness` allows: to the dead letters "
            "(`dead_letter`), away (`drop`), or taken with what is still known (`update`: its "
            "windows may lack rows).",
     .example = "drop"},
    {0},
};

static const block_kind timestamp_kind = {
    BLOCK_KIND("timestamp", "Timestamp", timestamp_block, timestamp_options),
    .doc = "The time of the event, in the output as the column `timestamp` (UTC, microseconds). A "
           "row whose time is null, or does not cast, goes to the dead letters. `timestamp: {}` "
           "takes the column named `timestamp`.",
};

static const option window_options[] = {
    {OPTION("functions", FUNCTIONS, window_block, functions), .required = true,
     .doc = "What is computed over each window.", .example = "[avg, {count: bigint}]"},
    {OPTION("over", TEXTS, window_block, over), .required = true,
     .doc = "The windows, each a number and a unit: second, minute, hour, day, week or year (of "
            "336 days, as in Butterfree), or their plurals; of row windows, events.",
     .example = "[2 hours, 7 days]"},
    {OPTION("mode", CHOICE, window_block, mode), .standard = "fixed_windows",
     .choices = mode_choices,
     .doc = "`fixed_windows`: the time up to the row, both ends and all rows of its own second "
            "included. `row_windows`: that many rows up to the row, itself included.",
     .example = "row_windows"},
    {OPTION("partition_by", TEXTS, window_block, partition_by),
     .doc = "The columns whose equal values make the rows of one window; the keys unless said.",
     .example = "[origin]"},
    {OPTION("order_by", TEXT, window_block, order_by),
     .doc = "The column that row windows are ordered by, nulls first; the timestamp unless said.",
     .example = "sched_dep"},
    {OPTION("until_full", CHOICE, window_block, until_full), .choices = until_full_choices,
     .place_offset = offsetof(window_block, until_full_at) + 1,
     .doc = "As the feature set's [until_full](#feature-set), which it goes before.",
     .example = "partial"},
    {0},
};

static const block_kind window_kind = {
    BLOCK_KIND("window", "Window", window_block, window_options),
    .doc = "Makes a feature of the rows behind each row, in batch and on streams alike "
           "(docs/guide/windows.md). There is one output column for each function and window, "
           "`NAME__avg_over_2_hours_fixed_windows`; their type is the function's own, the "
           "feature's, or that of `functions`, whichever is said last.",
    .check = check_window,
};

static const option aggregate_options[] = {
    {OPTION("functions", FUNCTIONS, aggregate_block, functions), .required = true,
     .doc = "What is computed over each group.", .example = "[avg, {count: bigint}]"},
    {0},
};

static const block_kind aggregate_kind = {
    BLOCK_KIND("aggregate", "Aggregate", aggregate_block, aggregate_options),
    .doc = "Makes a feature of the rows of a group, in an [aggregated](#aggregated) feature set. "
           "There is one output column for each function: `NAME__avg`.",
};

static const option feature_options[] = {
    {OPTION("name", NAME, feature_block, name), .required = true,
     .doc = "The feature's column in the output.", .example = "dep_delay"},
    {OPTION("type", TYPE, feature_block, type), .required = true, .unless = without_type,
     .doc = "The type it is cast to; arrays of single values are allowed. With `window`, "
            "`aggregate`, `function`, `stack` or `h3` it may be left out: what makes it has its "
            "own.",
     .example = "double"},
    {OPTION("from", TEXT, feature_block, from),
     .doc = "The column it is taken from: one of the query's, a key, or a feature above. The "
            "column of the feature's own name unless said.",
     .example = "departure_delay"},
    {OPTION("sql", SQL, feature_block, sql),
     .doc = "An SQL expression over one row instead of `from`. It sees the query's columns, "
            "`timestamp`, the keys and the features above.",
     .example = "\"dep_delay > 15\""},
    {OPTION_GIVEN("function", feature_block, function), .block = &function_kind,
     .doc = "Functions of the column `from`, without a window."},
    {OPTION_GIVEN("stack", feature_block, stack), .block = &stack_kind,
     .doc = "Makes of each row one for each of some columns, whose value is the feature."},
    {OPTION_GIVEN("h3", feature_block, h3), .block = &h3_kind, .doc = "The H3 cells of a place."},
    {OPTION_GIVEN("window", feature_block, window), .block = &window_kind,
     .doc = "Computes functions over windows that end at each row."},
    {OPTION_GIVEN("aggregate", feature_block, aggregate), .block = &aggregate_kind,
     .doc = "Computes functions over the groups of an aggregated feature set."},
    {OPTION("filter", SQL, feature_block, filter),
     .doc = "With `window` or `aggregate`: an SQL condition over one row. Where it is not true, "
            "the row's value counts as null.",
     .example = "\"status = 'paid'\""},
    {OPTION("description", TEXT, feature_block, description),
     .doc = "What the feature is, for people.", .example = "minutes behind the schedule"},
    {0},
};

static const block_kind feature_kind = {
    BLOCK_KIND("feature", "Feature", feature_block, feature_options),
    .doc = "One value of a feature row. Features are computed in their order, so a later one can "
           "use an earlier one.",
    .check = blocks_check_feature,
};

static const option rolling_options[] = {
    {OPTION("over", TEXTS, rolling_block, over), .required = true,
     .doc = "The windows' lengths: a number and second, minute, hour, day, week or year (of 336 "
            "days).",
     .example = "[1 day, 3 days]"},
    {OPTION("slide", TEXT, rolling_block, slide), .standard = "1 day",
     .doc = "How far apart the windows end.", .example = "1 hour"},
    {OPTION("emit", CHOICE, rolling_block, emit), .standard = "close", .choices = emit_choices,
     .doc = "Streams: when a window's row goes out: once, when no row can come into it any more "
            "(`close`), or at each change (`change`). Of windows longer than the slide the online "
            "store and `_latest` have those that have ended; those of the future are in the "
            "history only.",
     .example = "change"},
    {OPTION("max_days", INTEGER, rolling_block, max_days), .standard = "10000", .minimum = 1,
     .maximum = 100000000,
     .doc =
         "With the slide `1 day` each key has a row for each day from the oldest row of all keys "
         "on. Where that would be more days than these at once, as a row of 1970 among those of "
         "today makes it, the run ends and says so.",
     .example = "20000"},
    {0},
};

static const block_kind rolling_kind = {
    BLOCK_KIND("windows", "Rolling windows", rolling_block, rolling_options),
    .doc = "Windows that end at fixed times, without the end itself: [end - length, end). The "
           "row's timestamp is the window's end.",
};

static const option pivot_options[] = {
    {OPTION("column", TEXT, pivot_block, column), .required = true,
     .doc = "The column whose values become columns.", .example = "status"},
    {OPTION("values", TEXTS, pivot_block, values), .required = true,
     .doc =
         "These values, each once: `VALUE_NAME__avg` is the function over the rows that have it.",
     .example = "[paid, refunded]"},
    {0},
};

static const block_kind pivot_kind = {
    BLOCK_KIND("pivot", "Pivot", pivot_block, pivot_options),
    .doc = "One set of columns for each value of a column.",
};

static const option distinct_options[] = {
    {OPTION("subset", TEXTS, distinct_block, subset), .required = true,
     .doc = "The columns by which rows are the same.", .example = "[order_id]"},
    {OPTION("keep", CHOICE, distinct_block, keep), .standard = "last", .choices = keep_choices,
     .doc = "Which of the same rows stays: the newest or the oldest; of several at that time the "
            "first to arrive.",
     .example = "first"},
    {0},
};

static const block_kind distinct_kind = {
    BLOCK_KIND("distinct", "Distinct", distinct_block, distinct_options),
    .doc = "Of rows that are the same in a subset of columns only one is aggregated.",
};

static const option aggregated_options[] = {
    {OPTION_GIVEN("windows", aggregated_block, windows), .block = &rolling_kind,
     .doc = "Rolling windows; without them rows are grouped by keys and timestamp."},
    {OPTION_GIVEN("pivot", aggregated_block, pivot), .block = &pivot_kind,
     .doc = "Columns for each value of a column."},
    {OPTION_GIVEN("distinct", aggregated_block, distinct), .block = &distinct_kind,
     .doc = "Removes repeated rows first."},
    {0},
};

static const block_kind aggregated_kind = {
    BLOCK_KIND("aggregated", "Aggregated", aggregated_block, aggregated_options),
    .doc = "Makes the feature set an aggregated one: its rows are groups, and each of its features "
           "has `aggregate`.",
};

static const option deduplicate_options[] = {
    {OPTION("on", TEXTS, deduplicate_block, on), .required = true,
     .doc = "The query's columns that make an event the same.", .example = "[event_id]"},
    {OPTION("within", DURATION, deduplicate_block, within_us), .required = true, .minimum = 1000000,
     .maximum = LATENESS_MAX_US, .doc = "For how long after it an event is known, in event time.",
     .example = "1 hour"},
    {0},
};

static const block_kind deduplicate_kind = {
    BLOCK_KIND("deduplicate", "Deduplicate", deduplicate_block, deduplicate_options),
    .doc = "Takes each event once: a row whose columns are those of an earlier one within a time "
           "is dropped, in batch and on streams.",
};

static const option feature_set_options[] = {
    {OPTION("name", NAME, feature_set_block, name), .required = true,
     .doc = "The feature set's name. Its tables are named after it: the debug table is "
            "`online_feature_store__NAME`.",
     .example = "airport_delays"},
    {OPTION("entity", NAME, feature_set_block, entity), .doc = "What the features are about.",
     .example = "airport"},
    {OPTION("description", TEXT, feature_set_block, description),
     .doc = "What the feature set is for, for people.", .example = "Departure delays by airport"},
    {OPTION("keys", BLOCKS, feature_set_block, keys), .required = true, .block = &key_kind,
     .doc = "The columns that tell whose features a row holds; at least one.",
     .example = "[{name: origin, type: string}]"},
    {OPTION_GIVEN("timestamp", feature_set_block, timestamp), .required = true,
     .block = &timestamp_kind, .doc = "When the event happened.", .example = "{from: sched_dep}"},
    {OPTION("features", BLOCKS, feature_set_block, features), .required = true,
     .block = &feature_kind,
     .doc = "The features, in the order of the output's columns; at least one.",
     .example = "[{name: dep_delay, type: double}]"},
    {OPTION("on_cast_error", CHOICE, feature_set_block, on_cast_error), .standard = "dead_letter",
     .choices = cast_choices,
     .doc = "What becomes of a feature that does not cast to its type: its row goes to the dead "
            "letters (`dead_letter`), or the feature is null (`null`). Keys and the timestamp must "
            "always cast.",
     .example = "\"null\""},
    {OPTION_GIVEN("aggregated", feature_set_block, aggregated), .block = &aggregated_kind,
     .doc = "Makes it an aggregated feature set: one row a group, or a rolling window."},
    {OPTION("deduplicate_rows", BOOLEAN, feature_set_block, deduplicate_rows), .standard = "false",
     .doc = "Batch: leave out a row whose features are those of its key's row before. A stream "
            "gives all rows.",
     .example = "true"},
    {OPTION_GIVEN("deduplicate", feature_set_block, deduplicate), .block = &deduplicate_kind,
     .doc = "Take each event once, by its own columns."},
    {OPTION("refresh", CHOICE, feature_set_block, refresh), .standard = "never",
     .choices = refresh_choices,
     .doc = "Streams: `on_expiry` sends a key's features again when events have left its windows "
            "though no new one came, as soon as no row from before can come any more. For "
            "`fixed_windows` and rolling windows; rows do not leave `row_windows` by time.",
     .example = "on_expiry"},
    {OPTION("until_full", CHOICE, feature_set_block, until_full), .standard = "null",
     .choices = until_full_choices,
     .doc =
         "Streams whose declaration changed: what a window gives as long as it looks back on "
         "time from which its value was not kept. `null`: nothing, so that no half-filled window "
         "passes for a whole one. `partial`: what is known.",
     .example = "partial"},
    {OPTION_GIVEN("hooks", feature_set_block, hooks), .block = &hooks_kind,
     .doc = "Checks of the query's rows (`before`) and of the feature rows (`after`)."},
    {0},
};

static const block_kind feature_set_kind = {
    BLOCK_KIND("feature_set", "Feature set", feature_set_block, feature_set_options),
    .doc = "What is computed from each row of the query. The output has the keys, then "
           "`timestamp`, then the features.",
};

static const option preprocess_step_options[] = {
    {OPTION("(kind)", KIND, preprocess_block, kind), .required = true, .kinds = "steps",
     .doc = "What the step does: exactly one of these."},
    {0},
};

static const block_kind preprocess_step_kind = {
    BLOCK_KIND("step", "Preprocess", preprocess_block, preprocess_step_options),
    .doc = "A step between a reader and the query. Steps run in their order; the query sees the "
           "columns behind the last one. See docs/guide/preprocess.md.",
};

static const option reader_timestamp_options[] = {
    {OPTION("from", TEXT, timestamp_block, from), .required = true,
     .doc =
         "The reader's column that holds the time of the event: a timestamp, a date, a number or "
         "a text.",
     .example = "paid_at"},
    {OPTION("unit", CHOICE, timestamp_block, unit), .standard = "none", .choices = unit_choices,
     .doc = "What a number means, as in the feature set's `timestamp`.", .example = "ms"},
    {OPTION("mask", TEXT, timestamp_block, mask),
     .doc = "How a text is written, as in the feature set's `timestamp`.",
     .example = "\"%d/%m/%Y\""},
    {0},
};

static const block_kind reader_timestamp_kind = {
    BLOCK_KIND("reader_timestamp", "Reader's timestamp", timestamp_block, reader_timestamp_options),
    .doc = "The time of a reader's rows, for a join of two streams. A row whose time is null, or "
           "does not cast, goes to the dead letters.",
};

static const option incremental_options[] = {
    {OPTION("column", TEXT, incremental_block, column),
     .doc = "The column, behind the steps of `preprocess`, that tells the day.",
     .example = "ordered_at"},
    {OPTION("from", CHOICE, incremental_block, from), .standard = "time",
     .choices = incremental_choices,
     .doc = "What stands there: a timestamp, a date or a text that is one (`time`), milliseconds "
            "since 1970 (`ms`), a text of the form `mask` (`string`); or the day is in three "
            "columns (`year_month_day`).",
     .example = "ms"},
    {OPTION("mask", TEXT, incremental_block, mask),
     .doc = "With `from: string`: how the text is written, as `mask` of `timestamp`. Without it, "
            "as ISO 8601.",
     .example = "dd/MM/yyyy"},
    {OPTION("year", TEXT, incremental_block, year), .standard = "year",
     .doc = "With `from: year_month_day`: the year's column.", .example = "year"},
    {OPTION("month", TEXT, incremental_block, month), .standard = "month", .doc = "The month's.",
     .example = "month"},
    {OPTION("day", TEXT, incremental_block, day), .standard = "day", .doc = "The day's.",
     .example = "day"},
    {0},
};

static void check_incremental(void *options, const place *at, problems *problems)
{
    const incremental_block *block = options;
    const bool is_parts = block->from == INCREMENTAL_YEAR_MONTH_DAY;
    if (!is_parts && block->column.value == NULL)
        problem_add(problems, at,
                    "\"incremental\" needs the \"column\" that tells the day of a row, or `from: "
                    "year_month_day`");
    else if (is_parts && block->column.value != NULL)
        problem_add(problems, &block->column.at,
                    "with `from: year_month_day` the day is in the columns \"year\", \"month\" and "
                    "\"day\": leave \"column\" away");
    if (block->mask.value != NULL && block->from != INCREMENTAL_STRING)
        problem_add(problems, &block->mask.at, "\"mask\" is for `from: string`");
}

static const block_kind incremental_kind = {
    BLOCK_KIND("incremental", "Incremental", incremental_block, incremental_options),
    .doc =
        "Which rows a batch with `--start-date` or `--end-date` reads: those of these days, both "
        "included, and of what the longest window needs before them "
        "(docs/guide/files.md#some-days-only). A row without a day is not read. Folders whose "
        "names say another day are not opened. A run without dates, and a stream, read "
        "everything.",
    .check = check_incremental,
};

static const option bootstrap_options[] = {
    {OPTION("(kind)", KIND, bootstrap_block, kind), .required = true, .kinds = "readers",
     .doc = "Where the past lies: a `file` or a `table`. Without a `schema` its columns are those "
            "of the reader, found by name."},
    {OPTION("until", TEXT, bootstrap_block, until),
     .doc = "A time: of what lies there the rows before it are read, and of what comes live those "
            "from it on; a topic is read from that time on, unless its `start` says otherwise. "
            "Without it the past is read whole.",
     .example = "2024-05-01T00:00:00Z"},
    {OPTION("offsets", PROPERTIES, bootstrap_block, offsets), .names_are_data = true,
     .doc = "Of a topic, in the place of `until`: the offset of each partition from which on it is "
            "read, and with several topics `topic/partition`; a partition that is not named is "
            "read from its beginning.",
     .example = "{0: 1204, 1: 998}"},
    {OPTION("same", TEXTS, bootstrap_block, same),
     .doc = "Columns of the reader: a row that comes live is left out where one of the past has "
            "the same values in them.",
     .example = "[order_id]"},
    {OPTION("within", DURATION, bootstrap_block, within_us), .standard = "1 day", .minimum = 0,
     .maximum = LATENESS_MAX_US, .place_offset = offsetof(bootstrap_block, within_at) + 1,
     .doc = "With `same`: how long before the end of the past its rows are remembered for it, by "
            "some 24 bytes each. What comes live and is older is taken for a row of the past.",
     .example = "7 days"},
    {0},
};

static void check_bootstrap(void *options, const place *at, problems *problems)
{
    const bootstrap_block *block = options;
    const char *kind = block->kind.kind == NULL ? "file" : block->kind.kind->name;
    const char *until = block->until.value;
    int64_t us;
    if (strcmp(kind, "file") != 0 && strcmp(kind, "table") != 0)
        problem_add(problems, &block->kind.at,
                    "the past of a reader comes from a `file` or a `table`, which have an end, and "
                    "not from \"%s\"",
                    kind);
    if (until != NULL && !timestamp_parse(until, strlen(until), &us))
        problem_add(problems, &block->until.at,
                    "\"until\" cannot be \"%.60s\": it must be a time, as 2024-05-01T00:00:00Z; "
                    "offsets are said by \"offsets\"",
                    until);
    if (until != NULL && block->offsets.n > 0)
        problem_add(problems, &block->until.at,
                    "the end of the past is a time (`until`), or each partition's offset "
                    "(`offsets`): leave one of them away");
    for (uint32_t i = 0; i < block->offsets.n; i++) {
        const char *offset = block->offsets.items[i].value.value;
        if (offset != NULL && (offset[0] == '\0' || offset[strspn(offset, "0123456789")] != '\0'))
            problem_add(problems, &block->offsets.items[i].value.at,
                        "\"%.60s\" is no offset, which is a whole number", offset);
    }
    if (block->same.n == 0 && place_is_set(&block->within_at))
        problem_add(problems, at,
                    "`within` is for `same`: say by which columns rows of both are told to be one");
}

static const block_kind bootstrap_kind = {
    BLOCK_KIND("bootstrap", "Bootstrap", bootstrap_block, bootstrap_options),
    .doc = "The past of a reader that streams, where it lies elsewhere: it is read first, in the "
           "order of the events' times and as fast as a batch, and then what comes live "
           "(docs/guide/backfill.md#a-past-that-lies-elsewhere).",
    .check = check_bootstrap,
};

static const option reader_options[] = {
    {OPTION("id", NAME, reader_block, id), .required = true,
     .doc = "The table name that the query uses for this reader's rows.", .example = "flights"},
    {OPTION("(kind)", KIND, reader_block, kind), .required = true, .kinds = "readers",
     .doc = "Where the rows come from: exactly one of these."},
    {OPTION("stream", BOOLEAN, reader_block, stream), .standard = "false",
     .doc = "`true`: read what is there, then follow what comes, for ever. `false`: read what is "
            "there, once. A pipeline streams if one of its readers does; the others are then "
            "loaded whole and joined with each row of the stream.",
     .example = "true"},
    {OPTION("on_cast_error", CHOICE, reader_block, on_cast_error), .standard = "dead_letter",
     .choices = cast_choices,
     .doc = "What becomes of a record with a field that does not have its column's type: the "
            "record goes to the dead letters (`dead_letter`), or the field is null (`null`).",
     .example = "\"null\""},
    {OPTION("preprocess", BLOCKS, reader_block, preprocess), .block = &preprocess_step_kind,
     .doc = "What becomes of the rows before the query sees them, step by step.",
     .example = "[{filter: {condition: \"amount > 0\"}}]"},
    {OPTION_GIVEN("incremental", reader_block, incremental), .block = &incremental_kind,
     .doc = "Which rows a batch over some days reads."},
    {OPTION_GIVEN("bootstrap", reader_block, bootstrap), .block = &bootstrap_kind,
     .doc = "The past of a reader that streams, where it lies elsewhere."},
    {OPTION_GIVEN("timestamp", reader_block, timestamp), .block = &reader_timestamp_kind,
     .doc = "The time of the rows of a reader that is joined with another stream."},
    {OPTION("within", DURATION, reader_block, within_us), .minimum = 0, .maximum = LATENESS_MAX_US,
     .place_offset = offsetof(reader_block, within_at) + 1,
     .doc =
         "For a join of two streams, said at both: how much later than a row of this reader its "
         "partner's time may be. An order with `within: 10 minutes` finds payments of up to 10 "
         "minutes after it. In an as-of join, at the reader on the right: how old its row may be.",
     .example = "10 minutes"},
    {OPTION_GIVEN("hooks", reader_block, hooks), .block = &hooks_kind,
     .doc = "Checks of the rows as they are read (`before`), and behind `preprocess` (`after`)."},
    {0},
};

static const block_kind reader_kind = {
    BLOCK_KIND("reader", "Reader", reader_block, reader_options),
    .doc = "Where rows come from.",
    .check = blocks_check_reader,
};

static const option source_options[] = {
    {OPTION("readers", BLOCKS, source_block, readers), .required = true, .block = &reader_kind,
     .doc = "The readers, at least one."},
    {OPTION("query", SQL, source_block, query), .required = true,
     .doc = "One SELECT over the readers' ids, in DuckDB's SQL: projections, filters, joins with "
            "readers that do not stream, a join of two that do (`within`), UNION ALL of several. "
            "It runs on each "
            "micro-batch, row by row; what needs to see many rows of a stream (aggregates, "
            "windows, DISTINCT, ORDER BY) is refused.",
     .example = "select origin, sched_dep, dep_delay from flights"},
    {OPTION_GIVEN("hooks", source_block, hooks), .block = &hooks_kind,
     .doc = "Checks of the query's rows (`after`)."},
    {0},
};

static void check_source(void *options, const place *at, problems *problems)
{
    const source_block *source = options;
    (void)at;
    blocks_check_hooks(&source->hooks.before,
                       "what goes into the query are the rows of its readers: write this hook "
                       "under `hooks: {after: [...]}` of the reader; the query's own rows are "
                       "checked by `after` here",
                       problems);
}

static const block_kind source_kind = {
    BLOCK_KIND("source", "Source", source_block, source_options),
    .doc = "The rows that features are made from: readers, and one SQL query over them.",
    .check = check_source,
};

static const option macro_options[] = {
    {OPTION("name", NAME, macro_block, name), .required = true,
     .doc = "What it is called by; no name of a function that there is.", .example = "divide"},
    {OPTION("parameters", TEXTS, macro_block, parameters),
     .doc = "The names of its parameters, in order.", .example = "[a, b]"},
    {OPTION("sql", SQL, macro_block, sql), .required = true,
     .doc = "One SQL expression. Its parameters stand for what a call gives; all other names are "
            "columns where it is called. It can call the macros above it.",
     .example = "\"a / b\""},
    {0},
};

static const block_kind macro_kind = {
    BLOCK_KIND("macro", "Macro", macro_block, macro_options),
    .doc = "An SQL expression with a name. `- divide(a, b): a / b` is short for `- {name: divide, "
           "parameters: [a, b], sql: a / b}`. The query, the steps of `preprocess`, `sql` and "
           "`filter` of features call it as a function, `divide(rent, area)`, or with names, "
           "`divide(b => area, a => rent)`.",
    .unfold = macro_unfold,
};

static const option writer_options[] = {
    {OPTION("(kind)", KIND, writer_block, kind), .required = true, .kinds = "writers",
     .doc = "Where feature rows go: exactly one of these."},
    {OPTION("select", TEXTS, writer_block, select),
     .doc = "The columns that are written, by their names; by default all. `jsonl` and `kafka` "
            "write them in this order, and may leave out any; the others need the keys and "
            "`timestamp`, which come first.",
     .example = "[origin, timestamp, delay__avg_over_2_hours_fixed_windows]"},
    {OPTION("validate", BOOLEAN, writer_block, validate), .standard = "false",
     .doc = "`true`: at the end of a batch the rows that it has written are read back and counted; "
            "where they are not as many, the run ends with exit code 1. For `history` (the "
            "partitions that it has written), `kafka` (nobody else may write to the topic "
            "meanwhile) and Cassandra (each key that it has written is read once; its row is "
            "there, or a newer one)."},
    {OPTION_GIVEN("hooks", writer_block, hooks), .block = &hooks_kind,
     .doc = "Checks of the rows that this writer gets (`before`)."},
    {0},
};

static const char no_after[] =
    "a hook cannot look at rows behind a writer: write it under `before`, which looks at the same "
    "rows before they are written; whether all of them are there afterwards a batch sees by "
    "`validate: true` of the writer";

static void blocks_check_writer(void *options, const place *at, problems *problems)
{
    (void)at;
    blocks_check_hooks(&((const writer_block *)options)->hooks.after, no_after, problems);
}

static void check_sink(void *options, const place *at, problems *problems)
{
    (void)at;
    blocks_check_hooks(&((const sink_block *)options)->hooks.after, no_after, problems);
}

static const block_kind writer_kind = {
    BLOCK_KIND("writer", "Writer", writer_block, writer_options),
    .doc = "One place that feature rows go to.",
    .check = blocks_check_writer,
};

static const option sink_options[] = {
    {OPTION("writers", BLOCKS, sink_block, writers), .required = true, .block = &writer_kind,
     .doc = "The writers, at least one. Each gets every feature row.",
     .example = "[{online: {debug: true}}]"},
    {OPTION_GIVEN("hooks", sink_block, hooks), .block = &hooks_kind,
     .doc = "Checks of the feature rows before any writer gets them (`before`)."},
    {0},
};

static const block_kind sink_kind = {
    BLOCK_KIND("sink", "Sink", sink_block, sink_options),
    .doc = "Where the feature rows go. `freshet run --debug` puts the debug table in the place of "
           "all writers.",
    .check = check_sink,
};

static const option dead_letters_options[] = {
    {OPTION("path", TEXT, dead_letters_block, path),
     .doc = "The file they are appended to, one JSON object a line. `PIPELINE.dead_letters.jsonl` "
            "beside the declaration unless said.",
     .example = "out/refused.jsonl"},
    {OPTION("fail_above", TEXT, dead_letters_block, fail_above),
     .doc =
         "How many rows may be refused: a number (`100`), or a share of the rows read (`1 %`). A "
         "run with more ends with exit code 65. A batch does so before anything is published; a "
         "stream looks at each 10,000 rows that it reads, and leaves those since its last "
         "checkpoint to be read again. Without it, a run that has an end fails where rows were "
         "refused and none at all was written.",
     .example = "1 %"},
    {OPTION("max_size", BYTES, dead_letters_block, max_size), .minimum = 4096, .maximum = INT64_MAX,
     .doc = "A larger file is renamed to `PATH.1`, that to `PATH.2`, and so on, and a new one "
            "begins. Without it the file grows for ever.",
     .example = "100 MB"},
    {OPTION("keep", INTEGER, dead_letters_block, keep), .standard = "5", .minimum = 1,
     .maximum = 1000, .doc = "How many of the renamed files are kept; the oldest is removed."},
    {0},
};

/* "1 %", "0.5%" or "100". */
static void check_dead_letters(void *checked, const place *at, problems *problems)
{
    dead_letters_block *block = checked;
    const char *text = block->fail_above.value;
    double share = -1;
    (void)at;
    block->fail_rows = -1;
    if (text == NULL)
        return;
    if (value_limit(text, &block->fail_rows, &share)) {
        block->fail_share = share > 0 ? share : 0;
        return;
    }
    problem_add(
        problems, &block->fail_above.at,
        "\"fail_above\" cannot be \"%.60s\": it must be a number of rows, such as 100, or a "
        "share of the rows read, such as \"1 %%\" (less than 100 %%)",
        text);
}

static const block_kind dead_letters_kind = {
    BLOCK_KIND("dead_letters", "Dead letters", dead_letters_block, dead_letters_options),
    .doc = "Rows that were refused (broken records, values that do not cast, a null key or time), "
           "with the reader, the position, the reason and the raw record. They stop a run only as "
           "`fail_above` says. See docs/guide/dead-letters.md.",
    .check = check_dead_letters,
};

static const option checkpoint_options[] = {
    {OPTION("interval", DURATION, checkpoint_block, interval_us), .standard = "1 second",
     .minimum = 1000, .maximum = LATENESS_MAX_US,
     .doc = "How often positions and state are made durable. Longer by itself where that would "
            "take much of the time.",
     .example = "10 seconds"},
    {0},
};

static const block_kind checkpoint_kind = {
    BLOCK_KIND("checkpoint", "Checkpoint", checkpoint_block, checkpoint_options),
    .doc = "What a stream has read and remembers is kept in its state folder, so that a restart "
           "goes on where it ended. See docs/guide/delivery.md.",
};

static const option state_options[] = {
    {OPTION("path", TEXT, state_block, path),
     .doc = "The state folder. By default `PIPELINE.state` beside the declaration; but a stream "
            "whose only writer is the debug table keeps no state unless this (or `--state`) says "
            "where, since its table begins empty. `--debug` leaves it alone.",
     .example = "/var/lib/freshet/airport_delays"},
    {OPTION("memory", MEMORY, state_block, memory), .standard = "1 GiB",
     .minimum = STATE_MEMORY_MIN, .maximum = INT64_MAX,
     .doc =
         "How much memory the state may take, with its checkpoints and the store's cache; keys "
         "that were not used for the longest wait in the state folder. A size, or a share of what "
         "there is: of the cgroup's limit where there is one, else of the machine's memory "
         "(`25%`). See docs/guide/memory.md.",
     .example = "4 GiB"},
    {0},
};

static const block_kind state_kind = {
    BLOCK_KIND("state", "State", state_block, state_options),
    .doc = "What is remembered of keys between rows.",
};

static const option compare_options[] = {
    {OPTION("fail_above", TEXT, compare_block, fail_above), .standard = "0",
     .doc =
         "How many rows may be stale, missing, unknown or different: a number (`10`), or a share "
         "of the rows compared (`0.1 %`). With more, `freshet compare` ends with exit code 1.",
     .example = "0.1 %"},
    {OPTION("grace", DURATION, compare_block, grace_us), .standard = "0 seconds", .minimum = 0,
     .maximum = LATENESS_MAX_US,
     .doc = "So much older may a row of the online store be than the newest one of the history.",
     .example = "1 minute"},
    {OPTION("tolerance", TEXT, compare_block, tolerance), .standard = "0",
     .doc = "So far, as a part of the greater one, may two floats or doubles be apart.",
     .example = "1e-9"},
    {0},
};

static void check_compare(void *checked, const place *at, problems *problems)
{
    const compare_block *block = checked;
    int64_t count;
    double share;
    (void)at;
    if (!value_limit(block->fail_above.value, &count, &share))
        problem_add(problems, &block->fail_above.at,
                    "\"fail_above\" cannot be \"%.60s\": it must be a number of rows, such as 10, "
                    "or a share of the rows compared, such as \"0.1 %%\" (less than 100 %%)",
                    block->fail_above.value);
    if (!value_fraction(block->tolerance.value, &share))
        problem_add(problems, &block->tolerance.at,
                    "\"tolerance\" cannot be \"%.60s\": it must be a number from 0 to less than 1, "
                    "such as 1e-9",
                    block->tolerance.value);
}

static const block_kind compare_kind = {
    BLOCK_KIND("compare", "Comparison", compare_block, compare_options),
    .doc = "What `freshet compare` lets pass: see docs/guide/compare.md.",
    .check = check_compare,
};

static const option declaration_options[] = {
    {OPTION("version", INTEGER, declaration, version), .required = true, .minimum = 1, .maximum = 1,
     .doc = "The version of this form of declaration.", .example = "1"},
    {OPTION("pipeline", TEXT, declaration, pipeline), .required = true,
     .doc = "The pipeline's name: letters, digits, `_`, `.` and `-`, at most 64. It names the run "
            "that `freshet query` finds.",
     .example = "airport_delays"},
    {OPTION("dialect", CHOICE, declaration, dialect), .standard = "duckdb",
     .choices = dialect_choices, .place_offset = offsetof(declaration, dialect_at) + 1,
     .doc = "The SQL of all queries, `sql:` features, filters and hooks: DuckDB's, or with `spark` "
            "that of Spark 3.5 (ANSI mode off, UTC) with Spark's values. What cannot be had so is "
            "refused, with what to write instead.",
     .example = "spark"},
    {OPTION("workers", INTEGER, declaration, workers), .minimum = 1, .maximum = CREW_WORKERS_MAX,
     .place_offset = offsetof(declaration, workers_at) + 1,
     .doc = "How many threads share the work of large micro-batches: reading, keyed state, "
            "checkpoints. By default as many as the cores that the process may use, cpusets and "
            "the cgroup's limit included, but 64 at most. Neither rows nor state depend on it. See "
            "docs/guide/workers.md.",
     .example = "2"},
    {OPTION("plugins", TEXTS, declaration, plugins),
     .doc = "Shared libraries with SQL functions of your own (freshet/plugin.h). A plugin is code "
            "that runs as you, also where the declaration is only checked.",
     .example = "[./divide.so]"},
    {OPTION("macros", BLOCKS, declaration, macros), .block = &macro_kind,
     .doc = "SQL expressions that the SQL of the declaration calls by name: Butterfree's custom "
            "transformations.",
     .example = "[\"divide(a, b)\": a / b]"},
    {OPTION("source", BLOCK, declaration, source), .required = true, .block = &source_kind,
     .doc = "The rows that features are made from."},
    {OPTION("feature_set", BLOCK, declaration, feature_set), .required = true,
     .block = &feature_set_kind, .doc = "What is computed from them."},
    {OPTION("sink", BLOCK, declaration, sink), .required = true, .block = &sink_kind,
     .doc = "Where the feature rows go.", .example = "{writers: [{online: {debug: true}}]}"},
    {OPTION("dead_letters", BLOCK, declaration, dead_letters), .block = &dead_letters_kind,
     .doc = "Where refused rows go."},
    {OPTION("checkpoint", BLOCK, declaration, checkpoint), .block = &checkpoint_kind,
     .doc = "How often a stream's state is made durable."},
    {OPTION_GIVEN("state", declaration, state), .block = &state_kind,
     .doc = "How much is remembered in memory. A batch with this block leaves a checkpoint, behind "
            "which the same declaration goes on as a stream: see docs/guide/backfill.md."},
    {OPTION("batch", BLOCK, declaration, batch), .block = &batch_kind,
     .doc = "What a batch may take while it runs; a stream has `state`."},
    {OPTION_GIVEN("http", declaration, http), .block = &http_kind,
     .doc = "Where the run answers by HTTP: probes, status, metrics.", .example = "127.0.0.1:8080"},
    {OPTION_GIVEN("serve", declaration, serve), .block = &serve_kind,
     .doc = "Serves each key's newest row to models.", .example = "{max_age: 2 days}"},
    {OPTION("compare", BLOCK, declaration, compare), .block = &compare_kind,
     .doc = "How the online store and the history are compared."},
    {OPTION("tests", BLOCKS, declaration, tests), .block = &test_kind, .is_aside = true,
     .doc = "Tests of this declaration, for `freshet test`: see docs/guide/tests.md. They may also "
            "stand in a file beside it, `NAME.test.yaml`."},
    {0},
};

const block_kind declaration_block = {
    BLOCK_KIND("declaration", "Declaration", declaration, declaration_options),
    .doc = "The whole file.",
    .check = check_root,
};

const char declaration_example[] =
    "version: 1\n"
    "pipeline: airport_delays\n"
    "source:\n"
    "  readers:\n"
    "    - id: flights\n"
    "      file: {path: data/flights, format: json}\n"
    "      stream: true\n"
    "    - id: airports\n"
    "      file: {path: data/airports.csv, format: csv}\n"
    "  query: |\n"
    "    select f.origin, a.name as airport, f.sched_dep, f.dep_delay\n"
    "    from flights f join airports a on a.faa = f.origin\n"
    "feature_set:\n"
    "  name: airport_delays\n"
    "  entity: airport\n"
    "  description: Departure delays by airport\n"
    "  keys:\n"
    "    - {name: origin, type: string, description: IATA code}\n"
    "  timestamp: {from: sched_dep}\n"
    "  features:\n"
    "    - {name: airport, type: string}\n"
    "    - {name: dep_delay, type: double, description: minutes}\n"
    "    - {name: is_late, type: boolean, sql: \"dep_delay > 15\"}\n"
    "sink:\n"
    "  writers:\n"
    "    - online: {debug: true}\n";
