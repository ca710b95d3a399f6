/* divided.c - see divided.h.
 *
 * A run goes in three turns of the crew:
 *
 *   owners    slices of its rows: the key of each as bytes, and by their hash whose row it is
 *   shares    instances: each picks its rows out, sees them as a run of its own, and runs on it
 *   mixing    slices of the rows that come of it: the instances' columns as one (divided_rows.c)
 *
 * All rows of a short run are often one instance's. That one then gets the run as it is, and the
 * others only hear of it (operator_division.rest).
 *
 * ROWS THAT ARE REFUSED while the instances run are noted in their shares; behind the run they are
 * told in the order of the rows, whoever had them.
 *
 * MEMORY. What instance i makes of a run lies in branch i of the run's arena, and so lives as long
 * as the run's own.
 */
#include "features/divided.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "base/error.h"
#include "features/divided_rows.h"

_Static_assert(CREW_WORKERS_MAX <= ARENA_BRANCHES_MAX, "a branch an instance");
_Static_assert(CREW_WORKERS_MAX <= UINT8_MAX, "an owner is a byte");

typedef struct divided {
    freshet_operator base;
    const operator_ops *whole;
    const operator_division *division;
    struct crew *crew;
    uint32_t n;
    freshet_operator **instances;
    text_buffer *keys; /* a buffer for each slice */
    bool *wanted;      /* by slot: what the instances see */
    state_part *parts;
    uint32_t n_parts;
} divided;

/* ---- opening and closing --------------------------------------------------------------------- */

static freshet_operator *open_instance(const divided *divided)
{
    freshet_operator *made = calloc(1, divided->whole->size);
    if (made == NULL)
        return NULL;
    *made = divided->base;
    made->ops = divided->whole;
    made->n_instances = divided->n;
    made->arena = arena_open();
    if (made->arena != NULL)
        return made;
    free(made);
    return NULL;
}

/* The part of each, as pieces of one. */
static freshet_code join_parts(divided *divided, freshet_error *err)
{
    arena *arena = divided->base.arena;
    const state_part *first = divided->whole->parts(divided->instances[0], &divided->n_parts);
    divided->parts = arena_alloc(arena, (divided->n_parts + (size_t)1) * sizeof *divided->parts);
    if (divided->parts == NULL)
        return error_memory(err, "opening the feature set");
    for (uint32_t p = 0; p < divided->n_parts; p++) {
        state_part *pieces = arena_alloc(arena, divided->n * sizeof *pieces);
        if (pieces == NULL)
            return error_memory(err, "opening the feature set");
        for (uint32_t i = 0; i < divided->n; i++) {
            uint32_t n;
            pieces[i] = divided->whole->parts(divided->instances[i], &n)[p];
            assert(n == divided->n_parts);
        }
        divided->parts[p] = first[p];
        divided->parts[p].table = NULL;
        divided->parts[p].pieces = pieces;
        divided->parts[p].n_pieces = divided->n;
    }
    return FRESHET_OK;
}

static freshet_code divided_open(freshet_operator *self, const operator_options *options,
                                 freshet_error *err)
{
    divided *divided = (struct divided *)self;
    divided->whole = self->ops->whole;
    divided->division = divided->whole->division;
    divided->crew = options->set->crew;
    const uint32_t n = crew_workers(divided->crew);
    divided->instances = arena_zero(self->arena, n, sizeof(freshet_operator *));
    divided->keys = arena_alloc(self->arena, n * sizeof *divided->keys);
    divided->wanted = arena_zero(self->arena, self->plan->n_slots + (size_t)1, 1);
    if (divided->instances == NULL || divided->keys == NULL || divided->wanted == NULL)
        return error_memory(err, "opening the feature set");
    divided->n = n;
    for (uint32_t i = 0; i < n; i++)
        text_init(&divided->keys[i], SIZE_MAX);
    if (divided->division->slots != NULL)
        divided->division->slots(self->plan, divided->wanted);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        divided->instances[i] = open_instance(divided);
        if (divided->instances[i] == NULL)
            return error_memory(err, "opening the feature set");
        code = divided->whole->open(divided->instances[i], options, err);
    }
    return code == FRESHET_OK && self->is_stream && divided->whole->parts != NULL
               ? join_parts(divided, err)
               : code;
}

