/* store.h - the state folder: what survives the process, in RocksDB.
 *
 * One folder a pipeline. It holds, in one RocksDB database: the format's version and the
 * declaration's fingerprints; the positions of all partitions of all readers; watermarks and other
 * small facts; the saved bytes of all keys of all state parts; the list of files that writers have
 * to publish. A checkpoint puts all that changed into ONE write batch, synced: after a crash there
 * is either all of it or nothing.
 *
 * The write happens on the store's own thread, from a copy of the changes (store_commit returns at
 * once; store_wait waits): the loop never waits for the disk unless the last checkpoint is still
 * on its way when the next is due.
 *
 * Damage is found by checksums, and named with the file; nothing damaged is ever used. The folder
 * is locked against a second process that would write.
 *
 *   store.c    this interface, the thread
 *   rocks.c    RocksDB; the only place that includes rocksdb/c.h
 *   pending.c  the changes of one checkpoint
 *   seal.c     finds logs that were cut or changed where RocksDB would not
 *   folder.c   the folder and its lock
 *
 * Order of calls: open, {get, begin, put..., commit}*, close or close_unused. One thread; but get,
 * get_many and look may come from several at once (the tasks of a crew), while the one that does
 * all the rest waits for them.
 */
#ifndef FRESHET_STATE_STORE_H
#define FRESHET_STATE_STORE_H

#include <freshet/freshet.h>

#include "base/text.h"
#include "keyed/keyed_table.h"

#define STORE_MEMORY_MIN ((size_t)8 << 20)

typedef struct state_store state_store;

/* What kind of thing an entry is: the first byte of its key in RocksDB. */
typedef enum store_space {
    STORE_FACT = 'f',     /* name -> bytes: format, fingerprints, checkpoint number */
    STORE_POSITION = 'p', /* reader id, 0, partition name -> offset, label */
    STORE_STATE = 's',    /* part name, 0, key -> saved bytes */
    STORE_LISTED = 'd',   /* part name, 0, time, key -> nothing: pipeline/checkpoint_listed.c */
    STORE_FILE = 'h'      /* writer name, 0, file -> what to publish */
} store_space;

/* Opens or makes the folder. FRESHET_TRY_AGAIN when another process has it locked (the sentence
 * names the process), FRESHET_FAILED with the file's name where it is damaged, FRESHET_USAGE where
 * it holds other things. `memory`: of its cache (rocks_open). read_only: for `freshet state`; it
 * needs no lock, makes nothing, and sees what was committed before. */
freshet_code store_open(const char *folder, bool read_only, size_t memory, state_store **out,
                        freshet_error *err);
/* Waits for what is on its way; what was not committed is forgotten. */
void store_close(state_store *store);
/* The same; and a folder that store_open has made is removed where nothing was committed to it. */
void store_close_unused(state_store *store);
/* What was committed is of no use either, since nothing comes of the run that made the folder. */
void store_disown(state_store *store);

/* Appends the value, or FRESHET_END. Sees what was committed, also while it is being written. Names
 * hold no 0 byte; a fact has no key but its name ("", 0). */
freshet_code store_get(state_store *store, store_space space, const char *name, const void *key,
                       size_t key_length, text_buffer *into, freshet_error *err);

/* Several at once, ROCKS_MANY_MAX at most, without holes in their order: found ones are given by
 * their place. What `found` gives, if not OK, ends it. */
freshet_code store_get_many(state_store *store, store_space space, const char *name,
                            const state_key *keys, uint32_t n, state_loaded_fn *found, void *into,
                            freshet_error *err);

typedef struct store_entry {
    const char *name;
    const char *key;
    size_t key_length;
    const char *value;
    size_t length;
} store_entry;

/* Everything of a space and name (NULL: all names), in the order of the keys. What the visitor
 * gives, if not OK, ends it, and is what store_visit gives, too; but FRESHET_END only says that it
 * was enough. */
typedef freshet_code store_visit_fn(void *context, const store_entry *entry, freshet_error *err);
freshet_code store_visit(state_store *store, store_space space, const char *name,
                         store_visit_fn *visit, void *context, freshet_error *err);

/* The same from a key on. */
freshet_code store_visit_from(state_store *store, store_space space, const char *name,
                              const void *from, size_t from_length, store_visit_fn *visit,
                              void *context, freshet_error *err);

/* The same of what is in the database: what is being written may be there or not. */
freshet_code store_look(state_store *store, store_space space, const char *name, const void *from,
                        size_t from_length, store_visit_fn *visit, void *context,
                        freshet_error *err);

/* One checkpoint: begin waits for the one before; put and remove copy; commit hands over to the
 * store's thread. An error of the writing is given by the next begin or wait; where it says
 * FRESHET_RETRY, the one after that writes again. */
freshet_code store_begin(state_store *store, freshet_error *err);
freshet_code store_put(state_store *store, store_space space, const char *name, const void *key,
                       size_t key_length, const void *value, size_t length, freshet_error *err);
freshet_code store_remove(state_store *store, store_space space, const char *name, const void *key,
                          size_t key_length, freshet_error *err);
/* Everything of a space and name that was there before this checkpoint. store_get goes on seeing it
 * until the commit is durable. */
freshet_code store_remove_all(state_store *store, store_space space, const char *name,
                              freshet_error *err);
/* The same of the keys from `from` on, before `to`. */
freshet_code store_remove_range(state_store *store, store_space space, const char *name,
                                const void *from, size_t from_length, const void *to,
                                size_t to_length, freshet_error *err);
freshet_code store_commit(state_store *store, freshet_error *err);

/* Between begin and commit, what several tasks put down at the same time: each has a run of its
 * own, of the n that store_runs has made, once, and all that is put there comes behind what
 * store_put and the like have put. A change: store_run_key, to which the key is appended; then
 * store_run_remove, or store_run_value, to which the value is appended, and store_run_put, which
 * also tells whether an append has failed. */
typedef struct pending_run store_run;
freshet_code store_runs(state_store *store, uint32_t n, freshet_error *err);
store_run *store_run_at(state_store *store, uint32_t i);
text_buffer *store_run_key(store_run *run, store_space space, const char *name);
text_buffer *store_run_value(store_run *run);
freshet_code store_run_put(store_run *run, freshet_error *err);
freshet_code store_run_remove(store_run *run, freshet_error *err);
/* What the last commit has put down and removed: bytes of keys and values. */
size_t store_committed_bytes(const state_store *store);
/* True when the last commit is durable (or failed: then wait tells). */
bool store_is_idle(state_store *store);
freshet_code store_wait(state_store *store, freshet_error *err);

/* Reads everything and checks every checksum: `freshet state verify`. */
freshet_code store_verify(state_store *store, freshet_error *err);

/* Removes a state folder that no process uses: `freshet state reset`. FRESHET_END where there is
 * none, FRESHET_USAGE where it is none. */
freshet_code store_remove_folder(const char *folder, freshet_error *err);

#endif
