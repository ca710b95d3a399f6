/* open.c - from a declaration to a pipeline that can step.
 *
 * In order: the transforming SQL engine; every reader described (its columns known); the source's
 * query planned and prepared; the feature set resolved; the writers opened; dead letters and, where
 * asked for, the query socket. Mistakes of the declaration are collected on the way and reported
 * together, with their places. With `check` it ends before anything is opened for writing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "dialect/dialect.h"
#include "functions/functions.h"
#include "pipeline/bootstrap.h"
#include "pipeline/fill.h"
#include "pipeline/handover.h"
#include "pipeline/pipeline.h"

#define READER_IDLE_US INT64_C(1000000)
#define ENGINE_MEMORY_BYTES ((int64_t)4 << 30)

static freshet_code make_reader(freshet_pipeline *pipeline, const reader_block *block,
                                uint32_t index, freshet_error *err)
{
    const reader_ops *ops = registry_reader(block->kind.kind);
    if (ops->with != NULL)
        ops = ops->with(block->kind.options);
    freshet_reader *reader = arena_zero(pipeline->arena, 1, ops->size);
    if (reader == NULL)
        return error_memory(err, "opening the readers");
    bool follow = block->stream && !pipeline->options.once;
    *reader = (freshet_reader){
        .ops = ops,
        .declaration = pipeline->declaration,
        .block = block,
        .options = block->kind.options,
        .mode = follow ? READ_FOLLOW : READ_ALL,
        .arena = pipeline->arena,
        .crew = pipeline->crew,
        .index = index,
        .idle_us = READER_IDLE_US,
    };
    if (block->has_incremental && !pipeline->declaration->is_stream)
        reader->is_cut = dates_to_read(&pipeline->dates, pipeline->declaration, &reader->first_us,
                                       &reader->last_us);
    freshet_code code = FRESHET_OK;
    if (block->has_bootstrap && block->stream) {
        code = bootstrap_make(pipeline, reader, &reader, err);
        pipeline->has_bootstraps = true;
    }
    pipeline->readers[index] = (reader_state){.reader = reader};
    pipeline->n_readers = index + 1;
    return code;
}

/* A batch that is checked on the way to its stream is not meant. */
static void check_bootstrap_streams(const freshet_pipeline *pipeline, const reader_block *block,
                                    problems *problems)
{
    if (block->has_bootstrap && !block->stream && pipeline->options.checkpoint >= 0)
        problem_add(problems, &block->bootstrap.kind.at,
                    "`bootstrap` is for a reader that streams: say `stream: true`; or, in a batch, "
                    "read the past by a reader of its own and put both together by UNION ALL");
}

/* Every reader's columns. What is wrong with one does not hide what is wrong with the next. */
static freshet_code describe_readers(freshet_pipeline *pipeline, problems *problems,
                                     freshet_error *err)
{
    const declared_blocks *blocks = &pipeline->declaration->source.readers;
    freshet_code worst = FRESHET_OK;
    if (blocks->n > PIPELINE_READERS_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, pipeline->declaration->file,
                         "a pipeline can have %u readers at most, and this one declares %u",
                         PIPELINE_READERS_MAX, blocks->n);
    for (uint32_t i = 0; i < blocks->n; i++) {
        const reader_block *block = &((const reader_block *)blocks->items)[i];
        freshet_code code = make_reader(pipeline, block, i, err);
        if (code != FRESHET_OK)
            return code;
        freshet_error problem = {0};
        freshet_reader *reader = pipeline->readers[i].reader;
        reader->problems = problems;
        check_bootstrap_streams(pipeline, block, problems);
        code = reader->ops->describe(reader, &problem);
        reader->problems = NULL;
        if (code == FRESHET_BAD_DECLARATION || code == FRESHET_FAILED) {
            problem_add(problems, &block->kind.at, "reader \"%s\": %s", block->id.value,
                        problem.text);
            worst = FRESHET_BAD_DECLARATION;
        } else if (code != FRESHET_OK) {
            if (err != NULL)
                *err = problem;
            return code;
        }
    }
    return worst;
}

