/* rocks.c - see rocks.h.
 *
 * The settings, and why:
 *
 *   LZ4, but of neither the log nor    state is written often and read seldom; compressing takes
 *   the tables that are made aside     more than all the rest of writing, and is for merges
 *   checksums xxh3                     Debian's RocksDB has no CRC32 in hardware
 *   bloom filter of 10 bits            a key that is not there costs no disk
 *   write buffer of 32 MiB at most     what a start replays at most of the log: some 0.2 s
 *   sixteen new tables, then merged    keys are asked for many at once, so a table more costs
 *                                      little, and each merge writes all again
 *   indexes and filters in pieces,     so that what a state of any size takes of memory is the
 *   and in the cache                   cache, and no more
 *   log: an incomplete last record     is what a crash leaves, and is dropped; anything else wrong
 *                                      in it is damage (seal.h finds what this lets through)
 *   logs in the manifest               a log that is missing is found
 *   no line in its own log             RocksDB 7.8 as Debian builds it aborts the process at the
 *                                      second line that a full disk does not take; all that is
 *                                      worth knowing comes back to us as a result
 *   files opened by one thread         RocksDB ends the process where it gets no thread; those of
 *                                      its pools start here, after a look whether there are any
 *   a flush while opening              afterwards one log is alive; of several, RocksDB would not
 *                                      miss one that it had not closed itself
 *
 * A small batch goes the usual way: log, memory, a table some time later. One of
 * ROCKS_TABLE_ENTRIES or more is made a table at once, aside, and then taken into the database:
 * half the work, and nothing to replay at the next start. Both are all or nothing, and durable.
 */
#include "state/rocks.h"

#include <dirent.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/thread.h"

#define WRITE_BUFFER_BYTES ((size_t)32 << 20)
#define BLOOM_BITS 10.0
#define CHECKSUM_XXH3 4
#define INDEX_IN_PIECES 2
#define TABLE_FORMAT 5
#define TABLE_END_BYTES 12 /* the format's number, then eight bytes that say what file it is */
#define MANIFEST_BYTES ((size_t)1 << 20)
#define LEVEL0_TABLES 16
#define LEVEL0_TABLES_SLOW 32 /* writes are held back */
#define LEVEL0_TABLES_MOST 48
#define THREADS 3 /* that RocksDB may start, and ends the process where it gets none */
#define LOG_LEVEL_NOTHING 5
#define FILE_NAME_MAX 48u
#define TOUCHED_AT_ONCE 32u
#define TOUCHED_BYTES_MAX 512u
#define LINE_BYTES 64u /* of the cache */

struct rocks {
    rocksdb_t *database;
    rocksdb_column_family_handle_t *family; /* the only one */
    rocksdb_options_t *options;
    rocksdb_options_t *table_options; /* of tables that are made aside */
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *get_options;
    rocksdb_readoptions_t *scan_options;
    rocksdb_writeoptions_t *write_options;
    rocksdb_envoptions_t *file_options;
    rocksdb_ingestexternalfileoptions_t *take_options;
    char *table; /* where one is made aside */
    char *shown;
};

/* ---- errors -------------------------------------------------------------------------------- */

/* Does a name of a file of the database begin here? */
static bool is_file_name(const char *at)
{
    if (strncmp(at, "MANIFEST-", 9) == 0 || strncmp(at, "CURRENT", 7) == 0)
        return true;
    size_t digits = strspn(at, "0123456789");
    return digits >= 6 &&
           (strncmp(at + digits, ".sst", 4) == 0 || strncmp(at + digits, ".log", 4) == 0);
}

/* The last file that the message names, "" where it names none. */
static void find_file(const char *message, char name[FILE_NAME_MAX])
{
    name[0] = '\0';
    for (const char *at = message; *at != '\0'; at++) {
        bool begins = at == message || strchr("/ '\"", at[-1]) != NULL;
        if (!begins || !is_file_name(at))
            continue;
        size_t length = strcspn(at, " :,;'\"");
        if (length >= FILE_NAME_MAX)
            length = FILE_NAME_MAX - 1;
        memcpy(name, at, length);
        name[length] = '\0';
    }
    /* Which manifest to open is what CURRENT says. */
    if (strncmp(name, "MANIFEST-", 9) == 0 && strstr(message, "No such file") != NULL)
        memcpy(name, "CURRENT", sizeof "CURRENT");
}

