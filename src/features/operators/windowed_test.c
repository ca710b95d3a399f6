/* Feature sets with windows from their declaration: what is said of mistakes; rows in batch and on
 * streams, the newest row given again; rows that come too late or too early; the state as a
 * checkpoint sees it. What windows compute is tested in windows/, and against Butterfree in
 * tests/golden.
 */
#include "features/features_testing.h"

#include <stdlib.h>

#include "base/os.h"
#include "features/watermark.h"

#define IDLE_US INT64_C(60000000) /* the default */
#define TIME "  timestamp: {from: ts, lateness: 10 seconds}\n"
#define COUNT "window: {functions: [count], over: [1 minute]}"

/* What is said, with short forms for what is long. */
static void expect_rows(world *world, const char *said)
{
    static const struct {
        const char *shorthand, *text;
    } forms[] = {
        {"<avg>", "\"f__avg_over_60_seconds_fixed_windows\":"},
        {"<count>", "\"f__count_over_1_minute_fixed_windows\":"},
        {"<f>", "\"f__sum_over_1_minute_fixed_windows\":"},
        {"<g>", ",\"g__collect_list_over_2_events_row_windows\":"},
        {"<h>", ",\"h__collect_list_over_2_events_row_windows\":"},
    };
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    while (*said != '\0') {
        size_t i = 0;
        while (i < 5 && strncmp(said, forms[i].shorthand, strlen(forms[i].shorthand)) != 0)
            i++;
        if (i < 5) {
            text_append_c(&text, forms[i].text);
            said += strlen(forms[i].shorthand);
        } else if (*said == '@') { /* "@15 " */
            text_format(&text, "\"timestamp\":\"1970-01-01T00:00:%.2s.000000Z\",", said + 1);
            said += 4;
        } else {
            text_append_char(&text, *said++);
        }
    }
    expect(world, text.bytes);
    text_release(&text);
}

/* ---- declarations ---------------------------------------------------------------------------- */

static void check_mistake(world *world, bool stream, const char *features, const char *said)
{
    const char *set = arena_format(world->arena, TIME "  features:\n%s", features);
    if (open_set(
            world, stream,
            "SELECT 1::BIGINT AS id, TIMESTAMP '2024-05-01' AS ts, 1.0::DOUBLE AS x, 's' AS s, "
            "{'a': 1} AS st, [1] AS list",
            set) == FRESHET_OK)
        fail_msg("no problem in\n%s", set);
    expect(world, said);
}

