/* divided.c - see divided.h.
 *
 * A run goes in three phases:
 *
 *   owners    slices of its rows: the key of each as bytes, and by their hash whose row it is
 *   shares    instances: each picks its rows out, sees them as a run of its own, and runs on it
 *   mixing    slices of the rows that come of it: the instances' columns as one (divided_rows.c)
 *
 * Where there are several kinds of keys (windows with a `partition_by` of their own) that is so in
 * each of several turns: the rows are dealt out anew by the next kind.
 *
 * All rows of a short run are often one instance's. That one then gets the run as it is, and the
 * others only hear of it (operator_division.rest).
 *
 * ROWS WITHOUT AN INPUT are asked of all instances that owe some, at the same time; they come one
 * instance behind the other. So between keys their order is another one than that of one worker.
 * The crew helps where the time before they were many.
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
    uint32_t n_turns;
    bool **wanted;       /* by turn and slot: what the instances see */
    uint32_t given_rows; /* the last time that they were asked for rows without an input */
    bool *ended;         /* by instance: it has given all at the end */
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

/* What the instances see in each turn. */
static freshet_code open_turns(divided *divided, freshet_error *err)
{
    const operator_division *division = divided->division;
    const plan *plan = divided->base.plan;
    divided->n_turns = division->turns == NULL ? 1 : division->turns(divided->instances[0]);
    divided->wanted = arena_zero(divided->base.arena, divided->n_turns, sizeof(bool *));
    for (uint32_t turn = 0; divided->wanted != NULL && turn < divided->n_turns; turn++) {
        bool *wanted = arena_zero(divided->base.arena, plan->n_slots + (size_t)1, 1);
        if (wanted == NULL)
            return error_memory(err, "opening the feature set");
        if (division->slots != NULL)
            division->slots(divided->instances[0], turn, wanted);
        divided->wanted[turn] = wanted;
    }
    return divided->wanted == NULL ? error_memory(err, "opening the feature set") : FRESHET_OK;
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
    divided->ended = arena_zero(self->arena, n, sizeof *divided->ended);
    if (divided->instances == NULL || divided->keys == NULL || divided->ended == NULL)
        return error_memory(err, "opening the feature set");
    divided->n = n;
    for (uint32_t i = 0; i < n; i++)
        text_init(&divided->keys[i], SIZE_MAX);
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        divided->instances[i] = open_instance(divided);
        if (divided->instances[i] == NULL)
            return error_memory(err, "opening the feature set");
        code = divided->whole->open(divided->instances[i], options, err);
    }
    if (code == FRESHET_OK)
        code = open_turns(divided, err);
    return code == FRESHET_OK && self->is_stream && divided->whole->parts != NULL
               ? join_parts(divided, err)
               : code;
}

static void close_instance(void *context, uint32_t which)
{
    const divided *divided = context;
    freshet_operator *instance = divided->instances[which];
    text_release(&divided->keys[which]);
    if (instance == NULL)
        return;
    divided->whole->close(instance);
    arena_close(instance->arena);
    free(instance);
}

/* To give back what many keys have takes a while. */
static void divided_close(freshet_operator *self)
{
    divided *divided = (struct divided *)self;
    crew_run(divided->crew, divided->n, close_instance, divided);
}

static const state_part *divided_parts(freshet_operator *self, uint32_t *n)
{
    *n = ((const divided *)self)->n_parts;
    return ((const divided *)self)->parts;
}

/* ---- whose row it is ------------------------------------------------------------------------- */

