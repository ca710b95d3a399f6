/* kafka_once.c - the writer `kafka` that sends each row exactly once; see kafka_writer.h.
 *
 * The rows of an epoch become messages in a file aside (kafka_spool.h), which is durable before
 * the checkpoint lists it. Once that checkpoint is durable the file is `due`: its messages go out
 * in one transaction, together with a marker that says up to which checkpoint they are there
 * (kafka_producer.h); then the file goes. A process that is started again has the files that the
 * last checkpoint lists, and sends what the marker lacks:
 *
 *     killed before the checkpoint   the file is not listed: it is removed, its rows come again
 *     killed before the commit       the transaction is taken back, the file is sent again
 *     killed behind the commit       the marker says that it is there: the file is removed
 *
 * While a file is due and the brokers are away, no more rows are taken.
 *
 * A marker belongs to a state: an id that is drawn when a stream begins, and stands in the files'
 * names, so that the checkpoint keeps it. A marker of this state that is ahead of the checkpoint
 * means that the state is an old copy, and is refused. The marker also has the id of the run, by
 * which one that was fenced off knows whether another run has taken its place, or whether it has
 * only been silent for too long.
 */
#define _GNU_SOURCE
#include "writers/kafka/kafka_writer.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "writers/kafka/kafka_rows.h"
#include "writers/kafka/kafka_spool.h"

#define KEEPING "gathering messages for Kafka"
#define WAIT_US INT64_C(2000000)   /* for the brokers, without any progress */
#define LOOK_US INT64_C(1000000)   /* between looks whether they are there again */
#define CONNECT_US INT64_C(200000) /* of one such look */
#define NAME_SUFFIX ".spool"
#define NAME_END "-%016" PRIx64 "-%016" PRIu64 "-%04" PRIu32 NAME_SUFFIX
#define NAME_END_LENGTH (1 + 16 + 1 + 16 + 1 + 4 + 6)

/* A file that waits. */
typedef struct waiting_file {
    char *path;       /* malloc'd */
    const char *name; /* within it */
    uint64_t number;  /* of its checkpoint */
    uint64_t n;       /* messages */
    bool is_due;      /* the checkpoint that lists it is durable */
    bool is_ours;     /* of this run, whose rows it counts */
} waiting_file;

typedef struct kafka_once {
    kafka_rows rows;
    const char *folder;
    const char *prefix; /* of the files' names */
    bool is_temporary;  /* the folder is, too */
    uint64_t state_id, run_id;
    uint64_t last_number;    /* of all files that were listed */
    uint64_t missing_number; /* of a listed file that is not there; 0: none */
    uint32_t n_made;         /* files, of this run */
    spool spool;
    char *spool_path; /* malloc'd; NULL: no file is begun */
    waiting_file *files;
    uint32_t n_files, files_capacity;
    uint32_t n_due;
    int64_t next_look_us;
    bool has_published, is_warned;
} kafka_once;

static bool once_serves(const void *options)
{
    return ((const kafka_writer_options *)options)->delivery == DELIVERY_EXACTLY_ONCE;
}

/* ---- opening ------------------------------------------------------------------------------- */

/* A number that no other run has. */
static uint64_t draw_id(const void *seed)
{
    const int64_t parts[] = {os.now_us(), os.monotonic_us(), (int64_t)getpid(),
                             (int64_t)(intptr_t)seed};
    return hash_bytes(parts, sizeof parts, HASH_A);
}

static freshet_code make_folder(kafka_once *writer, freshet_error *err)
{
    const freshet_writer *base = &writer->rows.base;
    const kafka_writer_options *options = base->options;
    const char *temporary = getenv("TMPDIR");

    if (writer->folder != NULL)
        return FRESHET_OK;
    const char *folder =
        options->spool.value != NULL
            ? declaration_path(base->declaration, base->arena, options->spool.value)
        : base->folder != NULL
            ? base->folder
            : arena_format(base->arena, "%s/freshet-%ld-%016" PRIx64,
                           temporary == NULL ? "/tmp" : temporary, (long)getpid(), writer->run_id);
    if (folder == NULL)
        return error_memory(err, KEEPING);
    if (os.mkdir(folder, 0700) != 0 && errno != EEXIST)
        return error_system(err, "cannot make the folder of waiting messages", folder);
    writer->is_temporary = options->spool.value == NULL && base->folder == NULL;
    writer->folder = folder;
    return FRESHET_OK;
}