/* A plugin's name that is taken is a mistake at the plugin's place. */
static freshet_code add_function(const freshet_pipeline *pipeline, user_function *own,
                                 problems *problems, freshet_error *err)
{
    freshet_error problem = {0};
    freshet_code code = FRESHET_OK;
    if (own->plugin > 0 && dialect_has_function(pipeline->declaration->dialect, own->name))
        code = error_set(&problem, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "Spark has a function \"%s\" already: give yours another name", own->name);
    if (code == FRESHET_OK)
        code = user_function_add(pipeline->session, own, &problem);
    if (code == FRESHET_USAGE && own->plugin > 0) {
        const declared_text *plugin = &pipeline->declaration->plugins.items[own->plugin - 1];
        problem_add(problems, &plugin->at, "the plugin \"%s\" cannot be used: %s", plugin->value,
                    problem.text);
        return FRESHET_BAD_DECLARATION;
    }
    if (code != FRESHET_OK && err != NULL)
        *err = problem;
    return code;
}

static freshet_code open_source(freshet_pipeline *pipeline, problems *problems, freshet_error *err)
{
    const sql_options options = {.threads = 1, .memory = ENGINE_MEMORY_BYTES};
    freshet_code code = sql_open(&options, &pipeline->engine, err);
    if (code == FRESHET_OK)
        code = sql_session_open(pipeline->engine, &pipeline->session, err);
    if (code == FRESHET_OK)
        code = functions_create(pipeline->session, err);
    if (code == FRESHET_OK)
        code = dialect_create(pipeline->declaration->dialect, pipeline->session, err);
    for (user_function *own = declaration_functions(pipeline->handle);
         code == FRESHET_OK && own != NULL; own = own->next)
        code = add_function(pipeline, own, problems, err);
    if (code == FRESHET_OK)
        code = macro_check(pipeline, problems, err);
    if (code == FRESHET_OK)
        code = describe_readers(pipeline, problems, err);
    if (code != FRESHET_OK)
        return code;
    freshet_reader *readers[PIPELINE_READERS_MAX];
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        readers[i] = pipeline->readers[i].reader;
    code = source_open(pipeline->handle, pipeline->session, readers, pipeline->n_readers, problems,
                       &pipeline->source, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_readers; i++)
        readers[i]->used = source_used(pipeline->source, i);
    return code;
}

static freshet_code keep_output_types(freshet_pipeline *pipeline, freshet_error *err)
{
    const schema *schema = feature_set_schema(pipeline->features);
    pipeline->output_types =
        arena_zero(pipeline->arena, schema->n_fields, sizeof *pipeline->output_types);
    for (uint32_t i = 0; pipeline->output_types != NULL && i < schema->n_fields; i++) {
        pipeline->output_types[i] = type_name(pipeline->arena, schema->fields[i].type);
        if (pipeline->output_types[i] == NULL)
            return error_memory(err, "opening the feature set");
    }
    return pipeline->output_types == NULL ? error_memory(err, "opening the feature set")
                                          : FRESHET_OK;
}

/* Which writers the run is to have. */
static freshet_code choose_writers(freshet_pipeline *pipeline, freshet_error *err)
{
    const declaration *declaration = pipeline->declaration;
    const writer_block *blocks = declaration->sink.writers.items;
    if (pipeline->options.debug) {
        const writer_ops *ops = registry_debug_writer();
        const void *options = ops->debug_options(declaration, pipeline->arena);
        pipeline->sinks[pipeline->n_sinks++] = (sink){.ops = ops, .options = options};
        return options == NULL ? error_memory(err, "opening the writers")
                               : serving_choose(pipeline, err);
    }
    if (declaration->sink.writers.n > PIPELINE_WRITERS_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, declaration->file,
                         "a pipeline can have %u writers at most, and this one declares %u",
                         PIPELINE_WRITERS_MAX, declaration->sink.writers.n);
    for (uint32_t i = 0; i < declaration->sink.writers.n; i++)
        pipeline->sinks[pipeline->n_sinks++] =
            (sink){.ops = registry_writer(&blocks[i].kind),
                   .options = blocks[i].kind.options,
                   .select = &blocks[i].select,
                   .validate = blocks[i].validate,
                   .hooks = blocks[i].has_hooks ? &blocks[i].hooks : NULL,
                   .at = &blocks[i].kind.at};
    return serving_choose(pipeline, err);
}

