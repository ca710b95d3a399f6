/* user_function.h - the functions that a declaration brings along (freshet_add_function).
 *
 * The declaration owns them, and outlives the pipelines that use them. `call` comes from several of
 * the engine's threads at once, with columns as Arrow structs (freshet.h says who releases what).
 */
#ifndef FRESHET_FUNCTIONS_USER_FUNCTION_H
#define FRESHET_FUNCTIONS_USER_FUNCTION_H

#include "sql/sql.h"

typedef struct user_function user_function;
struct user_function {
    user_function *next;
    const char *name;
    const char *returns;
    const char *arguments[SQL_ARGUMENTS_MAX];
    freshet_function_fn *call;
    void *context;
    uint32_t plugin; /* which of the declaration's plugins has added it, from 1; 0: the program */
};

/* Makes it known to the session's engine, which must not outlive it. FRESHET_USAGE where SQL has
 * the name. */
freshet_code user_function_add(sql_session *session, user_function *function, freshet_error *err);

#endif
