/* history_facts.c - see history_facts.h. Neighbouring corrections that were known at the same time
 * are one entry: a late event corrects several rows of its key, which stand side by side. */
#include "writers/history/history_facts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "sql/sql.h"

#define DESCRIBING "describing a file of the history"
#define NOT_CORRECTED INT64_MIN

freshet_code history_facts_open(history_facts *facts, const char *feature_set, const schema *schema,
                                uint32_t n_keys, bool has_corrections, arena *arena,
                                freshet_error *err)
{
    text_buffer keys;
    *facts = (history_facts){.has_corrections = has_corrections, .newest_us = INT64_MIN};
    text_init(&facts->text, TEXT_LIMIT_DEFAULT);
    text_init(&keys, TEXT_LIMIT_DEFAULT);
    text_append_char(&keys, '[');
    for (uint32_t i = 0; i < n_keys; i++) {
        text_append_c(&keys, i == 0 ? "" : ",");
        text_append_json(&keys, schema->fields[i].name, strlen(schema->fields[i].name));
    }
    text_append_char(&keys, ']');
    const char *name = sql_literal(arena, feature_set == NULL ? "" : feature_set);
    const char *list = keys.failed ? NULL : sql_literal(arena, keys.bytes);
    const char *time = sql_literal(arena, schema->fields[n_keys].name);
    if (name != NULL && list != NULL && time != NULL)
        facts->standing = arena_format(arena,
                                       "'" HISTORY_FACT_SET "': %s, '" HISTORY_FACT_KEYS
                                       "': %s, '" HISTORY_FACT_TIME "': %s",
                                       name, list, time);
    text_release(&keys);
    return facts->standing == NULL ? error_memory(err, DESCRIBING) : FRESHET_OK;
}

void history_facts_close(history_facts *facts)
{
    free(facts->known_us);
    text_release(&facts->text);
    *facts = (history_facts){0};
}

freshet_code history_facts_note(history_facts *facts, const batch *rows, const int64_t *times_us,
                                freshet_error *err)
{
    if (!facts->has_corrections)
        return FRESHET_OK;
    if (!array_reserve(&facts->known_us, &facts->capacity, (uint64_t)facts->n + rows->n_rows,
                       sizeof *facts->known_us))
        return error_memory(err, DESCRIBING);
    for (uint32_t i = 0; i < rows->n_rows; i++) {
        const bool again = rows->row_kinds != NULL && (rows->row_kinds[i] & ROW_NEW) == 0;
        if (times_us[i] > facts->newest_us)
            facts->newest_us = times_us[i];
        facts->known_us[facts->n++] = again ? facts->newest_us : NOT_CORRECTED;
    }
    return FRESHET_OK;
}

static void append_corrected(history_facts *facts, const uint32_t *rows, uint32_t first, uint32_t n)
{
    const size_t start = facts->text.length;
    uint32_t length;
    for (uint32_t i = 0; i < n; i += length) {
        const int64_t known_us = facts->known_us[rows == NULL ? first + i : rows[i]];
        length = 1;
        while (i + length < n &&
               facts->known_us[rows == NULL ? first + i + length : rows[i + length]] == known_us)
            length++;
        if (known_us != NOT_CORRECTED)
            text_format(&facts->text, "%s%" PRIu32 ",%" PRIu32 ",%" PRId64,
                        facts->text.length == start ? "" : ";", i, length, known_us);
    }
    if (facts->text.length == start)
        text_append_char(&facts->text, '-');
}

freshet_code history_facts_of(history_facts *facts, const uint32_t *rows, uint32_t first,
                              uint32_t n, const char **out, freshet_error *err)
{
    text_reset(&facts->text);
    text_append_c(&facts->text, facts->standing);
    if (facts->has_corrections) {
        text_append_c(&facts->text, ", '" HISTORY_FACT_CORRECTED "': '");
        append_corrected(facts, rows, first, n);
        text_append_char(&facts->text, '\'');
    }
    *out = facts->text.bytes;
    return facts->text.failed ? error_memory(err, DESCRIBING) : FRESHET_OK;
}

void history_facts_clear(history_facts *facts)
{
    facts->n = 0;
}
