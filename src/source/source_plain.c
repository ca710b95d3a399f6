/* source_plain.c - which queries run without the engine: see plain_query.h. */
#include "source/plain_query.h"
#include "source/source_internal.h"

/* Steps before the query are SQL. */
void source_find_plain(source *source)
{
    plain_query *plain = source->plan.by_rows ? source->plan.plain : NULL;
    for (uint32_t i = 0; plain != NULL && i < source->n_readers; i++)
        if (source->plan.drives[i] && source->slots[i].steps != NULL)
            plain = NULL;
    source->plain = plain != NULL && plain_fit(plain, &source->schema) ? plain : NULL;
}

bool source_is_plain(const source *source)
{
    return source->plain != NULL;
}

void source_run_in_engine(source *source)
{
    source->plain = NULL;
}
