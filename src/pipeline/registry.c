/* registry.c - which readers and writers there are. Adding one is one line in a table here.
 *
 * The public calls on declarations stand here too, since a declaration is read by the tables of the
 * readers and writers that the engine has.
 */
#include <pthread.h>
#include <stddef.h>

#include "pipeline/pipeline.h"
#include "preprocess/preprocess.h"
#include "readers/file/file.h"
#include "readers/generate/generate.h"
#include "readers/kafka/kafka.h"
#include "readers/table/table.h"
#include "writers/cassandra/cassandra.h"
#include "writers/debug/debug_writer.h"
#include "writers/history/history.h"
#include "writers/jsonl/jsonl.h"
#include "writers/kafka/kafka_writer.h"

static const reader_ops *const readers[] = {
    &file_reader_ops,
    &table_reader_ops,
    &kafka_reader_ops,
    &generate_reader_ops,
};

static const writer_ops *const writers[] = {
    &cassandra_writer_ops, &debug_writer_ops,      &history_writer_ops,
    &jsonl_writer_ops,     &kafka_once_writer_ops, &kafka_again_writer_ops,
};

#define N_READERS (sizeof readers / sizeof *readers)
#define N_WRITERS (sizeof writers / sizeof *writers)

/* The declaration wants the blocks of the tables above as NULL-terminated lists. */
static const block_kind *reader_kinds[N_READERS + 1];
static const block_kind *writer_kinds[N_WRITERS + 1];
static const block_kind *step_kinds[PREPROCESS_KINDS_MAX];

static void fill_kinds(void)
{
    for (size_t i = 0; i < N_READERS; i++)
        reader_kinds[i] = &readers[i]->block;
    for (size_t i = 0, n = 0; i < N_WRITERS; i++) { /* each block once */
        size_t same = 0;
        while (same < n && writer_kinds[same] != writers[i]->block)
            same++;
        writer_kinds[same] = writers[i]->block;
        n += same == n;
    }
    preprocess_kinds(step_kinds);
}

const registry *registry_of_engine(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const registry registry = {.readers = reader_kinds,
                                      .steps = step_kinds,
                                      .writers = writer_kinds,
                                      .check_broken = syntax_check};
    pthread_once(&once, fill_kinds);
    return &registry;
}

const reader_ops *registry_reader(const block_kind *kind)
{
    for (size_t i = 0; i < N_READERS; i++)
        if (&readers[i]->block == kind)
            return readers[i];
    return NULL;
}

const writer_ops *registry_writer(const declared_kind *declared)
{
    for (size_t i = 0; i < N_WRITERS; i++)
        if (writers[i]->block == declared->kind &&
            (writers[i]->serves == NULL || writers[i]->serves(declared->options)))
            return writers[i];
    return NULL;
}

const writer_ops *registry_debug_writer(void)
{
    size_t i = 0;
    while (writers[i]->debug_options == NULL)
        i++;
    return writers[i];
}

void registry_describe_writers(text_buffer *into)
{
    writers_describe(writers, N_WRITERS, into);
}

freshet_code freshet_declaration_load(const char *path, freshet_problem_fn *problem, void *context,
                                      freshet_declaration **out, freshet_error *err)
{
    return declaration_read_file(path, registry_of_engine(), problem, context, out, err);
}

freshet_code freshet_declaration_parse(const char *text, size_t length, const char *name,
                                       freshet_problem_fn *problem, void *context,
                                       freshet_declaration **out, freshet_error *err)
{
    return declaration_read(text, length, name, ".", registry_of_engine(), problem, context, out,
                            err);
}

freshet_code freshet_declaration_finish(freshet_declaration *declaration,
                                        freshet_problem_fn *problem, void *context,
                                        freshet_error *err)
{
    return declaration_finish(declaration, registry_of_engine(), problem, context, err);
}

freshet_code freshet_declaration_schema(freshet_write_fn *write, void *context, freshet_error *err)
{
    return declaration_write_schema(registry_of_engine(), write, context, err);
}

freshet_code freshet_declaration_reference(freshet_write_fn *write, void *context,
                                           freshet_error *err)
{
    return declaration_write_reference(registry_of_engine(), write, context, err);
}
