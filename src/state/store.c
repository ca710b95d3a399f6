/* store.c - see store.h.
 *
 * An entry's key on the disk is its space, its name, a 0 byte and the key; its value is a checksum
 * of both and the value. One more entry, "c", counts the commits.
 *
 * Two sets of changes (pending.h) take turns: `filling` takes what is put; commit makes it
 * `flying`, and the thread writes it. Until store_wait sees it landed store_get looks
 * there first. When writing fails the flying set is kept, and the next begin or wait opens the
 * database anew (RocksDB refuses further writes after some failures) and writes it again, on the
 * caller's own thread.
 */
#include "state/store.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "base/thread.h"
#include "state/folder.h"
#include "state/pending.h"
#include "state/seal.h"

#define FORMAT "1"
#define COMMITS_KEY "c"
#define CHECKPOINTING "making a checkpoint"
#define READING "reading the state"
#define SMALL_KEY_BYTES 256u
#define READ_TRIES 5
#define READ_PAUSE_NS 20000000L

typedef enum flight {
    FLIGHT_NONE,     /* nothing is on its way */
    FLIGHT_UNDERWAY, /* the thread writes `flying` */
    FLIGHT_FAILED,   /* it could not, and nobody has been told */
    FLIGHT_UNWRITTEN /* it could not; the next wait tries again */
} flight;

struct state_store {
    folder_paths paths;
    bool read_only;
    size_t memory;
    bool is_new; /* the folder: store_open has made it */
    int lock;
    rocks *rocks;
    seal *seal;
    pending *filling;
    pending *flying;
    size_t committed_bytes;
    uint64_t commits; /* the last one that was handed over */
    bool is_disowned;
    bool is_unsealed; /* the last seal could not be written, and that was said; of who writes */
    text_buffer key;  /* scratch */
    text_buffer value;
    pthread_rwlock_t reading; /* over rocks and flying, where tasks read: one opens again */

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex; /* over what follows */
    pthread_cond_t changed;
    flight flight;
    bool ends;
    freshet_error failure;
};

/* ---- keys and values ----------------------------------------------------------------------- */

static bool make_key(text_buffer *into, char space, const char *name, const void *key,
                     size_t key_length)
{
    text_reset(into);
    text_append_char(into, space);
    if (name != NULL) {
        text_append_c(into, name);
        text_append_char(into, '\0');
    }
    text_append(into, key, key_length);
    return !into->failed;
}

/* True where the stored value is whole; *value and *length are then the value itself. */
static bool open_value(const void *key, size_t key_length, const char *stored, size_t stored_length,
                       const char **value, size_t *length)
{
    uint64_t sum;
    if (stored_length < PENDING_SUM_BYTES)
        return false;
    memcpy(&sum, stored, PENDING_SUM_BYTES);
    *value = stored + PENDING_SUM_BYTES;
    *length = stored_length - PENDING_SUM_BYTES;
    return sum == pending_sum(key, key_length, *value, *length);
}

/* The key in a message: printable, not too long. */
static void show_key(const char *key, size_t length, char shown[64])
{
    size_t n = length < 60 ? length : 60;
    for (size_t i = 0; i < n; i++)
        shown[i] = key[i] >= ' ' && key[i] <= '~' ? key[i] : '.';
    shown[n] = '\0';
}

static freshet_code damaged(const state_store *store, const char *key, size_t key_length,
                            freshet_error *err)
{
    char shown[64];
    show_key(key, key_length, shown);
    return error_set(
        err, FRESHET_FAILED, FRESHET_STOP, store->paths.folder,
        "the state folder \"%s\" is damaged: the value of its entry \"%s\" has a wrong "
        "checksum; put back a copy of the folder, or begin anew after `freshet state "
        "reset`",
        store->paths.folder, shown);
}

/* ---- open ---------------------------------------------------------------------------------- */

static freshet_code write_pending(rocks *rocks, pending *changes, freshet_error *err)
{
    size_t n = 0;
    const rocks_place *places = pending_sorted(changes, &n);
    return places == NULL ? error_memory(err, "writing the state")
                          : rocks_write(rocks, places, n, err);
}

