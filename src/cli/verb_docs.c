/* verb_docs.c - freshet docs PATH: a catalogue of what declarations make, with its lineage. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/os.h"
#include "catalogue/catalogue.h"
#include "cli/cli.h"
#include "declaration/declaration.h"

#define DOING "writing the catalogue"
#define FILES_MAX 1000u

typedef struct docs_arguments {
    const char *path;
    const char *output;
    bool json;
} docs_arguments;

static const argument docs_options[] = {
    {ARGUMENT("output", TEXT, docs_arguments, output), .letter = 'o', .value = "DIR",
     .doc = "write index.html, a Markdown file for each declaration, and catalogue.jsonl there"},
    {ARGUMENT("json", FLAG, docs_arguments, json),
     .doc = "JSON lines, one for each feature set, instead of Markdown"},
    {.name = NULL},
};

/* All that is open while a catalogue is written. */
typedef struct docs {
    arena *arena;
    const char **files;
    uint32_t n_files;
    freshet_declaration **declarations;
    freshet_pipeline **pipelines;
    catalogue *catalogues;
    uint32_t n;
} docs;

/* ---- which declarations ---------------------------------------------------------------------- */

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_yaml(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && dot != name && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static freshet_code list_folder(docs *docs, const char *folder, freshet_error *err)
{
    DIR *open = opendir(folder);
    freshet_code code = FRESHET_OK;
    if (open == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "the folder %s cannot be read: %s",
                         folder, strerror(errno));
    for (struct dirent *entry = readdir(open); entry != NULL; entry = readdir(open)) {
        if (!is_yaml(entry->d_name))
            continue;
        if (docs->n_files == FILES_MAX) {
            code = error_set(err, FRESHET_LIMIT, FRESHET_STOP, NULL,
                             "the folder %s has more than %u declarations: name a smaller one",
                             folder, FILES_MAX);
            break;
        }
        docs->files[docs->n_files++] = arena_format(docs->arena, "%s/%s", folder, entry->d_name);
    }
    closedir(open);
    if (code == FRESHET_OK && arena_failed(docs->arena))
        code = error_memory(err, DOING);
    if (code == FRESHET_OK && docs->n_files == 0)
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "there is no declaration (*.yaml) in the folder %s", folder);
    if (code == FRESHET_OK)
        qsort(docs->files, docs->n_files, sizeof *docs->files, compare_paths);
    return code;
}