static bool is_passing(const char *message)
{
    static const char *const passing[] = {"No space left", "quota exceeded", "File too large",
                                          "Too many open files", "Cannot allocate memory"};
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (strstr(message, passing[i]) != NULL)
            return true;
    return false;
}

/* `name`: the damaged file, or "". Frees RocksDB's message. */
static freshet_code failed_in(const char *shown, const char *doing, const char *name, char *message,
                              freshet_error *err)
{
    char at[232];
    snprintf(at, sizeof at, "%s%s%s", shown, name[0] == '\0' ? "" : "/db/", name);
    freshet_code code;
    if (is_passing(message))
        code = error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, at,
                         "cannot %s the state in \"%s\": %s", doing, shown, message);
    else if (strncmp(message, "IO error", 8) == 0 && strstr(message, "No such file") == NULL)
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, at, "cannot %s the state in \"%s\": %s",
                         doing, shown, message);
    else
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, at,
                         "the state folder \"%s\" is damaged%s%s: %s; put back a copy of the "
                         "folder, or begin anew after `freshet state reset`",
                         shown, name[0] == '\0' ? "" : ", in its file db/", name, message);
    rocksdb_free(message);
    return code;
}

static freshet_code rocks_failed(const char *shown, const char *doing, char *message,
                                 freshet_error *err)
{
    char name[FILE_NAME_MAX];
    find_file(message, name);
    return failed_in(shown, doing, name, message, err);
}

/* ---- open and close ------------------------------------------------------------------------ */

static void set_table(rocks *rocks)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    rocksdb_block_based_options_set_block_cache(table, rocks->cache);
    rocksdb_block_based_options_set_checksum(table, CHECKSUM_XXH3);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_index_type(table, INDEX_IN_PIECES);
    rocksdb_block_based_options_set_partition_filters(table, 1);
    rocksdb_block_based_options_set_pin_top_level_index_and_filter(table, 1);
    rocksdb_block_based_options_set_format_version(table, TABLE_FORMAT);
    rocksdb_options_set_block_based_table_factory(rocks->options, table);
    rocksdb_block_based_options_destroy(table);
}

/* The options that the C interface has no function for. */
static freshet_code set_by_text(rocks *rocks, freshet_error *err)
{
    char *message = NULL;
    rocksdb_options_t *base = rocks->options;
    rocksdb_options_t *more = rocksdb_options_create();
    rocksdb_get_options_from_string(
        base, "track_and_verify_wals_in_manifest=true;allow_fallocate=false", more, &message);
    if (message != NULL) {
        rocksdb_options_destroy(more);
        return rocks_failed(rocks->shown, "set up", message, err);
    }
    rocks->options = more;
    rocksdb_options_destroy(base);
    return FRESHET_OK;
}

static freshet_code set_options(rocks *rocks, rocks_mode mode, size_t memory, freshet_error *err)
{
    rocks->options = rocksdb_options_create();
    freshet_code code = set_by_text(rocks, err);
    if (code != FRESHET_OK)
        return code;
    rocksdb_options_t *options = rocks->options;
    rocks->cache = rocksdb_cache_create_lru(memory);
    set_table(rocks);
    rocksdb_options_set_create_if_missing(options, mode == ROCKS_MAKE);
    rocksdb_options_set_error_if_exists(options, mode == ROCKS_MAKE);
    rocksdb_options_set_paranoid_checks(options, 1);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_write_buffer_size(
        options, memory / 2 < WRITE_BUFFER_BYTES ? memory / 2 : WRITE_BUFFER_BYTES);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, LEVEL0_TABLES);
    rocksdb_options_set_level0_slowdown_writes_trigger(options, LEVEL0_TABLES_SLOW);
    rocksdb_options_set_level0_stop_writes_trigger(options, LEVEL0_TABLES_MOST);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_max_file_opening_threads(options, 1);
    rocksdb_options_set_max_manifest_file_size(options, MANIFEST_BYTES);
    rocksdb_options_set_wal_recovery_mode(options,
                                          rocksdb_tolerate_corrupted_tail_records_recovery);
    rocksdb_options_set_skip_stats_update_on_db_open(options, 1);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_stats_persist_period_sec(options, 0);
    rocksdb_options_set_info_log_level(options, LOG_LEVEL_NOTHING);
    rocksdb_options_set_max_log_file_size(options, 0); /* else headers are written all the same */
    rocksdb_options_set_keep_log_file_num(options, 1);
    rocks->table_options = rocksdb_options_create_copy(options);
    rocksdb_options_set_compression(rocks->table_options, rocksdb_no_compression);
    return FRESHET_OK;
}