static freshet_code put_commits(store_run *run, uint64_t commits, freshet_error *err)
{
    text_append_c(pending_run_key(run), COMMITS_KEY);
    text_append(pending_run_value(run), (const char *)&commits, sizeof commits);
    return store_run_put(run, err);
}

static freshet_code write_first(rocks *rocks, freshet_error *err)
{
    const uint64_t commits = 0;
    pending *first = pending_open();
    freshet_code code = FRESHET_OK;
    if (first == NULL)
        return error_memory(err, "making the state");
    store_run *run = pending_run_at(first, 0);
    store_run_key(run, STORE_FACT, "format");
    text_append_c(store_run_value(run), FORMAT);
    code = store_run_put(run, err);
    if (code == FRESHET_OK)
        code = put_commits(run, commits, err);
    if (code == FRESHET_OK)
        code = write_pending(rocks, first, err);
    pending_close(first);
    return code;
}

/* Made aside and renamed: a database that is there has its first entries. */
static freshet_code make_database(const state_store *store, freshet_error *err)
{
    rocks *made = NULL;
    freshet_code code = folder_remove_files(store->paths.making, err);
    if (code == FRESHET_OK)
        code = seal_make(store->seal, err);
    if (code == FRESHET_OK)
        code = rocks_open(store->paths.making, store->paths.folder, ROCKS_MAKE, store->memory,
                          &made, err);
    if (code == FRESHET_OK)
        code = write_first(made, err);
    rocks_close(made);
    if (code == FRESHET_OK && os.rename(store->paths.making, store->paths.database) != 0)
        code = error_system(err, "cannot rename", store->paths.making);
    return code;
}

static freshet_code check_format(state_store *store, freshet_error *err)
{
    text_buffer format;
    text_init(&format, TEXT_LIMIT_DEFAULT);
    freshet_code code = store_get(store, STORE_FACT, "format", "", 0, &format, err);
    if (code == FRESHET_END || (code == FRESHET_OK && strcmp(format.bytes, FORMAT) != 0))
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, store->paths.folder,
                         "the state folder \"%s\" has %s%s, and this version of Freshet reads "
                         "format " FORMAT "; use the version that wrote it, or begin anew after "
                         "`freshet state reset`",
                         store->paths.folder, code == FRESHET_END ? "no format" : "format ",
                         code == FRESHET_END ? "" : format.bytes);
    text_release(&format);
    return code;
}

static freshet_code check_commits(state_store *store, freshet_error *err)
{
    const char *value = NULL;
    size_t length = 0;
    text_reset(&store->value);
    freshet_code code = rocks_get(store->rocks, COMMITS_KEY, 1, &store->value, err);
    if (code != FRESHET_OK && code != FRESHET_END)
        return code;
    if (code == FRESHET_END ||
        !open_value(COMMITS_KEY, 1, store->value.bytes, store->value.length, &value, &length) ||
        length != sizeof store->commits)
        return damaged(store, COMMITS_KEY, 1, err);
    memcpy(&store->commits, value, length);
    if (store->commits >= seal_commits(store->seal))
        return FRESHET_OK;
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, store->paths.database,
                     "the state folder \"%s\" is damaged: a log in its folder db is missing, or "
                     "its MANIFEST was cut, and the last %llu checkpoints with it; put back a copy "
                     "of the folder, "
                     "or begin anew after `freshet state reset`",
                     store->paths.folder,
                     (unsigned long long)(seal_commits(store->seal) - store->commits));
}

static freshet_code open_database(state_store *store, freshet_error *err)
{
    freshet_code code = seal_check(store->seal, err);
    if (code == FRESHET_OK)
        code = rocks_open(store->paths.database, store->paths.folder,
                          store->read_only ? ROCKS_READ : ROCKS_WRITE, store->memory, &store->rocks,
                          err);
    if (code == FRESHET_OK)
        code = check_format(store, err);
    if (code == FRESHET_OK)
        code = check_commits(store, err);
    return code;
}

static freshet_code open_to_write(state_store *store, freshet_error *err)
{
    freshet_code code = folder_make(&store->paths, &store->is_new, err);
    if (code == FRESHET_OK)
        code = folder_lock(&store->paths, &store->lock, err);
    if (code == FRESHET_OK && !folder_has_database(&store->paths))
        code = make_database(store, err);
    if (code == FRESHET_OK)
        code = open_database(store, err);
    return code;
}