/* What the writers want of it: corrections, and write timestamps where the row of the greatest one
 * is kept. */
static freshet_code open_features(freshet_pipeline *pipeline, problems *problems,
                                  freshet_error *err)
{
    feature_set_options options = {.declaration = pipeline->handle,
                                   .session = pipeline->session,
                                   .input = source_schema(pipeline->source),
                                   .first_us = pipeline->dates.first_us,
                                   .last_us = pipeline->dates.last_us,
                                   .crew = pipeline->crew};
    for (uint32_t i = 0; i < pipeline->n_sinks; i++) {
        const sink *sink = &pipeline->sinks[i];
        options.corrects |= (writer_takes(sink->ops, sink->options) & ROW_CORRECTION) != 0;
        options.ranks |= sink->ops->keeps == KEEPS_NEWEST;
    }
    return feature_set_open(&options, problems, &pipeline->features, err);
}

static const char *letters_path(const freshet_pipeline *pipeline)
{
    return declaration_path(pipeline->declaration, pipeline->arena,
                            pipeline->declaration->dead_letters.path.value);
}

/* Which columns each writer is to get. */
static freshet_code choose_columns(freshet_pipeline *pipeline, problems *problems,
                                   freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_sinks; i++) {
        sink *sink = &pipeline->sinks[i];
        code = writer_columns_choose(
            sink->select, sink->ops, feature_set_schema(pipeline->features),
            feature_set_n_keys(pipeline->features), pipeline->arena, problems, &sink->columns, err);
    }
    return code;
}

static void check_validate(const freshet_pipeline *pipeline, const sink *sink, problems *problems)
{
    if (sink->validate && pipeline->declaration->is_stream)
        problem_add(problems, sink->at,
                    "\"validate\" is for batches, which have an end: a stream's writers count what "
                    "their stores confirm; leave it out, or take `stream: true` from the readers");
    else if (sink->validate && sink->ops->validate == NULL)
        problem_add(
            problems, sink->at,
            "\"validate\" is for `history`, `kafka` and Cassandra, whose rows can be read back as "
            "those of this run: leave it out; what \"%s\" has written is what its store "
            "has confirmed",
            sink->ops->block->name);
}

/* The folder where rows of a batch wait: a run that needs it late should not learn of it late. */
static freshet_code check_batch_folder(const freshet_pipeline *pipeline, problems *problems,
                                       freshet_error *err)
{
    const declaration *declaration = pipeline->declaration;
    const declared_text *declared = &declaration->batch.path;
    struct stat found;
    if (declared->value == NULL || declaration->is_stream)
        return FRESHET_OK;
    const char *path = declaration_batch_path(declaration, pipeline->arena);
    if (path == NULL)
        return error_memory(err, "checking the batch's folder");
    const char *why = os.stat(path, &found) != 0       ? strerror(errno)
                      : !S_ISDIR(found.st_mode)        ? "it is no folder"
                      : access(path, W_OK | X_OK) != 0 ? strerror(errno)
                                                       : NULL;
    if (why != NULL)
        problem_add(problems, &declared->at,
                    "batch.path: rows cannot wait in %s: %s; make that folder, or name another one "
                    "that can be written",
                    path, why);
    return FRESHET_OK;
}