/* One turn of a run: its rows are dealt out. */
typedef struct deal {
    divided *divided;
    run *run;
    uint32_t turn;
    division_form form;
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
    freshet_code code =
        divided->division->keys(divided->instances[0], run, deal->turn, &deal->keys);
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

static freshet_code run_turn_of(const deal *deal, uint32_t which, run *run)
{
    const divided *divided = deal->divided;
    freshet_operator *instance = divided->instances[which];
    return divided->division->run == NULL ? divided->whole->run(instance, run)
                                          : divided->division->run(instance, run, deal->turn);
}

static freshet_code run_share(deal *deal, uint32_t which)
{
    const divided *divided = deal->divided;
    share *share = &deal->shares[which];
    const division_form form = deal->form;
    freshet_code code = share_pick(share, deal->owners, deal->n_rows, (uint8_t)which);
    if (code != FRESHET_OK || share->n == 0)
        return code;
    code = form == DIVISION_RANKS ? share_see_output(share, deal->run)
                                  : share_see_rows(share, deal->run, divided->wanted[deal->turn]);
    if (code == FRESHET_OK)
        code = run_turn_of(deal, which, &share->run);
    if (code == FRESHET_OK && (form == DIVISION_MARKS || form == DIVISION_FILLS))
        share_put_marks(share, deal->run);
    if (code == FRESHET_OK && form == DIVISION_RANKS)
        share_put_ranks(share, deal->run);
    return code;
}

static void do_share(void *context, uint32_t which)
{
    deal *deal = context;
    deal->shares[which].code = run_share(deal, which);
}

/* Its run is that of all, but for where it allocates, and what it says. */
static freshet_code open_share(share *share, const run *all, uint32_t which)
{
    share->arena = arena_branch(all->arena, which);
    if (share->arena == NULL)
        return error_memory(all->err, COMPUTING);
    share->run = *all;
    share->run.n_refused = 0; /* of its own rows, if it gets any */
    share->run.arena = share->arena;
    share->run.refuse = note_refused;
    share->run.context = share;
    share->run.err = &share->err;
    return FRESHET_OK;
}

static freshet_code open_shares(deal *deal)
{
    const divided *divided = deal->divided;
    run *run = deal->run;
    freshet_code code = FRESHET_OK;
    deal->shares = arena_zero(run->arena, divided->n, sizeof *deal->shares);
    if (deal->shares == NULL)
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; code == FRESHET_OK && i < divided->n; i++)
        code = open_share(&deal->shares[i], run, i);
    return code == FRESHET_OK && deal->form == DIVISION_RANKS ? ranks_open(run) : code;
}

/* The first that failed, by number. */
static freshet_code find_failed(const share *shares, uint32_t n, const run *run)
{
    for (uint32_t i = 0; i < n; i++) {
        if (shares[i].code == FRESHET_OK)
            continue;
        if (run->err != NULL)
            *run->err = shares[i].err;
        return shares[i].code;
    }
    return FRESHET_OK;
}

static freshet_code rest_share(const deal *deal, uint32_t which)
{
    const operator_division *division = deal->divided->division;
    return division->rest == NULL
               ? FRESHET_OK
               : division->rest(deal->divided->instances[which], deal->run, deal->turn);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void sum_figures(divided *divided)
{
    feature_set_figures sum = {0};
    for (uint32_t i = 0; i < divided->n; i++)
        feature_set_figures_add(&sum, &divided->instances[i]->figures);
    divided->base.figures = sum;
}

static freshet_code divided_meet(divided *divided, freshet_error *err)
{
    sum_figures(divided);
    return divided->division->meet == NULL ||
                   divided->division->meet(divided->instances, divided->n)
               ? FRESHET_OK
               : error_memory(err, COMPUTING);
}

/* One instance has all the rows. */
static freshet_code run_whole(const deal *deal, uint32_t owner)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < deal->divided->n; i++)
        if (i != owner)
            code = rest_share(deal, i);
    return code == FRESHET_OK ? run_turn_of(deal, owner, deal->run) : code;
}

/* What the shares have made of their rows is that of all. */
static freshet_code shares_together(deal *deal, struct crew *crew)
{
    const uint32_t n = deal->divided->n;
    run *run = deal->run;
    for (uint32_t i = 0; (deal->form == DIVISION_MARKS || deal->form == DIVISION_FILLS) && i < n;
         i++)
        run->n_refused += deal->shares[i].run.n_refused;
    switch (deal->form) {
    case DIVISION_MARKS:
    case DIVISION_TAKES: return FRESHET_OK;
    case DIVISION_RANKS: ranks_close(run); return FRESHET_OK;
    case DIVISION_FILLS: return shares_fill(deal->shares, n, deal->owners, crew, run);
    case DIVISION_ROWS: break;
    }
    return shares_mix(deal->shares, n, deal->owners, crew, run);
}