/* Is the format that the table's end names ours? RocksDB says of another one, which it knows too,
 * no more than that some block is wrong; and this is the only byte without a checksum. */
static bool format_is_ours(const char *path)
{
    unsigned char end[TABLE_END_BYTES];
    FILE *stream = fopen(path, "rbe");
    if (stream == NULL)
        return true;
    bool is_ours = fseek(stream, -(long)sizeof end, SEEK_END) != 0 ||
                   fread(end, 1, sizeof end, stream) != sizeof end ||
                   (end[0] == TABLE_FORMAT && end[1] == 0 && end[2] == 0 && end[3] == 0);
    fclose(stream);
    return is_ours;
}

/* Can the table be opened? The scratch database is asked to take it in; it looks at the table
 * first, and then does not want a good one that was not made to be taken in, or was taken in
 * before. */
static bool table_opens(rocksdb_t *scratch, const char *path)
{
    char *message = NULL;
    rocksdb_ingestexternalfileoptions_t *options = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingest_external_file(scratch, &path, 1, options, &message);
    rocksdb_ingestexternalfileoptions_destroy(options);
    bool opens = message == NULL || strstr(message, "External file version not found") != NULL ||
                 strstr(message, "have global seqno property") != NULL;
    rocksdb_free(message);
    return opens;
}

/* The oldest table of the folder that cannot be opened; "" where all can. (The newest may be one
 * that this opening has begun.) */
static void find_bad_table(rocksdb_t *scratch, const char *folder, char name[FILE_NAME_MAX])
{
    char path[4096];
    DIR *stream = opendir(folder);
    name[0] = '\0';
    for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (dot == NULL || strcmp(dot, ".sst") != 0 || strlen(entry->d_name) >= FILE_NAME_MAX ||
            (name[0] != '\0' && strcmp(name, entry->d_name) < 0) ||
            (format_is_ours(path) && table_opens(scratch, path)))
            continue;
        memcpy(name, entry->d_name, strlen(entry->d_name) + 1);
    }
    if (stream != NULL)
        closedir(stream);
}

/* RocksDB blames the manifest for a damaged table that it names. The manifest is sealed, so look
 * at the tables, each by itself. */
static void blame_table(const char *folder, const char *message, char name[FILE_NAME_MAX])
{
    char home[] = "/tmp/freshet-table-XXXXXX";
    find_file(message, name);
    if (strncmp(name, "MANIFEST-", 9) != 0 || mkdtemp(home) == NULL)
        return;
    char *problem = NULL;
    char table[FILE_NAME_MAX] = "";
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_t *scratch = rocksdb_open(options, home, &problem);
    if (problem == NULL) {
        find_bad_table(scratch, folder, table);
        rocksdb_close(scratch);
        rocksdb_destroy_db(options, home, &problem);
    }
    rocksdb_free(problem);
    rocksdb_options_destroy(options);
    rmdir(home);
    if (table[0] != '\0')
        memcpy(name, table, sizeof table);
}

freshet_code rocks_open(const char *folder, const char *shown, rocks_mode mode, size_t memory,
                        rocks **out, freshet_error *err)
{
    if (!thread_are_left(THREADS))
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, shown,
                         "cannot open the state in \"%s\": the system gives no threads for it, or "
                         "no address space for their stacks (ulimit -u, ulimit -v)",
                         shown);
    rocks *rocks = calloc(1, sizeof *rocks);
    if (rocks == NULL || (rocks->shown = strdup(shown)) == NULL ||
        (rocks->table = malloc(strlen(folder) + sizeof ".sst")) == NULL) {
        rocks_close(rocks);
        return error_memory(err, "opening the state");
    }
    sprintf(rocks->table, "%s.sst", folder);
    freshet_code code = set_options(rocks, mode, memory, err);
    if (code != FRESHET_OK) {
        rocks_close(rocks);
        return code;
    }
    rocks->get_options = rocksdb_readoptions_create();
    rocks->scan_options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(rocks->get_options, 1);
    rocksdb_readoptions_set_verify_checksums(rocks->scan_options, 1);
    rocksdb_readoptions_set_fill_cache(rocks->scan_options, 0);
    rocks->write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(rocks->write_options, 1);
    rocks->file_options = rocksdb_envoptions_create();
    rocks->take_options = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(rocks->take_options, 1);
    char *message = NULL;
    const char *family = "default"; /* its handle is what several keys are asked for with */
    const rocksdb_options_t *options = rocks->options;
    rocks->database =
        mode == ROCKS_READ
            ? rocksdb_open_for_read_only_column_families(rocks->options, folder, 1, &family,
                                                         &options, &rocks->family, 0, &message)
            : rocksdb_open_column_families(rocks->options, folder, 1, &family, &options,
                                           &rocks->family, &message);
    if (message != NULL) {
        char name[FILE_NAME_MAX];
        blame_table(folder, message, name);
        code = failed_in(shown, "open", name, message, err);
        rocks_close(rocks);
        return code;
    }
    *out = rocks;
    return FRESHET_OK;
}