/* What the writers and the dead letters would refuse; nothing is opened. */
static freshet_code check_ends(const freshet_pipeline *pipeline, problems *problems,
                               freshet_error *err)
{
    for (uint32_t i = 0; i < pipeline->n_sinks; i++) {
        const sink *sink = &pipeline->sinks[i];
        if (sink->ops->check != NULL && sink->at != NULL)
            sink->ops->check(sink->options, pipeline->declaration, sink->at, problems);
        check_validate(pipeline, sink, problems);
    }
    const char *letters = letters_path(pipeline);
    if (letters == NULL)
        return error_memory(err, "checking the dead letters");
    freshet_error problem = {0};
    freshet_code code = dead_letters_check(letters, &problem);
    if (code == FRESHET_BAD_DECLARATION)
        problem_add(problems, &pipeline->declaration->dead_letters.path.at, "%s", problem.text);
    else if (code != FRESHET_OK && err != NULL)
        *err = problem;
    const freshet_code folder = check_batch_folder(pipeline, problems, err);
    return code == FRESHET_OK ? folder : code;
}

/* Resolves everything that the declaration names: all that can be wrong is in `problems`
 * afterwards. */
static freshet_code check_all(freshet_pipeline *pipeline, problems *problems, freshet_error *err)
{
    freshet_code code = choose_writers(pipeline, err);
    if (code != FRESHET_OK)
        return code;
    code = open_source(pipeline, problems, err);
    if (code == FRESHET_OK)
        code = joining_open(pipeline, problems, &pipeline->joining, err);
    if (code == FRESHET_OK)
        code = open_features(pipeline, problems, err);
    if (code == FRESHET_OK)
        code = keep_output_types(pipeline, err);
    if (code == FRESHET_OK)
        code = choose_columns(pipeline, problems, err);
    if (code == FRESHET_OK)
        code = serving_make(pipeline, problems, err);
    if (code == FRESHET_OK)
        bootstrap_check(pipeline, problems);
    if (code == FRESHET_OK)
        code = hooks_open(pipeline, problems, &pipeline->hooks, err);
    if (code == FRESHET_OK)
        code = times_look_before(pipeline, problems, err);
    if (code != FRESHET_OK && code != FRESHET_BAD_DECLARATION)
        return code;
    freshet_code ends = check_ends(pipeline, problems, err);
    return code == FRESHET_OK ? ends : code;
}

/* The kind, and which one of that kind: in the state, too. */
static const char *name_writer(const freshet_pipeline *pipeline, const writer_ops *ops)
{
    uint32_t alike = 0;
    for (uint32_t i = 0; i < pipeline->n_writers; i++)
        alike += pipeline->writers[i]->ops->block == ops->block;
    return arena_format(pipeline->arena, "%s %u", ops->block->name, alike + 1);
}

static freshet_code open_writer(freshet_pipeline *pipeline, const sink *sink, freshet_error *err)
{
    freshet_writer *writer = arena_zero(pipeline->arena, 1, sink->ops->size);
    const char *name = name_writer(pipeline, sink->ops);
    if (writer == NULL || name == NULL)
        return error_memory(err, "opening the writers");
    *writer = (freshet_writer){.ops = sink->ops,
                               .name = name,
                               .at = sink->at,
                               .declaration = pipeline->declaration,
                               .options = sink->options,
                               .arena = pipeline->arena,
                               .n_workers = crew_workers(pipeline->crew),
                               .is_batch = !pipeline->declaration->is_stream,
                               .is_of_days = pipeline->options.start_date != NULL ||
                                             pipeline->options.end_date != NULL,
                               .validates = sink->validate};
    pipeline_serve_writer(pipeline, writer);
    pipeline->writers[pipeline->n_writers++] = writer;
    return sink->ops->open(writer, &sink->columns.schema, feature_set_n_keys(pipeline->features),
                           err);
}

static freshet_code open_writers(freshet_pipeline *pipeline, freshet_error *err)
{
    if (pipeline->declaration->is_past) /* it is made to be remembered only */
        return FRESHET_OK;
    if (pipeline->n_sinks == 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, pipeline->declaration->file,
                         "the declaration has no writer: add one under sink.writers, "
                         "or run in debug mode (--debug) to see the rows in a table");
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_sinks; i++)
        code = open_writer(pipeline, &pipeline->sinks[i], err);
    return code;
}