static freshet_code run_shares(deal *deal, struct crew *crew)
{
    const divided *divided = deal->divided;
    freshet_code code = open_shares(deal);
    if (code != FRESHET_OK)
        return code;
    crew_run(crew, divided->n, do_share, deal);
    code = find_failed(deal->shares, divided->n, deal->run);
    for (uint32_t i = 0; code == FRESHET_OK && i < divided->n; i++)
        if (deal->shares[i].n == 0)
            code = rest_share(deal, i);
    if (code == FRESHET_OK)
        code = shares_tell_refused(deal->shares, divided->n, deal->run);
    return code == FRESHET_OK ? shares_together(deal, crew) : code;
}

static uint32_t rows_of(const run *run)
{
    return run->is_output ? run->out.n_rows : run->n_rows;
}

static freshet_code run_turn(divided *divided, run *run, uint32_t turn)
{
    const division_form form =
        turn + 1 < divided->n_turns ? DIVISION_FILLS : divided->division->form;
    freshet_code code = FRESHET_OK;
    uint32_t owner = 0;
    if (!run->is_output && (turn == 0 || form != DIVISION_FILLS))
        code = run_compact(run);
    deal deal = {
        .divided = divided, .run = run, .turn = turn, .form = form, .n_rows = rows_of(run)};
    struct crew *crew = deal.n_rows < DIVIDED_ROWS_MIN ? NULL : divided->crew;
    if (code == FRESHET_OK && deal.n_rows > 0) {
        code = deal_owners(&deal, crew);
        owner = code == FRESHET_OK ? only_owner(&deal) : 0;
    }
    if (code != FRESHET_OK)
        return code;
    return owner < divided->n ? run_whole(&deal, owner) : run_shares(&deal, crew);
}

/* ---- rows without an input ------------------------------------------------------------------- */

typedef freshet_code give_fn(freshet_operator *instance, run *run);

typedef struct giving {
    const divided *divided;
    give_fn *give;
    const uint32_t *who; /* are asked, n of them */
    uint32_t n;
    share *shares; /* theirs */
} giving;

static void do_give(void *context, uint32_t which)
{
    const giving *giving = context;
    share *share = &giving->shares[which];
    share->code = giving->give(giving->divided->instances[giving->who[which]], &share->run);
}

/* Those who have given none are left out; by instance, they have ended. */
static void take_ended(giving *giving, bool *ended)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < giving->n; i++)
        if (giving->shares[i].code == FRESHET_END)
            ended[giving->who[i]] = true;
        else
            giving->shares[n++] = giving->shares[i];
    giving->n = n;
}

static freshet_code join_shares(const giving *giving, run *run)
{
    freshet_code code = find_failed(giving->shares, giving->n, run);
    for (uint32_t i = 0; code == FRESHET_OK && i < giving->n; i++) /* each knows rows of its own */
        code = shares_tell_refused(&giving->shares[i], 1, run);
    if (code != FRESHET_OK)
        return code;
    return giving->n == 0 ? FRESHET_END : shares_join(giving->shares, giving->n, run);
}

/* Asks instances for a piece of what they owe. FRESHET_END where they have ended. */
static freshet_code divided_give(divided *divided, run *run, give_fn *give, const uint32_t *who,
                                 uint32_t n, struct crew *crew)
{
    giving giving = {.divided = divided, .give = give, .who = who, .n = n};
    giving.shares = arena_zero(run->arena, n, sizeof *giving.shares);
    freshet_code code = FRESHET_OK;
    if (giving.shares == NULL)
        return error_memory(run->err, COMPUTING);
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++)
        code = open_share(&giving.shares[i], run, who[i]);
    if (code != FRESHET_OK)
        return code;
    crew_run(crew, n, do_give, &giving);
    take_ended(&giving, divided->ended);
    return join_shares(&giving, run);
}

