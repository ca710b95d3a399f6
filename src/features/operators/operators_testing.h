/* operators_testing.h - an operator by itself, without a feature set around it. */
#ifndef FRESHET_FEATURES_OPERATORS_OPERATORS_TESTING_H
#define FRESHET_FEATURES_OPERATORS_OPERATORS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "features/operator.h"

/* What it is given: to be filled before alone_open, and to live longer. */
typedef struct alone {
    declaration declaration;
    plan plan;
    feature_set_options set;
    size_t memory;
    freshet_operator *self;
} alone;

static inline void alone_open(alone *alone, const operator_ops *ops)
{
    arena *arena = arena_open();
    alone->self = calloc(1, ops->size);
    if (arena == NULL || alone->self == NULL)
        abort();
    *alone->self = (freshet_operator){.ops = ops,
                                      .plan = &alone->plan,
                                      .block = &alone->declaration.feature_set,
                                      .is_stream = true,
                                      .arena = arena};
    const operator_options options = {.set = &alone->set,
                                      .declaration = &alone->declaration,
                                      .plan = &alone->plan,
                                      .memory = alone->memory,
                                      .problems = problems_open(arena)};
    if (ops->open != NULL)
        assert_int_equal(ops->open(alone->self, &options, NULL), FRESHET_OK);
}

static inline void alone_close(alone *alone)
{
    if (alone->self->ops->close != NULL)
        alone->self->ops->close(alone->self);
    arena_close(alone->self->arena);
    free(alone->self);
    alone->self = NULL;
}

static inline freshet_code alone_run(alone *alone, run *run)
{
    run->plan = &alone->plan;
    return alone->self->ops->run(alone->self, run);
}

static inline const state_part *alone_part(alone *alone)
{
    uint32_t n = 0;
    const state_part *part = alone->self->ops->parts(alone->self, &n);
    assert_int_equal(n, 1);
    return part;
}

#endif
