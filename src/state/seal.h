/* seal.h - how the files of the last checkpoint must begin.
 *
 * RocksDB reads two kinds of its files leniently: a log or a manifest that ends too early, or whose
 * last record has a damaged length, is taken for one whose writing a crash cut short, and what
 * followed is silently not there. A folder from a bad copy would thus open with older or missing
 * keys.
 *
 * So after each commit a small file, `seal`, takes down for each log and for the manifest how long
 * it is and a hash of these bytes, and how many commits there were. These files only grow. At open
 * each of them that is still there must have at least that many bytes, with that hash; else the
 * folder is refused, with the file's name. What lies behind the sealed bytes is what a crash may
 * have cut short, and RocksDB's leniency is right.
 *
 *     freshet seal 1
 *     commits 57
 *     000012.log 40960 91f3a7b2c0d4e5f6
 *     MANIFEST-000008 312 0011223344556677
 *     sum 8899aabbccddeeff
 *
 * The seal has two pages, written in turn and in place, the commits even in one and odd in the
 * other. It is made, and synced, before the database; so one page at least is readable after any
 * crash, and a seal that is missing, or has no readable page, is damage too. Later it is not
 * synced: after a loss of power it may be an older one, and then seals less. But never something
 * that is not on the disk: logs are synced before they are sealed, and so is the manifest, which
 * RocksDB's own threads write, where it has grown.
 *
 * Order of calls: seal_open, seal_make before there is a database, seal_check before it is opened,
 * seal_commits, then seal_write after each commit, seal_close. One thread at a time.
 */
#ifndef FRESHET_STATE_SEAL_H
#define FRESHET_STATE_SEAL_H

#include <freshet/freshet.h>

#define SEAL_FILES_MAX 48u /* more are not sealed; RocksDB has a handful of logs at most */
#define SEAL_PAGES 2u
#define SEAL_BYTES 4096u /* of a page */

typedef struct seal seal;

/* `path` of the seal, `folder` of the database. */
freshet_code seal_open(const char *path, const char *folder, seal **out, freshet_error *err);
void seal_close(seal *seal);

/* Before there is a database: FRESHET_FAILED where the seal is of one that is gone, else a seal of
 * no commit and no file. */
freshet_code seal_make(seal *seal, freshet_error *err);

/* FRESHET_FAILED, naming the file, where a sealed file is shorter or begins otherwise, or the seal
 * itself is damaged. */
freshet_code seal_check(seal *seal, freshet_error *err);

/* Of the seal that was read: how many commits the database must have seen. */
uint64_t seal_commits(const seal *seal);

freshet_code seal_write(seal *seal, uint64_t commits, freshet_error *err);

#endif