/* The transactional id, as a file's name can have it. */
static freshet_code make_prefix(kafka_once *writer, freshet_error *err)
{
    char *prefix =
        arena_text(writer->rows.base.arena, writer->rows.producer.options.transactional_id);

    if (prefix == NULL)
        return error_memory(err, KEEPING);
    for (char *c = prefix; *c != '\0'; c++)
        if (*c == '/' || (unsigned char)*c <= ' ')
            *c = '_';
    if (strlen(prefix) > 100)
        prefix[100] = '\0';
    writer->prefix = prefix;
    return FRESHET_OK;
}

static freshet_code once_open(freshet_writer *base, const schema *schema, uint32_t n_keys,
                              freshet_error *err)
{
    kafka_once *writer = (kafka_once *)base;

    (void)n_keys;
    spool_init(&writer->spool);
    writer->run_id = writer->state_id = draw_id(writer);
    freshet_code code = kafka_rows_open(&writer->rows, schema, true, err);
    return code == FRESHET_OK ? make_prefix(writer, err) : code;
}

/* ---- files --------------------------------------------------------------------------------- */

/* Reads a file's name; false where it is not one of ours. */
static bool read_name(const kafka_once *writer, const char *name, uint64_t *state_id,
                      uint64_t *number)
{
    const size_t length = strlen(name), prefix = strlen(writer->prefix);
    const char *at = name + prefix;
    uint64_t n;

    return length == prefix + NAME_END_LENGTH && strncmp(name, writer->prefix, prefix) == 0 &&
           kafka_take_number(&at, '-', 16, 16, state_id) &&
           kafka_take_number(&at, '-', 10, 16, number) && kafka_take_number(&at, '-', 10, 4, &n) &&
           strcmp(at, NAME_SUFFIX) == 0;
}

/* `path`, malloc'd, becomes the file's. */
static freshet_code add_file(kafka_once *writer, char *path, const waiting_file *like,
                             freshet_error *err)
{
    if (!array_reserve(&writer->files, &writer->files_capacity, writer->n_files + UINT64_C(1),
                       sizeof *writer->files))
        return error_memory(err, KEEPING);
    waiting_file *file = &writer->files[writer->n_files++];
    *file = *like;
    file->path = path;
    file->name = strrchr(path, '/') + 1;
    writer->n_due += file->is_due;
    if (file->number > writer->last_number)
        writer->last_number = file->number;
    return FRESHET_OK;
}

static void drop_file(kafka_once *writer, uint32_t i)
{
    waiting_file *file = &writer->files[i];

    os.unlink(file->path); /* what stays is not listed any more, and is removed by the next run */
    writer->n_due -= file->is_due;
    free(file->path);
    writer->n_files--;
    memmove(file, file + 1, (writer->n_files - i) * sizeof *file);
}

static freshet_code begin_file(kafka_once *writer, freshet_error *err)
{
    freshet_code code = make_folder(writer, err);

    if (code != FRESHET_OK)
        return code;
    if (asprintf(&writer->spool_path, "%s/%s" NAME_END, writer->folder, writer->prefix,
                 writer->state_id, writer->rows.base.checkpoint, writer->n_made % 10000) < 0) {
        writer->spool_path = NULL;
        return error_memory(err, KEEPING);
    }
    code = spool_begin(&writer->spool, writer->spool_path, err);
    if (code == FRESHET_OK) {
        writer->n_made++;
        return FRESHET_OK;
    }
    free(writer->spool_path);
    writer->spool_path = NULL;
    return code;
}

static freshet_code take_message(kafka_rows *rows, freshet_error *err)
{
    kafka_once *writer = (kafka_once *)rows;
    freshet_code code =
        writer->spool_path == NULL ? begin_file(writer, err) : spool_make_room(&writer->spool, err);

    if (code == FRESHET_OK && !spool_add(&writer->spool, kafka_rows_key(rows), rows->key.length,
                                         rows->value.bytes, rows->value.length))
        code = error_memory(err, KEEPING);
    return code;
}

/* ---- sending what is due -------------------------------------------------------------------- */

static freshet_code refuse_place(const kafka_once *writer, freshet_error *err)
{
    const producer_options *options = &writer->rows.producer.options;

    return error_set(
        err, FRESHET_BAD_DECLARATION, FRESHET_STOP, options->at,
        "another run with the transactional id \"%s\" has taken the place of this one, "
        "which sends nothing more: end one of them, or give each a "
        "\"transactional_id\" of its own",
        options->transactional_id);
}

