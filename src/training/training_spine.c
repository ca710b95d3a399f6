/* training_spine.c - the spine: its files, its time, and which of its columns are the keys
 * (training.h).
 *
 * It is read once, into the table `spine` with the numbers of its rows. Columns of a CSV file that
 * are keys or the time are read as texts, so that a key that is a text in the history stays one
 * ("007"); those that stay texts nowhere are cast behind it, and what does not cast is refused with
 * its row. Where a CSV file is to come out, all other columns are texts, too: they go out as they
 * came. A header's line says what stands between cells; nothing else is guessed of a CSV file, so
 * that each line behind it is a row.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"
#include "training/training.h"

#define SPINE_FILES "spine_files"
#define TEXT_TYPE "VARCHAR"

static bool is_csv_name(const char *path)
{
    static const char *const endings[] = {".csv", ".csv.gz", ".tsv", ".tsv.gz"};
    bool is = false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        is |= training_ends(path, endings[i]);
    return is;
}

static freshet_code find_spine(training *training, freshet_error *err)
{
    const char *path = training->options->spine;
    int64_t n = 0;
    training->spine_is_csv = is_csv_name(path);
    freshet_code code = training_list_files(training, path, ".parquet", SPINE_FILES, &n, err);
    if (code == FRESHET_OK && n == 0) {
        code = training_list_files(training, path, ".csv", SPINE_FILES, &n, err);
        training->spine_is_csv = true;
    }
    if (code == FRESHET_OK && n == 0)
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, path,
                         "there is no spine here: it must be a Parquet or CSV file, or a folder of "
                         "such, with the entities and times that features are wanted for");
    return code;
}

/* The character that stands between the cells of the header of a CSV file: the one of these that is
 * there most often, outside of quotes; else a comma. */
static char delimiter_of(const char *header)
{
    static const char delimiters[] = ",;\t|";
    size_t n[sizeof delimiters] = {0};
    bool is_quoted = false;
    for (const char *c = header; *c != '\0'; c++) {
        const char *at = strchr(delimiters, *c);
        if (*c == '"')
            is_quoted = !is_quoted;
        else if (at != NULL && !is_quoted)
            n[at - delimiters]++;
    }
    size_t most = 0;
    for (size_t i = 1; delimiters[i] != '\0'; i++)
        if (n[i] > n[most])
            most = i;
    return delimiters[most];
}

static freshet_code find_delimiter(training *training, freshet_error *err)
{
    const char **lines = NULL;
    uint32_t n = 0;
    freshet_code code =
        training_texts(training, 1, &lines, &n, err,
                       "SELECT line FROM read_csv(getvariable('" SPINE_FILES
                       "')[1], columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', "
                       "escape = '', comment = '', header = false, auto_detect = false) LIMIT 1");
    training->spine_delimiter = delimiter_of(n > 0 && lines[0] != NULL ? lines[0] : "");
    return code;
}

/* What DuckDB says of files that it cannot read, with the spine as its place; of a CSV file without
 * its own options, which nobody can give here. */
static freshet_code explain_spine(const training *training, freshet_code code, freshet_error *err)
{
    const char *spine = training->options->spine;
    if (code != FRESHET_FAILED || err == NULL || err->at[0] != '\0')
        return code;
    const freshet_error problem = *err;
    if (training->spine_is_csv && strstr(problem.text, SQL_CSV_LONG) != NULL)
        return error_set(
            err, FRESHET_BAD_DATA, FRESHET_STOP, spine,
            "a line of the spine is longer than 2,000,000 bytes, which is more than is "
            "read of CSV: if a quote (\") is open there, close it (and write it twice "
            "inside of quotes); else leave the long column out, or write the spine as "
            "Parquet");
    const char *line = strstr(problem.text, "CSV Error on Line: ");
    const bool is_guess = strstr(problem.text, "Error when sniffing file") != NULL;
    if (!training->spine_is_csv || (line == NULL && !is_guess))
        return error_set(err, code, problem.then, spine, "%s", problem.text);
    static const char mend[] = "each row must have as many cells as the header, in UTF-8, and each "
                               "quote (\") must be closed (and be there twice inside of quotes)";
    if (line == NULL)
        return error_set(err, FRESHET_BAD_DATA, FRESHET_STOP, spine,
                         "the spine cannot be read as a CSV file with \"%s\" between its cells: %s",
                         training->spine_delimiter == '\t'
                             ? "\\t"
                             : (const char[]){training->spine_delimiter, '\0'},
                         mend);
    line += strlen("CSV Error on Line: ");
    return error_set(err, FRESHET_BAD_DATA, FRESHET_STOP, spine,
                     "line %.*s of the spine cannot be read: %s", (int)strspn(line, "0123456789"),
                     line, mend);
}