static void divided_close(freshet_operator *self)
{
    divided *divided = (struct divided *)self;
    for (uint32_t i = 0; i < divided->n; i++) {
        freshet_operator *instance = divided->instances[i];
        text_release(&divided->keys[i]);
        if (instance == NULL)
            continue;
        divided->whole->close(instance);
        arena_close(instance->arena);
        free(instance);
    }
}

static const state_part *divided_parts(freshet_operator *self, uint32_t *n)
{
    *n = ((const divided *)self)->n_parts;
    return ((const divided *)self)->parts;
}

/* ---- whose row it is ------------------------------------------------------------------------- */

/* One run that is dealt out. */
typedef struct deal {
    divided *divided;
    run *run;
    key_columns keys;
    uint32_t n_rows;
    uint32_t slice_rows;
    uint8_t *owners;
    bool *failed; /* by slice: memory is out */
    share *shares;
} deal;

static uint32_t slices_of(const deal *deal)
{
    return (deal->n_rows + deal->slice_rows - 1) / deal->slice_rows;
}

static void tell_owners(void *context, uint32_t which)
{
    deal *deal = context;
    text_buffer *key = &deal->divided->keys[which];
    const uint32_t first = which * deal->slice_rows;
    const uint32_t end =
        first + deal->slice_rows < deal->n_rows ? first + deal->slice_rows : deal->n_rows;
    key_owners(&deal->keys, first, end, deal->divided->n, key, deal->owners);
    deal->failed[which] = key->failed;
}

static freshet_code deal_owners(deal *deal, struct crew *crew)
{
    const divided *divided = deal->divided;
    run *run = deal->run;
    deal->owners = arena_alloc(run->arena, deal->n_rows + (size_t)1);
    deal->failed = arena_zero(run->arena, divided->n, sizeof *deal->failed);
    if (deal->owners == NULL || deal->failed == NULL)
        return error_memory(run->err, COMPUTING);
    freshet_code code = divided->division->keys(divided->instances[0], run, &deal->keys);
    if (code != FRESHET_OK)
        return code;
    deal->slice_rows = (deal->n_rows + divided->n - 1) / divided->n;
    crew_run(crew, slices_of(deal), tell_owners, deal);
    for (uint32_t i = 0; i < slices_of(deal); i++)
        if (deal->failed[i])
            return error_memory(run->err, COMPUTING);
    return FRESHET_OK;
}

/* Whose all rows are; n where they are several ones'. */
static uint32_t only_owner(const deal *deal)
{
    for (uint32_t row = 1; row < deal->n_rows; row++)
        if (deal->owners[row] != deal->owners[0])
            return deal->divided->n;
    return deal->n_rows == 0 ? 0 : deal->owners[0];
}

/* ---- the shares ------------------------------------------------------------------------------ */

static freshet_code note_refused(void *context, const feature_refusal *refused, freshet_error *err)
{
    share *share = context;
    if (!arena_reserve(share->arena, &share->refused, &share->refused_capacity,
                       share->n_refused + UINT64_C(1), sizeof *share->refused))
        return error_memory(err, COMPUTING);
    share->refused[share->n_refused++] = *refused;
    return FRESHET_OK;
}

static freshet_code run_share(deal *deal, uint32_t which)
{
    const divided *divided = deal->divided;
    share *share = &deal->shares[which];
    run *run = &share->run;
    freshet_code code = share_pick(share, deal->owners, deal->n_rows, (uint8_t)which);
    if (code != FRESHET_OK || share->n == 0)
        return code;
    code = divided->division->form == DIVISION_RANKS
               ? share_see_output(share, deal->run)
               : share_see_rows(share, deal->run, divided->wanted);
    if (code == FRESHET_OK)
        code = divided->whole->run(divided->instances[which], run);
    if (code == FRESHET_OK && divided->division->form == DIVISION_MARKS)
        share_put_marks(share, deal->run);
    if (code == FRESHET_OK && divided->division->form == DIVISION_RANKS)
        share_put_ranks(share, deal->run);
    return code;
}

