/* reader.h - the contract between the loop and a reader.
 *
 * A reader is a struct of operations in a folder of its own; generate/generate.c is the one to
 * copy, and docs/internals/extending.md lists what else a new one touches. The loop pulls: readers
 * have no say in when they run. All calls of one reader come from the pipeline's thread. The loop
 * allocates `size` bytes, zeroed, the base struct first, and fills the base in before describe().
 *
 * The legal order: describe, open, {poll, positions, ack}*, close. close comes after any failure,
 * too: of describe, and of open. A static reader that has changed is opened again after it.
 *
 * POSITIONS. A reader's input is divided into partitions: files, or partitions of a topic. The
 * place reached in each is a number (reader_position); what the numbers mean is the
 * reader's own business, but they and the partition's name must let it go on exactly there
 * after a restart. The loop keeps them (with the state, in one checkpoint) and gives all of them
 * back at open.
 */
#ifndef FRESHET_READERS_READER_H
#define FRESHET_READERS_READER_H

#include <freshet/freshet.h>

#include "base/batch.h"
#include "declaration/declaration.h"

/* Where reading of a partition goes on. `name` identifies the partition for ever: it is the key
 * under which the position is kept; `label` is what messages and dead letters show (the path);
 * `offset` is the place of the next record; `lane` is the watermark's partition (origin.lane),
 * which must be the same after a restart. `mark` is whatever else the reader wants to find at open,
 * in bytes that only it understands (by what a file, or a topic, is known again). */
typedef struct reader_position {
    const char *name;
    const char *label;
    int64_t offset;
    uint32_t lane;
    uint32_t mark_length; /* 0: none */
    const void *mark;
    uint32_t partition; /* as in the origins (origin.partition) */
} reader_position;

typedef struct reader_positions {
    reader_position *items;
    uint32_t n;
} reader_positions;

/* What a dead letter has kept of a record: its place, its bytes, what `beside` has filled in. */
typedef struct reader_record {
    const char *partition;
    const char *raw;
    size_t raw_length;
    int64_t offset;
    bool has_message; /* as in reject */
    const char *key;
    size_t key_length;
    int64_t message_us;
    int message_kind;
} reader_record;

typedef enum reader_mode {
    READ_ALL,   /* what is there at open, then FRESHET_END: batch runs and `--once` */
    READ_FOLLOW /* for ever */
} reader_mode;

typedef struct freshet_reader freshet_reader;

/* What a poll is to give, where it is not whatever is there (pipeline/merge.h): the rows of one
 * partition; or none, but all else that a poll does (news, connections, the end). */
typedef struct reader_choice {
    uint32_t partition; /* READER_NONE: none */
    bool peek;          /* only its next record, and the reader stays where it is */
} reader_choice;

#define READER_NONE UINT32_MAX
#define READER_UNSETTLED (UINT32_MAX - 1)
/* So many partitions of one reader are read side by side. */
#define READER_CHOICES_MAX 32u

typedef void reader_lag_fn(void *context, const char *partition, int64_t rows, int64_t bytes);