/* ---- names of columns ------------------------------------------------------------------------ */

/* Those of a file, as it has them: DuckDB gives the second of two another name. */
static freshet_code list_csv_names(training *training, uint32_t file, const char ***names,
                                   uint32_t *n, freshet_error *err)
{
    return training_texts(training, 1, names, n, err,
                          "SELECT trim(unnest(list_value(*COLUMNS(*)))) FROM (SELECT * FROM "
                          "read_csv(getvariable('" SPINE_FILES "')[%u], delim = '%c', header = "
                          "false, quote = '\"', escape = '\"', comment = '', skip = 0, all_varchar "
                          "= true, hive_partitioning = false) LIMIT 1)",
                          file + 1, training->spine_delimiter);
}

/* The columns of a Parquet file and their parts come depth first, behind the root. */
static freshet_code list_parquet_names(training *training, uint32_t file, const char ***names,
                                       uint32_t *n, freshet_error *err)
{
    const char **elements = NULL;
    uint32_t n_elements = 0;
    freshet_code code = training_texts(training, 2, &elements, &n_elements, err,
                                       "SELECT name, coalesce(num_children, 0)::VARCHAR FROM "
                                       "parquet_schema(getvariable('" SPINE_FILES "')[%u])",
                                       file + 1);
    if (code != FRESHET_OK)
        return code;
    *names = arena_zero(training->arena, n_elements + (size_t)1, sizeof **names);
    if (*names == NULL)
        return error_memory(err, TRAINING_DOING);
    int64_t open = 0; /* parts of the column that are still to come */
    *n = 0;
    for (uint32_t i = 1; i < n_elements; i++) {
        if (open == 0)
            (*names)[(*n)++] = elements[2 * (size_t)i];
        open += strtoll(elements[2 * (size_t)i + 1], NULL, 10) - (open > 0 ? 1 : 0);
    }
    return FRESHET_OK;
}

static freshet_code spine_refuse_names(const char *file, const char *one, const char *other,
                                       freshet_error *err)
{
    return strcmp(one, other) == 0
               ? error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, file,
                           "the spine has two columns \"%s\": give one of them another name", one)
               : error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, file,
                           "the spine has the columns \"%s\" and \"%s\", which are one name, for "
                           "capital and small letters are the same there: give one of them another",
                           one, other);
}

/* No file has two columns of one name. */
static freshet_code spine_check_names(training *training, freshet_error *err)
{
    const char **files = NULL, **names = NULL;
    uint32_t n_files = 0, n = 0;
    freshet_code code = training_texts(training, 1, &files, &n_files, err,
                                       "SELECT file FROM " SPINE_FILES " ORDER BY i");
    for (uint32_t file = 0; code == FRESHET_OK && file < n_files; file++) {
        code = training->spine_is_csv ? list_csv_names(training, file, &names, &n, err)
                                      : list_parquet_names(training, file, &names, &n, err);
        for (uint32_t i = 0; code == FRESHET_OK && i < n; i++)
            for (uint32_t k = 0; code == FRESHET_OK && k < i && names[i] != NULL; k++)
                if (names[k] != NULL && names[i][0] != '\0' && strcasecmp(names[k], names[i]) == 0)
                    code = spine_refuse_names(files[file], names[k], names[i], err);
    }
    return code;
}

/* ---- which columns --------------------------------------------------------------------------- */

static bool is_time_type(const char *type)
{
    return strncmp(type, "TIMESTAMP", strlen("TIMESTAMP")) == 0 || strcmp(type, "DATE") == 0;
}