static void do_share(void *context, uint32_t which)
{
    deal *deal = context;
    deal->shares[which].code = run_share(deal, which);
}

static freshet_code open_shares(deal *deal)
{
    const divided *divided = deal->divided;
    run *run = deal->run;
    deal->shares = arena_zero(run->arena, divided->n, sizeof *deal->shares);
    if (deal->shares == NULL)
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; i < divided->n; i++) {
        share *share = &deal->shares[i];
        share->arena = arena_branch(run->arena, i);
        if (share->arena == NULL)
            return error_memory(run->err, COMPUTING);
        share->run = *run;
        share->run.arena = share->arena;
        share->run.refuse = note_refused;
        share->run.context = share;
        share->run.err = &share->err;
    }
    if (divided->division->form == DIVISION_RANKS)
        return ranks_open(run);
    return FRESHET_OK;
}

/* The first that failed, by number. */
static freshet_code find_failed(const deal *deal)
{
    for (uint32_t i = 0; i < deal->divided->n; i++) {
        const share *share = &deal->shares[i];
        if (share->code == FRESHET_OK)
            continue;
        if (deal->run->err != NULL)
            *deal->run->err = share->err;
        return share->code;
    }
    return FRESHET_OK;
}

static freshet_code rest_share(const divided *divided, uint32_t which, const run *run)
{
    return divided->division->rest == NULL
               ? FRESHET_OK
               : divided->division->rest(divided->instances[which], run);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void sum_figures(divided *divided)
{
    feature_set_figures sum = {0};
    for (uint32_t i = 0; i < divided->n; i++)
        feature_set_figures_add(&sum, &divided->instances[i]->figures);
    divided->base.figures = sum;
}

static void divided_meet(divided *divided)
{
    if (divided->division->meet != NULL)
        divided->division->meet(divided->instances, divided->n);
    sum_figures(divided);
}

/* One instance has all the rows. */
static freshet_code run_whole(const divided *divided, run *run, uint32_t owner)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < divided->n; i++)
        if (i != owner)
            code = rest_share(divided, i, run);
    return code == FRESHET_OK ? divided->whole->run(divided->instances[owner], run) : code;
}

static freshet_code run_shares(deal *deal, struct crew *crew)
{
    const divided *divided = deal->divided;
    freshet_code code = open_shares(deal);
    if (code != FRESHET_OK)
        return code;
    crew_run(crew, divided->n, do_share, deal);
    code = find_failed(deal);
    for (uint32_t i = 0; code == FRESHET_OK && i < divided->n; i++)
        if (deal->shares[i].n == 0)
            code = rest_share(divided, i, deal->run);
    if (code == FRESHET_OK)
        code = shares_tell_refused(deal->shares, divided->n, deal->run);
    if (code == FRESHET_OK && divided->division->form == DIVISION_MARKS)
        for (uint32_t i = 0; i < divided->n; i++)
            deal->run->n_refused += deal->shares[i].run.n_refused;
    if (code == FRESHET_OK && divided->division->form == DIVISION_RANKS)
        ranks_close(deal->run);
    if (code == FRESHET_OK && divided->division->form == DIVISION_ROWS)
        code = shares_mix(deal->shares, divided->n, deal->owners, crew, deal->run);
    return code;
}

static freshet_code divided_run(freshet_operator *self, run *run)
{
    divided *divided = (struct divided *)self;
    freshet_code code = run->is_output ? FRESHET_OK : run_compact(run);
    deal deal = {
        .divided = divided, .run = run, .n_rows = run->is_output ? run->out.n_rows : run->n_rows};
    struct crew *crew = deal.n_rows < DIVIDED_ROWS_MIN ? NULL : divided->crew;
    uint32_t owner = 0;
    if (code == FRESHET_OK && deal.n_rows > 0) {
        code = deal_owners(&deal, crew);
        owner = code == FRESHET_OK ? only_owner(&deal) : 0;
    }
    if (code == FRESHET_OK)
        code = owner < divided->n ? run_whole(divided, run, owner) : run_shares(&deal, crew);
    if (code == FRESHET_OK)
        divided_meet(divided);
    return code;
}

