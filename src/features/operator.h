/* operator.h - the contract of a step on the way of the rows that remembers something or answers to
 * time: windows, groups, events seen before, newest rows.
 *
 * A feature set is a list of operators in the order of OPERATORS, at the end of this file: those
 * that the declaration wants. Rows go through them as a `run` (run.h): each operator changes the
 * run in place and knows no other. TO ADD ONE: a file in operators/ that ends with its
 * operator_ops, and its line in OPERATORS.
 *
 * THE LEGAL ORDER OF CALLS
 *
 *     wanted                         NULL: always; nothing more is called where it says no
 *     open                           once
 *       parts                        after open, as often as wanted: the same array
 *       restore                      once or never: the facts that save made, perhaps of another
 *                                    declaration
 *       (each state part's own)      state_part.h; its restore comes after this restore
 *       expect                       lanes that will give rows, before they do; also between runs
 *       run                          a micro-batch, as often as wanted
 *       go_on                        as long as owes says so, before the next run
 *       save                         between two runs, at a checkpoint
 *       finish                       when nothing is run any more: until FRESHET_END, and then
 *                                    again FRESHET_END
 *     close                          always, also where open failed (the instance is zero beyond
 *                                    what open did)
 *
 * Each of them may be NULL where there is nothing to do. None blocks but by computing; all come
 * from one thread at a time. A call that fails leaves an operator that is only to be closed, since
 * it may have taken a part of the rows; rows that are refused (run_refuse) are no failure.
 *
 * Up to `before_windows` a row is one of the input; from there on stacks may have made several of
 * one, and their keys are not there before.
 *
 * ROWS. run gets rows that passed the operators before it; run->keep marks those that are out
 * already. It may drop and refuse rows, fill slots, add rows behind others, or take all and give
 * none (run_give_none). Up to `after_windows` rows are columns by slot; from there on they are the
 * batch run->out. go_on and finish get an empty run and put rows into it that go through all
 * operators behind: so at the end of a batch one gathers again what the one before has given.
 * Results live in run->arena, or until the operator's next call.
 *
 * TIME. run->hold_s and run->lowest_s tell how far back rows may still come; only late_rows knows
 * lanes.
 *
 * OWNERSHIP. The set allocates an instance of ops->size bytes, zeroed, which begins with
 * freshet_operator, and an arena for what lives as long; it frees both after close. What open is
 * given lives longer than the operator, but for operator_options itself.
 *
 * PARTS OF THE KEYS. Nothing in an operator is global: several instances of one can stand side by
 * side, each with some of the keys (by a hash of their bytes, keyed/cells.h), and run beside each
 * other (divided.h). Whoever divides the rows so divides the saved keys and the memory, too;
 * late_rows comes before, once, since lanes are no matter of keys. What an operator says of itself
 * for that is its operator_division; one without is never divided. What is owed is asked of all
 * instances beside each other, so each gives its share of a piece (operator_piece).
 *
 * FACTS are what an operator remembers that is no key's. They are saved under ops->name, which
 * therefore never changes. restore refuses what this declaration cannot go on with:
 * FRESHET_BAD_DECLARATION and the reason; damaged ones: FRESHET_FAILED. What it serves otherwise
 * than as it is, it says by self->evolution (keyed/evolution.h).
 */
#ifndef FRESHET_FEATURES_OPERATOR_H
#define FRESHET_FEATURES_OPERATOR_H

#include "features/key_hashes.h"
#include "features/run.h"
#include "keyed/state_part.h"

typedef struct operator_ops operator_ops;
typedef struct operator_division operator_division;

/* What an instance begins with. */
typedef struct freshet_operator {
    const operator_ops *ops;
    plan *plan;
    const feature_set_block *block; /* what is declared */
    bool is_stream;
    arena *arena;
    evolution *evolution; /* while facts are restored: where verdicts go. NULL: nobody asks */
    feature_set_figures figures; /* counted by the operator, summed up by the set */
    uint32_t n_instances;        /* side by side, this one included; 0: it has all keys */
} freshet_operator;

/* How many have the keys among them, and so what bounds all of them. */
static inline uint32_t operator_instances(const freshet_operator *self)
{
    return self->n_instances == 0 ? 1 : self->n_instances;
}

/* How many rows each of the instances gives at once, where one would give so many. */
static inline uint32_t operator_piece(const freshet_operator *self, uint32_t rows)
{
    return (rows + operator_instances(self) - 1) / operator_instances(self);
}

typedef struct operator_options {
    const feature_set_options *set;
    const declaration *declaration;
    plan *plan;    /* aggregated sets: its `output` is theirs once `aggregated` is open */
    size_t memory; /* bytes that keys may take where nobody takes them away */
    /* Gets the mistakes of the declaration; FRESHET_BAD_DECLARATION is returned then. */
    problems *problems;
} operator_options;

