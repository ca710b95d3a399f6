/* training_set.c - freshet_training_set(): the whole of it, its folder, its engine, its stop
 * (training.h).
 *
 * All is written in a folder beside the output, OUTPUT.freshet, which is locked: what the engine
 * puts aside where memory is short, and the output, which is renamed when it is whole. A run that
 * was killed leaves the folder, and the next one of the same output takes it away.
 *
 * A thread of its own asks the caller whether all is to stop, and then interrupts the engine until
 * it has; and tells the caller how far it is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/os.h"
#include "base/text.h"
#include "base/thread.h"
#include "training/training.h"

#define WATCH_US 20000
#define TELL_US 250000
#define THREADS_MAX 64

/* ---- options --------------------------------------------------------------------------------- */

static freshet_code check_options(training *training, freshet_error *err)
{
    static const char *const compressions[] = {"zstd", "snappy", "gzip", "lz4", "none"};
    const freshet_training_options *options = training->options;
    const char *compression = options->compression;
    bool is_known = compression == NULL;
    if (options->spine == NULL || options->output == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "a training set needs a spine and an output");
    training->output_is_csv =
        training_ends(options->output, ".csv") || training_ends(options->output, ".csv.gz");
    if (!training->output_is_csv && !training_ends(options->output, ".parquet"))
        return error_set(
            err, FRESHET_USAGE, FRESHET_STOP, NULL,
            "the output %s must end in .parquet, .csv or .csv.gz: that says what it is",
            options->output);
    for (size_t i = 0; !is_known && i < sizeof compressions / sizeof *compressions; i++)
        is_known = strcmp(compression, compressions[i]) == 0;
    if (!is_known)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "--compression must be zstd, snappy, gzip, lz4 or none, not \"%s\"",
                         compression);
    if (compression != NULL && training->output_is_csv)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "--compression is of Parquet, and %s is a CSV file: leave it away; a file "
                         "that ends in .csv.gz is compressed by gzip",
                         options->output);
    training->memory = options->memory == 0 ? TRAINING_MEMORY_DEFAULT : options->memory;
    if (training->memory < TRAINING_MEMORY_MIN)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "a training set needs 256 MiB of memory at least");
    if (durable_same(options->spine, options->output))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "the output %s is the spine: give it another name", options->output);
    return durable_check("the training set", options->output, err);
}

/* ---- the folder ------------------------------------------------------------------------------ */

typedef struct workplace {
    const char *folder, *spill, *lock, *output;
    int lock_fd; /* -1: not held */
} workplace;

static void empty_folder(arena *arena, const char *path)
{
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        const char *file = arena_format(arena, "%s/%s", path, entry->d_name);
        if (file != NULL && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            os.unlink(file);
    }
    if (folder != NULL)
        closedir(folder);
}

static void workplace_close(training *training, workplace *place)
{
    if (place->lock_fd < 0)
        return;
    empty_folder(training->arena, place->spill);
    rmdir(place->spill);
    empty_folder(training->arena, place->folder);
    rmdir(place->folder);
    os.close(place->lock_fd);
}

static freshet_code workplace_open(training *training, workplace *place, freshet_error *err)
{
    const char *output = training->options->output;
    place->folder = arena_format(training->arena, "%s.freshet", output);
    place->spill = arena_format(training->arena, "%s.freshet/spill", output);
    place->lock = arena_format(training->arena, "%s.freshet/lock", output);
    place->output = arena_format(training->arena, "%s.freshet/output", output);
    if (arena_failed(training->arena))
        return error_memory(err, TRAINING_DOING);
    if (os.mkdir(place->folder, 0777) != 0 && errno != EEXIST)
        return error_system(err, "cannot make the folder", place->folder);
    place->lock_fd = os.open(place->lock, O_RDWR | O_CREAT, 0666);
    if (place->lock_fd < 0)
        return error_system(err, "cannot open", place->lock);
    if (os.lock(place->lock_fd) != 0) {
        os.close(place->lock_fd);
        place->lock_fd = -1;
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_STOP, output,
                         "another run is making this training set at the moment");
    }
    empty_folder(training->arena, place->spill);
    if (os.mkdir(place->spill, 0777) != 0 && errno != EEXIST)
        return error_system(err, "cannot make the folder", place->spill);
    return FRESHET_OK;
}

/* ---- the engine ------------------------------------------------------------------------------ */

static uint32_t count_threads(const training *training)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (training->options->threads > 0)
        return training->options->threads < THREADS_MAX ? training->options->threads : THREADS_MAX;
    return cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (uint32_t)cores;
}