static freshet_code refuse_time(training *training, const char *name, freshet_error *err)
{
    return error_set(err, FRESHET_USAGE, FRESHET_STOP, training->options->spine,
                     name == NULL ? "the spine must have a column with the times that features are "
                                    "wanted for: say which it is, by --time COLUMN%.0s%s; its "
                                    "columns are %s"
                                  : "the spine has no column \"%s\", which --time names%s; its "
                                    "columns are %s",
                     name == NULL ? "" : name,
                     name == NULL ? "" : training_near(training, &training->spine_columns, name),
                     training_list(training, &training->spine_columns));
}

static freshet_code find_spine_time(training *training, freshet_error *err)
{
    static const char *const usual[] = {"timestamp", "event_timestamp"};
    const training_columns *columns = &training->spine_columns;
    const char *said = training->options->time;
    int64_t at = said == NULL ? -1 : training_find(columns, said);
    if (said != NULL && at < 0)
        return refuse_time(training, said, err);
    for (size_t i = 0; at < 0 && i < sizeof usual / sizeof *usual; i++)
        at = training_find(columns, usual[i]);
    uint32_t n_times = 0;
    for (uint32_t i = 0; said == NULL && at < 0 && i < columns->n; i++)
        n_times += is_time_type(columns->items[i].type);
    for (uint32_t i = 0; n_times == 1 && i < columns->n; i++)
        if (is_time_type(columns->items[i].type))
            at = i;
    if (at < 0)
        return refuse_time(training, NULL, err);
    training->time = columns->items[at].name;
    training->time_type = columns->items[at].type;
    if (!is_time_type(training->time_type) && strcmp(training->time_type, TEXT_TYPE) != 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, training->options->spine,
                         "the column \"%s\", the spine's time, is of type %s: write it as a "
                         "timestamp, a date, or a text such as 2024-05-01T12:00:00Z; or name "
                         "another one, by --time COLUMN",
                         training->time, training->time_type);
    return FRESHET_OK;
}

/* What --key says of a set's key: "SET.KEY=COLUMN". */
static const char *mapped_column(const training *training, const training_history *set,
                                 const char *key)
{
    const size_t set_length = strlen(set->name), key_length = strlen(key);
    const char *found = NULL;
    for (const char *const *word = training->options->key; word != NULL && *word != NULL; word++)
        if (strncmp(*word, set->name, set_length) == 0 && (*word)[set_length] == '.' &&
            strncmp(*word + set_length + 1, key, key_length) == 0 &&
            (*word)[set_length + 1 + key_length] == '=')
            found = *word + set_length + key_length + 2;
    return found;
}

/* Each --key is of a key that its set has. */
static freshet_code check_mapped(training *training, freshet_error *err)
{
    for (const char *const *word = training->options->key; word != NULL && *word != NULL; word++) {
        bool is_of_key = false;
        const char *keys = "";
        for (uint32_t i = 0; i < training->n_sets; i++) {
            const training_history *set = &training->sets[i];
            const size_t length = strlen(set->name);
            if (strncmp(*word, set->name, length) != 0 || (*word)[length] != '.')
                continue;
            for (uint32_t k = 0; k < set->n_keys; k++) {
                const size_t key_length = strlen(set->keys[k].name);
                is_of_key |= strncmp(*word + length + 1, set->keys[k].name, key_length) == 0 &&
                             (*word)[length + 1 + key_length] == '=';
                keys = arena_format(training->arena, "%s%s%s", keys, k == 0 ? "" : ", ",
                                    set->keys[k].name);
                if (keys == NULL)
                    return error_memory(err, TRAINING_DOING);
            }
        }
        if (!is_of_key)
            return error_set(
                err, FRESHET_USAGE, FRESHET_STOP, NULL,
                "--key %s: it must be SET.KEY=COLUMN of the spine, and the keys of that "
                "set are %s",
                *word, keys);
    }
    return FRESHET_OK;
}