/* Another process may write meanwhile, and remove a file between our reading its name and
 * opening it. */
static freshet_code open_to_read(state_store *store, freshet_error *err)
{
    if (!folder_has_database(&store->paths))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, store->paths.folder,
                         "there is no state in \"%s\": no run has kept one there (--state names "
                         "another folder)",
                         store->paths.folder);
    freshet_code code = FRESHET_OK;
    for (int tries = 0; tries < READ_TRIES; tries++) {
        code = open_database(store, err);
        if (code != FRESHET_FAILED)
            break;
        rocks_close(store->rocks);
        store->rocks = NULL;
        nanosleep(&(struct timespec){.tv_nsec = READ_PAUSE_NS}, NULL);
    }
    return code;
}

freshet_code store_open(const char *folder, bool read_only, size_t memory, state_store **out,
                        freshet_error *err)
{
    state_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return error_memory(err, "opening the state");
    store->lock = -1;
    store->read_only = read_only;
    store->memory = memory;
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->changed, NULL);
    pthread_rwlock_init(&store->reading, NULL);
    text_init(&store->key, TEXT_LIMIT_DEFAULT);
    text_init(&store->value, TEXT_LIMIT_DEFAULT);
    store->filling = pending_open();
    store->flying = pending_open();
    freshet_code code = folder_paths_make(folder, &store->paths, err);
    if (code == FRESHET_OK && (store->filling == NULL || store->flying == NULL))
        code = error_memory(err, "opening the state");
    if (code == FRESHET_OK)
        code = seal_open(store->paths.seal, store->paths.database, &store->seal, err);
    if (code == FRESHET_OK)
        code = read_only ? open_to_read(store, err) : open_to_write(store, err);
    if (code != FRESHET_OK) {
        store_close_unused(store);
        return code;
    }
    *out = store;
    return FRESHET_OK;
}

/* Lets go of all but the lock. */
static void close_database(state_store *store)
{
    if (store->has_thread) {
        pthread_mutex_lock(&store->mutex);
        store->ends = true;
        pthread_cond_broadcast(&store->changed);
        pthread_mutex_unlock(&store->mutex);
        pthread_join(store->thread, NULL);
    }
    rocks_close(store->rocks);
    seal_close(store->seal);
}

static void store_release(state_store *store)
{
    pending_close(store->filling);
    pending_close(store->flying);
    text_release(&store->key);
    text_release(&store->value);
    pthread_cond_destroy(&store->changed);
    pthread_rwlock_destroy(&store->reading);
    pthread_mutex_destroy(&store->mutex);
    if (store->lock >= 0)
        os.close(store->lock);
    folder_paths_release(&store->paths);
    free(store);
}

void store_close(state_store *store)
{
    if (store == NULL)
        return;
    close_database(store);
    store_release(store);
}

void store_disown(state_store *store)
{
    store->is_disowned = true;
}

void store_close_unused(state_store *store)
{
    if (store == NULL)
        return;
    close_database(store);
    if (store->is_new && store->lock >= 0 && (store->commits == 0 || store->is_disowned))
        folder_remove(&store->paths, NULL);
    store_release(store);
}

freshet_code store_remove_folder(const char *folder, freshet_error *err)
{
    folder_paths paths;
    int lock = -1;
    bool is_new = false;
    freshet_code code = folder_paths_make(folder, &paths, err);
    if (code != FRESHET_OK)
        return code;
    struct stat info;
    if (os.stat(paths.folder, &info) != 0)
        code = errno == ENOENT ? FRESHET_END : error_system(err, "cannot open", paths.folder);
    if (code == FRESHET_OK)
        code = folder_make(&paths, &is_new, err); /* it is there; is it ours? */
    if (code == FRESHET_OK)
        code = folder_lock(&paths, &lock, err);
    if (code == FRESHET_OK)
        code = folder_remove(&paths, err);
    if (lock >= 0)
        os.close(lock);
    folder_paths_release(&paths);
    return code;
}

/* ---- reading ------------------------------------------------------------------------------- */