/* ---- rows without an input ------------------------------------------------------------------- */

static freshet_operator *find_debtor(const divided *divided)
{
    for (uint32_t i = 0; divided->whole->owes != NULL && i < divided->n; i++)
        if (divided->whole->owes(divided->instances[i]))
            return divided->instances[i];
    return NULL;
}

static bool divided_owes(const freshet_operator *self)
{
    return find_debtor((const divided *)self) != NULL;
}

static bool divided_keeps_owed(const freshet_operator *self)
{
    const divided *divided = (const struct divided *)self;
    const operator_ops *whole = divided->whole;
    for (uint32_t i = 0; i < divided->n; i++)
        if (whole->owes != NULL && whole->owes(divided->instances[i]) &&
            (whole->keeps_owed == NULL || !whole->keeps_owed(divided->instances[i])))
            return false;
    return true;
}

static freshet_code divided_go_on(freshet_operator *self, run *run)
{
    divided *divided = (struct divided *)self;
    freshet_code code = divided->whole->go_on(find_debtor(divided), run);
    if (code == FRESHET_OK)
        divided_meet(divided);
    return code;
}

static freshet_code divided_finish(freshet_operator *self, run *run)
{
    divided *divided = (struct divided *)self;
    freshet_code code = FRESHET_END;
    for (uint32_t i = 0; code == FRESHET_END && divided->whole->finish != NULL && i < divided->n;
         i++)
        code = divided->whole->finish(divided->instances[i], run);
    sum_figures(divided);
    return code;
}

/* ---- facts ----------------------------------------------------------------------------------- */

/* They are alike in all instances, since they follow from the times that all are told, and from
 * what was restored; but that only who owes says what is owed. */
static freshet_code divided_save(const freshet_operator *self, text_buffer *into,
                                 freshet_error *err)
{
    const divided *divided = (const struct divided *)self;
    const freshet_operator *debtor = find_debtor(divided);
    return divided->whole->save == NULL
               ? FRESHET_OK
               : divided->whole->save(debtor == NULL ? divided->instances[0] : debtor, into, err);
}

static freshet_code divided_restore(freshet_operator *self, const void *bytes, size_t length,
                                    freshet_error *err)
{
    divided *divided = (struct divided *)self;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && divided->whole->restore != NULL && i < divided->n;
         i++)
        code = divided->whole->restore(divided->instances[i], bytes, length, err);
    if (code == FRESHET_OK)
        divided_meet(divided);
    return code;
}

/* ---- which there are ------------------------------------------------------------------------- */

#define DIVIDED(of, called)                                                                       \
    {                                                                                             \
        .name = (called), .size = sizeof(divided), .whole = &of##_operator, .open = divided_open, \
        .run = divided_run, .owes = divided_owes, .keeps_owed = divided_keeps_owed,               \
        .go_on = divided_go_on, .finish = divided_finish, .save = divided_save,                   \
        .restore = divided_restore, .parts = divided_parts, .close = divided_close                \
    }

static const operator_ops divided_table[] = {DIVIDED(seen_events, "deduplicate"),
                                             DIVIDED(windowed, "windows"),
                                             DIVIDED(newest_rows, "newest")};

const operator_ops *divided_ops(const operator_ops *ops, const operator_options *options)
{
    if (crew_workers(options->set->crew) < 2 || ops->division == NULL ||
        (ops->division->may != NULL && !ops->division->may(options)))
        return ops;
    for (size_t i = 0; i < sizeof divided_table / sizeof *divided_table; i++)
        if (divided_table[i].whole == ops) {
            assert(strcmp(divided_table[i].name, ops->name) == 0);
            return &divided_table[i];
        }
    return ops;
}