static freshet_code find_spine_keys(training *training, training_history *set, freshet_error *err)
{
    const training_columns *columns = &training->spine_columns;
    for (uint32_t i = 0; i < set->n_keys; i++) {
        training_key *key = &set->keys[i];
        const char *said = mapped_column(training, set, key->name);
        const char *wanted = said == NULL ? key->name : said;
        const int64_t at = training_find(columns, wanted);
        if (at < 0)
            return error_set(
                err, FRESHET_USAGE, FRESHET_STOP, training->options->spine,
                "the spine has no column \"%s\", which is a key of the set %s%s: where it has "
                "another name, say --key %s.%s=COLUMN; its columns are %s",
                wanted, set->name, training_near(training, columns, wanted), set->name, key->name,
                training_list(training, columns));
        key->column = columns->items[at].name;
    }
    return FRESHET_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool is_spine_key(const training *training, const char *column)
{
    bool is = strcmp(training->time, column) == 0;
    for (uint32_t i = 0; i < training->n_sets; i++)
        for (uint32_t k = 0; k < training->sets[i].n_keys; k++)
            is |= strcmp(training->sets[i].keys[k].column, column) == 0;
    return is;
}

/* `typed`: with the types that its columns have; else a CSV file's are all texts. */
static freshet_code name_relation(training *training, bool typed, freshet_error *err)
{
    text_buffer types;
    text_init(&types, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; typed && i < training->spine_columns.n; i++)
        if (is_spine_key(training, training->spine_columns.items[i].name))
            text_format(&types, ", %s: 'VARCHAR'",
                        sql_literal(training->arena, training->spine_columns.items[i].name));
    training->spine =
        !training->spine_is_csv
            ? "read_parquet(getvariable('" SPINE_FILES "'), union_by_name = true)"
            : arena_format(
                  training->arena,
                  "read_csv(getvariable('" SPINE_FILES
                  "'), delim = '%c', union_by_name = true, hive_partitioning = false, " SQL_CSV_ROWS
                  ", %s%s%s)",
                  training->spine_delimiter,
                  !typed || training->output_is_csv ? "all_varchar = true"
                                                    : "sample_size = -1, types = {",
                  typed && !training->output_is_csv && types.length > 0 ? types.bytes + 2 : "",
                  typed && !training->output_is_csv ? "}" : "");
    const bool failed = types.failed;
    text_release(&types);
    return failed || training->spine == NULL ? error_memory(err, TRAINING_DOING) : FRESHET_OK;
}

static freshet_code load_spine(training *training, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (training_find(&training->spine_columns, TRAINING_ROW) >= 0)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, training->options->spine,
                         "no column of the spine may be called " TRAINING_ROW);
    training_doing(training, "reading the spine");
    code = training_run(training, err, "SET preserve_insertion_order = true");
    if (code == FRESHET_OK)
        code = training_run(
            training, err,
            "CREATE TEMP TABLE spine AS SELECT *, row_number() OVER () - 1 AS " TRAINING_ROW
            " FROM %s",
            training->spine);
    if (code == FRESHET_OK)
        code = training_number(training, &training->n_rows, err, "SELECT count(*) FROM spine");
    if (code == FRESHET_OK)
        code = training_describe(training, "spine", &training->spine_columns, err);
    if (code == FRESHET_OK)
        training->spine_columns.n--; /* the row's number */
    return code;
}

freshet_code training_spine(training *training, freshet_error *err)
{
    freshet_code code = find_spine(training, err);
    if (code == FRESHET_OK && training->spine_is_csv)
        code = explain_spine(training, find_delimiter(training, err), err);
    if (code == FRESHET_OK)
        code = name_relation(training, false, err);
    if (code == FRESHET_OK)
        code = explain_spine(
            training, training_describe(training, training->spine, &training->spine_columns, err),
            err);
    if (code == FRESHET_OK)
        code = explain_spine(training, spine_check_names(training, err), err);
    if (code == FRESHET_OK)
        code = find_spine_time(training, err);
    if (code == FRESHET_OK)
        code = check_mapped(training, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < training->n_sets; i++)
        code = find_spine_keys(training, &training->sets[i], err);
    if (code == FRESHET_OK)
        code = name_relation(training, true, err);
    return code == FRESHET_OK ? explain_spine(training, load_spine(training, err), err) : code;
}