void rocks_close(rocks *rocks)
{
    if (rocks == NULL)
        return;
    if (rocks->family != NULL)
        rocksdb_column_family_handle_destroy(rocks->family);
    if (rocks->database != NULL)
        rocksdb_close(rocks->database);
    rocksdb_writeoptions_destroy(rocks->write_options); /* as all that follow: NULL is fine */
    rocksdb_envoptions_destroy(rocks->file_options);
    rocksdb_ingestexternalfileoptions_destroy(rocks->take_options);
    rocksdb_readoptions_destroy(rocks->get_options);
    rocksdb_readoptions_destroy(rocks->scan_options);
    rocksdb_options_destroy(rocks->options);
    rocksdb_options_destroy(rocks->table_options);
    rocksdb_cache_destroy(rocks->cache);
    free(rocks->shown);
    free(rocks->table);
    free(rocks);
}

/* ---- reading ------------------------------------------------------------------------------- */

freshet_code rocks_get(rocks *rocks, const void *key, size_t key_length, text_buffer *into,
                       freshet_error *err)
{
    char *message = NULL;
    rocksdb_pinnableslice_t *value =
        rocksdb_get_pinned(rocks->database, rocks->get_options, key, key_length, &message);
    if (message != NULL)
        return rocks_failed(rocks->shown, "read", message, err);
    if (value == NULL)
        return FRESHET_END;
    size_t length = 0;
    const char *bytes = rocksdb_pinnableslice_value(value, &length);
    bool kept = text_append(into, bytes, length);
    rocksdb_pinnableslice_destroy(value);
    return kept ? FRESHET_OK : error_memory(err, "reading the state");
}

freshet_code rocks_get_many(rocks *rocks, const char *const *keys, const size_t *key_lengths,
                            size_t n, rocks_found_fn *found, void *context, freshet_error *err)
{
    rocksdb_pinnableslice_t *values[ROCKS_MANY_MAX];
    char *messages[ROCKS_MANY_MAX] = {0};
    char *message = NULL;
    bool goes_on = true;
    rocksdb_batched_multi_get_cf(rocks->database, rocks->get_options, rocks->family, n, keys,
                                 key_lengths, values, messages, true);
    for (size_t i = 0; i < n; i++) {
        size_t length = 0;
        if (values[i] != NULL && goes_on && message == NULL) {
            const char *bytes = rocksdb_pinnableslice_value(values[i], &length);
            goes_on = found(context, i, bytes, length);
        }
        if (values[i] != NULL)
            rocksdb_pinnableslice_destroy(values[i]);
        if (message == NULL)
            message = messages[i];
        else
            rocksdb_free(messages[i]);
    }
    return message == NULL ? FRESHET_OK : rocks_failed(rocks->shown, "read", message, err);
}

freshet_code rocks_scan(rocks *rocks, const void *prefix, size_t prefix_length, size_t from_length,
                        rocks_visit_fn *visit, void *context, freshet_error *err)
{
    rocksdb_iterator_t *each = rocksdb_create_iterator(rocks->database, rocks->scan_options);
    bool goes_on = true;
    for (rocksdb_iter_seek(each, prefix, from_length); goes_on && rocksdb_iter_valid(each);
         rocksdb_iter_next(each)) {
        size_t key_length = 0;
        size_t length = 0;
        const char *key = rocksdb_iter_key(each, &key_length);
        const char *value = rocksdb_iter_value(each, &length);
        if (key_length < prefix_length || memcmp(key, prefix, prefix_length) != 0)
            break;
        goes_on = visit(context, key, key_length, value, length);
    }
    char *message = NULL;
    rocksdb_iter_get_error(each, &message);
    rocksdb_iter_destroy(each);
    return message == NULL ? FRESHET_OK : rocks_failed(rocks->shown, "read", message, err);
}