static freshet_code open_engine(training *training, const workplace *place, freshet_error *err)
{
    /* A part for what the engine does not count, and for the slots. */
    const sql_options options = {.threads = count_threads(training),
                                 .memory = training->memory / 100 * 60,
                                 .external_access = true};
    const char *spill = sql_literal(training->arena, place->spill);
    freshet_code code = spill == NULL ? error_memory(err, TRAINING_DOING)
                                      : sql_open(&options, &training->engine, err);
    if (code == FRESHET_OK)
        code = sql_session_open(training->engine, &training->session, err);
    if (code == FRESHET_OK)
        code = training_slots_add(&training->slots, training->session, err);
    if (code == FRESHET_OK)
        code = training_run(training, err, "SET temp_directory = %s", spill);
    return code;
}

static void close_engine(training *training)
{
    sql_session_close(training->session);
    sql_close(training->engine);
    training_slots_release(&training->slots);
}

/* ---- the watcher ----------------------------------------------------------------------------- */

static void *watch_main(void *context)
{
    training *training = context;
    const freshet_training_options *options = training->options;
    int64_t tell_us = os.monotonic_us() + TELL_US;
    pthread_mutex_lock(&training->lock);
    while (!training->is_over) {
        const struct timespec until = thread_time_after(WATCH_US);
        pthread_cond_timedwait(&training->wake, &training->lock, &until);
        if (training->is_over)
            break;
        if (training_is_stopping(training))
            sql_interrupt(training->session);
        if (options->progress != NULL && os.monotonic_us() >= tell_us) {
            options->progress(options->context, training->doing);
            tell_us = os.monotonic_us() + TELL_US;
        }
    }
    pthread_mutex_unlock(&training->lock);
    return NULL;
}

static freshet_code watch_start(training *training, freshet_error *err)
{
    thread_condition(&training->wake);
    training->is_watched = thread_start(&training->watcher, watch_main, training);
    return training->is_watched
               ? FRESHET_OK
               : error_set(err, FRESHET_TRY_AGAIN, FRESHET_STOP, NULL,
                           "the system gives no thread to watch a training set with");
}

static void watch_end(training *training)
{
    if (!training->is_watched)
        return;
    pthread_mutex_lock(&training->lock);
    training->is_over = true;
    pthread_cond_signal(&training->wake);
    pthread_mutex_unlock(&training->lock);
    pthread_join(training->watcher, NULL);
    pthread_cond_destroy(&training->wake);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static freshet_code make(training *training, freshet_error *err)
{
    freshet_code code = training_histories(training, err);
    if (code == FRESHET_OK)
        code = training_spine(training, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < training->n_sets; i++)
        code = training_join(training, &training->sets[i], err);
    return code;
}

/* The output comes to be seen, whole. */
static freshet_code show(training *training, const workplace *place, freshet_error *err)
{
    const char *output = training->options->output;
    if (!durable_path(place->output))
        return error_system(err, "cannot make durable", place->output);
    if (os.rename(place->output, output) != 0)
        return error_system(err, "cannot write", output);
    if (!durable_entry(output))
        return error_system(err, "cannot make durable", output);
    return FRESHET_OK;
}

static freshet_code make_and_show(training *training, freshet_error *err)
{
    workplace place = {.lock_fd = -1};
    freshet_code code = workplace_open(training, &place, err);
    if (code == FRESHET_OK)
        code = open_engine(training, &place, err);
    if (code == FRESHET_OK)
        code = watch_start(training, err);
    if (code == FRESHET_OK)
        code = make(training, err);
    if (code == FRESHET_OK)
        code = training_write(training, place.output, err);
    watch_end(training);
    close_engine(training);
    if (code == FRESHET_OK)
        code = show(training, &place, err);
    workplace_close(training, &place);
    return code;
}

static void say_rows(training *training)
{
    text_buffer count;
    text_init(&count, 64);
    text_append_count_of(&count, training->n_rows, "row");
    training_say(training, "%s: %s", training->options->output, count.failed ? "" : count.bytes);
    text_release(&count);
}

freshet_code freshet_training_set(const freshet_training_options *options, freshet_error *err)
{
    freshet_training_options own = {0};
    training *training = calloc(1, sizeof *training);
    if (training == NULL)
        return error_memory(err, TRAINING_DOING);
    memcpy(&own, options, options->size < sizeof own ? options->size : sizeof own);
    training->options = &own;
    training->arena = arena_open();
    pthread_mutex_init(&training->lock, NULL);
    freshet_code code =
        training->arena == NULL ? error_memory(err, TRAINING_DOING) : check_options(training, err);
    if (code == FRESHET_OK)
        code = make_and_show(training, err);
    if (code == FRESHET_OK)
        say_rows(training);
    pthread_mutex_destroy(&training->lock);
    arena_close(training->arena);
    free(training);
    return code;
}