/* What becomes of an instance's rows. */
typedef enum division_form {
    DIVISION_MARKS, /* some are dropped or refused; columns stay as they are */
    DIVISION_FILLS, /* the same, and columns are filled, for rows that are out already, too */
    DIVISION_ROWS,  /* columns are filled, rows are added behind theirs */
    DIVISION_RANKS, /* of run->out: write_us and row_kinds are set */
    DIVISION_TAKES  /* they are taken, and none given: what comes of them is owed, as output */
} division_form;

struct operator_division {
    division_form form;                           /* of the last turn */
    bool (*may)(const operator_options *options); /* NULL: always */
    /* The rows are dealt out in so many turns, each by other keys; DIVISION_FILLS before the last.
     * NULL: one. */
    uint32_t (*turns)(const freshet_operator *self);
    /* In the run's arena; keys->rows is NULL before. The bytes of these cells (keyed/cells.h) are
     * the saved key's. */
    freshet_code (*keys)(const freshet_operator *self, const run *run, uint32_t turn,
                         key_columns *keys);
    /* Marks the slots that an instance wants to see of its rows in that turn, if they are filled by
     * then; of DIVISION_RANKS none. */
    void (*slots)(const freshet_operator *self, uint32_t turn, bool *marked);
    /* One turn. NULL: that is the run. */
    freshet_code (*run)(freshet_operator *self, run *run, uint32_t turn);
    /* A turn that has no row for this instance: the same as run with none, but that nothing comes
     * of it. NULL: there is nothing to do. */
    freshet_code (*rest)(freshet_operator *self, const run *run, uint32_t turn);
    /* What is of all keys becomes alike in all instances: behind each run (and, of DIVISION_TAKES,
     * before what is owed is asked for), go_on and finish. False where memory is out.
     * NULL: nothing is. */
    bool (*meet)(freshet_operator *const *instances, uint32_t n);
};

struct operator_ops {
    const char *name;
    size_t size;
    const operator_ops *whole;         /* of one that is divided: that which it stands for */
    const operator_division *division; /* NULL: it is never divided */
    /* What a declaration without it is told where there are facts of it; NULL: they are let go. */
    const char *gone;
    bool (*wanted)(const operator_options *options);
    freshet_code (*open)(freshet_operator *self, const operator_options *options,
                         freshet_error *err);
    freshet_code (*run)(freshet_operator *self, run *run);
    /* Is there more to output without another row? */
    bool (*owes)(const freshet_operator *self);
    /* NULL, or whether all that it owes follows from what it has saved: a checkpoint may be made
     * before it is given. */
    bool (*keeps_owed)(const freshet_operator *self);
    freshet_code (*go_on)(freshet_operator *self, run *run);
    freshet_code (*finish)(freshet_operator *self, run *run);
    /* A lane that will give rows; is_waiting: they are there to be read. */
    freshet_code (*expect)(freshet_operator *self, uint32_t lane, bool is_waiting,
                           freshet_error *err);
    /* The lane that holds windows back, where one does. */
    bool (*held_by)(const freshet_operator *self, feature_set_holder *out);
    /* The lanes that its watermarks are made of. NULL: it has none. */
    const struct lanes *(*lanes)(const freshet_operator *self);
    freshet_code (*save)(const freshet_operator *self, text_buffer *into, freshet_error *err);
    freshet_code (*restore)(freshet_operator *self, const void *bytes, size_t length,
                            freshet_error *err);
    /* The parts of keyed state, of streams only: live until close. */
    const state_part *(*parts)(freshet_operator *self, uint32_t *n);
    void (*close)(freshet_operator *self);
};

/* Every operator, in the order of the way. */
#define OPERATORS(X)                                                \
    X(columns)        /* timestamp and keys of the source's rows */ \
    X(early_rows)     /* `max_future` */                            \
    X(late_rows)      /* watermarks */                              \
    X(row_times)      /* the same, where nobody waits for them */   \
    X(seen_events)    /* `deduplicate` */                           \
    X(before_windows) /* features that need no window; stacks */    \
    X(shared_keys)    /* keys that come from several partitions */  \
    X(windowed)       /* windows behind each row */                 \
    X(aggregated)     /* groups and rolling windows */              \
    X(after_windows)  /* features made of windows; the output */    \
    X(deduplicate)    /* `deduplicate_rows` of a batch */           \
    X(newest_rows)    /* which row of a key is its newest */

#define OPERATOR_DECLARE(name) extern const operator_ops name##_operator;
OPERATORS(OPERATOR_DECLARE)

#endif
