/* folder.h - the state folder on the disk: made, locked, removed.
 *
 *     DIR/lock      held by the process that writes; its pid is in it
 *     DIR/db/       RocksDB
 *     DIR/seal      how RocksDB's files must begin (seal.h)
 *     DIR/db.new/   a database while it is made for the first time
 *     DIR/db.sst    a table while it is made
 *     DIR/spool/    what writers keep until a checkpoint is durable (KEEPS_ONCE, writer.h)
 *
 * A folder that holds anything else is not ours, and is neither used nor removed.
 */
#ifndef FRESHET_STATE_FOLDER_H
#define FRESHET_STATE_FOLDER_H

#include <freshet/freshet.h>

#include "base/arena.h"

#define FOLDER_SPOOL "spool"

typedef struct folder_paths {
    arena *arena; /* has the texts */
    const char *folder, *lock, *seal, *database, *making, *table, *spool;
} folder_paths;

freshet_code folder_paths_make(const char *folder, folder_paths *out, freshet_error *err);
void folder_paths_release(folder_paths *paths);

/* Makes the folder where it is not there; *is_new: it was not. FRESHET_USAGE where it holds what is
 * not ours. */
freshet_code folder_make(const folder_paths *paths, bool *is_new, freshet_error *err);

/* Takes the lock until the descriptor is closed. FRESHET_TRY_AGAIN, naming the process, where
 * another one has it. */
freshet_code folder_lock(const folder_paths *paths, int *lock, freshet_error *err);

bool folder_has_database(const folder_paths *paths);
/* A run has begun to make it, and was cut off before there was a database. */
bool folder_is_begun(const folder_paths *paths);

/* Removes a folder of plain files; one that is not there is fine. */
freshet_code folder_remove_files(const char *path, freshet_error *err);

/* Removes what is ours in the folder, the database first, and the folder. The lock must be held. */
freshet_code folder_remove(const folder_paths *paths, freshet_error *err);

#endif