static freshet_code list_files(docs *docs, const char *path, freshet_error *err)
{
    struct stat info;
    docs->files = arena_zero(docs->arena, FILES_MAX, sizeof *docs->files);
    if (docs->files == NULL)
        return error_memory(err, DOING);
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return list_folder(docs, path, err);
    docs->files[docs->n_files++] = path; /* where it is not there, loading it says so */
    return FRESHET_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Opens all: each mistake in any of them is told. */
static freshet_code open_all(docs *docs, freshet_error *err)
{
    freshet_code worst = FRESHET_OK;
    docs->declarations = arena_zero(docs->arena, docs->n_files, sizeof(freshet_declaration *));
    docs->pipelines = arena_zero(docs->arena, docs->n_files, sizeof(freshet_pipeline *));
    docs->catalogues = arena_zero(docs->arena, docs->n_files, sizeof *docs->catalogues);
    if (docs->declarations == NULL || docs->pipelines == NULL || docs->catalogues == NULL)
        return error_memory(err, DOING);
    for (uint32_t i = 0; i < docs->n_files; i++) {
        freshet_code code = load_declaration(docs->files[i], &docs->declarations[i], err);
        if (code == FRESHET_OK)
            code = open_pipeline(docs->declarations[i], NULL, &docs->pipelines[i], err);
        if (code == FRESHET_OK)
            code = catalogue_read(docs->pipelines[i], docs->files[i], docs->arena,
                                  &docs->catalogues[i], err);
        if (code != FRESHET_OK && code != FRESHET_BAD_DECLARATION)
            return code;
        docs->n = i + 1;
        worst = code == FRESHET_OK ? worst : code;
    }
    return worst;
}

static void close_all(docs *docs)
{
    for (uint32_t i = 0; docs->pipelines != NULL && i < docs->n_files; i++) {
        freshet_pipeline_close(docs->pipelines[i]);
        freshet_declaration_close(docs->declarations[i]);
    }
    arena_close(docs->arena);
}

/* "flights.md" of declarations/flights.yaml. */
static const char *page_name(const docs *docs, uint32_t i)
{
    const char *slash = strrchr(docs->files[i], '/');
    const char *name = slash == NULL ? docs->files[i] : slash + 1;
    const char *dot = strrchr(name, '.');
    const size_t length = dot == NULL || dot == name ? strlen(name) : (size_t)(dot - name);
    return arena_format(docs->arena, "%.*s.md", (int)length, name);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Beside the file that may be there, and then in its place. */
static freshet_code write_whole(const docs *docs, const char *folder, const char *name,
                                text_buffer *text, freshet_error *err)
{
    const char *path = arena_format(docs->arena, "%s/%s", folder, name);
    const char *aside = arena_format(docs->arena, "%s/.%s.new", folder, name);
    if (path == NULL || aside == NULL || text->failed)
        return error_memory(err, DOING);
    int fd = os.open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool well = fd >= 0 && durable_write(fd, text->length == 0 ? "" : text->bytes, text->length);
    int problem = errno;
    if (fd >= 0 && os.close(fd) != 0 && well) {
        well = false;
        problem = errno;
    }
    if (well && rename(aside, path) != 0) {
        well = false;
        problem = errno;
    }
    if (!well)
        unlink(aside);
    text_reset(text);
    return well ? FRESHET_OK
                : error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "%s cannot be written: %s",
                            path, strerror(problem));
}

static freshet_code write_folder(const docs *docs, const char *folder, freshet_error *err)
{
    text_buffer text;
    freshet_code code = FRESHET_OK;
    if (os.mkdir(folder, 0777) != 0 && errno != EEXIST)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the folder %s cannot be made: %s", folder, strerror(errno));
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; code == FRESHET_OK && i < docs->n; i++) {
        const char *name = page_name(docs, i);
        catalogue_markdown(&docs->catalogues[i], &text);
        code =
            name == NULL ? error_memory(err, DOING) : write_whole(docs, folder, name, &text, err);
    }
    for (uint32_t i = 0; i < docs->n; i++)
        catalogue_json(&docs->catalogues[i], &text);
    if (code == FRESHET_OK)
        code = write_whole(docs, folder, "catalogue.jsonl", &text, err);
    text_reset(&text);
    catalogue_html(docs->catalogues, docs->n, &text);
    if (code == FRESHET_OK)
        code = write_whole(docs, folder, "index.html", &text, err);
    text_release(&text);
    if (code == FRESHET_OK)
        fprintf(stderr, "freshet: %u feature set%s in %s/index.html\n", docs->n,
                docs->n == 1 ? "" : "s", folder);
    return code;
}

static freshet_code print_all(const docs *docs, bool json, freshet_error *err)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < docs->n; i++) {
        if (json)
            catalogue_json(&docs->catalogues[i], &text);
        else
            catalogue_markdown(&docs->catalogues[i], &text);
        if (!json && i + 1 < docs->n)
            text_append_char(&text, '\n');
    }
    return output_text(&text, DOING, err);
}

static freshet_code docs_run(const void *arguments, freshet_error *err)
{
    const docs_arguments *given = arguments;
    docs docs = {.arena = arena_open()};
    if (docs.arena == NULL)
        return error_memory(err, DOING);
    freshet_code code = list_files(&docs, given->path, err);
    if (code == FRESHET_OK)
        code = open_all(&docs, err);
    if (code == FRESHET_OK)
        code = given->output == NULL ? print_all(&docs, given->json, err)
                                     : write_folder(&docs, given->output, err);
    close_all(&docs);
    return code;
}

const verb verb_docs = {
    .name = "docs",
    .operand = "PATH",
    .summary = "a catalogue of feature sets, with where each column comes from",
    .doc =
        "Writes what a declaration makes, or all declarations (*.yaml) of a folder: each key and\n"
        "feature with its type, description and how it is computed, the readers, the query, the\n"
        "writers, and which columns of readers each of them is made of. As Markdown on stdout,\n"
        "as JSON lines (--json), or into a folder (-o): a page index.html, which loads nothing\n"
        "and has the lineage drawn, a Markdown file for each, and catalogue.jsonl.\n"
        "It looks at schemas as `freshet check` does, and runs nothing; a declaration with\n"
        "mistakes is told, and nothing is written.",
    .examples = "    freshet docs flights.yaml\n"
                "    freshet docs declarations -o public\n"
                "    freshet docs flights.yaml --json | jq '.features[].name'\n",
    .arguments = docs_options,
    .size = sizeof(docs_arguments),
    .run = docs_run,
};