/* The dead letters, the state that knows how many there are, and the replay of those before. */
static freshet_code open_letters(freshet_pipeline *pipeline, freshet_error *err)
{
    const char *letters = letters_path(pipeline);
    const char *replayed = pipeline->options.replay;
    const bool keeps_state = checkpoint_is_wanted(pipeline);
    if (letters == NULL)
        return error_memory(err, "opening the dead letters");
    if (replayed != NULL && !keeps_state)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, pipeline->declaration->file,
                         "this stream keeps no state, since no writer keeps its rows: each run "
                         "reads everything again, and there is nothing to replay");
    if (replayed != NULL && pipeline->joining != NULL)
        return error_set(
            err, FRESHET_BAD_DECLARATION, FRESHET_STOP, pipeline->declaration->file,
            "the dead letters of a join of streams cannot be replayed, for the rows' "
            "partners may be kept no more. Take the records from %s (`raw`), mend them "
            "and give them to the reader's topic or files again: a partner that is "
            "still within the bound finds them. For those that are too late run the "
            "declaration as a batch (`stream: false` at the readers) over all records",
            letters);
    const dead_letters_options options = {.path = letters,
                                          .pipeline = pipeline->declaration->pipeline.value,
                                          .kind = replayed != NULL ? LETTERS_REPLAY
                                                  : keeps_state    ? LETTERS_STREAM
                                                                   : LETTERS_BATCH,
                                          .max_size = pipeline->declaration->dead_letters.max_size,
                                          .keep = pipeline->declaration->dead_letters.keep};
    freshet_code code = dead_letters_open(&options, &pipeline->letters, err);
    if (code == FRESHET_OK)
        code = checkpoint_open(pipeline, err);
    if (code == FRESHET_OK && !keeps_state)
        code = dead_letters_begin_anew(pipeline->letters, err);
    if (code == FRESHET_OK && replayed != NULL)
        code = replay_open(pipeline, replayed[0] == '\0' ? letters : replayed, err);
    return code;
}

static freshet_code open_ends(freshet_pipeline *pipeline, freshet_error *err)
{
    freshet_code code = open_writers(pipeline, err);
    if (code == FRESHET_OK)
        code = serving_open(pipeline, err);
    if (code != FRESHET_OK)
        return code;
    code = open_letters(pipeline, err);
    if (code == FRESHET_OK && pipeline->replay == NULL)
        code = merge_open(pipeline, &pipeline->merge, err);
    return code == FRESHET_OK ? answering_open(pipeline, err) : code;
}

static freshet_pipeline *open_allocate(const freshet_declaration *declaration,
                                       const freshet_run_options *options)
{
    freshet_pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (pipeline == NULL)
        return NULL;
    pipeline->wake_fd = -1;
    pthread_mutex_init(&pipeline->trouble_lock, NULL);
    sql_watch_init(&pipeline->watch);
    pipeline->handle = declaration;
    pipeline->declaration = declaration_of(declaration);
    if (options != NULL)
        memcpy(&pipeline->options, options,
               options->size < sizeof *options ? options->size : sizeof *options);
    atomic_store(&pipeline->counters[FRESHET_NEWEST_EVENT_US], INT64_MIN);
    pipeline->arena = arena_open();
    pipeline->step_arena = arena_open();
    if (pipeline->arena == NULL || pipeline->step_arena == NULL) {
        freshet_pipeline_close(pipeline);
        return NULL;
    }
    return pipeline;
}