typedef struct reader_ops {
    block_kind block; /* its key in the declaration ("file"), option table, struct of options */
    size_t size;      /* of the reader's own struct, which begins with struct freshet_reader */

    /* The operations for a block of these options; NULL: these. */
    const struct reader_ops *(*with)(const void *options);

    /* Works out the columns: the declared schema, or one inferred from what is there. May read
     * files and connect, and may block for seconds; changes nothing. Sets reader->schema (in
     * reader->arena). What the operator should know, though it is no mistake, is a warning in
     * reader->problems (problem_warn), which `check` and `run` show alike. */
    freshet_code (*describe)(freshet_reader *reader, freshet_error *err);

    /* For a look before the run: the first rows that are there now, max_rows at most, into a batch
     * of reader->schema, which live until it is opened or closed. Changes nothing and tells of
     * nothing: what cannot be read is left out. NULL: there is nothing to look at. */
    freshet_code (*sample)(freshet_reader *reader, batch *into, uint32_t max_rows,
                           freshet_error *err);

    /* Starts reading at `from` (NULL or n = 0: at the beginning, or where the options say); `from`
     * is gone after the call. May block as long as opening a file does: what is far away is reached
     * by poll, without waiting. After an error with FRESHET_RETRY it is called again with the same
     * positions, without a close between; another error ends the run. */
    freshet_code (*open)(freshet_reader *reader, const reader_positions *from, freshet_error *err);

    /* Appends what is there now to `into`, a batch of reader->schema with origins, until it has
     * max_rows rows, or about max_bytes of raw records; never waits. Sets *more when it stopped for
     * these limits rather than for want of input. Bad records are added to `rejects`, and are not
     * in the batch. Columns with reader->used[i] false may be left null. FRESHET_END: nothing is
     * left and nothing will come (READ_ALL only; rows may come with it). FRESHET_RETRY errors leave
     * the reader at the place where it was. The records' bytes (origin.raw, long texts) live until
     * the next poll that chooses none, or has no choice. */
    freshet_code (*poll)(freshet_reader *reader, batch *into, uint32_t max_rows, size_t max_bytes,
                         rejects *rejects, bool *more, freshet_error *err);

    /* ---- readers whose polls take a choice (reader->choice); NULL: of one partition, 0 ---- */

    /* Of the partitions that have input waiting the one behind `after` (READER_NONE: the first), in
     * the order in which they are read without a choice; READER_NONE behind the last.
     * READER_UNSETTLED: it is not known yet which there are. Asked after a poll that chose none;
     * `after` is waiting. Must not wait. */
    uint32_t (*waiting)(freshet_reader *reader, uint32_t after);
    /* positions() gives this partition the next time, though it was not read: what the loop has
     * held back of it has moved. NULL: it gives all that it has. */
    void (*touch)(freshet_reader *reader, uint32_t partition);
    /* Of rows of equal times, those of the partition with the lesser rank come first. NULL: in the
     * order in which they were first waiting. */
    uint32_t (*rank)(const freshet_reader *reader, uint32_t partition);
    /* Its partitions are many, and only READER_CHOICES_MAX are read side by side: the next record
     * of each can be had without reading it (choice.peek). A peek that fails gives no row, and
     * nothing of it is told. */
    bool peeks;

    /* A descriptor that poll(2) finds readable when there may be input; -1 where there is none
     * (this may change: ask before each wait): the loop then looks every reader->idle_us. Reading
     * the descriptor empty is done by the reader's own poll, which also sees what is wrong with it:
     * the loop only waits for it, and never closes it. NULL = -1. */
    int (*wake_fd)(freshet_reader *reader);

    /* The positions reached by the polls so far, in `arena`: only the partitions that moved since
     * the last call of positions with all = false; every partition with all = true. Must not wait.
     * An error fails the checkpoint: with FRESHET_RETRY the loop tries another, else the run
     * ends. */
    freshet_code (*positions)(freshet_reader *reader, arena *arena, bool all, reader_positions *out,
                              freshet_error *err);

    /* A checkpoint that holds these positions, which the reader has given, is durable. For telling
     * others only: what goes wrong with it is the reader's to log. Must not wait. NULL: of no
     * interest. */
    void (*ack)(freshet_reader *reader, const reader_positions *upto);

    /* A lane that has rows waiting when its reading begins, each once, UINT32_MAX after the last;
     * asked after each poll. What these rows may need is kept until they come. NULL: lane 0
     * only. */
    uint32_t (*next_lane)(freshet_reader *reader);

    /* What to call a lane; NULL where it is not of this reader. NULL = the reader's id. */
    const char *(*lane_label)(const freshet_reader *reader, uint32_t lane);

    /* NULL where all is well; else why there can be no rows at the moment though there should be,
     * one sentence without its full stop. The loop says so when it begins, now and then, and when
     * it is over. NULL = never. */
    const char *(*trouble)(const freshet_reader *reader);

    /* The name to show for an origin's partition (a path, "orders/3"). */
    const char *(*partition_label)(const freshet_reader *reader, uint32_t partition);

    /* Bytes known to wait, -1 where unknown. NULL = -1. */
    int64_t (*lag)(const freshet_reader *reader);

    /* What is known to wait, partition by partition; -1 where it is not known. Must not wait.
     * NULL = lag, of one partition. */
    void (*lags)(const freshet_reader *reader, reader_lag_fn *lag, void *context);

    /* Static readers: true when what is read would differ from what was read at the last open
     * (files changed, came or went). Cheap: stat at most. The loop then closes, opens and reads
     * again. NULL = never. */
    bool (*changed)(freshet_reader *reader);

    /* What a dead letter about a row of the last poll keeps beside the record's bytes, so that it
     * can be replayed. NULL: nothing. */
    void (*beside)(freshet_reader *reader, const origin *origin, reject *into);

    /* A record of a dead letter as row into->n_rows, as poll would have made it; the caller counts.
     * The reader is described, but not opened; its bytes outlive the step. A record that is bad
     * again gives FRESHET_SKIP_ROW, and *refused. FRESHET_END, or NULL: the rows have no bytes of
     * their own, and their letters have them as JSON objects (batch_row_to_json). */
    freshet_code (*replay)(freshet_reader *reader, const reader_record *record, batch *into,
                           reason_code *refused, freshet_error *err);

    void (*close)(freshet_reader *reader);
} reader_ops;

struct freshet_reader {
    const reader_ops *ops;
    const declaration *declaration;
    const reader_block *block; /* id, on_cast_error; block->kind.options is the parsed struct */
    const void *options;
    reader_mode mode;
    arena *arena;      /* the pipeline's lifetime */
    struct crew *crew; /* for work in pieces (base/crew.h); NULL: there is one worker */
    uint32_t index;    /* among the source's readers */
    schema schema;     /* set by describe */
    /* set by describe where it inferred the schema: "all 30,000 records of a.jsonl" */
    const char *inferred_from;
    struct problems *problems; /* during describe only, for its warnings */
    /* A batch over some days reads rows of these times only, by the block's `incremental`: whole
     * days, INT64_MIN and INT64_MAX where there is no end. Set by the loop before describe. */
    bool is_cut;
    int64_t first_us, last_us;
    const bool *used;            /* per column, set by the loop before open; NULL = all */
    bool in_lanes;               /* set by the loop before open: polls have a choice */
    const reader_choice *choice; /* of this poll, set by the loop; NULL: whatever is there */
    /* set by the reader: positions have moved, maybe without rows; cleared by its positions() */
    bool moved;
    reader_position only; /* of a reader with one partition, for polling_only_positions */
    void *replay;         /* the loop's, while it replays dead letters */
    int64_t idle_us;      /* how often to poll without a wake_fd; default 1 s */
};

/* May a thread of the reader's own read ahead of its polls? */
static inline bool reader_reads_ahead(const freshet_reader *reader)
{
    return reader->crew != NULL && reader->mode == READ_ALL;
}

#endif