/* ---- writing ------------------------------------------------------------------------------- */

/* All keys with the prefix are those from it up to `end`, the prefix with its last byte raised by
 * one: ours end in a 0 byte. */
static bool make_end(const rocks_entry *entry, text_buffer *end)
{
    text_reset(end);
    if (!text_append(end, entry->key, entry->key_length))
        return false;
    end->bytes[end->length - 1]++;
    return true;
}

/* Keys and values lie in memory in the order of their coming. Looks at some of them at once, which
 * takes hardly longer than at one; prefetching is of no use where the page is not known either. */
static void touch_entries(const rocks_place *places, size_t n)
{
    for (size_t i = 0; i < n && i < TOUCHED_AT_ONCE; i++) {
        const rocks_entry *entry = &places[i].entry;
        const size_t length = (size_t)entry->key_length + entry->value_length;
        for (size_t at = 0; at < length && at < TOUCHED_BYTES_MAX; at += LINE_BYTES)
            memory_touch(entry->key + at);
    }
}

/* Puts the entries into one of the two, which the other one is NULL for. False where memory is
 * out. */
static bool fill(rocksdb_writebatch_t *batch, rocksdb_sstfilewriter_t *table,
                 const rocks_place *places, size_t n, char **message)
{
    text_buffer end;
    bool good = true;
    text_init(&end, TEXT_LIMIT_DEFAULT);
    for (size_t i = 0; good && i < n && *message == NULL; i++) {
        const rocks_entry *entry = &places[i].entry;
        const char *key = entry->key, *value = rocks_value(entry);
        const size_t key_length = entry->key_length, length = entry->value_length;
        const unsigned change = entry->change;
        if (i % TOUCHED_AT_ONCE == 0)
            touch_entries(places + i, n - i);
        if (change == ROCKS_REMOVE_PREFIX && !(good = make_end(entry, &end)))
            break;
        if (change == ROCKS_REMOVE_RANGE) {
            text_reset(&end);
            if (!(good = text_append(&end, value, length)))
                break;
        }
        if (change == ROCKS_PUT && batch != NULL)
            rocksdb_writebatch_put(batch, key, key_length, value, length);
        else if (change == ROCKS_PUT)
            rocksdb_sstfilewriter_put(table, key, key_length, value, length, message);
        else if (change == ROCKS_REMOVE && batch != NULL)
            rocksdb_writebatch_delete(batch, key, key_length);
        else if (change == ROCKS_REMOVE)
            rocksdb_sstfilewriter_delete(table, key, key_length, message);
        else if (batch != NULL)
            rocksdb_writebatch_delete_range(batch, key, key_length, end.bytes, end.length);
        else
            rocksdb_sstfilewriter_delete_range(table, key, key_length, end.bytes, end.length,
                                               message);
    }
    text_release(&end);
    return good;
}

static bool write_log(rocks *rocks, const rocks_place *places, size_t n, char **message)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    bool good = fill(batch, NULL, places, n, message);
    if (good)
        rocksdb_write(rocks->database, rocks->write_options, batch, message);
    rocksdb_writebatch_destroy(batch);
    return good;
}

static bool write_table(rocks *rocks, const rocks_place *places, size_t n, char **message)
{
    const char *path = rocks->table;
    unlink(path); /* of a process that was killed */
    rocksdb_sstfilewriter_t *table =
        rocksdb_sstfilewriter_create(rocks->file_options, rocks->table_options);
    rocksdb_sstfilewriter_open(table, path, message);
    bool good = fill(NULL, table, places, n, message);
    if (good && *message == NULL)
        rocksdb_sstfilewriter_finish(table, message);
    rocksdb_sstfilewriter_destroy(table);
    if (good && *message == NULL)
        rocksdb_ingest_external_file(rocks->database, &path, 1, rocks->take_options, message);
    return good;
}

freshet_code rocks_write(rocks *rocks, const rocks_place *places, size_t n, freshet_error *err)
{
    char *message = NULL;
    bool good = (n < ROCKS_TABLE_ENTRIES ? write_log : write_table)(rocks, places, n, &message);
    if (!good)
        return error_memory(err, "writing the state");
    return message == NULL ? FRESHET_OK : rocks_failed(rocks->shown, "write", message, err);
}