/* The days to cut to: of runs that have an end of time, batches and drained streams. */
static freshet_code read_dates(freshet_pipeline *pipeline, freshet_error *err)
{
    const freshet_run_options *options = &pipeline->options;
    if (pipeline->declaration->is_stream && !options->drain &&
        (options->start_date != NULL || options->end_date != NULL))
        return error_set(
            err, FRESHET_USAGE, FRESHET_STOP, pipeline->declaration->file,
            "a start or end date cuts a batch run, and this pipeline is a stream: leave "
            "the dates away, or take `stream: true` from its readers, or run it with --once "
            "--drain");
    if (options->replay != NULL && !pipeline->declaration->is_stream)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, pipeline->declaration->file,
                         "this pipeline is a batch, which reads all of its input at each run: run "
                         "it again by `freshet run`, and its rows and its dead letters take the "
                         "place of those before");
    return dates_read(options->start_date, options->end_date, &pipeline->dates, err);
}

/* A batch that leaves a checkpoint is run as its stream, to the end of what is there. */
static freshet_code open_handover(freshet_pipeline *pipeline,
                                  const freshet_declaration *declaration,
                                  freshet_problem_fn *problem, void *context, freshet_error *err)
{
    freshet_code code =
        handover_is_wanted(declaration, &pipeline->options, &pipeline->hands_over, err);
    if (code != FRESHET_OK || !pipeline->hands_over)
        return code;
    code = handover_declaration(declaration, &pipeline->options, pipeline->arena, problem, context,
                                &pipeline->handle, err);
    if (code != FRESHET_OK)
        return code;
    pipeline->declaration = declaration_of(pipeline->handle);
    pipeline->options.once = true;
    return FRESHET_OK;
}

freshet_code freshet_pipeline_open(const freshet_declaration *declaration,
                                   const freshet_run_options *options, freshet_problem_fn *problem,
                                   void *context, freshet_pipeline **out, freshet_error *err)
{
    if (declaration == NULL || declaration_of(declaration) == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "freshet_pipeline_open() needs a declaration that was loaded or finished");
    freshet_pipeline *pipeline = open_allocate(declaration, options);
    if (pipeline == NULL)
        return error_memory(err, "opening the pipeline");
    problems *problems = problems_open(pipeline->arena);
    freshet_code code = problems == NULL
                            ? error_memory(err, "opening the pipeline")
                            : open_handover(pipeline, declaration, problem, context, err);
    if (code == FRESHET_OK)
        code = read_dates(pipeline, err);
    if (code == FRESHET_OK)
        code = workers_open(pipeline, err);
    if (code == FRESHET_OK)
        code = check_all(pipeline, problems, err);
    if (problems != NULL && (code == FRESHET_OK || problems_count(problems) > 0))
        code = problems_report(problems, problem, context, err);
    if (code == FRESHET_OK && !pipeline->options.check) {
        pipeline->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        code = pipeline->wake_fd < 0 ? error_system(err, "cannot make", "an eventfd")
                                     : open_ends(pipeline, err);
    }
    if (code == FRESHET_OK) {
        *out = pipeline;
        return code;
    }
    checkpoint_disown(pipeline->checkpoint);
    freshet_pipeline_close(pipeline);
    return code;
}

void freshet_pipeline_close(freshet_pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    answering_close(pipeline);
    fill_close(pipeline);
    checkpoint_close(pipeline->checkpoint);
    for (uint32_t i = 0; i < pipeline->n_writers; i++)
        pipeline->writers[i]->ops->close(pipeline->writers[i]);
    serving_close(pipeline);
    hooks_close(pipeline->hooks);
    feature_set_close(pipeline->features);
    joining_close(pipeline->joining);
    source_close(pipeline->source);
    for (uint32_t i = 0; i < pipeline->n_readers; i++)
        pipeline->readers[i].reader->ops->close(pipeline->readers[i].reader);
    dead_letters_close(pipeline->letters);
    replay_close(pipeline->replay);
    merge_close(pipeline->merge);
    sql_session_close(pipeline->session);
    sql_close(pipeline->engine);
    if (pipeline->wake_fd >= 0)
        close(pipeline->wake_fd);
    crew_close(pipeline->crew);
    arena_close(pipeline->step_arena);
    arena_close(pipeline->arena);
    pthread_mutex_destroy(&pipeline->trouble_lock);
    sql_watch_destroy(&pipeline->watch);
    free(pipeline);
}
