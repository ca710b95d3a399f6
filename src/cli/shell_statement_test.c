/* Statements cut out of lines: quotes, comments, dollar quotes, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/shell_statement.h"

/* Feeds `text` line by line; the statements found, joined by "|", and what is left after "||". */
static void assert_cut(const char *text, const char *expected)
{
    statements statements;
    statement_init(&statements);
    text_buffer got;
    text_init(&got, 65536);
    text_append_c(&got, "");
    const char *sql;
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        assert_true(statement_feed(&statements, text, length));
        while (statement_next(&statements, &sql))
            text_format(&got, "%s|", sql);
        text += length + (text[length] == '\n' ? 1 : 0);
    }
    if (statement_rest(&statements, &sql))
        text_format(&got, "|%s", sql);
    assert_string_equal(got.bytes == NULL ? "" : got.bytes, expected);
    text_release(&got);
    statement_release(&statements);
}

static void test_cut(void **state)
{
    (void)state;
    assert_cut("select 1;", "select 1|");
    assert_cut("select 1; select 2;select", "select 1| select 2||select\n");
    assert_cut("select\n 1\n;", "select\n 1\n|");
    assert_cut(";;  ;\n;", "");
    assert_cut("-- only; a comment\n", "");
    assert_cut("/* only; */ ;", "");
}

static void test_quotes(void **state)
{
    (void)state;
    assert_cut("select ';';", "select ';'|");
    assert_cut("select 'it''s;';", "select 'it''s;'|");
    assert_cut("select \"a;b\";", "select \"a;b\"|");
    assert_cut("select '--', 1;", "select '--', 1|");
    assert_cut("select 'over\nlines;';", "select 'over\nlines;'|");
    assert_cut("select $$;'$$;", "select $$;'$$|");
    assert_cut("select $a$;$$;$a$;", "select $a$;$$;$a$|");
    assert_cut("select $1; select $2;", "select $1| select $2|");
}

static void test_comments(void **state)
{
    (void)state;
    assert_cut("select 1 -- ;\n;", "select 1 -- ;\n|");
    assert_cut("select /* ; */ 1;", "select /* ; */ 1|");
    assert_cut("select /* ; /* ; */ ; */ 1;", "select /* ; /* ; */ ; */ 1|");
    assert_cut("select /* over\n;\n*/ 1;", "select /* over\n;\n*/ 1|");
    assert_cut("select 4 / 2 - 1;", "select 4 / 2 - 1|");
    assert_cut("select /* don't */ 1;", "select /* don't */ 1|");
}

static void test_empty(void **state)
{
    (void)state;
    statements statements;
    const char *sql;
    statement_init(&statements);
    assert_true(statement_is_empty(&statements));
    statement_feed(&statements, "  ", 2);
    assert_false(statement_next(&statements, &sql));
    assert_true(statement_is_empty(&statements));
    statement_feed(&statements, "select '", 8);
    assert_false(statement_next(&statements, &sql));
    assert_false(statement_is_empty(&statements));
    statement_reset(&statements);
    assert_true(statement_is_empty(&statements));
    assert_false(statement_rest(&statements, &sql));
    statement_feed(&statements, "select 1;", 9);
    assert_true(statement_next(&statements, &sql));
    assert_string_equal(sql, "select 1");
    statement_feed(&statements, "/*", 2);
    assert_false(statement_next(&statements, &sql));
    assert_false(statement_is_empty(&statements));
    statement_release(&statements);
}

/* A line is kept with its newline and needs a byte for the end: the limit is hit exactly there. */
static void test_limit(void **state)
{
    (void)state;
    statements statements;
    const char *sql;
    char *line = malloc(STATEMENT_BYTES_MAX + 1);
    assert_non_null(line);
    memset(line, 'x', STATEMENT_BYTES_MAX);
    statement_init(&statements);
    size_t longest = STATEMENT_BYTES_MAX;
    while (!statement_feed(&statements, line, longest)) {
        assert_true(statement_is_empty(&statements));
        assert_true(STATEMENT_BYTES_MAX - longest < 4);
        longest--;
    }
    assert_false(statement_next(&statements, &sql));
    assert_false(statement_feed(&statements, ";", 1));
    assert_true(statement_feed(&statements, "select 1;", 9));
    assert_true(statement_next(&statements, &sql));
    assert_string_equal(sql, "select 1");
    statement_release(&statements);
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),      cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_comments), cmocka_unit_test(test_empty),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