static freshet_code refuse_old_state(const kafka_once *writer, freshet_error *err)
{
    const producer *producer = &writer->rows.producer;

    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, producer->options.at,
                     "the topic \"%s\" has rows up to checkpoint %" PRIu64
                     ", and the state knows of %" PRIu64
                     " only, so the rows between would be there twice: put back the state that "
                     "belongs to it; or, to begin anew, `freshet state reset`, and take it that "
                     "all rows are sent again",
                     producer->options.topic, producer->marker.number, writer->last_number);
}

static freshet_code refuse_missing(const kafka_once *writer, freshet_error *err)
{
    const producer *producer = &writer->rows.producer;

    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, writer->folder,
                     "the rows of checkpoint %" PRIu64
                     " wait for the topic \"%s\" in a file that is not there, and the topic has "
                     "them up to checkpoint %" PRIu64
                     " only: put the folder back, which belongs to the state; or, to begin anew, "
                     "`freshet state reset`",
                     writer->missing_number, producer->options.topic, producer->marker.number);
}

/* What the brokers know of this writer: does it fit what the state knows? */
static freshet_code check_marker(kafka_once *writer, freshet_error *err)
{
    const producer *producer = &writer->rows.producer;
    const producer_marker *marker = &producer->marker;
    const bool is_ours = marker->is_there && marker->state_id == writer->state_id;

    if (writer->has_published && marker->is_there && (!is_ours || marker->run_id != writer->run_id))
        return refuse_place(writer, err);
    if (is_ours && marker->number > writer->last_number)
        return refuse_old_state(writer, err);
    if (is_ours && marker->number < writer->missing_number)
        return refuse_missing(writer, err);
    if (marker->is_there && !is_ours && !writer->rows.base.is_batch && !writer->is_warned)
        log_event(TOPIC_OTHER_ROWS, producer->options.topic, producer->options.transactional_id);
    writer->is_warned = true;
    return FRESHET_OK;
}

static bool is_sent(const kafka_once *writer, const waiting_file *file)
{
    const producer_marker *marker = &writer->rows.producer.marker;

    return marker->is_there && marker->state_id == writer->state_id &&
           file->number <= marker->number;
}

/* The due files whose messages the topic has go. */
static void drop_sent(kafka_once *writer)
{
    for (uint32_t i = 0; i < writer->n_files;) {
        const waiting_file *file = &writer->files[i];
        if (!file->is_due || !is_sent(writer, file)) {
            i++;
            continue;
        }
        if (file->is_ours)
            writer_add(&writer->rows.base, WRITER_WRITTEN, (int64_t)file->n);
        drop_file(writer, i);
    }
}

static freshet_code send_file(kafka_once *writer, const waiting_file *file, freshet_error *err)
{
    spool_reader reader;
    spool_message message;
    freshet_code code = spool_read_open(&reader, file->path, err);

    if (code != FRESHET_OK)
        return code;
    while ((code = spool_next(&reader, &message, err)) == FRESHET_OK) {
        code = producer_send(&writer->rows.producer, message.key, message.key_length, message.value,
                             message.length, os.monotonic_us() + WAIT_US, err);
        if (code != FRESHET_OK)
            break;
    }
    spool_read_close(&reader);
    return code == FRESHET_END ? FRESHET_OK : code;
}

/* The marker of the transaction that has all that is due. */
static producer_marker marker_of_due(const kafka_once *writer)
{
    producer_marker marker = {
        .is_there = true, .state_id = writer->state_id, .run_id = writer->run_id};

    for (uint32_t i = 0; i < writer->n_files; i++)
        if (writer->files[i].is_due && writer->files[i].number > marker.number)
            marker.number = writer->files[i].number;
    return marker;
}

static freshet_code send_due(kafka_once *writer, freshet_error *err)
{
    producer *producer = &writer->rows.producer;
    freshet_code code = producer_begin(producer, err);

    for (uint32_t i = 0; code == FRESHET_OK && i < writer->n_files; i++)
        if (writer->files[i].is_due)
            code = send_file(writer, &writer->files[i], err);
    if (code == FRESHET_OK)
        code = producer_flush(producer, WAIT_US, err);
    return code;
}

/* All that is due is there when this returns OK. It waits for the brokers until then, and longer as
 * long as messages are delivered. */
static freshet_code publish_due(kafka_once *writer, int64_t until_us, freshet_error *err)
{
    producer *producer = &writer->rows.producer;
    freshet_code code = producer_ready(producer, until_us, err);

    if (code != FRESHET_OK)
        return code;
    if (producer->stage == PRODUCER_READY) {
        code = check_marker(writer, err);
        if (code == FRESHET_OK)
            code = kafka_rows_ready(&writer->rows, err);
        if (code != FRESHET_OK)
            return code;
        drop_sent(writer);
        if (writer->n_due == 0) {
            producer_end_trouble(producer);
            return FRESHET_OK;
        }
        code = send_due(writer, err);
    }
    const producer_marker marker = marker_of_due(writer);
    if (code == FRESHET_OK)
        code = producer_commit(producer, &marker, os.monotonic_us() + WAIT_US, err);
    if (code != FRESHET_OK) {
        producer_take_back(producer);
        return code;
    }
    writer->has_published = true;
    drop_sent(writer);
    return FRESHET_OK;
}