static void mistakes(void **state)
{
    static const struct {
        const char *features, *said;
    } cases[] = {
        {"    - {name: f, from: y, " COUNT "}\n",
         "feature \"f\": there is no column \"y\" in the source's query or among what stands "
         "above\n"},
        {"    - {name: s, window: {functions: [avg, count, bit_and], over: [1 day]}}\n",
         "feature \"s\": avg cannot be computed of a column of type string: it takes numbers, such "
         "as "
         "a feature above of type double\n"
         "feature \"s\": bit_and cannot be computed of a column of type string: it takes integers, "
         "such as a feature above of type bigint\n"},
        {"    - {name: list, window: {functions: [last], over: [1 day]}}\n",
         "feature \"list\": last cannot be computed of a column of type array<integer>: it takes "
         "single values, such as a feature above whose `sql` takes one from it\n"},
        {"    - {name: x, type: date, " COUNT "}\n",
         "feature \"x\": count gives bigint, which cannot be cast to date\n"},
        {"    - {name: x, window: {functions: [avg, {count: date}], over: [1 day]}}\n",
         "feature \"x\": count gives bigint, which cannot be cast to date\n"},
        {"    - {name: f, from: x, " COUNT "}\n"
         "    - {name: g, from: f__count_over_1_minute_fixed_windows, " COUNT "}\n",
         "feature \"g\": column \"f__count_over_1_minute_fixed_windows\" is made of a window, and "
         "what a window looks at cannot be: windows look at what the row itself brings\n"},
        {"    - {name: f, from: x, " COUNT "}\n"
         "    - {name: g, type: bigint, sql: f__count_over_1_minute_fixed_windows + 1}\n"
         "    - {name: h, from: x, filter: g > 1, " COUNT "}\n",
         "the filter of feature \"h\": column \"g\" is made of a window, and what a window looks "
         "at "
         "cannot be: windows look at what the row itself brings\n"},
        {"    - {name: f, from: x, filter: x >, " COUNT "}\n", NULL},
        {"    - {name: f, from: x, filter: list, " COUNT "}\n",
         "the filter of feature \"f\": its SQL gives array<integer>, which cannot be cast to "
         "boolean\n"},
        {"    - {name: f, from: x, filter: z > 1, " COUNT "}\n",
         "the filter of feature \"f\": there is no column \"z\" in the source's query or among "
         "what "
         "stands above\n"},
        {"    - {name: f, from: x, " COUNT "}\n    - {name: f, from: s, " COUNT "}\n",
         "feature \"f\": there is a column \"f__count_over_1_minute_fixed_windows\" already: "
         "choose "
         "another name\n"},
        {"    - {name: f, from: x, window: {functions: [count], over: [1 day], partition_by: "
         "st}}\n",
         "feature \"f\": column \"st\" is an array or a struct: windows are made by single "
         "values\n"},
        {"    - {name: f, from: x, window: {functions: [count], over: [1 day], partition_by: [id, "
         "zz]}}\n",
         "feature \"f\": there is no column \"zz\" in the source's query or among what stands "
         "above\n"},
        {"    - {name: f, from: x, " COUNT "}\n"
         "    - {name: g, type: double, sql: f__count_over_1_minute_fixed_windows + st.a}\n",
         "column \"st\" is a struct, and cannot stand in an expression beside windows: make a "
         "feature of its field first\n"},
        {"    - {name: f, type: double, sql: avg(x)}\n",
         "feature \"f\": avg() is an aggregate of many rows, and a feature's SQL sees one row at a "
         "time: for values of many rows use `window`\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cases[i].said != NULL)
            check_mistake(*state, i % 2 == 0, cases[i].features, cases[i].said);
    check_mistake(*state, true,
                  "    - {name: f, from: x, window: {functions: [count], over: [2 events], mode: "
                  "row_windows, order_by: s}}\n",
                  "feature \"f\": on a stream windows can be ordered by numbers and times, not by "
                  "texts\n");
}

/* Names as Butterfree's; types of the function, the feature, the one beside the function. */
static void columns_and_types(void **state)
{
    world *world = *state;
    open_stream(world,
                TIME "  features:\n"
                     "    - {name: x, type: double}\n"
                     "    - {name: x, window: {functions: [avg, countDistinct], over: [2 hours, 1 "
                     "week]}}\n"
                     "    - {name: y, from: x, type: float, window: {functions: [max, {count: "
                     "integer}, percentile(0.999)], over: 3 events, mode: row_windows}}\n"
                     "    - {name: z, type: string, from: y__count_over_3_events_row_windows}\n");
    const schema *schema = feature_set_schema(world->set);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < schema->n_fields; i++)
        text_format(&text, "%s %s\n", schema->fields[i].name,
                    type_name(world->arena, schema->fields[i].type));
    assert_string_equal(text.bytes, "id bigint\n"
                                    "timestamp timestamp\n"
                                    "x double\n"
                                    "x__avg_over_2_hours_fixed_windows double\n"
                                    "x__avg_over_1_week_fixed_windows double\n"
                                    "x__countDistinct_over_2_hours_fixed_windows bigint\n"
                                    "x__countDistinct_over_1_week_fixed_windows bigint\n"
                                    "y__max_over_3_events_row_windows float\n"
                                    "y__count_over_3_events_row_windows integer\n"
                                    "y__percentile_99_9_over_3_events_row_windows float\n"
                                    "z string\n");
    text_release(&text);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* Before the windows: expressions and filters; after them: what uses them. A plain column is
 * carried to the newest row that is given again. */
#define FEATURES                                                                                \
    "  features:\n"                                                                             \
    "    - {name: s, type: string}\n"                                                           \
    "    - {name: twice, type: double, sql: x * 2}\n"                                           \
    "    - {name: f, from: twice, filter: \"s <> 'no'\", window: {functions: [avg], over: [60 " \
    "seconds]}}\n"                                                                              \
    "    - {name: g, type: string, sql: \"s || ':' || (twice - "                                \
    "f__avg_over_60_seconds_fixed_windows)\"}\n"

static void stream_gives_newest_rows_again(void **state)
{
    world *world = *state;
    open_stream(world, TIME FEATURES);
    run_rows(world, ROWS("(1, 10" S ", 5, 'a'), (1, 20" S ", 7, 'b'), (2, 20" S ", 1, 'c')"));
    expect_rows(world, "NO+0 {\"id\":1,@10 \"s\":\"a\",\"twice\":10.0,<avg>10.0,\"g\":\"a:0.0\"}\n"
                       "NO+0 {\"id\":1,@20 \"s\":\"b\",\"twice\":14.0,<avg>12.0,\"g\":\"b:2.0\"}\n"
                       "NO+0 {\"id\":2,@20 \"s\":\"c\",\"twice\":2.0,<avg>2.0,\"g\":\"c:0.0\"}\n");
    /* a late event, and one that the filter leaves out, behind which nothing changes but the
     * revision */
    run_rows(world, ROWS("(1, 15" S ", 4, 'late'), (1, 16" S ", 100, 'no')"));
    expect_rows(
        world,
        "N+0 {\"id\":1,@15 \"s\":\"late\",\"twice\":8.0,<avg>9.0,\"g\":\"late:-1.0\"}\n"
        "CO+1 {\"id\":1,@20 "
        "\"s\":\"b\",\"twice\":14.0,<avg>10.666666666666666,\"g\":\"b:3.333333333333334\"}\n"
        "N+0 {\"id\":1,@16 \"s\":\"no\",\"twice\":200.0,<avg>9.0,\"g\":\"no:191.0\"}\n"
        "CO+2 {\"id\":1,@20 "
        "\"s\":\"b\",\"twice\":14.0,<avg>10.666666666666666,\"g\":\"b:3.333333333333334\"}\n");
}

static void batch_sees_all_rows(void **state)
{
    world *world = *state;
    if (open_set(world, false, ROWS("(1, 0, 0, 'a')"), TIME FEATURES) != FRESHET_OK)
        fail_msg("%s", world->said.bytes);
    run_rows(world, ROWS("(1, 10" S ", 5, 'a'), (1, 20" S ", 7, 'b')"));
    run_rows(world, ROWS("(1, 15" S ", 4, 'late'), (NULL, 16" S ", 1, 'c')"));
    expect(world, "refused 1: key \"id\" is null\n");
    finish(world);
    expect_rows(
        world, "{\"id\":1,@10 \"s\":\"a\",\"twice\":10.0,<avg>10.0,\"g\":\"a:0.0\"}\n"
               "{\"id\":1,@20 "
               "\"s\":\"b\",\"twice\":14.0,<avg>10.666666666666666,\"g\":\"b:3.333333333333334\"}\n"
               "{\"id\":1,@15 \"s\":\"late\",\"twice\":8.0,<avg>9.0,\"g\":\"late:-1.0\"}\n");
}

/* A batch without rows, and one that is longer than a piece. */
static void batches_of_any_length(void **state)
{
    world *world = *state;
    for (unsigned rows = 0; rows <= 40000; rows += 20000) {
        freshet_error err = {0};
        if (open_set(world, false, ROWS("(1, 0, 0, 'a')"),
                     TIME "  features: [{name: f, from: x, " COUNT "}]\n") != FRESHET_OK)
            fail_msg("%s", world->said.bytes);
        for (unsigned done = 0; done < rows; done += 20000) {
            batch in = rows_of(world, "SELECT 1::BIGINT AS id, make_timestamp(i * 1000000) AS ts, "
                                      "1.0::DOUBLE AS x, 's' AS s FROM range(20000) t(i)"),
                  out;
            must(feature_set_run(world->set, world->arena, &in, &out, refuse, world, &err), &err);
            assert_int_equal(out.n_rows, 0);
        }
        unsigned n = 0;
        int64_t last = 0;
        batch out;
        while (feature_set_finish(world->set, world->arena, &out, refuse, world, &err) ==
               FRESHET_OK) {
            n += out.n_rows;
            last = ((const int64_t *)out.columns[2].data)[out.n_rows - 1];
        }
        assert_int_equal(n, rows);
        assert_int_equal(last, rows == 0 ? 0 : 61 * (rows / 20000));
        assert_int_equal(feature_set_measure(world->set).gathered, rows);
        assert_int_equal(feature_set_measure(world->set).given, rows);
    }
}

/* What the steps after the windows refuse, in batch and stream. */
static void rows_refused_after_windows(void **state)
{
    static const char set[] = TIME "  features:\n"
                                   "    - {name: f, from: x, " COUNT "}\n"
                                   "    - {name: g, type: integer, sql: \"s || '1' || "
                                   "f__count_over_1_minute_fixed_windows\"}\n";
    world *world = *state;
    open_stream(world, set);
    run_rows(world, ROWS("(1, 1" S ", 0, '5'), (1, 2" S ", 0, 'a')"));
    expect_rows(world, "refused 1: feature \"g\": cannot cast \"a12\" to integer\n"
                       "NO+0 {\"id\":1,@01 <count>1,\"g\":511}\n");
    run_rows(world, ROWS("(1, 1" S ", 0, '7')")); /* the row of 'a' is the newest all the same */
    expect_rows(world, "refused 0: feature \"g\": cannot cast \"a13\" to integer\n"
                       "N+0 {\"id\":1,@01 <count>2,\"g\":712}\n");
    if (open_set(world, false, ROWS("(1, 0, 0, 'a')"), set) != FRESHET_OK)
        fail_msg("%s", world->said.bytes);
    run_rows(world, ROWS("(1, 1" S ", 0, '5'), (1, 2" S ", 0, 'a')"));
    finish(world);
    expect_rows(world, "refused 1: feature \"g\": cannot cast \"a12\" to integer\n"
                       "{\"id\":1,@01 <count>1,\"g\":511}\n");
}

static void sums_that_do_not_fit(void **state)
{
    world *world = *state;
    const char *input = "SELECT 1::BIGINT AS id, make_timestamp(i * 1000000) AS ts, "
                        "9000000000000000000::BIGINT AS x FROM range(2) t(i)";
    const char *features =
        "  features: [{name: f, from: x, window: {functions: [sum], over: [1 minute]}}]\n";
    for (int stream = 0; stream < 2; stream++) {
        if (open_set(world, stream, input, arena_format(world->arena, TIME "%s", features)) !=
            FRESHET_OK)
            fail_msg("%s", world->said.bytes);
        run_rows(world, input);
        finish(world);
        expect_rows(world,
                    arena_format(world->arena,
                                 "refused 1: a window's result does not fit its type: use a wider "
                                 "type for the column, such as decimal(38,0) or double\n"
                                 "%s{\"id\":1,@00 <f>9000000000000000000}\n",
                                 stream ? "NO+0 " : ""));
        if (open_set(world, stream, input,
                     arena_format(world->arena, "  on_cast_error: \"null\"\n" TIME "%s",
                                  features)) != FRESHET_OK)
            fail_msg("%s", world->said.bytes);
        run_rows(world, input);
        finish(world);
        assert_non_null(strstr(world->said.bytes, "\"f__sum_over_1_minute_fixed_windows\":null}"));
    }
}

/* Partitions and orders of their own, in batch. */
static void other_views(void **state)
{
    world *world = *state;
    static const char set[] = TIME
        "  features:\n"
        "    - {name: f, from: x, window: {functions: [sum], over: [1 minute], partition_by: s}}\n"
        "    - {name: g, from: x, window: {functions: [collect_list], over: [2 events], mode: "
        "row_windows, order_by: x}}\n"
        "    - {name: h, from: x, window: {functions: [collect_list], over: [2 events], mode: "
        "row_windows, partition_by: [id], order_by: timestamp}}\n";
    static const char rows[] = ROWS("(1, 1" S ", 5, 'a'), (2, 2" S ", 7, 'a'), (1, 3" S
                                    ", 6, 'b'), (1, 4" S ", NULL, 'a'), (1, 5" S ", 4, 'b')");
    if (open_set(world, false, ROWS("(1, 0, 0, 'a')"), set) != FRESHET_OK)
        fail_msg("%s", world->said.bytes);
    run_rows(world, rows);
    finish(world);
    expect_rows(world, "{\"id\":1,@01 <f>5.0<g>[4.0,5.0]<h>[5.0]}\n"
                       "{\"id\":2,@02 <f>12.0<g>[7.0]<h>[7.0]}\n"
                       "{\"id\":1,@03 <f>6.0<g>[5.0,6.0]<h>[5.0,6.0]}\n"
                       "{\"id\":1,@04 <f>12.0<g>[]<h>[6.0]}\n"
                       "{\"id\":1,@05 <f>10.0<g>[4.0]<h>[4.0]}\n");
    /* on a stream: at the row's arrival */
    open_stream(world, set);
    text_reset(&world->said); /* the warning of order_by */
    run_rows(world, rows);
    expect_rows(world, "NO+0 {\"id\":1,@01 <f>5.0<g>[5.0]<h>[5.0]}\n"
                       "NO+0 {\"id\":2,@02 <f>12.0<g>[7.0]<h>[7.0]}\n"
                       "NO+0 {\"id\":1,@03 <f>6.0<g>[5.0,6.0]<h>[5.0,6.0]}\n"
                       "NO+0 {\"id\":1,@04 <f>12.0<g>[]<h>[6.0]}\n"
                       "NO+0 {\"id\":1,@05 <f>10.0<g>[4.0]<h>[4.0]}\n");
}

/* ---- late and early -------------------------------------------------------------------------- */

static void late_rows(void **state)
{
    world *world = *state;
    static const char rows[] = ROWS("(1, 30" S ", 0, 'a'), (1, 20" S ", 0, 'b'), (2, 19" S
                                    ", 0, 'c'), (2, 19999999, 0, 'd')");
    open_stream(world, TIME "  features: [{name: f, from: x, " COUNT "}]\n");
    run_rows(world, rows);
    expect_rows(world, "refused 2: timestamp: it is 11 seconds behind the newest row of its "
                       "partition, and \"lateness\" allows 10 seconds\n"
                       "refused 3: timestamp: it is 11 seconds behind the newest row of its "
                       "partition, and \"lateness\" allows 10 seconds\n"
                       "NO+0 {\"id\":1,@30 <count>1}\n"
                       "N+0 {\"id\":1,@20 <count>1}\n"
                       "CO+1 {\"id\":1,@30 <count>2}\n");
    open_stream(world, "  timestamp: {from: ts, lateness: 10 seconds, late: drop}\n"
                       "  features: [{name: f, from: x, " COUNT "}]\n");
    run_rows(world, rows);
    expect_rows(world, "NO+0 {\"id\":1,@30 <count>1}\n"
                       "N+0 {\"id\":1,@20 <count>1}\n"
                       "CO+1 {\"id\":1,@30 <count>2}\n");
    assert_int_equal(feature_set_measure(world->set).dropped, 2);
    open_stream(world, "  timestamp: {from: ts, lateness: 10 seconds, late: update}\n"
                       "  features: [{name: f, from: x, " COUNT "}]\n");
    run_rows(world, rows);
    run_rows(world, ROWS("(1, 1" S ", 0, 'e')"));
    expect_rows(world,
                "NO+0 {\"id\":1,@30 <count>1}\n"
                "N+0 {\"id\":1,@20 <count>1}\n"
                "CO+1 {\"id\":1,@30 <count>2}\n"
                "NO+0 {\"id\":2,@19 <count>1}\n"
                "NO-999998 {\"id\":2,\"timestamp\":\"1970-01-01T00:00:19.999999Z\",<count>2}\n"
                "N+0 {\"id\":1,@01 <count>1}\n"
                "CO+2 {\"id\":1,@30 <count>3}\n");
}

/* Each lane has its own watermark; no lane makes the rows of another late, also of the same key. */
static void lanes_have_their_own_watermarks(void **state)
{
    world *world = *state;
    static uint32_t lanes[] = {0, 7, 0, 7, 7};
    open_stream(world, TIME "  features: [{name: f, from: x, " COUNT "}]\n");
    world->lanes = lanes;
    run_rows(world, ROWS("(1, 50" S ", 0, 'a'), (1, 5" S ", 0, 'b'), (1, 10" S ", 0, 'c'), (1, 16" S
                         ", 0, 'd'), (1, 5" S ", 0, 'e')"));
    expect_rows(world, "refused 2: timestamp: it is 40 seconds behind the newest row of its "
                       "partition, and \"lateness\" allows 10 seconds\n"
                       "refused 4: timestamp: it is 11 seconds behind the newest row of its "
                       "partition, and \"lateness\" allows 10 seconds\n"
                       "NO+0 {\"id\":1,@50 <count>1}\n"
                       "N+0 {\"id\":1,@05 <count>1}\n"
                       "CO+1 {\"id\":1,@50 <count>2}\n"
                       "N+0 {\"id\":1,@16 <count>2}\n"
                       "CO+2 {\"id\":1,@50 <count>3}\n");
    world->lanes = NULL;
}

/* 1.5 seconds count as two whole ones: for late rows, and for the events that these look
 * back on. */
static void lateness_is_rounded_up(void **state)
{
    world *world = *state;
    open_stream(world, "  timestamp: {from: ts, lateness: 1500 ms}\n"
                       "  features: [{name: f, from: x, " COUNT "}]\n");
    run_rows(world, ROWS("(1, 19" S ", 0, 'a'), (1, 80" S ", 0, 'b'), (1, 78" S
                         ", 0, 'c'), (1, 77999999, 0, 'd')"));
    expect_rows(world,
                "refused 3: timestamp: it is 3 seconds behind the newest row of its partition, and "
                "\"lateness\" allows 2 seconds\n"
                "NO+0 {\"id\":1,@19 <count>1}\n"
                "NO+0 {\"id\":1,\"timestamp\":\"1970-01-01T00:01:20.000000Z\",<count>1}\n"
                "N+0 {\"id\":1,\"timestamp\":\"1970-01-01T00:01:18.000000Z\",<count>2}\n"
                "CO+1 {\"id\":1,\"timestamp\":\"1970-01-01T00:01:20.000000Z\",<count>2}\n");
}

static int64_t clock_us;

static int64_t hand(void)
{
    return clock_us;
}

/* What a partition may need is kept while the others go on, until it has been idle for
 * IDLE_US. */
static void an_idle_partition_holds_the_others_back(void **state)
{
    static uint32_t slow[] = {7}, fast[] = {8};
    world *world = *state;
    freshet_error err = {0};
    int64_t (*monotonic_us)(void) = os.monotonic_us;
    os.monotonic_us = hand;
    open_stream(world, TIME "  features: [{name: f, from: x, " COUNT "}]\n");
    must(feature_set_expect(world->set, 7, false, &err), &err);
    world->lanes = fast;
    run_rows(world, ROWS("(1, 10" S ", 0, 'a')"));
    clock_us += IDLE_US - 1;
    run_rows(world, ROWS("(1, 900" S ", 0, 'b')"));
    run_rows(world, ROWS("(1, 1800" S ", 0, 'c')"));
    world->lanes = slow;
    text_reset(&world->said);
    run_rows(world, ROWS("(1, 20" S ", 0, 'd')"));
    expect_rows(world, "N+0 {\"id\":1,@20 <count>2}\n");
    clock_us += IDLE_US;
    world->lanes = fast;
    run_rows(world, ROWS("(1, 2700" S ", 0, 'e')"));
    run_rows(world, ROWS("(1, 3600" S ", 0, 'f')"));
    world->lanes = slow;
    text_reset(&world->said);
    run_rows(world, ROWS("(1, 25" S ", 0, 'g')"));
    os.monotonic_us = monotonic_us;
    world->lanes = NULL;
    expect_rows(world,
                "refused 0: timestamp: what a row of this time needs is closed or no more kept: it "
                "is late, or its partition gave nothing for too long\n");
}

static int64_t noon_us(void)
{
    return INT64_C(43200000000);
}

static void rows_of_the_future(void **state)
{
    world *world = *state;
    int64_t (*now_us)(void) = os.now_us;
    open_stream(world, "  timestamp: {from: ts, max_future: 1 hour}\n"
                       "  features: [{name: x, type: double}]\n");
    os.now_us = noon_us;
    run_rows(world,
             ROWS("(1, 46800" S ", 1, 'a'), (1, 46801" S ", 2, 'b'), (1, 8000000000000000000, "
                  "3, 'c')"));
    os.now_us = now_us;
    expect(world, "refused 1: timestamp: it is 1 hour 1 second ahead of the clock, and "
                  "\"max_future\" allows 1 hour\n"
                  "refused 2: timestamp: it is 92592592 days 2 hours ahead of the clock, and "
                  "\"max_future\" allows 1 hour\n"
                  "{\"id\":1,\"timestamp\":\"1970-01-01T13:00:00.000000Z\",\"x\":1.0}\n");
    /* in a batch, too, where it is said */
    if (open_set(world, false, ROWS("(1, 0, 0, 'a')"),
                 "  timestamp: {from: ts, max_future: 1 hour}\n"
                 "  features: [{name: x, type: double}]\n") != FRESHET_OK)
        fail_msg("%s", world->said.bytes);
    os.now_us = noon_us;
    run_rows(world, ROWS("(1, 50000" S ", 1, 'a'), (1, 46800" S ", 2, 'b')"));
    os.now_us = now_us;
    expect(world, "refused 0: timestamp: it is 1 hour 53 minutes ahead of the clock, and "
                  "\"max_future\" allows 1 hour\n"
                  "{\"id\":1,\"timestamp\":\"1970-01-01T13:00:00.000000Z\",\"x\":2.0}\n");
}

/* ---- expiry ---------------------------------------------------------------------------------- */

static void go_on(world *world)
{
    freshet_error err = {0};
    batch out;
    while (feature_set_owes(world->set)) {
        must(feature_set_go_on(world->set, world->arena, &out, refuse, world, &err), &err);
        say(world, &out);
    }
}

#define EXPIRING TIME "  refresh: on_expiry\n"
#define ROW_WINDOW "window: {functions: [count], over: [2 events], mode: row_windows}"

/* Windows of key 1 lose its event at 10 once no row before 71 can come; then that of 20; then no
 * more. Expressions behind the windows are computed of what is left, rows stay in row windows. */
static void keys_go_out_when_events_leave(void **state)
{
    world *world = *state;
    open_stream(world, EXPIRING FEATURES "    - {name: r, from: x, " ROW_WINDOW "}\n");
    run_rows(world, ROWS("(1, 10" S ", 5, 'a'), (1, 20" S ", 7, 'b')"));
    text_reset(&world->said);
    run_rows(world, ROWS("(2, 80" S ", 1, 'c')"));
    text_reset(&world->said);
    go_on(world);
    expect(world, "");
    run_rows(world, ROWS("(2, 81" S ", 1, 'c')"));
    text_reset(&world->said);
    go_on(world);
    expect_rows(world, "O-1 {\"id\":1,\"timestamp\":\"1970-01-01T00:01:11.000000Z\",\"s\":\"b\","
                       "\"twice\":14.0,<avg>14.0,\"g\":\"b:0.0\","
                       "\"r__count_over_2_events_row_windows\":2}\n");
    /* both windows of key 2 have lost events by 300, of which the last counts */
    run_rows(world, ROWS("(3, 310" S ", 1, 'd')"));
    text_reset(&world->said);
    go_on(world);
    expect_rows(world, "O-1 {\"id\":1,\"timestamp\":\"1970-01-01T00:01:21.000000Z\",\"s\":\"b\","
                       "\"twice\":14.0,<avg>null,\"g\":null,"
                       "\"r__count_over_2_events_row_windows\":2}\n"
                       "O-1 {\"id\":2,\"timestamp\":\"1970-01-01T00:02:22.000000Z\",\"s\":\"c\","
                       "\"twice\":2.0,<avg>null,\"g\":null,"
                       "\"r__count_over_2_events_row_windows\":2}\n");
    run_rows(world, ROWS("(3, 320" S ", 1, 'd')"));
    assert_false(feature_set_owes(world->set));
}

/* Keys go out when no partition can give rows of that time any more, or when those that could are
 * idle. */
static void an_idle_partition_holds_back_what_expires(void **state)
{
    static uint32_t both[] = {7, 8}, fast[] = {8};
    world *world = *state;
    int64_t (*monotonic_us)(void) = os.monotonic_us;
    os.monotonic_us = hand;
    open_stream(world, EXPIRING FEATURES);
    world->lanes = both;
    run_rows(world, ROWS("(1, 10" S ", 5, 'a'), (2, 11" S ", 1, 'c')"));
    clock_us += IDLE_US - 1;
    world->lanes = fast;
    run_rows(world, ROWS("(2, 100" S ", 1, 'c')"));
    assert_false(feature_set_owes(world->set));
    clock_us += 1;
    run_rows(world, ROWS("(2, 101" S ", 1, 'c')"));
    os.monotonic_us = monotonic_us;
    world->lanes = NULL;
    text_reset(&world->said);
    go_on(world);
    expect_rows(world, "O-1 {\"id\":1,\"timestamp\":\"1970-01-01T00:01:11.000000Z\",\"s\":\"a\","
                       "\"twice\":10.0,<avg>null,\"g\":null}\n");
}

static void expiry_where_it_means_nothing(void **state)
{
    world *world = *state;
    static const char *const said = "refresh: on_expiry has no meaning here: rows leave "
                                    "fixed_windows of the feature set's own keys by "
                                    "time alone, and no feature has such; row_windows change when "
                                    "rows come, and other features with "
                                    "their own row\n";
    static const char *const features[] = {
        "  features: [{name: x, type: double}]\n",
        "  features: [{name: f, from: x, " ROW_WINDOW "}]\n",
        "  features: [{name: f, from: x, window: {functions: [count], over: [1 minute], "
        "partition_by: "
        "s}}]\n",
    };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(open_set(world, i != 1, ROWS("(1, 0, 0, 'a')"),
                                  arena_format(world->arena, EXPIRING "%s", features[i])),
                         FRESHET_BAD_DECLARATION);
        expect(world, said);
    }
    assert_int_equal(open_set(world, true, ROWS("(1, 0, 0, 'a')"),
                              "  timestamp: {from: ts, late: update}\n  refresh: on_expiry\n"
                              "  features: [{name: f, from: x, " COUNT "}]\n"),
                     FRESHET_BAD_DECLARATION);
    expect(world,
           "refresh: on_expiry cannot go with `late: update`: what was sent when a window lost "
           "rows could never be put right by a late one\n");
}

/* ---- state ----------------------------------------------------------------------------------- */

/* A store of one part's keys. */
typedef struct store {
    struct {
        char key[64];
        size_t key_length;
        text_buffer bytes;
    } entries[8];
    uint32_t n;
} store;

static freshet_code load(void *context, const void *key, size_t length, text_buffer *into,
                         freshet_error *err)
{
    store *store = context;
    (void)err;
    for (uint32_t i = 0; i < store->n; i++)
        if (store->entries[i].key_length == length &&
            memcmp(store->entries[i].key, key, length) == 0) {
            text_append(into, store->entries[i].bytes.bytes, store->entries[i].bytes.length);
            return FRESHET_OK;
        }
    return FRESHET_END;
}

static void checkpoint(world *world, store *store, text_buffer *facts)
{
    freshet_error err = {0};
    uint32_t n, cursor = 0;
    const state_part *part = feature_set_state(world->set, &n);
    state_key key;
    assert_int_equal(n, 1);
    assert_string_equal(part->name, "windows");
    while (state_part_next_dirty(part, &cursor, &key)) {
        uint32_t i = store->n++;
        assert_true(store->n <= 8 && key.length <= sizeof store->entries[i].key);
        memcpy(store->entries[i].key, key.bytes, key.length);
        store->entries[i].key_length = key.length;
        text_init(&store->entries[i].bytes, TEXT_LIMIT_DEFAULT);
        must(state_part_save(part, &key, &store->entries[i].bytes, &err), &err);
    }
    state_part_clean(part);
    must(feature_set_save_facts(world->set, facts, &err), &err);
}

static void release(store *store)
{
    for (uint32_t i = 0; i < store->n; i++)
        text_release(&store->entries[i].bytes);
}

#define STATE_FEATURES(over)                                                               \
    "  features: [{name: s, type: string}, {name: f, from: x, window: {functions: [avg], " \
    "over: " over "}}]\n"
#define STATE_SET(over) TIME STATE_FEATURES(over)

#define LATE_SET(lateness, over)                                                           \
    "  timestamp: {from: ts, lateness: " lateness "}\n"                                    \
    "  features: [{name: s, type: string}, {name: f, from: x, window: {functions: [avg], " \
    "over: " over "}}]\n"

static void state_goes_on_in_another_set(void **state)
{
    world *world = *state;
    freshet_error err = {0};
    store store = {.n = 0};
    text_buffer facts;
    text_init(&facts, TEXT_LIMIT_DEFAULT);
    uint32_t n;
    open_stream(world, STATE_SET("[60 seconds]"));
    state_part_set_load(feature_set_state(world->set, &n), load, &store);
    run_rows(world, ROWS("(1, 10" S ", 5, 'a'), (1, 20" S ", 7, 'b'), (2, 20" S ", 1, 'c')"));
    checkpoint(world, &store, &facts);
    assert_int_equal(store.n, 2);

    open_stream(world, STATE_SET("[60 seconds]"));
    const state_part *part = feature_set_state(world->set, &n);
    must(feature_set_restore_facts(world->set, facts.bytes, facts.length, &err), &err);
    state_part_set_load(part, load, &store);
    run_rows(world, ROWS("(1, 9" S ", 0, 'x'), (1, 15" S ", 0, 'y'), (3, 21" S ", 0, 'z')"));
    expect_rows(world, "refused 0: timestamp: it is 11 seconds behind the newest row of its "
                       "partition, and \"lateness\" allows 10 seconds\n"
                       "N+0 {\"id\":1,@15 \"s\":\"y\",<avg>2.5}\n"
                       "CO+1 {\"id\":1,@20 \"s\":\"b\",<avg>4.0}\n"
                       "NO+0 {\"id\":3,@21 \"s\":\"z\",<avg>0.0}\n");

    /* for people */
    text_buffer shown;
    text_init(&shown, TEXT_LIMIT_DEFAULT);
    must(state_part_inspect(part, store.entries[0].key, store.entries[0].key_length,
                            store.entries[0].bytes.bytes, store.entries[0].bytes.length, &shown,
                            &err),
         &err);
    assert_string_equal(shown.bytes,
                        "{\"key\": {\"id\": 1}, \"newest\": \"1970-01-01T00:00:20.000000Z\", "
                        "\"revision\": 0, \"events\": [{\"second\": "
                        "\"1970-01-01T00:00:10.000000Z\", \"x\": 5.0}, {\"second\": "
                        "\"1970-01-01T00:00:20.000000Z\", \"x\": 7.0}], \"row\": {\"s\": \"b\"}}");
    store.entries[0].bytes.bytes[20] ^= 1;
    text_reset(&shown);
    assert_int_equal(state_part_inspect(part, store.entries[0].key, store.entries[0].key_length,
                                        store.entries[0].bytes.bytes, store.entries[0].bytes.length,
                                        &shown, &err),
                     FRESHET_FAILED);
    text_release(&shown);
    text_release(&facts);
    release(&store);
}

/* As a history with corrections asks for it: each with its own time and columns. */
static void all_changed_rows_are_given_again(void **state)
{
    world *world = *state;
    world->options.corrects = true;
    open_stream(world, TIME "  features: [{name: s, type: string}, {name: f, from: x, window: "
                            "{functions: [sum], over: 4 seconds}}, {name: r, from: x, window: "
                            "{functions: [sum], over: 2 events, mode: row_windows}}, {name: both, "
                            "type: string, sql: \"concat(s, f__sum_over_4_seconds_fixed_windows, "
                            "'+', r__sum_over_2_events_row_windows)\"}]\n");
    world->options.corrects = false;
    run_rows(world, ROWS("(1, 10" S ", 1, 'a'), (1, 12500000, 2, 'b'), (1, 18" S ", 4, 'c')"));
    text_reset(&world->said);
    run_rows(world, ROWS("(1, 12100000, 8, 'd'), (2, 12" S ", 9, 'e'), (1, 13" S ", 16, 'f')"));
    expect(world, "N-100000 "
                  "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:12.100000Z\",\"s\":\"d\",\"f__sum_"
                  "over_4_seconds_fixed_windows\":11.0,\"r__sum_over_2_events_row_windows\":10.0,"
                  "\"both\":\"d11.0+10.0\"}\n"
                  "C-500000 "
                  "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:12.500000Z\",\"s\":\"b\",\"f__sum_"
                  "over_4_seconds_fixed_windows\":11.0,\"r__sum_over_2_events_row_windows\":3.0,"
                  "\"both\":\"b11.0+3.0\"}\n"
                  "CO+1 "
                  "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:18.000000Z\",\"s\":\"c\",\"f__sum_"
                  "over_4_seconds_fixed_windows\":4.0,\"r__sum_over_2_events_row_windows\":12.0,"
                  "\"both\":\"c4.0+12.0\"}\n"
                  "NO+0 "
                  "{\"id\":2,\"timestamp\":\"1970-01-01T00:00:12.000000Z\",\"s\":\"e\",\"f__sum_"
                  "over_4_seconds_fixed_windows\":9.0,\"r__sum_over_2_events_row_windows\":9.0,"
                  "\"both\":\"e9.0+9.0\"}\n"
                  "N+0 "
                  "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:13.000000Z\",\"s\":\"f\",\"f__sum_"
                  "over_4_seconds_fixed_windows\":27.0,\"r__sum_over_2_events_row_windows\":24.0,"
                  "\"both\":\"f27.0+24.0\"}\n"
                  "CO+2 "
                  "{\"id\":1,\"timestamp\":\"1970-01-01T00:00:18.000000Z\",\"s\":\"c\",\"f__sum_"
                  "over_4_seconds_fixed_windows\":4.0,\"r__sum_over_2_events_row_windows\":20.0,"
                  "\"both\":\"c4.0+20.0\"}\n");
    uint32_t n;
    assert_string_equal(feature_set_state(world->set, &n)->shape, "keys id bigint");
    assert_non_null(strstr(feature_set_state(world->set, &n)->layout, "\nrow\t"));
}

/* What another declaration means for a state of STATE_SET("[2 minutes]"), of which that layout and
 * those facts were saved: a line for each verdict. */
static void expect_verdicts(world *world, const char *declared, const text_buffer *facts,
                            const char *layout, const char *expected)
{
    freshet_error err = {0};
    uint32_t n;
    evolution out = {.arena = arena_open(), .declared = 2, .newest_us = INT64_MIN};
    text_buffer said;
    text_init(&said, TEXT_LIMIT_DEFAULT);
    text_append_c(&said, "");
    open_stream(world, declared);
    feature_set_collect(world->set, &out);
    must(feature_set_restore_facts(world->set, facts->bytes, facts->length, &err), &err);
    feature_set_collect(world->set, NULL);
    const state_part *part = feature_set_state(world->set, &n);
    const state_past past = {part->fingerprint, part->shape, layout};
    must(part->evolve(part->owner, layout == NULL ? NULL : &past, &out, &err), &err);
    for (uint32_t i = 0; i < out.n; i++)
        text_format(&said, "%s: %s%s%s\n", verdict_words[out.items[i].kind], out.items[i].subject,
                    *out.items[i].subject == '\0' ? "" : " ", out.items[i].said);
    assert_string_equal(said.bytes, expected);
    text_release(&said);
    arena_close(out.arena);
}

#define AS_IT_IS "served as it is: it keeps keys id bigint; of each event x double\n"
#define F_FILLS "fills from now on: feature \"f\" fills from "
#define X_GONE                                                                                  \
    "removed: \"x\" no window looks at it any more, and what is kept of it goes as keys come; " \
    "one that does again would fill anew\n"

static void states_of_other_declarations(void **state)
{
    world *world = *state;
    store store = {.n = 0};
    text_buffer facts;
    text_init(&facts, TEXT_LIMIT_DEFAULT);
    open_stream(world, STATE_SET("[2 minutes]"));
    run_rows(world, ROWS("(1, 100" S ", 5, 'a')"));
    checkpoint(world, &store, &facts);
    uint32_t n;
    const uint64_t fingerprint = feature_set_state(world->set, &n)->fingerprint;
    assert_string_equal(feature_set_state(world->set, &n)->shape, "keys id bigint");
    const char *layout = arena_text(world->arena, feature_set_state(world->set, &n)->layout);
    const struct {
        const char *declared, *expected;
    } cases[] = {
        {STATE_SET("[2 minutes]"), AS_IT_IS},
        {STATE_SET("[1 minute, 2 minutes]"), AS_IT_IS},
        {STATE_SET("[2 minutes], partition_by: [id]"), AS_IT_IS}, /* the keys, said again */
        {LATE_SET("70 seconds", "[1 minute]"), AS_IT_IS},         /* as far back as before */
        {LATE_SET("70 seconds", "[2 minutes]"),
         "fills from now on: timestamp: lateness rows may be later than before (10 seconds), and "
         "look back on events that are gone: windows of such rows are null until 1970-01-01 "
         "00:02:40\n"},
        {LATE_SET("1 second", "[2 minutes]"), AS_IT_IS},
        /* the newest row is of 100, and was kept with all from 120 + 10 seconds before on */
        {STATE_SET("[2 minutes, 5 minutes]"), F_FILLS "1969-12-31 23:59:31 on: \"5 minutes\" is "
                                                      "null until 1970-01-01 00:04:31; the rest of "
                                                      "it is served as it is\n"},
        {TIME "  until_full: partial\n" STATE_FEATURES("5 minutes"),
         F_FILLS "1969-12-31 23:59:31 on: \"5 minutes\" holds what is known until 1970-01-01 "
                 "00:04:31\n"},
        {STATE_SET("[5 minutes], until_full: partial"),
         F_FILLS "1969-12-31 23:59:31 on: \"5 minutes\" holds what is known until 1970-01-01 "
                 "00:04:31\n"},
        {TIME "  until_full: partial\n" STATE_FEATURES("[5 minutes], until_full: null"),
         F_FILLS "1969-12-31 23:59:31 on: \"5 minutes\" is null until 1970-01-01 00:04:31\n"},
        {TIME "  features: [{name: s, type: string}, {name: f, from: x, filter: x > 1, window: "
              "{functions: [avg], over: 1 minute}}]\n",
         F_FILLS "1970-01-01 00:01:41 on: \"1 minute\" is null until 1970-01-01 00:02:41\n" X_GONE},
        {TIME "  features: [{name: s, type: string}, {name: f, from: x, window: {functions: [avg], "
              "over: 3 events, mode: row_windows}}]\n",
         F_FILLS "1969-12-31 23:59:31 on: \"3 events\" is null until a key has had as many\n"},
        {TIME "  features: [{name: t, type: string, from: s}, {name: f, from: s, window: "
              "{functions: [count], over: 1 minute}}]\n",
         F_FILLS "1970-01-01 00:01:41 on: \"1 minute\" is null until 1970-01-01 00:02:41\n" X_GONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_verdicts(world, cases[i].declared, &facts, layout, cases[i].expected);
        assert_int_equal(feature_set_state(world->set, &n)->fingerprint, fingerprint);
    }
    expect_verdicts(world, STATE_SET("1 minute"), &facts, NULL,
                    F_FILLS "1970-01-01 00:01:41 on: \"1 minute\" is null until 1970-01-01 "
                            "00:02:41\n");
    freshet_error err = {0};
    open_stream(world, STATE_SET("[2 minutes]"));
    for (size_t length = 0; length < facts.length; length++)
        assert_int_not_equal(feature_set_restore_facts(world->set, facts.bytes, length, &err),
                             FRESHET_OK);
    text_release(&facts);
    release(&store);
}

static void check_facts(world *world, const char *bytes, size_t length, freshet_code expected,
                        const char *text)
{
    freshet_error err = {0};
    assert_int_equal(feature_set_restore_facts(world->set, bytes, length, &err), expected);
    if (text != NULL)
        assert_string_equal(err.text, text);
}

/* Facts are known by their operator's name: of one that is new or gone, of none, of an older
 * layout. */
static void facts_by_name(void **state)
{
    world *world = *state;
    freshet_error err = {0};
    static const char unknown[] = "FSF2\x0c\0\0\0\4\0\0\0else\0\0\0\0";
    static const char old[] = "\x14\0\0\0FWM1\1\0\0\0";
    static const char too_long[] = "FSF2\x0c\0\0\0\4\0\0\0else\1\0\0\0";
    text_buffer facts;
    text_init(&facts, TEXT_LIMIT_DEFAULT);
    open_stream(world, STATE_SET("[2 minutes]"));
    must(feature_set_save_facts(world->set, &facts, &err), &err);
    check_facts(world, unknown, sizeof unknown - 1, FRESHET_OK, NULL);
    assert_true(feature_set_knows_facts(unknown, sizeof unknown - 1));
    assert_false(feature_set_knows_facts(old, sizeof old - 1));
    assert_false(feature_set_knows_facts("", 0));
    check_facts(world, old, sizeof old - 1, FRESHET_FAILED,
                "the saved facts of the feature set are damaged");
    check_facts(world, too_long, sizeof too_long - 1, FRESHET_FAILED,
                "the saved facts of the feature set are damaged");
    open_stream(world, TIME "  features: [{name: x, type: double}]\n");
    check_facts(world, facts.bytes, facts.length, FRESHET_OK, NULL); /* nobody wants them */
    text_release(&facts);
}

/* After a restart: what went out does not go out again, what is due does. A key with events to lose
 * is not cold. */
static void expiry_goes_on(void **state)
{
    world *world = *state;
    freshet_error err = {0};
    store store = {.n = 0};
    text_buffer facts;
    uint32_t n;
    text_init(&facts, TEXT_LIMIT_DEFAULT);
    open_stream(world, EXPIRING STATE_FEATURES("[60 seconds]"));
    state_part_set_load(feature_set_state(world->set, &n), load, &store);
    run_rows(world, ROWS("(1, 10" S ", 5, 'a'), (1, 20" S ", 7, 'b'), (2, 85" S ", 1, 'c')"));
    go_on(world);
    checkpoint(world, &store, &facts);

    open_stream(world, EXPIRING STATE_FEATURES("[60 seconds]"));
    const state_part *part = feature_set_state(world->set, &n);
    must(feature_set_restore_facts(world->set, facts.bytes, facts.length, &err), &err);
    state_part_set_load(part, load, &store);
    for (uint32_t i = 0; i < store.n; i++)
        must(state_part_restore(part, store.entries[i].key, store.entries[i].key_length,
                                store.entries[i].bytes.bytes, store.entries[i].bytes.length, &err),
             &err);
    state_key key;
    assert_false(state_part_next_cold(part, &key));
    run_rows(world, ROWS("(2, 86" S ", 1, 'c')"));
    assert_false(feature_set_owes(world->set));
    run_rows(world, ROWS("(2, 99" S ", 1, 'c')"));
    text_reset(&world->said);
    go_on(world);
    expect_rows(world, "O-1 {\"id\":1,\"timestamp\":\"1970-01-01T00:01:21.000000Z\",\"s\":\"b\","
                       "<avg>null}\n");
    state_part_clean(part);
    assert_true(state_part_next_cold(part, &key)); /* key 1 */

    open_stream(world, STATE_SET("[60 seconds]")); /* without it the saved second is no matter */
    must(feature_set_restore_facts(world->set, facts.bytes, facts.length, &err), &err);
    assert_int_equal(feature_set_state(world->set, &n)->keys, STATE_ON_DEMAND);
    text_release(&facts);
    release(&store);
}

static void cold_keys_leave_and_come_back(void **state)
{
    world *world = *state;
    store store = {.n = 0};
    text_buffer facts;
    text_init(&facts, TEXT_LIMIT_DEFAULT);
    open_stream(world, STATE_SET("[60 seconds]"));
    uint32_t n;
    const state_part *part = feature_set_state(world->set, &n);
    state_part_set_load(part, load, &store);
    run_rows(world, ROWS("(1, 10" S ", 5, 'a'), (2, 11" S ", 5, 'a')"));
    checkpoint(world, &store, &facts);
    assert_int_equal(state_part_keys(part), 2);
    assert_true(state_part_bytes(part) > 0);
    state_key key;
    while (state_part_next_cold(part, &key))
        state_part_drop(part, &key);
    assert_int_equal(state_part_keys(part), 0);
    text_reset(&world->said);
    run_rows(world, ROWS("(1, 12" S ", 7, 'b')"));
    expect_rows(world, "NO+0 {\"id\":1,@12 \"s\":\"b\",<avg>6.0}\n");
    assert_int_equal(state_part_keys(part), 1);
    text_release(&facts);
    release(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes),
        cmocka_unit_test(columns_and_types),
        cmocka_unit_test(stream_gives_newest_rows_again),
        cmocka_unit_test(batch_sees_all_rows),
        cmocka_unit_test(batches_of_any_length),
        cmocka_unit_test(rows_refused_after_windows),
        cmocka_unit_test(sums_that_do_not_fit),
        cmocka_unit_test(other_views),
        cmocka_unit_test(late_rows),
        cmocka_unit_test(lanes_have_their_own_watermarks),
        cmocka_unit_test(lateness_is_rounded_up),
        cmocka_unit_test(an_idle_partition_holds_the_others_back),
        cmocka_unit_test(rows_of_the_future),
        cmocka_unit_test(an_idle_partition_holds_back_what_expires),
        cmocka_unit_test(keys_go_out_when_events_leave),
        cmocka_unit_test(expiry_where_it_means_nothing),
        cmocka_unit_test(expiry_goes_on),
        cmocka_unit_test(state_goes_on_in_another_set),
        cmocka_unit_test(all_changed_rows_are_given_again),
        cmocka_unit_test(states_of_other_declarations),
        cmocka_unit_test(facts_by_name),
        cmocka_unit_test(cold_keys_leave_and_come_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