/* A key as it is in the database; in `small` where there is room. NULL where memory is out. */
static char *store_whole_key(char small[SMALL_KEY_BYTES], char space, const char *name,
                             const void *key, size_t key_length, size_t *length)
{
    const size_t name_length = strlen(name) + 1;
    *length = 1 + name_length + key_length;
    char *at = *length <= SMALL_KEY_BYTES ? small : malloc(*length);
    if (at == NULL)
        return NULL;
    at[0] = space;
    memcpy(at + 1, name, name_length);
    memcpy(at + 1 + name_length, key, key_length);
    return at;
}

/* Closed by a write that failed, and not open again yet: whoever comes first writes again. */
static freshet_code open_again(state_store *store, freshet_error *err)
{
    pthread_rwlock_wrlock(&store->reading);
    const freshet_code code = store->rocks == NULL ? store_wait(store, err) : FRESHET_OK;
    pthread_rwlock_unlock(&store->reading);
    return code;
}

/* The database, open; it stays so while reads are under way. */
static freshet_code store_database(state_store *store, rocks **out, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (*out = NULL; code == FRESHET_OK && *out == NULL;) {
        pthread_rwlock_rdlock(&store->reading);
        *out = store->rocks;
        pthread_rwlock_unlock(&store->reading);
        if (*out == NULL)
            code = open_again(store, err);
    }
    return code;
}

/* Appends the stored value, checksum and all. */
static freshet_code find_stored(state_store *store, const char *key, size_t key_length,
                                text_buffer *into, freshet_error *err)
{
    rocks *rocks;
    pthread_rwlock_rdlock(&store->reading);
    const rocks_entry *entry;
    bool kept = pending_find(store->flying, key, key_length, &entry);
    const bool is_put = entry != NULL && entry->change == ROCKS_PUT;
    if (is_put)
        kept = text_append(into, rocks_value(entry), entry->value_length);
    pthread_rwlock_unlock(&store->reading);
    if (entry != NULL || !kept)
        return !kept ? error_memory(err, READING) : is_put ? FRESHET_OK : FRESHET_END;
    const freshet_code code = store_database(store, &rocks, err);
    return code == FRESHET_OK ? rocks_get(rocks, key, key_length, into, err) : code;
}

freshet_code store_get(state_store *store, store_space space, const char *name, const void *key,
                       size_t key_length, text_buffer *into, freshet_error *err)
{
    char small[SMALL_KEY_BYTES];
    size_t length = 0, value_length = 0;
    const size_t begin = into->length;
    const char *value = NULL;
    char *whole = store_whole_key(small, (char)space, name, key, key_length, &length);
    if (whole == NULL)
        return error_memory(err, READING);
    freshet_code code = find_stored(store, whole, length, into, err);
    if (code == FRESHET_OK && !open_value(whole, length, into->bytes + begin, into->length - begin,
                                          &value, &value_length))
        code = damaged(store, whole, length, err);
    if (code == FRESHET_OK) { /* without its checksum */
        memmove(into->bytes + begin, value, value_length + 1);
        into->length = begin + value_length;
    }
    if (code != FRESHET_OK && into->bytes != NULL)
        into->bytes[into->length = begin] = '\0';
    if (whole != small)
        free(whole);
    return code;
}

/* Of several keys the ones that the database is asked for. */
typedef struct getting {
    state_store *store;
    text_buffer all; /* the keys, one behind the other */
    const char *keys[ROCKS_MANY_MAX];
    size_t lengths[ROCKS_MANY_MAX];
    uint32_t places[ROCKS_MANY_MAX];
    state_loaded_fn *found;
    void *into;
    freshet_code code;
    freshet_error *err;
} getting;

static bool give_found(getting *it, const char *key, size_t key_length, uint32_t place,
                       const char *stored, size_t stored_length)
{
    const char *value = NULL;
    size_t length = 0;
    it->code = open_value(key, key_length, stored, stored_length, &value, &length)
                   ? it->found(it->into, place, value, length, it->err)
                   : damaged(it->store, key, key_length, it->err);
    return it->code == FRESHET_OK;
}