/* ---- the contract ---------------------------------------------------------------------------- */

static freshet_code once_write(freshet_writer *base, const batch *rows, freshet_error *err)
{
    kafka_once *writer = (kafka_once *)base;

    if (writer->n_due > 0) {
        freshet_code code = publish_due(writer, os.monotonic_us() + WAIT_US, err);
        if (code != FRESHET_OK)
            return code;
    }
    return kafka_rows_write(&writer->rows, rows, take_message, err);
}

static freshet_code once_flush(freshet_writer *base, freshet_error *err)
{
    (void)base; /* pending does it */
    (void)err;
    return FRESHET_OK;
}

/* The file that is written is whole and durable, and waits. */
static freshet_code seal_file(kafka_once *writer, freshet_error *err)
{
    const waiting_file like = {
        .number = writer->rows.base.checkpoint, .n = writer->spool.n, .is_ours = true};

    if (writer->spool_path == NULL)
        return FRESHET_OK;
    if (!array_reserve(&writer->files, &writer->files_capacity, writer->n_files + UINT64_C(1),
                       sizeof *writer->files))
        return error_memory(err, KEEPING);
    freshet_code code = spool_seal(&writer->spool, err);
    if (code != FRESHET_OK)
        return code;
    code = add_file(writer, writer->spool_path, &like, err);
    writer->spool_path = NULL;
    return code;
}

static freshet_code once_pending(freshet_writer *base, arena *arena, writer_files *out,
                                 freshet_error *err)
{
    kafka_once *writer = (kafka_once *)base;
    freshet_code code = seal_file(writer, err);

    if (code != FRESHET_OK)
        return code;
    const char **names = arena_alloc(arena, (writer->n_files + (size_t)1) * sizeof *names);
    *out = (writer_files){.paths = names, .n = writer->n_files};
    for (uint32_t i = 0; names != NULL && i < writer->n_files; i++) {
        names[i] = arena_text(arena, writer->files[i].name);
        out->n_rows += writer->files[i].n;
        if (names[i] == NULL)
            return error_memory(err, KEEPING);
    }
    return names == NULL ? error_memory(err, KEEPING) : FRESHET_OK;
}

static freshet_code once_publish(freshet_writer *base, const writer_files *files,
                                 freshet_error *err)
{
    kafka_once *writer = (kafka_once *)base;

    for (uint32_t i = 0; i < writer->n_files; i++)
        for (uint32_t k = 0; !writer->files[i].is_due && k < files->n; k++)
            if (strcmp(writer->files[i].name, files->paths[k]) == 0) {
                writer->files[i].is_due = true;
                writer->n_due++;
            }
    return writer->n_due == 0 ? FRESHET_OK : publish_due(writer, os.monotonic_us() + WAIT_US, err);
}

/* The same where it is fine if the brokers are away: it is tried again. */
static freshet_code try_due(kafka_once *writer, int64_t wait_us, freshet_error *err)
{
    freshet_error problem = {0};
    freshet_code code = publish_due(writer, os.monotonic_us() + wait_us, &problem);

    writer->next_look_us = os.monotonic_us() + LOOK_US;
    if (code == FRESHET_OK || problem.then == FRESHET_RETRY)
        return FRESHET_OK;
    if (err != NULL)
        *err = problem;
    return code;
}

static freshet_code recover_file(kafka_once *writer, const char *name, freshet_error *err)
{
    waiting_file like = {.is_due = true};
    uint64_t state_id = 0;
    char *path = NULL;
    struct stat found;

    if (!read_name(writer, name, &state_id, &like.number))
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP,
                         writer->rows.producer.options.at,
                         "the state lists rows that wait for Kafka under another transactional id "
                         "(\"%s\"): put \"transactional_id\" back until they are sent, which the "
                         "next run does; then change it",
                         name);
    writer->state_id = state_id;
    if (asprintf(&path, "%s/%s", writer->folder, name) < 0)
        return error_memory(err, KEEPING);
    freshet_code code = FRESHET_OK;
    if (os.stat(path, &found) != 0 && errno == ENOENT) { /* sent; or lost: the marker tells */
        if (like.number > writer->missing_number)
            writer->missing_number = like.number;
        if (like.number > writer->last_number)
            writer->last_number = like.number;
        free(path);
        return FRESHET_OK;
    }
    code = spool_count(path, &like.n, err);
    if (code == FRESHET_OK)
        code = add_file(writer, path, &like, err);
    if (code != FRESHET_OK)
        free(path);
    return code;
}