/* Who owes rows: how many. */
static uint32_t find_debtors(const divided *divided, uint32_t who[CREW_WORKERS_MAX])
{
    uint32_t n = 0;
    for (uint32_t i = 0; divided->whole->owes != NULL && i < divided->n; i++)
        if (divided->whole->owes(divided->instances[i]))
            who[n++] = i;
    return n;
}

static bool divided_owes(const freshet_operator *self)
{
    uint32_t who[CREW_WORKERS_MAX];
    return find_debtors((const divided *)self, who) > 0;
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

/* Nobody may owe any: then it is the first one's way to give none. */
static freshet_code give_owed(divided *divided, run *run, struct crew *crew)
{
    uint32_t who[CREW_WORKERS_MAX] = {0};
    const uint32_t n = find_debtors(divided, who);
    const freshet_code code = n < 2
                                  ? divided->whole->go_on(divided->instances[who[0]], run)
                                  : divided_give(divided, run, divided->whole->go_on, who, n, crew);
    if (code == FRESHET_OK)
        divided->given_rows = rows_of(run);
    return code;
}

static struct crew *crew_by(const divided *divided, uint32_t n_rows)
{
    return n_rows < DIVIDED_ROWS_MIN && divided->given_rows < DIVIDED_ROWS_MIN ? NULL
                                                                               : divided->crew;
}

static freshet_code divided_go_on(freshet_operator *self, run *run)
{
    divided *divided = (struct divided *)self;
    const freshet_code code = give_owed(divided, run, crew_by(divided, 0));
    return code == FRESHET_OK ? divided_meet(divided, run->err) : code;
}

static freshet_code divided_run(freshet_operator *self, run *run)
{
    divided *divided = (struct divided *)self;
    const uint32_t n_rows = rows_of(run);
    freshet_code code = FRESHET_OK;
    for (uint32_t turn = 0; code == FRESHET_OK && turn < divided->n_turns; turn++)
        code = run_turn(divided, run, turn);
    if (code == FRESHET_OK && divided->division->form == DIVISION_TAKES) {
        code = divided_meet(divided, run->err);
        if (code == FRESHET_OK)
            code = give_owed(divided, run, crew_by(divided, n_rows));
    }
    return code == FRESHET_OK ? divided_meet(divided, run->err) : code;
}

static freshet_code divided_finish(freshet_operator *self, run *run)
{
    divided *divided = (struct divided *)self;
    uint32_t who[CREW_WORKERS_MAX], n = 0;
    for (uint32_t i = 0; divided->whole->finish != NULL && i < divided->n; i++)
        if (!divided->ended[i])
            who[n++] = i;
    freshet_code code =
        n == 0 ? FRESHET_END
               : divided_give(divided, run, divided->whole->finish, who, n, divided->crew);
    if (code != FRESHET_OK && code != FRESHET_END)
        return code;
    const freshet_code met = divided_meet(divided, run->err);
    return met == FRESHET_OK ? code : met;
}

/* ---- facts ----------------------------------------------------------------------------------- */

/* They are alike in all instances, since they follow from the times that all are told, and from
 * what was restored; but that only who owes says what is owed. */
static freshet_code divided_save(const freshet_operator *self, text_buffer *into,
                                 freshet_error *err)
{
    const divided *divided = (const struct divided *)self;
    uint32_t who[CREW_WORKERS_MAX] = {0};
    find_debtors(divided, who);
    return divided->whole->save == NULL
               ? FRESHET_OK
               : divided->whole->save(divided->instances[who[0]], into, err);
}

static freshet_code divided_restore(freshet_operator *self, const void *bytes, size_t length,
                                    freshet_error *err)
{
    divided *divided = (struct divided *)self;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && divided->whole->restore != NULL && i < divided->n;
         i++)
        code = divided->whole->restore(divided->instances[i], bytes, length, err);
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

static const operator_ops divided_table[] = {
    DIVIDED(seen_events, "deduplicate"), DIVIDED(windowed, "windows"),
    DIVIDED(aggregated, "groups"), DIVIDED(newest_rows, "newest")};

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