static bool give_stored(void *context, size_t i, const char *stored, size_t length)
{
    getting *it = context;
    return give_found(it, it->keys[i], it->lengths[i], it->places[i], stored, length);
}

/* Keys of one name, as they are in the database, one behind the other. */
static bool make_keys(text_buffer *into, char space, const char *name, const state_key *keys,
                      uint32_t n)
{
    text_reset(into);
    for (uint32_t i = 0; i < n; i++) {
        text_append_char(into, space);
        text_append_c(into, name);
        text_append_char(into, '\0');
        text_append(into, keys[i].bytes, keys[i].length);
    }
    return !into->failed;
}

static int compare_keys(const void *left, const void *right)
{
    const state_key *a = left, *b = right;
    const int order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
    return order != 0 ? order : a->length < b->length ? -1 : a->length > b->length;
}

freshet_code store_get_many(state_store *store, store_space space, const char *name,
                            const state_key *keys, uint32_t n, state_loaded_fn *found, void *into,
                            freshet_error *err)
{
    getting it = {.store = store, .found = found, .into = into, .code = FRESHET_OK, .err = err};
    state_key ordered[ROCKS_MANY_MAX];
    assert(n <= ROCKS_MANY_MAX);
    memcpy(ordered, keys, n * sizeof *keys);
    for (uint32_t i = 0; i < n; i++)
        ordered[i].index = i;
    qsort(ordered, n, sizeof *ordered, compare_keys);
    text_init(&it.all, TEXT_LIMIT_DEFAULT);
    if (!make_keys(&it.all, (char)space, name, ordered, n))
        it.code = error_memory(err, READING);
    const char *at = it.all.bytes;
    size_t n_asked = 0;
    pthread_rwlock_rdlock(&store->reading);
    for (uint32_t i = 0; i < n && it.code == FRESHET_OK; i++) {
        const size_t length = 1 + strlen(name) + 1 + ordered[i].length;
        const rocks_entry *entry;
        if (!pending_find(store->flying, at, length, &entry)) {
            it.code = error_memory(err, READING);
        } else if (entry == NULL) {
            it.keys[n_asked] = at;
            it.lengths[n_asked] = length;
            it.places[n_asked++] = ordered[i].index;
        } else if (entry->change == ROCKS_PUT) {
            give_found(&it, at, length, ordered[i].index, rocks_value(entry), entry->value_length);
        }
        at += length;
    }
    pthread_rwlock_unlock(&store->reading);
    rocks *rocks;
    freshet_code code = it.code == FRESHET_OK ? store_database(store, &rocks, err) : it.code;
    if (code == FRESHET_OK && n_asked > 0)
        code = rocks_get_many(rocks, it.keys, it.lengths, n_asked, give_stored, &it, err);
    text_release(&it.all);
    return code == FRESHET_OK ? it.code : code;
}

typedef struct visiting {
    const state_store *store;
    store_visit_fn *visit; /* NULL: only checksums are checked */
    void *context;
    freshet_code code;
    freshet_error *err;
} visiting;

static bool visit_entry(void *context, const char *key, size_t key_length, const char *stored,
                        size_t stored_length)
{
    visiting *visiting = context;
    const char *value = NULL;
    size_t length = 0;
    if (!open_value(key, key_length, stored, stored_length, &value, &length)) {
        visiting->code = damaged(visiting->store, key, key_length, visiting->err);
        return false;
    }
    if (visiting->visit == NULL)
        return true;
    const char *name = key + 1;
    const char *end = memchr(name, '\0', key_length - 1);
    if (end == NULL) {
        visiting->code = damaged(visiting->store, key, key_length, visiting->err);
        return false;
    }
    const store_entry entry = {.name = name,
                               .key = end + 1,
                               .key_length = key_length - (size_t)(end + 1 - key),
                               .value = value,
                               .length = length};
    visiting->code = visiting->visit(visiting->context, &entry, visiting->err);
    return visiting->code == FRESHET_OK;
}

