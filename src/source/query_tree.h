/* query_tree.h - looking at DuckDB's syntax tree, for the files of query_planner.h only.
 *
 * A node is a JSON value of json_serialize_sql's document; nothing here changes or keeps one, and
 * texts point into the document. A node that is NULL or of another form has none of what is asked.
 */
#ifndef FRESHET_SOURCE_QUERY_TREE_H
#define FRESHET_SOURCE_QUERY_TREE_H

#include <yyjson.h>

#include "source/query_plan.h"

typedef yyjson_mut_val node;

/* The string under `key`, "" where there is none. */
const char *tree_text(node *object, const char *key);
bool tree_is(node *object, const char *type);
bool tree_has_class(node *object, const char *class);
bool tree_is_empty(node *list);

/* The byte offset in the query, -1 where none is known. */
int64_t tree_position(node *object);
/* The first place that something inside `any` has; `depth` is 0. */
int64_t tree_first_position(node *any, uint32_t depth);

/* Is something in it called `alias`? `depth` is 0. */
bool tree_has_alias(node *any, const char *alias, uint32_t depth);

/* The CTEs of a query node, as entries in their order; and the query node of an entry. */
node *tree_ctes(node *query);
node *tree_cte_body(node *entry);

#endif