static bool is_waiting(const kafka_once *writer, const char *name)
{
    for (uint32_t i = 0; i < writer->n_files; i++)
        if (strcmp(writer->files[i].name, name) == 0)
            return true;
    return false;
}

/* Files of this writer that no checkpoint lists: their rows come again, or were sent. */
static void forget_others(const kafka_once *writer)
{
    DIR *folder = opendir(writer->folder);
    uint64_t state_id, number;
    char path[4096];

    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        if (!read_name(writer, entry->d_name, &state_id, &number) ||
            is_waiting(writer, entry->d_name))
            continue;
        snprintf(path, sizeof path, "%s/%s", writer->folder, entry->d_name);
        os.unlink(path);
    }
    if (folder != NULL)
        closedir(folder);
}

static freshet_code once_recover(freshet_writer *base, const writer_files *committed,
                                 freshet_error *err)
{
    kafka_once *writer = (kafka_once *)base;
    uint64_t number = 0;
    freshet_code code = make_folder(writer, err);

    if (code == FRESHET_OK && committed->newest != NULL &&
        read_name(writer, committed->newest, &writer->state_id, &number))
        writer->last_number = number;
    for (uint32_t i = 0; code == FRESHET_OK && i < committed->n; i++)
        code = recover_file(writer, committed->paths[i], err);
    if (code != FRESHET_OK)
        return code;
    forget_others(writer);
    return writer->n_due == 0 ? FRESHET_OK : try_due(writer, WAIT_US, err);
}

/* Looks now and then whether the brokers are there: until they have been, and while they are to
 * have what is due. */
static freshet_code once_progress(freshet_writer *base, freshet_error *err)
{
    kafka_once *writer = (kafka_once *)base;
    producer *producer = &writer->rows.producer;
    freshet_code code = producer_poll(producer, err);

    if (code != FRESHET_OK || (producer->has_been_ready && writer->n_due == 0) ||
        os.monotonic_us() < writer->next_look_us)
        return code;
    const uint32_t n_due = writer->n_due;
    code = try_due(writer, CONNECT_US, err);
    if (code == FRESHET_OK && writer->n_due < n_due)
        producer_wake(producer); /* whoever waits for it may go on */
    return code;
}

static int64_t once_wake_us(const freshet_writer *base)
{
    const kafka_once *writer = (const kafka_once *)base;
    const bool has_work = !writer->rows.producer.has_been_ready || writer->n_due > 0;

    return has_work ? writer->next_look_us : INT64_MAX;
}

static void once_close(freshet_writer *base)
{
    kafka_once *writer = (kafka_once *)base;
    const bool is_left = writer->spool_path != NULL || writer->n_files > 0;

    spool_release(&writer->spool);
    if (base->is_batch && is_left)
        log_event(TOPIC_UNFINISHED, writer->rows.producer.options.topic);
    if (base->is_batch && writer->spool_path != NULL)
        os.unlink(writer->spool_path);
    while (base->is_batch && writer->n_files > 0)
        drop_file(writer, writer->n_files - 1);
    if (writer->is_temporary)
        rmdir(writer->folder);
    for (uint32_t i = 0; i < writer->n_files; i++)
        free(writer->files[i].path);
    free(writer->files);
    free(writer->spool_path);
    kafka_rows_close(&writer->rows);
    writer->files = NULL;
    writer->spool_path = NULL;
    writer->n_files = 0;
}

const writer_ops kafka_once_writer_ops = {
    .name = "exactly_once",
    .block = &kafka_writer_block,
    .serves = once_serves,
    .size = sizeof(kafka_once),
    .keeps = KEEPS_ONCE,
    .counts_rows = true,
    .takes = ROW_NEW,
    .takes_with = kafka_writer_takes,
    .any_columns = true,
    .check = kafka_writer_check,
    .open = once_open,
    .write = once_write,
    .flush = once_flush,
    .pending = once_pending,
    .publish = once_publish,
    .validate = kafka_rows_validate,
    .recover = once_recover,
    .progress = once_progress,
    .wake_fd = kafka_rows_wake_fd,
    .wake_us = once_wake_us,
    .trouble = kafka_rows_trouble,
    .close = once_close,
};