/* The visitor may call other functions of the store: the scan has a key of its own. */
freshet_code store_look(state_store *store, store_space space, const char *name, const void *from,
                        size_t from_length, store_visit_fn *visit, void *context,
                        freshet_error *err)
{
    visiting visiting = {.store = store, .visit = visit, .context = context, .err = err};
    rocks *rocks;
    freshet_code code = store_database(store, &rocks, err);
    if (code != FRESHET_OK)
        return code;
    text_buffer key;
    text_init(&key, TEXT_LIMIT_DEFAULT);
    if (make_key(&key, (char)space, name, from, from_length))
        code = rocks_scan(rocks, key.bytes, key.length - from_length, key.length, visit_entry,
                          &visiting, err);
    else
        code = error_memory(err, READING);
    text_release(&key);
    if (code == FRESHET_OK && visiting.code != FRESHET_END)
        code = visiting.code;
    return code;
}

freshet_code store_visit_from(state_store *store, store_space space, const char *name,
                              const void *from, size_t from_length, store_visit_fn *visit,
                              void *context, freshet_error *err)
{
    const freshet_code code = store_wait(store, err);
    return code == FRESHET_OK
               ? store_look(store, space, name, from, from_length, visit, context, err)
               : code;
}

freshet_code store_visit(state_store *store, store_space space, const char *name,
                         store_visit_fn *visit, void *context, freshet_error *err)
{
    return store_visit_from(store, space, name, "", 0, visit, context, err);
}

freshet_code store_verify(state_store *store, freshet_error *err)
{
    visiting visiting = {.store = store, .err = err};
    freshet_code code = store_wait(store, err);
    if (code == FRESHET_OK)
        code = rocks_scan(store->rocks, "", 0, 0, visit_entry, &visiting, err);
    return code == FRESHET_OK ? visiting.code : code;
}

/* ---- writing ------------------------------------------------------------------------------- */

static freshet_code write_flying(state_store *store, freshet_error *err)
{
    freshet_code code = write_pending(store->rocks, store->flying, err);
    if (code != FRESHET_OK)
        return code;
    /* The entries are durable; a seal that could not be renewed seals less. */
    freshet_error problem = {0};
    const bool sealed = seal_write(store->seal, store->commits, &problem) == FRESHET_OK;
    if (!sealed && !store->is_unsealed)
        log_event(STATE_UNSEALED, NULL, problem.text);
    else if (sealed && store->is_unsealed)
        log_event(STATE_SEALED, NULL, store->paths.folder);
    store->is_unsealed = !sealed;
    return FRESHET_OK;
}

