/* evolution.h - what a changed declaration means for the state that is there: verdicts.
 *
 * A feature set lives for years, and its declaration changes meanwhile. At each start the state is
 * compared with the declaration, part by part, and what is found is a list of VERDICTS, each about
 * one subject (a feature, a window, a key, an option) of one part. `freshet run` refuses the start
 * (exit code 78) where one of them is VERDICT_REFUSED, with what is said of all such; it logs the
 * others, but VERDICT_SERVED, once, and goes on. `freshet plan FILE` prints all of them, with their
 * places, from the same calls on a state that is opened to be read; nothing is run behind them.
 *
 * WHO SAYS ONE. Calls, in this order, at a start over a state that has a checkpoint (not for one
 * that begins anew, in which everything is of the declaration number 1):
 *
 *   1  meanings (features/meaning.h): a thing that was kept means another now: refused
 *   2  operator_ops.restore (features/operator.h) of each operator with facts: it may say verdicts
 *      by self->evolution (NULL where nobody asks), and returns FRESHET_BAD_DECLARATION with a
 *      sentence for what cannot be: that sentence becomes a refusal by itself. The others are
 *      restored all the same.
 *   3  state_part.evolve of each part, with what is known of it from before (state_past)
 *   4  where nothing was refused, and this is no plan: ops->know with each layout that a saved key
 *      may have, ops->restore of keys
 *
 * A PART's `evolve` (state_part.h) gets `owner`, the operator as a rule, which knows names and
 * places of the declaration. It compares what it kept with what it is to keep, says a verdict for
 * each difference, and notes what it must know itself when keys of then come (a value that fills
 * from now on, a column that is gone). `past` is NULL where the state has nothing of the part,
 * since the declaration had no use for it: rows before are not known, so say VERDICT_FROM_NOW, or
 * refuse. A part without `evolve` is served where its fingerprint is the same and refused where
 * not, or where the state has nothing of it. Parts that the declaration no longer has are
 * VERDICT_REMOVED without asking anybody.
 *
 * With `evolve` the fingerprint is no longer compared: the part puts into it only what it can never
 * read in another form (the key columns), and everything else into `layout`, a text for its own
 * eyes. The state keeps each layout that a saved key may have, and which one was the last
 * (state_past.layout).
 *
 * KEYS THAT SLEPT. A key is saved when it changes, so its bytes may be of a declaration long ago. A
 * value that was dropped, and later kept again, has a gap between; and it may have come back with
 * another meaning. So each thing of a layout says in it the NUMBER of the declaration in which it
 * came in (evolution.declared; a thing that stays keeps its number, from the last layout), and
 * bytes of then are taken over only for things of the same number. Numbers grow by one with each
 * changed declaration.
 *
 * OPTIONS that a part compares by itself, since it serves some of their changes, are
 * MEANING_COMPARED in the table of features/meaning.c, not MEANING_OWN. What a kept value is made
 * of (its column, its SQL, its filter) is compared as a meaning before: another one is refused, so
 * a thing of a layout that bears the same name means the same.
 *
 * A TYPICAL evolve:
 *
 *     static freshet_code windows_evolve(void *owner, const state_past *past, evolution *out, ...)
 *     {
 *         if (past == NULL)
 *             evolution_say(out, part, VERDICT_FROM_NOW, at, "feature \"spend\"",
 *                           "its windows fill from now on, and are null until they are full");
 *         for each value wanted that the last layout lacks
 *             evolution_say(out, ..., VERDICT_FROM_NOW, ...), number it out->declared
 *         for each that it has and nobody wants: VERDICT_REMOVED
 *         for what can never be: VERDICT_REFUSED, and say the ways on that are its own
 *         return FRESHET_OK;
 *     }
 *
 * Sentences: no full stop, no name of the part; a refusal says what was, what is, and, where there
 * is one, the way on that is special to it ("give it another name, and it fills from now on"). The
 * ways on that all have (put it back; begin anew) are added behind.
 */
#ifndef FRESHET_KEYED_EVOLUTION_H
#define FRESHET_KEYED_EVOLUTION_H

#include <freshet/freshet.h>

#include "base/arena.h"

struct place; /* declaration/option.h */

typedef enum verdict_kind {
    VERDICT_SERVED,   /* as it is: what is kept is right for it */
    VERDICT_NULL,     /* served; a new column is null until the key's next event */
    VERDICT_FROM_NOW, /* rows before are not in it: it fills from now on */
    VERDICT_FILLED,   /* with the rows before, by `freshet state fill` */
    VERDICT_REMOVED,  /* what was kept for it goes, and would have to fill anew */
    VERDICT_REFUSED   /* cannot be served */
} verdict_kind;

#define VERDICT_KINDS (VERDICT_REFUSED + 1)

/* "served as it is", "cannot be served" */
extern const char *const verdict_words[VERDICT_KINDS];

typedef struct verdict {
    const char *part; /* its name; "" where it is of the state as a whole */
    const char *subject;
    verdict_kind kind;
    const char *said;
    const struct place *at; /* NULL: the declaration as a whole */
} verdict;

#define EVOLUTION_NO_ROW INT64_MIN

typedef struct evolution {
    arena *arena;      /* of the verdicts' texts */
    uint64_t declared; /* the number of this declaration: see KEYS THAT SLEPT */
    int64_t saved_us;  /* the wall time of the last checkpoint */
    /* The newest event time of all rows so far, as far as the state knows one (restored by the
     * operator that has it), else saved_us: what is new is known of all events behind it.
     * EVOLUTION_NO_ROW: none has come, so what is new is known of all. */
    int64_t newest_us;
    /* A part that is gone, and another takes its keys over (state_part.h: succeeds); NULL: none. */
    const char *succeeded, *succeeded_shape;
    verdict *items;
    uint32_t n, capacity;
    uint32_t counts[VERDICT_KINDS];
    bool no_memory; /* one could not be noted: whoever collects them looks at the end */
} evolution;

/* What the state says of a part from before. */
typedef struct state_past {
    uint64_t fingerprint;
    const char *shape;
    /* The last layout. NULL: the part had none; or it is not known which of several was the last
     * (states from before version 1 whose declaration had changed). */
    const char *layout;
} state_past;

/* One verdict more; texts are copied, `at` must live as long as the declaration. */
void evolution_say(evolution *evolution, const char *part, verdict_kind kind,
                   const struct place *at, const char *subject, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* The first of a kind; NULL where there is none. */
const verdict *evolution_first(const evolution *evolution, verdict_kind kind);

#endif