static void *run_thread(void *context)
{
    state_store *store = context;
    pthread_mutex_lock(&store->mutex);
    for (;;) {
        while (store->flight != FLIGHT_UNDERWAY && !store->ends)
            pthread_cond_wait(&store->changed, &store->mutex);
        if (store->flight != FLIGHT_UNDERWAY)
            break;
        pthread_mutex_unlock(&store->mutex);
        freshet_error failure = {0};
        freshet_code code = write_flying(store, &failure);
        pthread_mutex_lock(&store->mutex);
        store->failure = failure;
        store->flight = code == FRESHET_OK ? FLIGHT_NONE : FLIGHT_FAILED;
        pthread_cond_broadcast(&store->changed);
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}

bool store_is_idle(state_store *store)
{
    pthread_mutex_lock(&store->mutex);
    bool idle = store->flight != FLIGHT_UNDERWAY;
    pthread_mutex_unlock(&store->mutex);
    return idle;
}

/* Waits for the thread; the flight is then ours to change. */
static flight land(state_store *store)
{
    pthread_mutex_lock(&store->mutex);
    while (store->flight == FLIGHT_UNDERWAY)
        pthread_cond_wait(&store->changed, &store->mutex);
    flight flight = store->flight;
    pthread_mutex_unlock(&store->mutex);
    return flight;
}

/* Writes once more what could not be written. */
static freshet_code write_again(state_store *store, freshet_error *err)
{
    rocks_close(store->rocks);
    store->rocks = NULL;
    freshet_code code = rocks_open(store->paths.database, store->paths.folder, ROCKS_WRITE,
                                   store->memory, &store->rocks, err);
    return code == FRESHET_OK ? write_flying(store, err) : code;
}

freshet_code store_wait(state_store *store, freshet_error *err)
{
    flight flight = land(store);
    if (flight == FLIGHT_NONE) { /* from now on the database has it */
        pending_reset(store->flying);
        return FRESHET_OK;
    }
    if (flight == FLIGHT_FAILED) {
        store->flight = FLIGHT_UNWRITTEN;
        if (err != NULL)
            *err = store->failure;
        return store->failure.code;
    }
    freshet_code code = write_again(store, err);
    if (code == FRESHET_OK) {
        store->flight = FLIGHT_NONE;
        pending_reset(store->flying);
    }
    return code;
}

freshet_code store_begin(state_store *store, freshet_error *err)
{
    freshet_code code = store_wait(store, err);
    if (code == FRESHET_OK)
        pending_reset(store->filling);
    return code;
}

/* ---- changes ------------------------------------------------------------------------------- */

freshet_code store_runs(state_store *store, uint32_t n, freshet_error *err)
{
    return pending_runs(store->filling, n) ? FRESHET_OK : error_memory(err, CHECKPOINTING);
}

store_run *store_run_at(state_store *store, uint32_t i)
{
    return pending_run_at(store->filling, 1 + i);
}

text_buffer *store_run_key(store_run *run, store_space space, const char *name)
{
    text_buffer *key = pending_run_key(run);
    const char first = (char)space;
    text_put(key, &first, 1);
    text_put(key, name, strlen(name) + 1); /* with its 0 byte */
    return key;
}

text_buffer *store_run_value(store_run *run)
{
    return pending_run_value(run);
}

freshet_code store_run_put(store_run *run, freshet_error *err)
{
    return pending_run_put(run) ? FRESHET_OK : error_memory(err, CHECKPOINTING);
}

freshet_code store_run_remove(store_run *run, freshet_error *err)
{
    return pending_run_remove(run, ROCKS_REMOVE) ? FRESHET_OK : error_memory(err, CHECKPOINTING);
}

/* The run of the checkpoint itself, with the key. */
static store_run *begin_change(state_store *store, store_space space, const char *name,
                               const void *key, size_t key_length)
{
    store_run *run = pending_run_at(store->filling, 0);
    text_append(store_run_key(run, space, name), key, key_length);
    return run;
}

freshet_code store_put(state_store *store, store_space space, const char *name, const void *key,
                       size_t key_length, const void *value, size_t length, freshet_error *err)
{
    store_run *run = begin_change(store, space, name, key, key_length);
    text_append(store_run_value(run), value, length);
    return store_run_put(run, err);
}

freshet_code store_remove(state_store *store, store_space space, const char *name, const void *key,
                          size_t key_length, freshet_error *err)
{
    return store_run_remove(begin_change(store, space, name, key, key_length), err);
}

freshet_code store_remove_all(state_store *store, store_space space, const char *name,
                              freshet_error *err)
{
    return pending_run_remove(begin_change(store, space, name, "", 0), ROCKS_REMOVE_PREFIX)
               ? FRESHET_OK
               : error_memory(err, CHECKPOINTING);
}

freshet_code store_remove_range(state_store *store, store_space space, const char *name,
                                const void *from, size_t from_length, const void *to,
                                size_t to_length, freshet_error *err)
{
    if (!make_key(&store->key, (char)space, name, to, to_length) ||
        !pending_run_remove_range(begin_change(store, space, name, from, from_length),
                                  store->key.bytes, store->key.length))
        return error_memory(err, CHECKPOINTING);
    return FRESHET_OK;
}

freshet_code store_commit(state_store *store, freshet_error *err)
{
    const uint64_t commits = store->commits + 1;
    freshet_code code = put_commits(pending_run_at(store->filling, 0), commits, err);
    if (code != FRESHET_OK)
        return code;
    if (!store->has_thread && !thread_start(&store->thread, run_thread, store))
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL,
                         "the system gives no thread to write the state with");
    store->has_thread = true;
    pthread_mutex_lock(&store->mutex);
    pending *landed = store->flying;
    store->flying = store->filling;
    store->filling = landed;
    store->commits = commits;
    store->committed_bytes = pending_written(store->flying);
    store->flight = FLIGHT_UNDERWAY;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->mutex);
    return FRESHET_OK;
}

size_t store_committed_bytes(const state_store *store)
{
    return store->committed_bytes;
}
